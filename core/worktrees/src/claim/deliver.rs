//! What a claim's owner leaves behind: its commits, and its uncommitted work made into one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_git::{CommitPaths, Oid, Repo, Status, Untracked, WorktreeLocation};
use podium_protocol::WireError;
use podium_store::Durability;
use podium_store::rusqlite::params;

use crate::error::{Error, Result};
use crate::rows::{RepoRow, WorktreeRow};
use crate::service::Worktrees;
use crate::settings::Caller;
use crate::view::location;

/// Commits that are told.
const COMMITS: usize = 1_000;
/// Paths that are told.
const PATHS: usize = 10_000;
/// A file that goes away between the look and the commit makes git refuse; then it is looked again.
const TRIES: usize = 3;

/// How the work is to be taken in.
#[derive(Clone)]
pub struct Delivery {
    /// Id of the worktree.
    pub worktree: String,
    pub agent_id: String,
    /// Token of the claim that the work was done under.
    pub token: u64,
    /// Commit at which the work began.
    pub base: Option<String>,
    /// Message for what is not committed yet; `None` leaves it.
    pub message: Option<String>,
    /// Paths that are never committed, such as secrets.
    pub keep_out: Arc<dyn Fn(&Path) -> bool + Send + Sync>,
}

/// The work as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Oldest first.
    pub commits: Vec<String>,
    /// Changed by them.
    pub files: Vec<String>,
    /// Changed and in no commit.
    pub uncommitted: Vec<String>,
    /// Why something was left uncommitted that should not have been.
    pub problem: Option<String>,
}

impl Worktrees {
    /// Commit that a worktree is at; `None` before the first.
    ///
    /// # Errors
    /// `NotFound` for one that is gone.
    pub async fn head_of(&self, worktree: &str, caller: &Caller) -> Result<Option<String>, WireError> {
        let (repo, row) = self.with_its_repo(worktree).await?;
        let handle = self.handle(&repo).await?;
        let at = location(&row);
        let head = move |repo: &Repo| Ok(repo.head(&at)?.id().map(Oid::to_string));
        Ok(self.with_repo(&handle, caller, head).await?)
    }

    /// Commits what is left in the claim's name, and tells what the claim's owner did since `base`. To do so again adds
    /// nothing.
    ///
    /// # Errors
    /// `NotFound` for a worktree that is gone, `Conflict` where the claim is another one now.
    pub async fn deliver(&self, delivery: Delivery, caller: &Caller) -> Result<Delivered, WireError> {
        let (repo, row) = self.with_its_repo(&delivery.worktree).await?;
        let handle = self.handle(&repo).await?;
        let (this, caller, shared) = (self.clone(), caller.clone(), handle.clone());
        let work = async move {
            let (service, patience) = (this.clone(), shared.patience());
            let take_in = move |repo: &Repo| {
                let at = location(&row);
                let problem = match &delivery.message {
                    None => None,
                    Some(message) => {
                        let writer = repo.write(patience)?;
                        // Fenced: the claim may have gone while others had their turn.
                        service.still_held(&delivery)?;
                        commit_rest(&writer, &at, &row, &delivery, message).err().map(told)
                    }
                };
                service.report(repo, &at, &delivery, problem)
            };
            this.with_repo(&shared, &caller, take_in).await
        };
        Ok(self.to_its_end(work).await?)
    }

