//! What reviewers suggest in their comments, made into commits.

use std::collections::HashSet;
use std::sync::Arc;

use podium_git::{Edit, Edited, Oid, Repo};
use podium_protocol::{
    Review, ReviewNumber, ReviewSuggested, ReviewSuggestionsParams, Suggestion, SuggestionState, WireError,
};
use podium_store::{Durability, NewEvent};
use serde_json::json;

use super::forge::{ForgeError, ForgeQuery, ReviewComment};
use super::{remote, rows};
use crate::error::{Error, Result};
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;
use crate::view::location;

/// A suggestion with what it takes to apply it.
struct Task {
    shown: Suggestion,
    edit: Option<Edit>,
    author: String,
}

impl Worktrees {
    /// The suggestions in the comments of a review that is open here; applied where that is asked for, each as a commit
    /// of its own, in the order of the comments.
    ///
    /// # Errors
    /// `NotFound` for a review that is not open here, `Unavailable` where the host does not answer, `Conflict` for a
    /// worktree with changes or of somebody else.
    pub async fn suggestions(
        &self,
        params: ReviewSuggestionsParams,
        caller: &Caller,
    ) -> Result<ReviewSuggested, WireError> {
        let number = params.number.as_ref().and_then(ReviewNumber::get);
        let name = number.map(|number| format!("pr-{number}"));
        let (repo, row) = self.find(&params.at, name.as_deref(), caller).await?;
        let Some(number) = row.pr else {
            let error = WireError::user(format!("`{}` is not the worktree of a review", row.name));
            return Err(error.hint("imi review suggestions 123"));
        };
        if params.apply
            && let (Some(_), Some(claim)) =
                (self.other_holder(&row, params.agent_id.as_deref(), caller), &row.claim)
        {
            return Err(self.held(&row, claim));
        }
        let handle = self.handle(&repo).await?;
        let id = repo.id.clone();
        let review: Result<Option<Review>> =
            self.inner.store.read(move |conn| Ok(rows::read(conn, &id, number)?)).await;
        let review =
            review?.ok_or_else(|| WireError::not_found(format!("review {number} was not opened here")))?;
        let comments = self.comments(&handle, &review, caller).await?;
        let tasks = tasks_of(comments, &params.ids)?;
        let (this, caller, apply) = (self.clone(), caller.clone(), params.apply);
        let work = async move { this.take_in(&handle, row, review, tasks, apply, &caller).await };
        Ok(self.to_its_end(work).await?)
    }

    async fn comments(
        &self,
        handle: &Arc<RepoHandle>,
        review: &Review,
        caller: &Caller,
    ) -> Result<Vec<ReviewComment>> {
        let (name, number) = (review.remote.clone(), review.number);
        let source = self.with_repo(handle, caller, move |repo| remote::source(repo, Some(&name))).await?;
        let (Some(forge), Some((host, path))) = (&self.inner.settings.forge, source.place) else {
            let error = WireError::unavailable(format!("nobody can be asked about request {number}"));
            return Err(error.hint("the remote's address names no code host").into());
        };
        let timeout = handle.config().seconds("review.timeout_seconds");
        let timeout = timeout.unwrap_or(std::time::Duration::from_secs(30));
        let folder = handle.row.root.clone();
        let query = ForgeQuery { host, path, number, folder, env: caller.env.clone(), timeout };
        match tokio::time::timeout(timeout, forge.comments(&query)).await {
            Ok(Ok(comments)) => Ok(comments),
            Ok(Err(ForgeError::NotFound(why))) => Err(WireError::not_found(why).into()),
            Ok(Err(ForgeError::Unavailable(why))) => Err(WireError::unavailable(why).into()),
            Err(_) => Err(WireError::unavailable("the host did not answer in time").into()),
        }
    }

    async fn take_in(
        &self,
        handle: &Arc<RepoHandle>,
        row: WorktreeRow,
        review: Review,
        mut tasks: Vec<Task>,
        apply: bool,
        caller: &Caller,
    ) -> Result<ReviewSuggested> {
        let (at, patience, number) = (location(&row), handle.patience(), review.number);
        let noreply = noreply_of(&review);
        let work = move |repo: &Repo| {
            let mut commits = 0_u32;
            if apply {
                let writer = repo.write(patience)?;
                for task in &mut tasks {
                    let Some(edit) = &task.edit else { continue };
                    let message = message(task, number, &noreply);
                    task.shown.state = match writer.commit_edit(&at, edit, &message)? {
                        Edited::Committed(id) => {
                            commits += 1;
                            task.shown.commit = Some(id.to_string());
                            SuggestionState::Applied
                        }
                        Edited::There => SuggestionState::Applied,
                        Edited::Outdated => SuggestionState::Outdated,
                    };
                }
            }
            let head = repo.head(&at)?.id().map(Oid::to_string).unwrap_or_default();
            Ok((tasks, commits, head))
        };
        let (tasks, commits, head) = self.with_repo(handle, caller, work).await?;
        if commits > 0 {
            let data = json!({
                "worktree": row.id, "name": row.name, "pr": number, "commits": commits, "head": head,
                "by": caller.name(),
            });
            let event = NewEvent::new("review.suggestions_applied", row.subject(), data);
            let write = move |tx: &podium_store::Tx<'_>| -> Result<()> { Ok(tx.emit(&event).map(drop)?) };
            self.inner.store.write(Durability::Process, write).await?;
        }
        let suggestions = tasks.into_iter().map(|task| task.shown).collect();
        Ok(ReviewSuggested { worktree: row.name, suggestions, commits, head })
    }
}

