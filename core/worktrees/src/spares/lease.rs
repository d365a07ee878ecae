//! A spare becomes the worktree that was asked for: renamed, linked, put on its new branch. Nothing here looks at a file
//! of the tree, unless the spare is behind and has to catch up first.

use std::path::Path;
use std::sync::Arc;

use podium_git::{GitError, Head, Oid, Repo, Worktree, WorktreeLocation, links_to};
use podium_store::{Durability, Tx};

use super::SpareRow;
use super::pool::is_sound;
use crate::create::{Creation, intend};
use crate::error::{Error, Result, blocking};
use crate::removal::Step;
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees, after};
use crate::settings::{Caller, Settings};

/// Spares that are tried before a worktree is made without one.
const TRIES: usize = 4;

/// What came of an attempt to take a spare.
enum Taken {
    Spare(SpareRow),
    /// All are on their way to a newer trunk; this one will be first.
    Wait(String),
    None,
}

/// A worktree that was a spare.
pub(crate) struct Leased {
    pub(crate) row: WorktreeRow,
    /// Commit that its files are of: nothing is changed in it.
    pub(crate) at: Oid,
}

impl Worktrees {
    /// Makes the worktree of a spare; `None` where there is none to be had.
    pub(crate) async fn lease(
        &self,
        handle: &Arc<RepoHandle>,
        creation: &Creation,
        at: &Oid,
        caller: &Caller,
    ) -> Result<Option<Leased>> {
        for _ in 0..TRIES {
            let spare = match self.take_spare(handle, creation, at).await? {
                Taken::Spare(spare) => spare,
                Taken::None => return Ok(None),
                Taken::Wait(id) => {
                    drop(self.inner.gates.enter(format!("spare/{id}")).await);
                    continue;
                }
            };
            after(&self.inner.settings, Step::LeaseIntent)?;
            let (asked, task, ready) = (handle.clone(), creation.clone(), spare.clone());
            let (settings, to) = (self.inner.settings.clone(), at.clone());
            let turn = move |repo: &Repo| turn_into(repo, &asked, &ready, &task, &to, &settings);
            let error = match self.with_repo(handle, caller, turn).await {
                Ok(worktree) => {
                    return self.leased(handle, creation, spare.id, worktree, at, caller).await.map(Some);
                }
                Err(error) => error,
            };
            // Stopped by a test: a crash undoes nothing.
            if matches!(error, Error::Unfinished) {
                return Err(error);
            }
            if let Some(worktree) = self.settle_lease(handle, creation, &spare.id).await? {
                return self.leased(handle, creation, spare.id, worktree, at, caller).await.map(Some);
            }
            if is_the_askers(&error) {
                return Err(error);
            }
            tracing::warn!(%error, spare = %spare.path.display(), "a spare could not be used");
        }
        Ok(None)
    }

    async fn leased(
        &self,
        handle: &Arc<RepoHandle>,
        creation: &Creation,
        spare: String,
        worktree: Worktree,
        at: &Oid,
        caller: &Caller,
    ) -> Result<Leased> {
        let by = Some(caller.name().to_owned());
        let creation = Creation { spare: Some(spare), ..creation.clone() };
        let row = self.finish_creation(handle, creation, worktree, by).await?;
        Ok(Leased { row, at: at.clone() })
    }

    /// Intent and spare in one transaction. It survives the daemon but not the power: after a loss of that, what was
    /// renamed shows as a worktree made by git.
    async fn take_spare(&self, handle: &Arc<RepoHandle>, creation: &Creation, at: &Oid) -> Result<Taken> {
        let (repo, at) = (handle.row.id.clone(), at.clone());
        let mut creation = creation.clone();
        let write = move |tx: &Tx<'_>| -> Result<Taken> {
            let Some(spare) = SpareRow::ready(tx, &repo, &at)? else {
                let rows = SpareRow::of_repo(tx, &repo)?;
                let coming = rows.into_iter().find(|row| row.state == "advancing");
                return Ok(coming.map_or(Taken::None, |row| Taken::Wait(row.id)));
            };
            SpareRow::step(tx, &spare.id, &["ready"], "leased", tx.now)?;
            creation.spare = Some(spare.id.clone());
            intend(tx, &repo, &creation)?;
            Ok(Taken::Spare(spare))
        };
        self.inner.store.write(Durability::Process, write).await
    }

    /// What a cut-off lease left: the worktree, where that is whole; else the spare is a spare again, or doomed.
    pub(crate) async fn settle_lease(
        &self,
        handle: &Arc<RepoHandle>,
        creation: &Creation,
        spare: &str,
    ) -> Result<Option<Worktree>> {
        let id = spare.to_owned();
        let row: Result<Option<SpareRow>> =
            self.inner.store.read(move |conn| Ok(SpareRow::by_id(conn, &id)?)).await;
        let Some(row) = row? else {
            self.give_up(handle, creation).await?;
            return Ok(None);
        };
        let (asked, task, left) = (handle.clone(), creation.clone(), row.clone());
        let found = blocking(move || left_of_lease(&asked, &task, &left)).await?;
        if let Some(worktree) = found {
            return Ok(Some(worktree));
        }
        let (asked, left) = (handle.clone(), row);
        let sound = blocking(move || Ok(is_sound(&asked.repo, &left))).await?;
        let (id, creation, changed) = (spare.to_owned(), creation.id.clone(), handle.clone());
        let write = move |tx: &Tx<'_>| -> Result<()> {
            tx.execute("DELETE FROM creations WHERE id = ?1", [&creation])?;
            SpareRow::step(tx, &id, &["leased"], if sound { "ready" } else { "doomed" }, tx.now)?;
            changed.changed();
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await?;
        Ok(None)
    }
}