    /// The claims of a session live on by heartbeat.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn unbind_session(&self, session: &str) -> Result<(), WireError> {
        let (asked, now) = (session.to_owned(), self.now());
        let write = self.inner.store.write(Durability::Power, move |tx| -> Result<()> {
            let sql = "UPDATE worktrees SET session = NULL, heartbeat_at = ?2
                WHERE session = ?1 AND agent_id IS NOT NULL AND owner_dead_at IS NULL";
            tx.prepare_cached(sql)?.execute(params![asked, now])?;
            Ok(())
        });
        Ok(write.await?)
    }

    async fn with_its_repo(&self, worktree: &str) -> Result<(RepoRow, WorktreeRow)> {
        let row = self.row(worktree).await?;
        let id = row.repo.clone();
        let read = self.inner.store.read(move |conn| -> Result<_> { Ok(RepoRow::by_id(conn, &id)?) });
        let repo = read.await?;
        let repo = repo.ok_or_else(|| WireError::not_found("its repository is not known any more"))?;
        Ok((repo, row))
    }

    fn still_held(&self, delivery: &Delivery) -> Result<()> {
        let id = delivery.worktree.clone();
        let row = self
            .inner
            .store
            .read_blocking(move |conn| -> Result<_> { Ok(WorktreeRow::by_id(conn, &id)?) })?;
        let claim = row.as_ref().filter(|row| row.removing.is_none()).and_then(|row| row.claim.as_ref());
        if claim.is_some_and(|claim| claim.token == delivery.token && claim.agent_id == delivery.agent_id) {
            return Ok(());
        }
        let text = format!("the claim of {} was given up or taken over meanwhile", delivery.agent_id);
        Err(WireError::conflict(text).into())
    }

    fn report(
        &self,
        repo: &Repo,
        at: &WorktreeLocation,
        delivery: &Delivery,
        problem: Option<String>,
    ) -> Result<Delivered> {
        let status = repo.status(at, Untracked::All)?;
        let shown = |path: &PathBuf| path.to_string_lossy().into_owned();
        let uncommitted = status.entries.iter().take(PATHS).map(|entry| shown(&entry.path)).collect();
        let (mut commits, mut files) = (Vec::new(), Vec::new());
        let base: Option<Oid> = delivery.base.as_deref().and_then(|base| base.parse().ok());
        let head = repo.head(at)?.id().cloned();
        if let Some(head) = head.filter(|head| Some(head) != base.as_ref()) {
            commits = commits_since(repo, at, base.as_ref(), &head)?;
            if let Some(base) = &base {
                files = repo.changed_files(base, &head)?.iter().take(PATHS).map(|f| shown(&f.path)).collect();
            }
        }
        Ok(Delivered { commits, files, uncommitted, problem })
    }
}

/// Commits everything that is changed, and may be.
fn commit_rest(
    writer: &podium_git::RepoWriter,
    at: &WorktreeLocation,
    row: &WorktreeRow,
    delivery: &Delivery,
    message: &str,
) -> Result<()> {
    let mut tries = 1;
    loop {
        let status = writer.repo().status(at, Untracked::All)?;
        refuse_odd(writer.repo(), at, row, &status)?;
        let commit = selected(at, &status, delivery, message);
        match writer.commit_paths(at, &commit) {
            Ok(_) => return Ok(()),
            Err(_) if tries < TRIES => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Half a merge, and a branch that is not the worktree's, are for whoever began that.
fn refuse_odd(repo: &Repo, at: &WorktreeLocation, row: &WorktreeRow, status: &Status) -> Result<()> {
    if let Some(what) = status.in_progress {
        let text = format!("a {} is under way", crate::view::progress(what));
        return Err(WireError::conflict(text).into());
    }
    if status.conflicted > 0 {
        return Err(WireError::conflict("files are in conflict").into());
    }
    let head = repo.head(at)?;
    if head.branch() != row.branch.as_deref() {
        let now = head.branch().unwrap_or("a detached HEAD");
        let expected = row.branch.as_deref().unwrap_or("a detached HEAD");
        return Err(WireError::conflict(format!("it is on {now} instead of {expected}")).into());
    }
    Ok(())
}

fn selected(at: &WorktreeLocation, status: &Status, delivery: &Delivery, message: &str) -> CommitPaths {
    let (mut paths, mut unstage) = (Vec::new(), Vec::new());
    for entry in &status.entries {
        // A repository within would become a link to a commit that nobody else has.
        let nested = entry.untracked && at.path.join(&entry.path).join(".git").symlink_metadata().is_ok();
        if nested || (delivery.keep_out)(&entry.path) {
            if entry.staged {
                unstage.push(entry.path.clone());
            }
            continue;
        }
        if entry.modified || entry.untracked {
            paths.push(entry.path.clone());
        }
    }
    let address: String =
        delivery.agent_id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let by = (delivery.agent_id.clone(), format!("{}@podium.invalid", address.trim_matches('-')));
    CommitPaths { paths, unstage, message: message.to_owned(), by }
}

fn commits_since(repo: &Repo, at: &WorktreeLocation, base: Option<&Oid>, head: &Oid) -> Result<Vec<String>> {
    let mut command = repo.read_command(at);
    command.args(["rev-list", "--reverse", "--topo-order"]).arg(format!("--max-count={COMMITS}"));
    command.arg(head.as_str());
    if let Some(base) = base {
        command.arg(format!("^{base}"));
    }
    Ok(command.arg("--").text()?.lines().map(str::to_owned).collect())
}

fn told(error: Error) -> String {
    WireError::from(error).message
}
