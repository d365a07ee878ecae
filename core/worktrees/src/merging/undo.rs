//! Taking a merge back, as long as trunk is where it left it.

use std::sync::Arc;

use podium_git::{Oid, Repo, RepoWriter};
use podium_protocol::WireError;
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;

use super::check;
use super::record::Merge;
use super::settle::drop_left_locks;
use crate::error::{Error, Result};
use crate::removal::{Removal, Step};
use crate::running;
use crate::seen::What;
use crate::service::{RepoHandle, Worktrees, after};
use crate::settings::Caller;

impl Worktrees {
    /// Moves trunk back and brings the worktree back that went with the merge.
    pub(crate) async fn undo_merge(
        &self,
        handle: &Arc<RepoHandle>,
        merge: Merge,
        caller: &Caller,
    ) -> Result<()> {
        let _trunk = self.inner.gates.enter(format!("trunk/{}", handle.row.id)).await;
        let _busy = self.busy(&merge.id);
        let task = merge.clone();
        let look = move |repo: &Repo| {
            let tip = repo.branch(&task.trunk)?;
            refuse_moved(&task, tip.as_ref())?;
            match check::trunk_checkout(repo, &task.trunk)? {
                Some(at) => check::refuse_dirty(repo, &at, &at.path.to_string_lossy()),
                None => Ok(()),
            }
        };
        self.with_repo(handle, caller, look).await?;
        let task = merge.clone();
        let begin = move |tx: &Tx<'_>| -> Result<()> {
            if task.advance(tx, "merged", "undoing")? {
                return Ok(());
            }
            Err(WireError::conflict("this merge is being undone already").into())
        };
        self.inner.store.write(Durability::Power, begin).await?;
        after(&self.inner.settings, Step::UnmergeIntent)?;
        self.unmerge(handle, merge, Some(caller)).await
    }

    /// All steps that have not happened yet.
    pub(super) async fn unmerge(
        &self,
        handle: &Arc<RepoHandle>,
        merge: Merge,
        caller: Option<&Caller>,
    ) -> Result<()> {
        let nobody = Caller::default();
        let by = caller.map(|caller| caller.name().to_owned());
        let (task, patience) = (merge.clone(), handle.patience());
        let recovering = caller.is_none();
        if recovering {
            // It may still move trunk, whatever is said of it now.
            self.with_repo(handle, &nobody, running::refuse_moving).await?;
        }
        let back = move |repo: &Repo| move_back(&task, repo, &repo.write(patience)?, recovering);
        if let Err(error) = self.with_repo(handle, caller.unwrap_or(&nobody), back).await {
            // Trunk is where it was: the merge stands, and can be undone later.
            let task = merge.clone();
            let write =
                move |tx: &Tx<'_>| -> Result<()> { Ok(task.advance(tx, "undoing", "merged").map(drop)?) };
            self.inner.store.write(Durability::Power, write).await?;
            return Err(error);
        }
        after(&self.inner.settings, Step::UnmergeTrunkMoved)?;
        if let Some(id) = merge.removal.clone() {
            let repo = handle.row.id.clone();
            let removal: Result<Option<Removal>> =
                self.inner.store.read(move |conn| Ok(Removal::undoable(conn, &repo, Some(&id))?)).await;
            if let Some(removal) = removal? {
                self.bring_back(handle, removal, caller.unwrap_or(&nobody)).await?;
            }
        }
        let write = move |tx: &Tx<'_>| -> Result<()> {
            if merge.advance(tx, "undoing", "undone")? {
                let data = json!({
                    "worktree": merge.worktree, "name": merge.name, "trunk": merge.trunk, "undo": merge.id,
                    "old": merge.new, "new": merge.old, "by": by,
                });
                tx.emit(&NewEvent::new("worktree.unmerged", format!("worktree/{}", merge.worktree), data))?;
            }
            Ok(())
        };
        self.inner.store.write(Durability::Power, write).await?;
        self.announce(&handle.row.id, What::Trunk);
        Ok(())
    }
}

/// Moves trunk back. `again` goes on where a killed git stopped.
fn move_back(merge: &Merge, repo: &Repo, writer: &RepoWriter, again: bool) -> Result<()> {
    let (old, new) = merge.ends().ok_or(Error::Unfinished)?;
    let checkout = check::trunk_checkout(repo, &merge.trunk)?;
    if again {
        drop_left_locks(writer, merge, checkout.as_ref())?;
    }
    let tip = repo.branch(&merge.trunk)?;
    if tip.as_ref() == Some(&old) {
        return Ok(());
    }
    refuse_moved(merge, tip.as_ref())?;
    let Some(at) = checkout else {
        return Ok(writer.update_ref(&merge.refname(), Some(&old), Some(&new))?);
    };
    if again && check::refuse_dirty(repo, &at, "trunk").is_err() && writer.finish_move(&at, &new, &old)? {
        return Ok(());
    }
    writer.reset_keeping(&at, &old).map_err(|error| {
        // Not refused but killed: the files go back to the merge, which stands.
        let restored = drop_left_locks(writer, merge, Some(&at)).and_then(|()| {
            Ok(check::refuse_dirty(repo, &at, "trunk").is_ok() || writer.finish_move(&at, &old, &new)?)
        });
        if !matches!(restored, Ok(true)) {
            tracing::warn!(path = %at.path.display(), "trunk's files are left as they are");
        }
        error.into()
    })
}

fn refuse_moved(merge: &Merge, tip: Option<&Oid>) -> Result<()> {
    if tip.is_some_and(|tip| tip.as_str() == merge.new) {
        return Ok(());
    }
    let text = format!("`{}` has moved since `{}` was merged into it", merge.trunk, merge.name);
    let revert = if merge.mode == "merge" { "git revert -m 1" } else { "git revert" };
    Err(WireError::conflict(text)
        .hint(format!("`{revert} {}` takes it back by a new commit", merge.new))
        .into())
}
