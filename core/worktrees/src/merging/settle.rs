//! Merges that were cut off: finished or taken back, by where trunk is.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use podium_git::{Repo, RepoWriter, WorktreeLocation};
use podium_store::{Durability, Tx};

use super::check;
use super::record::Merge;
use crate::error::{Error, Result};
use crate::running;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;

impl Worktrees {
    /// Ends merges that no task of this process works on.
    pub(crate) async fn settle_merges(&self, handle: &Arc<RepoHandle>) {
        for state in ["intent", "undoing"] {
            let repo = handle.row.id.clone();
            let left: Result<Vec<Merge>> =
                self.inner.store.read(move |conn| Ok(Merge::in_state(conn, &repo, state)?)).await;
            for merge in left.unwrap_or_default().into_iter().filter(|merge| !self.is_busy(&merge.id)) {
                let name = merge.name.clone();
                let settled = match state {
                    "intent" => self.settle_merge(handle, merge).await,
                    _ => self.unmerge(handle, merge, None).await.map(drop),
                };
                if let Err(error) = settled {
                    tracing::error!(%error, worktree = name, "a half-done merge stays half done");
                }
            }
        }
    }

    /// Finishes a merge that trunk shows; takes back one that it does not show.
    pub(super) async fn settle_merge(&self, handle: &Arc<RepoHandle>, merge: Merge) -> Result<()> {
        let (task, patience) = (merge.clone(), handle.patience());
        let look = move |repo: &Repo| {
            let (old, new) = task.ends().ok_or(Error::Unfinished)?;
            // It may still move trunk.
            running::refuse_moving(repo)?;
            let checkout = check::trunk_checkout(repo, &task.trunk)?;
            let writer = repo.write(patience)?;
            drop_left_locks(&writer, &task, checkout.as_ref())?;
            let Some(tip) = repo.branch(&task.trunk)? else { return Ok(false) };
            if repo.ahead_behind(&new, &tip)?.ahead == 0 {
                return Ok(true);
            }
            match checkout.filter(|at| tip == old && check::refuse_dirty(repo, at, "trunk").is_err()) {
                Some(at) => Ok(writer.finish_move(&at, &old, &new)?),
                None => Ok(false),
            }
        };
        if self.with_repo(handle, &Caller::default(), look).await? {
            return self.finish_merge(handle, &merge).await;
        }
        let write = move |tx: &Tx<'_>| -> Result<()> { Ok(merge.delete(tx)?) };
        self.inner.store.write(Durability::Power, write).await
    }
}

/// Where no git is at work, a lock since the merge began is of the one that was killed.
pub(super) fn drop_left_locks(
    writer: &RepoWriter,
    merge: &Merge,
    checkout: Option<&WorktreeLocation>,
) -> Result<()> {
    if !running::is_quiet(writer.repo(), checkout) {
        return Ok(());
    }
    let since = Duration::from_millis(u64::try_from(merge.merged_at).unwrap_or_default());
    // File systems round times down.
    let since = SystemTime::UNIX_EPOCH + since.saturating_sub(Duration::from_secs(2));
    for lock in writer.drop_left_locks(&merge.refname(), checkout, since)? {
        tracing::warn!(lock = %lock.display(), "a git that was killed left its lock; it is taken away");
    }
    Ok(())
}
