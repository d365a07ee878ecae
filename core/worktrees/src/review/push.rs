//! Offering the commits that were made in a review.

use std::sync::Arc;
use std::time::Duration;

use podium_git::{Oid, Repo, redact_urls};
use podium_protocol::{Review, ReviewNumber, ReviewPushParams, ReviewPushed, WireError};
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;

use super::{remote, rows};
use crate::error::Result;
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;
use crate::view::location;

impl Worktrees {
    /// Pushes what was committed in a review's worktree: to the pull request's own branch where its author lets
    /// maintainers do that, or to a branch of a remote that is named. Never by force.
    ///
    /// # Errors
    /// `NotFound` for a review that is not open here; `User` with nothing to push, or nowhere to push to.
    pub async fn push_review(
        &self,
        params: ReviewPushParams,
        caller: &Caller,
    ) -> Result<ReviewPushed, WireError> {
        let number = params.number.as_ref().and_then(ReviewNumber::get);
        let name = number.map(|number| format!("pr-{number}"));
        let (repo, row) = self.find(&params.at, name.as_deref(), caller).await?;
        let Some(number) = row.pr else {
            let error = WireError::user(format!("`{}` is not the worktree of a review", row.name));
            return Err(error.hint("imi review push 123"));
        };
        if let (Some(_), Some(claim)) = (self.other_holder(&row, None, caller), &row.claim) {
            return Err(self.held(&row, claim));
        }
        let handle = self.handle(&repo).await?;
        let id = repo.id.clone();
        let review: Result<Option<Review>> =
            self.inner.store.read(move |conn| Ok(rows::read(conn, &id, number)?)).await;
        let review =
            review?.ok_or_else(|| WireError::not_found(format!("review {number} was not opened here")))?;
        let (this, caller) = (self.clone(), caller.clone());
        let work = async move { this.push_commits(&handle, row, review, params, &caller).await };
        Ok(self.to_its_end(work).await?)
    }

    async fn push_commits(
        &self,
        handle: &Arc<RepoHandle>,
        row: WorktreeRow,
        review: Review,
        params: ReviewPushParams,
        caller: &Caller,
    ) -> Result<ReviewPushed> {
        let timeout = handle.config().seconds("review.timeout_seconds").unwrap_or(Duration::from_secs(30));
        let (patience, task, asked) = (handle.patience(), row.clone(), review.clone());
        let push = move |repo: &Repo| {
            let head = repo.head(&location(&task))?.id().cloned();
            let base = asked.head.parse::<Oid>().ok();
            let (Some(head), Some(base)) = (head, base) else {
                return Err(WireError::user("there is no commit to push").into());
            };
            let commits = repo.ahead_behind(&head, &base)?.ahead;
            if commits == 0 {
                let error = WireError::user(format!("`{}` has no commits besides the request's", task.name));
                return Err(error.hint("commit your suggestions there first").into());
            }
            let (to, branch) = target(repo, &asked, &params)?;
            repo.write(patience)?.push(&to, &head, &branch, timeout)?;
            Ok((redact_urls(&to), branch, commits, head))
        };
        let (to, branch, commits, head) = self.with_repo(handle, caller, push).await?;
        let answer = ReviewPushed {
            worktree: row.name.clone(),
            to,
            branch,
            commits: u32::try_from(commits).unwrap_or(u32::MAX),
            head: head.to_string(),
        };
        let data = json!({
            "worktree": row.id, "name": row.name, "pr": review.number, "to": answer.to, "branch": answer.branch,
            "head": answer.head, "by": caller.name(),
        });
        let own = review.head_branch.as_deref() == Some(answer.branch.as_str()) && answer.to != review.remote;
        let repo = handle.row.id.clone();
        let write = move |tx: &Tx<'_>| -> Result<()> {
            if own {
                // The request has these commits now.
                rows::write(tx, &repo, &Review { head: head.to_string(), ..review }, tx.now)?;
            }
            tx.emit(&NewEvent::new("review.pushed", row.subject(), data))?;
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await?;
        Ok(answer)
    }
}

/// Remote or address, and branch.
fn target(repo: &Repo, review: &Review, params: &ReviewPushParams) -> Result<(String, String)> {
    if params.remote.is_some() || params.branch.is_some() {
        let remote = remote::source(repo, params.remote.as_deref().or(Some(&review.remote)))?.remote;
        let branch = params.branch.clone().unwrap_or_else(|| format!("review-{}-suggestions", review.number));
        return Ok((remote, branch));
    }
    let aside = format!("imi review push {} --remote {} --branch NAME", review.number, review.remote);
    let refuse = |why: &str| {
        let error = WireError::user(format!("{why} request {}", review.number));
        error.hint(format!("`{aside}` pushes to a branch of your own"))
    };
    let Some(branch) = review.head_branch.clone() else {
        return Err(refuse("nothing is known of the branch of").into());
    };
    match (review.fork, review.maintainer_can_modify, &review.head_repo) {
        (Some(false), _, _) => Ok((review.remote.clone(), branch)),
        (Some(true), Some(true), Some(head_repo)) => {
            let url = repo.remote_url(&review.remote)?;
            let source = remote::source(repo, Some(&review.remote))?;
            let path = source.place.map(|(_, path)| path).unwrap_or_default();
            // The same host and way to reach it, another repository.
            let to = if path.is_empty() { None } else { url.rfind(&path) };
            let to = to.map(|at| format!("{}{head_repo}{}", &url[..at], &url[at + path.len()..]));
            Ok((to.ok_or_else(|| refuse("no address is known for the fork of"))?, branch))
        }
        _ => Err(refuse("its author does not let others push to").into()),
    }
}