/// Whether another spare would meet the same.
fn is_the_askers(error: &Error) -> bool {
    matches!(
        error,
        Error::Git(
            GitError::PathExists { .. }
                | GitError::BranchExists { .. }
                | GitError::RefConflict { .. }
                | GitError::QueueBusy { .. }
        )
    )
}

fn turn_into(
    repo: &Repo,
    handle: &RepoHandle,
    spare: &SpareRow,
    creation: &Creation,
    at: &Oid,
    settings: &Settings,
) -> Result<Worktree> {
    let (plan, patience) = (&creation.plan, handle.patience());
    let writer = repo.write(patience)?;
    if !is_sound(repo, spare) {
        return Err(GitError::NotAWorktree { path: spare.path.clone() }.into());
    }
    make_way(&plan.path)?;
    let location = WorktreeLocation { git_dir: spare.admin_dir.clone(), path: plan.path.clone() };
    writer.rename_tree(&spare.location(), &plan.path)?;
    after(settings, Step::LeaseMoved)?;
    writer.link_worktree(&location)?;
    after(settings, Step::LeaseLinked)?;
    drop(writer);
    if spare.at.as_ref() != Some(at) {
        repo.advance_worktree(&location, at, patience)?;
        after(settings, Step::LeaseAdvanced)?;
    }
    repo.write(patience)?.start_branch(&location, &plan.branch, at, patience)?;
    after(settings, Step::LeaseSwitched)?;
    let head = Head::Branch { name: plan.branch.clone(), id: at.clone() };
    Ok(Worktree { location, head: Some(head), main: false, bare: false, locked: None, prunable: None })
}

/// The folder above exists, and nothing but an empty folder is in the way.
fn make_way(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| Error::io("made", parent, error))?;
    }
    // Of a folder that has something in it, or of a file, this fails; the rename tells.
    let _ = std::fs::remove_dir(path);
    Ok(())
}

/// Finished where HEAD is on the branch already; else everything goes back to where it was, without a write where that
/// is possible: the disk may be full.
fn left_of_lease(handle: &RepoHandle, creation: &Creation, spare: &SpareRow) -> Result<Option<Worktree>> {
    let (plan, repo) = (&creation.plan, &handle.repo);
    let writer = repo.write(handle.patience())?;
    crate::running::refuse_running(&plan.path)?;
    if !links_to(&plan.path, &spare.admin_dir) {
        // It was not renamed yet; what may lie at the path is somebody else's.
        return Ok(None);
    }
    let location = WorktreeLocation { git_dir: spare.admin_dir.clone(), path: plan.path.clone() };
    let peek = repo.peek(&spare.admin_dir)?;
    if peek.head.branch() == Some(&plan.branch) && peek.head.id().is_some() {
        writer.link_worktree(&location)?;
        let head = Some(peek.head);
        return Ok(Some(Worktree { location, head, main: false, bare: false, locked: None, prunable: None }));
    }
    if let Some(at) = creation.new_branch_at.as_ref().and_then(|at| at.parse::<Oid>().ok())
        && peek.head.branch().is_none()
    {
        // Made a moment ago, and at no worktree; nobody has committed to it if it still is where it was made.
        let _ = writer.delete_branch(&plan.branch, &at);
    }
    writer.rename_tree(&location, &spare.path)?;
    if peek.path != spare.path {
        writer.link_worktree(&spare.location())?;
    }
    Ok(None)
}
