//! Ready spares: worktrees that wait, hidden, whole and at the newest trunk, so that making one is a rename.
//!
//! `pool.rs` makes, advances and deletes them in the background, `lease.rs` turns one into the worktree that somebody
//! asked for, `recover.rs` mends what a killed daemon left. A spare has no branch and nobody's work in it: whatever is
//! doubtful about one is answered by deleting it, except that a spare on a branch is somebody's and is let go.

mod lease;
mod pool;
mod recover;
mod rows;

use std::path::{Path, PathBuf};

use podium_git::{Head, RepoWriter};

pub(crate) use lease::Leased;
pub(crate) use pool::free_disk;
pub(crate) use rows::SpareRow;

use crate::error::Result;
use crate::layout;
use crate::rows::RepoRow;
use crate::service::RepoHandle;

/// Folder of the spares, beside the worktrees: a rename must reach from one to the other.
pub(crate) fn folder(repo: &RepoRow) -> PathBuf {
    layout::folder_of(repo).join(".spares")
}

/// Deletes every spare of a repository; tells what went. One that is on a branch is somebody's and stays.
pub(crate) fn delete_all(handle: &RepoHandle, writer: &RepoWriter) -> Result<Vec<String>> {
    let mut deleted = Vec::new();
    for worktree in handle.repo.worktrees()? {
        let free = matches!(worktree.head, Some(Head::Detached { .. }));
        if free && is_spare(&handle.row, &worktree.location.path) {
            writer.remove_worktree(&worktree.location, true)?;
            deleted.push(format!("deleted the spare {}", worktree.location.path.display()));
        }
    }
    // Other repositories of the project may have theirs there; then it stays.
    let _ = std::fs::remove_dir(folder(&handle.row));
    Ok(deleted)
}

/// Whether a worktree there is none that people know of.
pub(crate) fn is_spare(repo: &RepoRow, path: &Path) -> bool {
    path.parent() == Some(folder(repo).as_path())
}
