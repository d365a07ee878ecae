//! Taking a merge back, as long as trunk is where it left it.

use std::sync::Arc;

use podium_git::{Oid, Repo};
use podium_protocol::WireError;
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;

use super::check;
use super::record::Merge;
use crate::error::{Error, Result};
use crate::removal::{Removal, Step};
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
        let back = move |repo: &Repo| {
            let (old, new) = task.ends().ok_or(Error::Unfinished)?;
            let tip = repo.branch(&task.trunk)?;
            if tip.as_ref() == Some(&old) {
                return Ok(());
            }
            refuse_moved(&task, tip.as_ref())?;
            let writer = repo.write(patience)?;
            match check::trunk_checkout(repo, &task.trunk)? {
                Some(at) => Ok(writer.reset_keeping(&at, &old)?),
                None => Ok(writer.update_ref(&task.refname(), Some(&old), Some(&new))?),
            }
        };
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