/// Of all comments, or those that are named.
fn tasks_of(comments: Vec<ReviewComment>, ids: &[u64]) -> Result<Vec<Task>> {
    let known: HashSet<u64> = comments.iter().map(|comment| comment.id).collect();
    if let Some(odd) = ids.iter().find(|id| !known.contains(id)) {
        return Err(Error::from(WireError::not_found(format!("there is no comment {odd} in this review"))));
    }
    let mut tasks = Vec::new();
    for comment in comments.into_iter().filter(|comment| ids.is_empty() || ids.contains(&comment.id)) {
        for text in blocks(&comment.body) {
            tasks.push(task(&comment, text));
        }
    }
    Ok(tasks)
}

fn task(comment: &ReviewComment, text: String) -> Task {
    let lines = comment.line.map(|line| (comment.start_line.unwrap_or(line), line));
    let base = comment.commit.as_deref().and_then(|commit| commit.parse().ok());
    let edit = lines.zip(base).map(|(lines, base)| Edit {
        path: comment.path.clone(),
        base,
        lines,
        text: text.clone(),
    });
    Task {
        shown: Suggestion {
            comment: comment.id,
            author: comment.author.clone(),
            path: comment.path.clone(),
            from_line: lines.map(|lines| lines.0),
            to_line: lines.map(|lines| lines.1),
            text,
            url: comment.url.clone(),
            state: if edit.is_some() { SuggestionState::Open } else { SuggestionState::Outdated },
            commit: None,
        },
        edit,
        author: comment.author.clone().unwrap_or_else(|| "ghost".to_owned()),
    }
}

/// As the host itself writes it when the button is pressed there.
fn message(task: &Task, number: u64, noreply: &str) -> String {
    let clean = |text: &str| text.replace(char::is_control, " ");
    let (author, path) = (clean(&task.author), clean(&task.shown.path));
    let url = task.shown.url.as_deref().map(|url| format!("{}\n\n", clean(url))).unwrap_or_default();
    format!(
        "Apply suggestion to {path}\n\nFrom the review of #{number}.\n{url}Co-authored-by: {author} <{author}@{noreply}>\n"
    )
}

fn noreply_of(review: &Review) -> String {
    let host = review.url.as_deref().and_then(|url| url.split('/').nth(2)).unwrap_or("github.com");
    format!("users.noreply.{}", host.split(':').next().unwrap_or(host))
}

/// Contents of the blocks that begin with a fence and the word `suggestion`.
fn blocks(body: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for line in body.lines() {
        let bare = line.trim_start_matches(' ');
        let ticks = bare.chars().take_while(|letter| *letter == '`').count();
        let indented = line.len() - bare.len() > 3;
        match &mut open {
            Some((fence, wanted, text)) => {
                if !indented && ticks >= *fence && bare[ticks..].trim().is_empty() {
                    if *wanted {
                        found.push(std::mem::take(text));
                    }
                    open = None;
                } else {
                    text.push_str(line);
                    text.push('\n');
                }
            }
            None if ticks >= 3 && !indented => {
                let word = bare[ticks..].trim();
                open = Some((ticks, word == "suggestion" || word.starts_with("suggestion "), String::new()));
            }
            None => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_read_from_comments() {
        assert_eq!(blocks("Better:\n```suggestion\nlet x = 1;\n```\nthanks"), ["let x = 1;\n"]);
        assert_eq!(blocks("```suggestion\r\na\r\nb\r\n```\r\n"), ["a\nb\n"]);
        assert_eq!(blocks("````suggestion\n```\ninner\n```\n````"), ["```\ninner\n```\n"]);
        assert_eq!(blocks("```suggestion\n```"), [""]);
        assert_eq!(blocks("```rust\n```suggestion\nno\n```"), Vec::<String>::new());
        assert_eq!(blocks("```suggestion\nnever closed"), Vec::<String>::new());
        assert_eq!(blocks("```suggestion\n1\n```\n```suggestion\n2\n```"), ["1\n", "2\n"]);
    }
}
