//! Opening a review, and bringing an open one up to date.

use std::sync::Arc;
use std::time::{Duration, Instant};

use podium_git::{Oid, Repo, Untracked, WorktreeLocation, WorktreeStart};
use podium_protocol::{Review, WireError, WorktreeReviewParams, WorktreeReviewed};
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;

use super::forge::{ForgeError, ForgeQuery, PullRequest};
use super::remote::{self, Found, Source};
use super::rows;
use crate::create::Creation;
use crate::error::{Error, Result};
use crate::layout::{self, Plan};
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees, new_id};
use crate::settings::Caller;
use crate::view::{location, some};

/// What became of a request to open a review.
struct Opened {
    row: WorktreeRow,
    review: Review,
    created: bool,
    updated: bool,
    notes: Vec<String>,
}

impl Worktrees {
    /// Opens the pull request of this number in `review-N`; enters and updates the worktree where it exists. Commits
    /// and changes made there are never lost: then it stays where it is, and a note says so.
    ///
    /// # Errors
    /// `NotFound` for a number that the remote does not have, `Unavailable` when it cannot be reached and there is no
    /// worktree yet, `Conflict` for a claim of somebody else.
    pub async fn review(
        &self,
        params: WorktreeReviewParams,
        caller: &Caller,
    ) -> Result<WorktreeReviewed, WireError> {
        let started = Instant::now();
        let number = params.number.as_ref().and_then(podium_protocol::ReviewNumber::get);
        let number = number.ok_or_else(|| {
            WireError::usage("a review needs the number of a pull request").hint("imi review 123")
        })?;
        let claimant = match &params.agent_id {
            None => None,
            Some(agent) => Some(self.claimant(Some(agent), None, None, caller)?),
        };
        let handle = self.repo_at(&params.at, caller).await?;
        let (this, shared, asker) = (self.clone(), handle.clone(), caller.clone());
        let remote = params.remote.clone();
        let work = async move { this.open_review(&shared, number, remote.as_deref(), &asker).await };
        let opened = self.to_its_end(work).await?;
        if let Some(claimant) = claimant {
            self.claim_now(&handle.row, &opened.row.id, claimant).await?;
        }
        Ok(WorktreeReviewed {
            worktree: self.view_by_id(&handle, &opened.row.id).await?,
            elapsed_ms: started.elapsed().as_secs_f64() * 1_000.0,
            from_spare: false,
            created: opened.created,
            updated: opened.updated,
            review: opened.review,
            notes: opened.notes,
        })
    }

    async fn open_review(
        &self,
        handle: &Arc<RepoHandle>,
        number: u64,
        asked: Option<&str>,
        caller: &Caller,
    ) -> Result<Opened> {
        let plan = review_plan(handle, number);
        let _turn = self.inner.gates.enter(format!("name/{}/{}", handle.row.id, plan.name)).await;
        let row = self.existing(handle, &plan.name).await?;
        let repo = handle.row.id.clone();
        let known: Result<Option<Review>> =
            self.inner.store.read(move |conn| Ok(rows::read(conn, &repo, number)?)).await;
        let known = known?;
        // Who opens it again without a word means the remote it came from, if that is still there.
        let (asked, before) = (asked.map(str::to_owned), known.as_ref().map(|known| known.remote.clone()));
        let choose = move |repo: &Repo| match (asked, before) {
            (Some(asked), _) => remote::source(repo, Some(&asked)),
            (None, Some(before)) => {
                remote::source(repo, Some(&before)).or_else(|_| remote::source(repo, None))
            }
            (None, None) => remote::source(repo, None),
        };
        let source = self.with_repo(handle, caller, choose).await?;
        let mut notes = Vec::new();
        let (told, found) = self.look_up(handle, &source, number, caller).await;
        let told = match (told, &found) {
            (Ok(told), _) => told,
            // The host is sure; git could not be asked.
            (Err(ForgeError::NotFound(why)), Err(error)) if row.is_none() && !is_not_found(error) => {
                return Err(WireError::not_found(why).into());
            }
            (Err(error), _) => {
                notes.push(format!("title and state are not known: {error}"));
                None
            }
        };
        let merged = rows::merged(known.clone(), told, number, &source.remote);
        if let Some(state @ ("closed" | "merged")) = merged.state.as_deref() {
            notes.push(format!("request {number} is {state}"));
        }
        let base = known.and_then(|known| known.head.parse::<Oid>().ok());
        match (row, found) {
            (None, Err(error)) => Err(error),
            (Some(row), Err(error)) => {
                notes.push(format!("not updated: {}", WireError::from(error).message));
                Ok(Opened { row, review: merged, created: false, updated: false, notes })
            }
            (None, Ok(found)) => self.make_review(handle, plan, &found, (merged, notes), caller).await,
            (Some(row), Ok(found)) => {
                let updated = self.bring_up(handle, &row, base, &found, &mut notes, caller).await?;
                let head = if updated { found.head.to_string() } else { merged.head.clone() };
                let head = if head.is_empty() { found.head.to_string() } else { head };
                let review = self.keep_review(handle, Review { head, ..merged }, &row, caller).await?;
                Ok(Opened { row, review, created: false, updated, notes })
            }
        }
    }

