//! The way to the trash. Each step can be the last one before a crash; `recover` goes on from what is on disk.

use std::sync::Arc;

use podium_git::{BundledRef, GitError, Repo};
use podium_protocol::{Alive, WireError, WorktreeRemoveParams, WorktreeRemoved};
use podium_store::rusqlite::params;
use podium_store::{Durability, NewEvent, Tx, rfc3339};
use serde_json::json;

use super::checks::{self, Found};
use super::workers::refuse_working;
use super::{Removal, Step, trash};
use crate::claim::may_force;
use crate::error::{Error, Result};
use crate::provide::Hook;
use crate::rows::{RepoRow, WorktreeRow};
use crate::service::{RepoHandle, Worktrees, after, new_id};
use crate::settings::{Caller, Settings};
use crate::view::location;

pub(crate) const HEAD_REF: &str = "refs/podium/head";
const INDEX_REF: &str = "refs/podium/index";
const DAY: i64 = 86_400_000;

impl Worktrees {
    /// Moves a worktree to the trash, and deletes its branch unless that shall stay.
    ///
    /// # Errors
    /// `Conflict` for the main worktree and trunk always; for a claimed or dirty one, and for commits found nowhere
    /// else, and while a session works there, unless a person forces.
    pub async fn remove(
        &self,
        params: WorktreeRemoveParams,
        caller: &Caller,
    ) -> Result<WorktreeRemoved, WireError> {
        may_force(params.force, caller)?;
        let (repo, row) = self.find(&params.at, params.name.as_deref(), caller).await?;
        self.may_remove(&row, &params, caller)?;
        let (this, caller) = (self.clone(), caller.clone());
        let work = async move { this.remove_row(&repo, row, &params, &caller).await };
        Ok(self.to_its_end(work).await?)
    }

    fn may_remove(
        &self,
        row: &WorktreeRow,
        params: &WorktreeRemoveParams,
        caller: &Caller,
    ) -> Result<(), WireError> {
        let Some(claim) = &row.claim else { return Ok(()) };
        if params.force || self.alive(claim) == Alive::No {
            return Ok(());
        }
        self.owned(row, claim, params.agent_id.as_deref(), params.token, caller)
    }

    async fn remove_row(
        &self,
        repo: &RepoRow,
        row: WorktreeRow,
        params: &WorktreeRemoveParams,
        caller: &Caller,
    ) -> Result<WorktreeRemoved> {
        let elsewhere = self.review_head(&row).await?;
        self.remove_known(repo, row, params, elsewhere, caller).await
    }

    /// `elsewhere` is a commit whose work is known not to be lost: kept by a code host, or merged by another way.
    pub(crate) async fn remove_known(
        &self,
        repo: &RepoRow,
        row: WorktreeRow,
        params: &WorktreeRemoveParams,
        elsewhere: Option<podium_git::Oid>,
        caller: &Caller,
    ) -> Result<WorktreeRemoved> {
        let _turn = self.inner.gates.enter(format!("name/{}/{}", repo.id, row.name)).await;
        // One at a time: two branches at one commit must not each count on the other to keep it.
        let _removals = self.inner.gates.enter(format!("removals/{}", repo.id)).await;
        let working = self.working_in(&row).await?;
        if !params.force {
            refuse_working(&row, &working)?;
        }
        let handle = self.handle(repo).await?;
        let before = self.run_hook(Hook::PreRemove, &handle, &row.path, &row.name, Some(&row), caller).await;
        if !params.force {
            // One that was not approved is skipped; there is no note to be given here.
            before.or_refuse()?;
        }
        let (asked, seen) = (handle.clone(), row.clone());
        let (force, keep_branch) = (params.force, params.keep_branch);
        let look =
            move |repo: &Repo| checks::inspect(&asked, repo, &seen, force, keep_branch, elsewhere.as_ref());
        let mut found = self.with_repo(&handle, caller, look.clone()).await?;
        if !working.is_empty() {
            // Only for a removal that nothing else stops; what they still wrote is looked at again.
            self.stop_working(&working).await;
            found = self.with_repo(&handle, caller, look).await?;
        }
        let removal = self.plan(repo, &row, &found, params, caller);
        let _busy = self.busy(&removal.id);
        self.intend(&row, removal.clone()).await?;
        after(&self.inner.settings, Step::RemoveIntent)?;
        let (settings, task) = (self.inner.settings.clone(), removal.clone());
        let asked = handle.clone();
        let move_away = move |repo: &Repo| {
            keep_commits(repo, &task, &row, &found)?;
            after(&settings, Step::RemoveBundled)?;
            let writer = repo.write(asked.patience())?;
            move_to_trash(&task, &settings)?;
            Ok(delete_branch(&writer, &task))
        };
        let deleted = match self.with_repo(&handle, caller, move_away).await {
            Ok(deleted) => deleted,
            // Stopped by a test: a crash undoes nothing.
            Err(Error::Unfinished) => return Err(Error::Unfinished),
            Err(error) => {
                // Goes on or takes back, by what is on disk.
                if let Err(worse) = self.settle_removal(&handle, removal).await {
                    tracing::error!(error = %worse, "a removal was left half done; the next start settles it");
                }
                return Err(error);
            }
        };
        after(&self.inner.settings, Step::RemoveBranchDeleted)?;
        let removed = self.finish_removal(&handle, removal, deleted).await?;
        Ok(WorktreeRemoved { interrupted: working, ..removed })
    }

