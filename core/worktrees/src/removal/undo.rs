//! The way back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_git::{GitError, Repo, WorktreeLocation};
use podium_protocol::{WireError, WorktreeUndoParams, WorktreeUndone};
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;

use super::{Removal, Step, trash};
use crate::error::{Error, Result, blocking};
use crate::merging::Merge;
use crate::paths;
use crate::provide::lease_again;
use crate::rows::{WorktreeRow, free_name};
use crate::service::{RepoHandle, Worktrees, after};
use crate::settings::{Caller, Settings};

impl Worktrees {
    /// Brings a removed worktree back: its files, its index, its branch.
    ///
    /// # Errors
    /// `NotFound` when there is nothing to undo, `Conflict` when its path or branch is taken.
    pub async fn undo(
        &self,
        params: WorktreeUndoParams,
        caller: &Caller,
    ) -> Result<WorktreeUndone, WireError> {
        let handle = self.repo_at(&params.at, caller).await?;
        let (repo, id) = (handle.row.id.clone(), params.id.clone());
        let found = self.inner.store.read(move |conn| -> Result<_> {
            let removal = Removal::undoable(conn, &repo, id.as_deref())?;
            Ok((removal, Merge::undoable(conn, &repo, id.as_deref())?))
        });
        let (removal, merge) = found.await?;
        let newest =
            [removal.as_ref().map(|known| known.removed_at), merge.as_ref().map(|known| known.merged_at)];
        let newest = newest.into_iter().flatten().max().unwrap_or_default();
        if let Some(layout) = self.converted(&handle).await?.filter(|layout| match &params.id {
            Some(id) => *id == layout.id,
            // By itself only what was done lately: nobody means the layout of years.
            None => layout.changed_at >= newest && layout.changed_at + self.undo_ms() > self.now(),
        }) {
            return Ok(self.undo_layout(&handle, layout, caller).await?);
        }
        // The removal that came with a merge is undone with it, unless it is named.
        let of_merge = |merge: &Merge| {
            removal.as_ref().is_none_or(|removal| {
                params.id.is_none()
                    && (merge.removal.as_ref() == Some(&removal.id) || merge.merged_at >= removal.removed_at)
            })
        };
        if let Some(merge) = merge.filter(of_merge) {
            return Ok(self.take_back_merge(&handle, merge, caller).await?);
        }
        let Some(removal) = removal else {
            let text = match &params.id {
                Some(id) => {
                    format!("there is no removal `{}` to undo", id.chars().take(80).collect::<String>())
                }
                None => "nothing was removed that could be brought back".to_owned(),
            };
            return Err(WireError::not_found(text).hint("what was undone or purged does not come back"));
        };
        let (this, caller, shared) = (self.clone(), caller.clone(), handle.clone());
        let undo = removal.id.clone();
        let without_tree = !trash::exists(&removal.tree());
        let row = self.to_its_end(async move { this.bring_back(&shared, removal, &caller).await }).await?;
        let notes = if without_tree { vec![what_is_lost(&row)] } else { Vec::new() };
        Ok(WorktreeUndone { undo, worktree: self.view_by_id(&handle, &row.id).await?, notes })
    }

    /// Milliseconds for which something can be undone.
    pub(crate) fn undo_ms(&self) -> i64 {
        self.inner.config.get().integer("worktrees.undo_days").saturating_mul(86_400_000)
    }

