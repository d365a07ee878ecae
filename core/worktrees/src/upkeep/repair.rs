//! Mending: links of moved worktrees, git's locks, what a crash left.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_git::Repo;
use podium_protocol::{
    RepoReconcileParams, RepoReconciled, RepoRepairParams, RepoRepaired, WireError, WorktreeListParams,
};

use crate::claim::{is_foreign, lock_reason};
use crate::error::Result;
use crate::layout;
use crate::rows::WorktreeRow;
use crate::seen::What;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;

/// Folders looked into for worktrees that were moved.
const LOOKED_AT: usize = 2_000;

impl Worktrees {
    /// Mends what can be mended without losing anything, and tells what is left.
    ///
    /// # Errors
    /// When git refuses to mend.
    pub async fn repair(&self, params: RepoRepairParams, caller: &Caller) -> Result<RepoRepaired, WireError> {
        let handle = self.repo_at(&params.at, caller).await?;
        let named: Vec<PathBuf> = params.moved.iter().map(PathBuf::from).collect();
        if let Some(odd) = named.iter().find(|path| !path.is_absolute() || !path.join(".git").is_file()) {
            return Err(WireError::user(format!("{} is no linked worktree", odd.display())));
        }
        let (this, caller) = (self.clone(), caller.clone());
        let work = async move { this.repair_repo(&handle, named, &caller).await };
        Ok(self.to_its_end(work).await?)
    }

    async fn repair_repo(
        &self,
        handle: &Arc<RepoHandle>,
        named: Vec<PathBuf>,
        caller: &Caller,
    ) -> Result<RepoRepaired> {
        let mut mended = Vec::new();
        let rows = self.all_rows(handle).await?;
        let (asked, known) = (handle.clone(), rows.clone());
        let mend = move |repo: &Repo| {
            let mut moved: Vec<PathBuf> = moved_by_hand(&asked, &known).into_values().collect();
            moved.extend(named);
            moved.sort();
            moved.dedup();
            let before = repo.worktrees()?;
            // A worktree may have a lock of ours; git mends it all the same.
            if let Err(error) = repo.write(asked.patience())?.repair_worktrees(&moved) {
                // What it could not mend is found below.
                tracing::info!(%error, "git could not mend every worktree");
            }
            let after = repo.worktrees()?;
            let changed = after.iter().filter(|tree| !before.iter().any(|old| old.location == tree.location));
            let places: Vec<PathBuf> = changed.map(|tree| tree.location.path.clone()).collect();
            Ok(places)
        };
        let places = self.with_repo(handle, caller, mend).await?;
        mended.extend(places.iter().map(|path| format!("found again at {}", path.display())));
        mended.extend(self.settle_left(handle).await);
        self.reconcile(handle).await?;
        for row in self.all_rows(handle).await? {
            if self.mend_lock(handle, &row).await? {
                mended.push(format!("git's lock of `{}` says again who holds it", row.name));
            }
        }
        self.announce(&handle.row.id, What::Set);
        Ok(RepoRepaired { mended, left: self.findings(handle).await? })
    }

    /// True when the lock was another one before.
    async fn mend_lock(&self, handle: &Arc<RepoHandle>, row: &WorktreeRow) -> Result<bool> {
        if row.is_main || is_foreign(lock_reason(row)?.as_deref()) {
            return Ok(false);
        }
        let before = lock_reason(row)?;
        self.mirror(&handle.row, &row.id).await?;
        Ok(before != lock_reason(row)?)
    }

    /// Follows what others did with git, and tells what that was.
    ///
    /// # Errors
    /// When git cannot be read.
    pub async fn reconcile_now(
        &self,
        params: RepoReconcileParams,
        caller: &Caller,
    ) -> Result<RepoReconciled, WireError> {
        let handle = self.repo_at(&params.at, caller).await?;
        let before = self.all_rows(&handle).await?;
        self.reconcile(&handle).await?;
        let after = self.all_rows(&handle).await?;
        let names = |rows: &[WorktreeRow], test: &dyn Fn(&WorktreeRow) -> bool| -> Vec<String> {
            rows.iter().filter(|row| test(row)).map(|row| row.name.clone()).collect()
        };
        let same = |rows: &[WorktreeRow], id: &str| rows.iter().find(|row| row.id == id).cloned();
        let moved = |row: &WorktreeRow| same(&before, &row.id).is_some_and(|old| old.path != row.path);
        self.announce(&handle.row.id, What::Set);
        let list = self.list(WorktreeListParams { at: params.at, all: false }, caller).await?;
        Ok(RepoReconciled {
            appeared: names(&after, &|row| same(&before, &row.id).is_none()),
            moved: names(&after, &moved),
            gone: names(&before, &|row| same(&after, &row.id).is_none()),
            worktrees: list.worktrees,
        })
    }
}

/// Worktrees that are not where git thinks, by the name of their admin folder: where their `.git` file lies now.
pub(super) fn moved_by_hand(handle: &RepoHandle, rows: &[WorktreeRow]) -> HashMap<PathBuf, PathBuf> {
    let missing: Vec<&WorktreeRow> =
        rows.iter().filter(|row| !row.is_main && !row.path.join(".git").exists()).collect();
    if missing.is_empty() {
        return HashMap::new();
    }
    let mut folders: Vec<PathBuf> =
        rows.iter().filter_map(|row| Some(row.path.parent()?.to_owned())).collect();
    folders.push(layout::folder_of(&handle.row));
    folders.sort();
    folders.dedup();
    let inner = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
    let mut found = HashMap::new();
    for entry in inner.take(LOOKED_AT) {
        let path = entry.path();
        let Some(admin) = admin_of(&path) else { continue };
        // The file says which one it was; the admin folder must be ours and think of another place.
        if missing.iter().any(|row| row.admin_dir == admin) {
            found.insert(admin, path);
        }
    }
    found
}

/// What a linked worktree's `.git` file names. Only compared, never followed.
fn admin_of(folder: &Path) -> Option<PathBuf> {
    let file = folder.join(".git");
    let metadata = file.symlink_metadata().ok()?;
    if !metadata.is_file() || metadata.len() > 8_192 {
        return None;
    }
    let text = std::fs::read(file).ok()?;
    let line = text.strip_prefix(b"gitdir: ")?;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    Some(crate::paths::from_bytes(line.to_vec()))
}
