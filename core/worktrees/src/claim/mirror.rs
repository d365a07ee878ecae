//! Git's worktree lock says what the rows say.

use std::time::UNIX_EPOCH;

use podium_git::{GitError, OUR_LOCK_PREFIX};
use podium_protocol::WireError;
use podium_store::rfc3339;

use crate::error::{Error, Result, blocking};
use crate::rows::{Claim, RepoRow, WorktreeRow};
use crate::service::Worktrees;
use crate::view::location;

impl Worktrees {
    /// Makes the lock of a linked worktree equal the stored claim. Whoever changed the claim calls this after the
    /// commit; one at a time for each worktree, the last one sees the last state.
    ///
    /// # Errors
    /// `WorktreeLocked` when somebody else's lock is in the way.
    pub(crate) async fn mirror(&self, repo: &RepoRow, id: &str) -> Result<()> {
        let _turn = self.inner.gates.enter(format!("mirror/{id}")).await;
        let handle = self.handle(repo).await?;
        let (store, id) = (self.inner.store.clone(), id.to_owned());
        blocking(move || {
            let row: Result<Option<WorktreeRow>> =
                store.read_blocking(|conn| Ok(WorktreeRow::by_id(conn, &id)?));
            let Some(row) = row?.filter(|row| !row.is_main && row.removing.is_none()) else { return Ok(()) };
            let wanted = row.claim.as_ref().map(reason);
            let found = lock_reason(&row)?;
            if found == wanted.as_ref().map(|reason| format!("{OUR_LOCK_PREFIX}{reason}")) {
                return Ok(());
            }
            let writer = handle.repo.write(handle.patience())?;
            let at = location(&row);
            match wanted {
                Some(reason) => writer.lock_worktree(&at, &reason).map(drop)?,
                None if is_foreign(found.as_deref()) => {}
                None => writer.unlock_worktree(&at).map(drop)?,
            }
            Ok(())
        })
        .await
    }

    /// Takes away a lock of ours that a loss of power emptied: locks are not synced, since the rows are. One that a
    /// person made without a reason stays: it is younger than our last claim, which it would have refused.
    pub(crate) async fn drop_emptied_lock(&self, row: &WorktreeRow) -> Result<()> {
        if row.is_main || lock_reason(row)?.as_deref() != Some("") {
            return Ok(());
        }
        let (id, path) = (row.id.clone(), row.admin_dir.join("locked"));
        let sql = "SELECT released_at FROM worktrees WHERE id = ?1";
        let last: Result<Option<i64>> =
            self.inner.store.read(move |conn| Ok(conn.query_row(sql, [id], |row| row.get(0))?)).await;
        let made = std::fs::metadata(&path).and_then(|found| found.modified());
        let made = made.map_err(|error| Error::io("read", &path, error))?;
        let made = made.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let within = last?.is_some_and(|last| made <= u128::try_from(last).unwrap_or(0));
        if row.claim.is_none() && !within {
            return Ok(());
        }
        tracing::warn!(worktree = row.name, "git's worktree lock had lost its content");
        std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))
    }

    /// As [`Worktrees::mirror`], where the claim stands whatever becomes of the lock.
    pub(crate) async fn mirror_or_warn(&self, repo: &RepoRow, id: &str) {
        if let Err(error) = self.mirror(repo, id).await {
            tracing::warn!(%error, worktree = id, "git's worktree lock does not show the claim");
        }
    }
}

/// Without [`OUR_LOCK_PREFIX`], in the one line that git keeps.
fn reason(claim: &Claim) -> String {
    let since = rfc3339(claim.claimed_at);
    let text =
        format!("claimed by {} (token {}) on {} since {since}", claim.agent_id, claim.token, claim.host);
    text.replace(char::is_control, " ").trim().to_owned()
}

pub(crate) fn is_foreign(reason: Option<&str>) -> bool {
    reason.is_some_and(|reason| !reason.starts_with(OUR_LOCK_PREFIX.trim_end()))
}

/// The reason in git's lock. A look at one file: this is on the path of every claim.
pub(crate) fn lock_reason(row: &WorktreeRow) -> Result<Option<String>> {
    Ok(podium_git::read_lock(&row.admin_dir)?)
}

/// A worktree that somebody locked by hand is not for claiming.
pub(crate) fn locked_outside(row: &WorktreeRow, reason: &str) -> WireError {
    let why = if reason.is_empty() { "without a reason".to_owned() } else { format!("\"{reason}\"") };
    let error =
        WireError::conflict(format!("worktree `{}` is locked in git by somebody else: {why}", row.name));
    error.hint(format!("if the lock is obsolete: git worktree unlock '{}'", row.path.display()))
}

pub(crate) fn is_locked_outside(error: &Error) -> bool {
    matches!(error, Error::Git(GitError::WorktreeLocked { .. }))
}