    async fn take_back_merge(
        &self,
        handle: &Arc<RepoHandle>,
        merge: Merge,
        caller: &Caller,
    ) -> Result<WorktreeUndone> {
        let (undo, id) = (merge.id.clone(), merge.worktree.clone());
        let (this, caller, shared) = (self.clone(), caller.clone(), handle.clone());
        self.to_its_end(async move { this.undo_merge(&shared, merge, &caller).await }).await?;
        let repo = handle.row.id.clone();
        let rows: Result<Vec<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &repo)?)).await;
        let rows = rows?;
        // Where it was removed for good meanwhile, the main worktree stands for the repository.
        let shown = rows.iter().find(|row| row.id == id).or(rows.first());
        let shown = shown.ok_or_else(|| WireError::not_found("the merge is undone; no worktree is left"))?;
        let worktree = self.view_by_id(handle, &shown.id).await?;
        Ok(WorktreeUndone { undo, worktree, notes: Vec::new() })
    }

    pub(crate) async fn bring_back(
        &self,
        handle: &Arc<RepoHandle>,
        removal: Removal,
        caller: &Caller,
    ) -> Result<WorktreeRow> {
        let _turn = self.inner.gates.enter(format!("name/{}/{}", handle.row.id, removal.name)).await;
        let _busy = self.busy(&removal.id);
        let task = removal.clone();
        self.with_repo(handle, caller, move |repo| refuse_taken(repo, &task)).await?;
        let task = removal.clone();
        let begin = move |tx: &Tx<'_>| -> Result<()> {
            let sql = "UPDATE removals SET state = 'restoring' WHERE id = ?1 AND state = 'trashed'";
            if tx.execute(sql, [&task.id])? == 1 {
                return Ok(());
            }
            Err(WireError::conflict("this removal is being undone already").into())
        };
        self.inner.store.write(Durability::Power, begin).await?;
        after(&self.inner.settings, Step::UndoIntent)?;
        self.restore(handle, removal, Some(caller)).await
    }

    /// All steps that have not happened yet.
    pub(crate) async fn restore(
        &self,
        handle: &Arc<RepoHandle>,
        removal: Removal,
        caller: Option<&Caller>,
    ) -> Result<WorktreeRow> {
        let (settings, task, asked) = (self.inner.settings.clone(), removal.clone(), handle.clone());
        let nobody = Caller::default();
        let work = move |repo: &Repo| restore_on_disk(repo, &asked, &task, &settings);
        let restored = self.with_repo(handle, caller.unwrap_or(&nobody), work).await;
        let admin_dir = match restored {
            Ok(admin_dir) => admin_dir,
            Err(Error::Unfinished) => return Err(Error::Unfinished),
            Err(error) => {
                if trash::exists(&removal.tree()) {
                    // It can be tried again, whatever has taken the tree's place.
                    let task = removal.clone();
                    let moved = task.clone();
                    blocking(move || return_admin(&moved)).await?;
                    let back = move |tx: &Tx<'_>| -> Result<()> { Ok(task.set_state(tx, "trashed")?) };
                    self.inner.store.write(Durability::Power, back).await?;
                }
                return Err(error);
            }
        };
        let by = caller.map(|caller| caller.name().to_owned());
        let (changed, task) = (handle.clone(), removal.clone());
        let finish = move |tx: &Tx<'_>| -> Result<WorktreeRow> {
            let row = restored_row(tx, &task, admin_dir)?;
            lease_again(tx, &changed.config(), &row)?;
            task.set_state(tx, "undone")?;
            let path = row.path.to_string_lossy();
            let data =
                json!({ "worktree": row.id, "name": row.name, "path": path, "undo": task.id, "by": by });
            tx.emit(&NewEvent::new("worktree.restored", row.subject(), data))?;
            changed.changed();
            Ok(row)
        };
        let row = self.inner.store.write(Durability::Power, finish).await?;
        if let Err(error) = self.write_env_file(handle, &row).await {
            tracing::warn!(%error, "ports and database were not written into the restored worktree");
        }
        // It comes back without the claim it may have had.
        self.mirror_or_warn(&handle.row, &row.id).await;
        self.sync_new(handle, &row.id).await;
        let emptied = blocking(move || {
            trash::delete(&removal.tree_trash)?;
            trash::delete(&removal.trash)
        });
        if let Err(error) = emptied.await {
            tracing::warn!(%error, "the emptied trash stays");
        }
        Ok(row)
    }
}

fn restored_row(tx: &Tx<'_>, removal: &Removal, admin_dir: PathBuf) -> Result<WorktreeRow> {
    let row = WorktreeRow {
        id: removal.worktree.clone(),
        repo: removal.repo.clone(),
        name: free_name(tx, &removal.repo, &removal.name)?,
        path: removal.path.clone(),
        admin_dir,
        kind: removal.kind.clone(),
        is_main: false,
        pr: removal.pr,
        branch: removal.branch.clone(),
        created_at: removal.created_at,
        removing: None,
        claim: None,
    };
    row.insert(tx)?;
    Ok(row)
}

fn refuse_taken(repo: &Repo, removal: &Removal) -> Result<()> {
    if trash::exists(&removal.path) {
        let error = WireError::conflict(format!("{} is taken", removal.path.display()));
        return Err(error.hint("move away what is there now, then undo again").into());
    }
    let (Some(name), Some(head)) = (&removal.branch, removal.head_id()) else { return Ok(()) };
    match repo.branch(name)? {
        Some(at) if at != head => {
            let text = format!("branch `{name}` is at another commit now ({})", at.short());
            return Err(WireError::conflict(text).hint("rename that branch, then undo again").into());
        }
        Some(_) => {
            for worktree in repo.worktrees()? {
                let path = worktree.location.path;
                // An admin folder that an earlier attempt brought back is this worktree's own.
                let other = path != removal.path;
                if other && worktree.head.as_ref().and_then(|head| head.branch()) == Some(name) {
                    return Err(GitError::BranchInUse { name: name.clone(), path }.into());
                }
            }
        }
        None => {
            if let Some(existing) = repo.ref_conflict(name)? {
                return Err(GitError::RefConflict { name: name.clone(), existing }.into());
            }
        }
    }
    Ok(())
}