    /// Asks the host and fetches, both at once.
    async fn look_up(
        &self,
        handle: &Arc<RepoHandle>,
        source: &Source,
        number: u64,
        caller: &Caller,
    ) -> (Result<Option<PullRequest>, ForgeError>, Result<Found>) {
        let timeout = handle.config().seconds("review.timeout_seconds").unwrap_or(Duration::from_secs(30));
        let from = source.clone();
        let fetch = self.with_repo(handle, caller, move |repo| remote::fetch(repo, &from, number, timeout));
        let ask = async {
            let (Some(forge), Some((host, path))) = (&self.inner.settings.forge, source.place.clone()) else {
                return Ok(None);
            };
            let folder = handle.row.root.clone();
            let query = ForgeQuery { host, path, number, folder, env: caller.env.clone(), timeout };
            match tokio::time::timeout(timeout, forge.pull_request(&query)).await {
                Ok(told) => told.map(Some),
                Err(_) => Err(ForgeError::Unavailable("the host did not answer in time".to_owned())),
            }
        };
        tokio::join!(ask, fetch)
    }

    async fn make_review(
        &self,
        handle: &Arc<RepoHandle>,
        plan: Plan,
        found: &Found,
        (review, mut notes): (Review, Vec<String>),
        caller: &Caller,
    ) -> Result<Opened> {
        let (branch, head) = (plan.branch.clone(), found.head.clone());
        let start = move |repo: &Repo| {
            Ok(match repo.branch(&branch)? {
                // Left by a removal that kept it, or somebody's own: its commits stay.
                Some(_) => (WorktreeStart::Branch(branch), false),
                None => (WorktreeStart::NewBranch { name: branch, at: head }, true),
            })
        };
        let (start, fresh) = self.with_repo(handle, caller, start).await?;
        let new_branch_at = fresh.then(|| found.head.to_string());
        let creation = Creation { id: new_id(), plan, new_branch_at, spare: None };
        let row = self.make(handle, creation, start, caller).await?;
        let mut updated = false;
        if !fresh {
            updated = self.bring_up(handle, &row, None, found, &mut notes, caller).await?;
        }
        let review = Review { head: found.head.to_string(), ..review };
        let review = self.keep_review(handle, review, &row, caller).await?;
        Ok(Opened { row, review, created: true, updated, notes })
    }

    /// Takes newer commits of the request into the worktree, where nothing of anybody's is in the way.
    async fn bring_up(
        &self,
        handle: &Arc<RepoHandle>,
        row: &WorktreeRow,
        base: Option<Oid>,
        found: &Found,
        notes: &mut Vec<String>,
        caller: &Caller,
    ) -> Result<bool> {
        let held = self.other_holder(row, None, caller);
        let (at, to, name) = (location(row), found.head.clone(), row.name.clone());
        let patience = handle.patience();
        let work = move |repo: &Repo| update(repo, &at, base.as_ref(), &to, held.as_deref(), patience);
        let outcome = self.with_repo(handle, caller, work).await?;
        notes.extend(outcome.note.map(|note| format!("{name} {note}")));
        Ok(outcome.moved)
    }