    fn plan(
        &self,
        repo: &RepoRow,
        row: &WorktreeRow,
        found: &Found,
        params: &WorktreeRemoveParams,
        caller: &Caller,
    ) -> Removal {
        let id = new_id();
        let now = self.now();
        let days = self.inner.config.get().integer("worktrees.undo_days");
        Removal {
            trash: trash::root(&repo.common_dir).join(&id),
            tree_trash: trash::for_tree(&repo.common_dir, &row.path, &id),
            id,
            repo: repo.id.clone(),
            worktree: row.id.clone(),
            name: row.name.clone(),
            path: row.path.clone(),
            admin_dir: row.admin_dir.clone(),
            kind: row.kind.clone(),
            pr: row.pr,
            branch: found.branch.clone(),
            head: found.head.as_ref().map(ToString::to_string),
            delete_branch: !params.keep_branch && found.branch.is_some() && found.head.is_some(),
            forced: params.force,
            created_at: row.created_at,
            removed_by: caller.name().to_owned(),
            removed_at: now,
            purge_at: now.saturating_add(days.saturating_mul(DAY)),
        }
    }

    /// Records the intent, if the claim is still the one that was checked. From here on nobody can claim it.
    async fn intend(&self, row: &WorktreeRow, removal: Removal) -> Result<()> {
        let (id, name) = (row.id.clone(), row.name.clone());
        let token = row.claim.as_ref().map(|claim| claim.token);
        let write = move |tx: &Tx<'_>| -> Result<()> {
            let sql = "UPDATE worktrees SET removing = ?2 WHERE id = ?1 AND removing IS NULL
                AND token IS ?3 AND (agent_id IS NULL) = (?3 IS NULL)";
            if tx.execute(sql, params![id, removal.id, token])? == 0 {
                let error =
                    WireError::conflict(format!("worktree `{name}` was claimed or removed a moment ago"));
                return Err(error.hint("look again with `imi list`").into());
            }
            Ok(removal.insert(tx)?)
        };
        self.inner.store.write(Durability::Power, write).await
    }

    pub(crate) async fn finish_removal(
        &self,
        handle: &Arc<RepoHandle>,
        removal: Removal,
        branch_deleted: bool,
    ) -> Result<WorktreeRemoved> {
        let (changed, task) = (handle.clone(), removal.clone());
        let write = move |tx: &Tx<'_>| -> Result<()> {
            tx.execute("DELETE FROM worktrees WHERE id = ?1", [&task.worktree])?;
            let sql = "UPDATE removals SET state = 'trashed', branch_deleted = ?2 WHERE id = ?1";
            tx.execute(sql, params![task.id, branch_deleted])?;
            let data = json!({
                "worktree": task.worktree,
                "name": task.name,
                "path": task.path.to_string_lossy(),
                "branch": task.branch,
                "branchDeleted": branch_deleted,
                "undo": task.id,
                "forced": task.forced,
                "by": task.removed_by,
                "origin": "podium",
            });
            tx.emit(&NewEvent::new("worktree.removed", format!("worktree/{}", task.worktree), data))?;
            changed.changed();
            Ok(())
        };
        self.inner.store.write(Durability::Power, write).await?;
        self.inner.watches.end(&removal.worktree);
        self.inner.queues.wake(&removal.worktree);
        Ok(WorktreeRemoved {
            name: removal.name,
            undo: removal.id,
            branch_deleted,
            undo_until: rfc3339(removal.purge_at),
            interrupted: Vec::new(),
        })
    }

    /// Takes an intent back: nothing was moved yet.
    pub(crate) async fn cancel_removal(&self, removal: Removal) -> Result<()> {
        let write = move |tx: &Tx<'_>| -> Result<()> {
            let sql = "UPDATE worktrees SET removing = NULL WHERE id = ?1 AND removing = ?2";
            tx.execute(sql, params![removal.worktree, removal.id])?;
            tx.execute("DELETE FROM removals WHERE id = ?1", [&removal.id])?;
            Ok(())
        };
        self.inner.store.write(Durability::Power, write).await
    }
}