/// Branch, admin folder, tree: in this order, so that git never sees a worktree whose branch is missing.
fn restore_on_disk(
    repo: &Repo,
    handle: &RepoHandle,
    removal: &Removal,
    settings: &Settings,
) -> Result<PathBuf> {
    let writer = repo.write(handle.patience())?;
    if trash::exists(&removal.bundle()) {
        repo.unbundle(&removal.bundle())?;
    }
    if let (Some(name), Some(head)) = (&removal.branch, removal.head_id())
        && repo.branch(name)?.is_none()
    {
        writer.create_branch(name, &head)?;
    }
    after(settings, Step::UndoBranchMade)?;
    let admin_dir = restore_admin(removal)?;
    after(settings, Step::UndoAdminMoved)?;
    if trash::exists(&removal.tree()) {
        point_at(removal, &admin_dir)?;
        trash::rename(&removal.tree(), &removal.path)?;
    } else if !trash::exists(&removal.path.join(".git"))
        && let Err(error) = write_anew(repo, handle, removal, &admin_dir)
    {
        tracing::warn!(%error, worktree = removal.name, "the files of a deleted folder were not written anew");
    }
    after(settings, Step::UndoTreeMoved)?;
    Ok(admin_dir)
}

/// There is no tree to move back: its folder was deleted before the removal. Git still has what was committed or
/// staged. The `.git` file comes last, so that a folder without one is known to be half written.
fn write_anew(repo: &Repo, handle: &RepoHandle, removal: &Removal, admin_dir: &Path) -> Result<()> {
    trash::make(&removal.path)?;
    let at = WorktreeLocation { git_dir: admin_dir.to_owned(), path: removal.path.clone() };
    repo.write_staged(&at, handle.patience())?;
    let file = removal.path.join(".git");
    std::fs::write(&file, link_to(admin_dir)).map_err(|error| Error::io("written", &file, error))
}

fn what_is_lost(row: &WorktreeRow) -> String {
    let lost = "its folder had been deleted before it was removed: what was neither committed nor staged there is gone";
    if row.path.join(".git").is_file() {
        return format!("{lost}; files that git knows were written anew");
    }
    format!("{lost}; the branch is back, its files could not be written to {}", row.path.display())
}

/// Renames the admin folder back; to another name when git gave its own away meanwhile.
fn restore_admin(removal: &Removal) -> Result<PathBuf> {
    let noted = removal.trash.join("restored-to");
    if let Some(bytes) = std::fs::read(&noted).ok().filter(|bytes| !bytes.is_empty()) {
        // A crash came after the choice of the name: the rename may have happened or not.
        let chosen = paths::from_bytes(bytes);
        if trash::exists(&removal.admin()) {
            trash::rename(&removal.admin(), &chosen)?;
        }
        return Ok(chosen);
    }
    let chosen = trash::free_admin(&removal.admin_dir);
    let draft = removal.trash.join("restored-to.new");
    std::fs::write(&draft, paths::to_bytes(&chosen)).map_err(|error| Error::io("written", &draft, error))?;
    std::fs::rename(&draft, &noted).map_err(|error| Error::io("written", &noted, error))?;
    trash::rename(&removal.admin(), &chosen)?;
    Ok(chosen)
}

/// Takes the admin folder along again, so that git does not see a worktree without its tree.
fn return_admin(removal: &Removal) -> Result<()> {
    let noted = removal.trash.join("restored-to");
    let Ok(bytes) = std::fs::read(&noted) else { return Ok(()) };
    let chosen = paths::from_bytes(bytes);
    if trash::exists(&chosen) && !trash::exists(&removal.admin()) {
        trash::rename(&chosen, &removal.admin())?;
    }
    std::fs::remove_file(&noted).map_err(|error| Error::io("removed", &noted, error))
}

/// The `.git` file of the tree, where the admin folder has a new name.
fn point_at(removal: &Removal, admin_dir: &Path) -> Result<()> {
    if admin_dir == removal.admin_dir {
        return Ok(());
    }
    let file = removal.tree().join(".git");
    std::fs::write(&file, link_to(admin_dir)).map_err(|error| Error::io("written", &file, error))
}

fn link_to(admin_dir: &Path) -> Vec<u8> {
    [b"gitdir: ", paths::to_bytes(admin_dir).as_slice(), b"\n"].concat()
}