    /// The newest commit that the host is known to have of a worktree's request.
    pub(crate) async fn review_head(&self, row: &WorktreeRow) -> Result<Option<Oid>> {
        let Some(number) = row.pr else { return Ok(None) };
        let repo = row.repo.clone();
        let known: Result<Option<Review>> =
            self.inner.store.read(move |conn| Ok(rows::read(conn, &repo, number)?)).await;
        Ok(known?.and_then(|known| known.head.parse().ok()))
    }

    async fn keep_review(
        &self,
        handle: &Arc<RepoHandle>,
        review: Review,
        row: &WorktreeRow,
        caller: &Caller,
    ) -> Result<Review> {
        let (repo, row, by, kept) =
            (handle.row.id.clone(), row.clone(), caller.name().to_owned(), review.clone());
        let write = move |tx: &Tx<'_>| -> Result<()> {
            rows::write(tx, &repo, &kept, tx.now)?;
            tx.execute(
                "UPDATE worktrees SET pr = ?2 WHERE id = ?1",
                podium_store::rusqlite::params![row.id, kept.number],
            )?;
            let data = json!({
                "worktree": row.id,
                "name": row.name,
                "pr": kept.number,
                "remote": kept.remote,
                "head": kept.head,
                "state": kept.state,
                "by": by,
            });
            tx.emit(&NewEvent::new("worktree.reviewed", row.subject(), data))?;
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await?;
        Ok(review)
    }
}

/// Branch, folder and name are the same: `review-7`.
fn review_plan(handle: &RepoHandle, number: u64) -> Plan {
    let name = format!("review-{number}");
    let path = layout::folder_of(&handle.row).join(&name);
    Plan { kind: "review".to_owned(), branch: name.clone(), name, path, notes: Vec::new() }
}

fn is_not_found(error: &Error) -> bool {
    match error {
        Error::Refused(error) => error.kind == podium_protocol::ErrorKind::NotFound,
        Error::Git(error) => error.kind() == podium_git::ErrorKind::NotFound,
        _ => false,
    }
}

struct Update {
    moved: bool,
    note: Option<String>,
}

fn update(
    repo: &Repo,
    at: &WorktreeLocation,
    base: Option<&Oid>,
    to: &Oid,
    held: Option<&str>,
    patience: Duration,
) -> Result<Update> {
    let stay = |note: String| Ok(Update { moved: false, note: Some(note) });
    let Some(head) = repo.head(at)?.id().cloned() else {
        return stay("has no commit and stays as it is".to_owned());
    };
    if head == *to {
        return Ok(Update { moved: false, note: None });
    }
    let short = to.short().to_owned();
    if let Some(owner) = held {
        return stay(format!("is claimed by {owner} and stays as it is; the newest commit is {short}"));
    }
    let writer = repo.write(patience)?;
    if !repo.status(at, Untracked::Folded)?.is_clean() {
        return stay(format!("has changes and stays as it is; the newest commit is {short}"));
    }
    let ahead = repo.ahead_behind(to, &head)?;
    if ahead.behind == 0 {
        writer.fast_forward(at, to)?;
        return Ok(Update { moved: true, note: None });
    }
    if ahead.ahead == 0 {
        return stay(format!("has {} of its own on top of the request", some(ahead.behind, "commit")));
    }
    if base == Some(&head) {
        // Nobody committed here: the author rewrote the request.
        writer.reset_keeping(at, to)?;
        let note = format!("was rewritten by its author; it was at {} before", head.short());
        return Ok(Update { moved: true, note: Some(note) });
    }
    stay(format!(
        "has commits of its own and stays as it is; `git merge {short}` takes the newest commits in"
    ))
}