/// Bundles what the object store would lose once branch and index are gone.
fn keep_commits(repo: &Repo, removal: &Removal, row: &WorktreeRow, found: &Found) -> Result<()> {
    trash::make(&removal.trash)?;
    let Some(head) = &found.head else { return Ok(()) };
    let mut refs = Vec::new();
    if found.own_commits > 0 {
        refs.push(BundledRef { name: HEAD_REF.to_owned(), id: head.clone() });
    }
    if found.has_staged
        && let Some(id) = staged_commit(repo, removal, row, head)?
    {
        refs.push(BundledRef { name: INDEX_REF.to_owned(), id });
    }
    if refs.is_empty() {
        return Ok(());
    }
    let known: Vec<_> = found.known.iter().filter(|id| refs.iter().all(|r| r.id != **id)).cloned().collect();
    Ok(repo.create_bundle(&removal.bundle(), &refs, &known)?)
}

/// The index as a commit; `None` while conflicts are unresolved, whose content is that of commits and of the files.
fn staged_commit(
    repo: &Repo,
    removal: &Removal,
    row: &WorktreeRow,
    head: &podium_git::Oid,
) -> Result<Option<podium_git::Oid>> {
    let copy = removal.trash.join("index");
    let index = row.admin_dir.join("index");
    podium_git::copy_index_file(&index, &copy).map_err(|error| Error::io("copied", &index, error))?;
    let writer = repo.write(std::time::Duration::from_secs(600))?;
    let mut at = location(row);
    if !at.path.is_dir() {
        // Only the index is read; git wants a folder to stand in all the same.
        at.path.clone_from(&removal.trash);
    }
    let tree = match writer.write_tree(&at, Some(&copy)) {
        Ok(tree) => tree,
        Err(GitError::Failed { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(writer.commit_tree(&at, &tree, std::slice::from_ref(head), "staged when removed")?))
}

/// Both renames, as far as they have not happened.
pub(crate) fn move_to_trash(removal: &Removal, settings: &Settings) -> Result<()> {
    // What lies at the path once the tree has moved is somebody else's.
    if trash::exists(&removal.path) && !trash::exists(&removal.tree()) {
        trash::make(&removal.tree_trash)?;
        trash::rename(&removal.path, &removal.tree())?;
    }
    after(settings, Step::RemoveTreeMoved)?;
    if trash::exists(&removal.admin_dir) {
        trash::make(&removal.trash)?;
        trash::rename(&removal.admin_dir, &removal.admin())?;
    }
    after(settings, Step::RemoveAdminMoved)
}

/// Deletes the branch if it is where it was and nobody else uses it. A branch that stays is no failure.
pub(crate) fn delete_branch(writer: &podium_git::RepoWriter, removal: &Removal) -> bool {
    let (true, Some(name), Some(head)) = (removal.delete_branch, &removal.branch, removal.head_id()) else {
        return false;
    };
    match writer.delete_branch(name, &head) {
        Ok(()) => true,
        Err(GitError::NoSuchBranch { .. }) => true,
        Err(error) => {
            tracing::info!(%error, branch = name, "the branch of a removed worktree stays");
            false
        }
    }
}
