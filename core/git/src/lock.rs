//! Git's own worktree lock, as a mirror of claims.

use std::io::{self, Write};
use std::path::Path;

use crate::admin::read_lock;
use crate::backend::Backend;
use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;
use crate::write::RepoWriter;

/// Reasons that start so are ours; any other lock belongs to somebody else and stays.
pub const OUR_LOCK_PREFIX: &str = "podium: ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockOutcome {
    Locked,
    /// It had our lock already; the reason is the new one now.
    Renewed,
}

impl RepoWriter {
    /// Locks a linked worktree, with [`OUR_LOCK_PREFIX`] before the reason.
    ///
    /// # Errors
    /// `MainWorktree`, `WorktreeLocked` for a lock that is not ours.
    pub fn lock_worktree(&self, at: &WorktreeLocation, reason: &str) -> Result<LockOutcome> {
        self.refuse_main(at)?;
        // One line: `git worktree list` shows it as one.
        let reason = format!("{OUR_LOCK_PREFIX}{}", reason.replace(char::is_control, " ").trim());
        match read_lock(&at.git_dir)? {
            Some(existing) => {
                self.refuse_foreign(at, existing)?;
                replace_lock(&at.git_dir, &reason)?;
                return Ok(LockOutcome::Renewed);
            }
            None => Self::write_lock(at, &reason)?,
        }
        // Between the look and the write somebody else may have been first.
        match read_lock(&at.git_dir)? {
            Some(found) if found == reason => Ok(LockOutcome::Locked),
            found => {
                Err(GitError::WorktreeLocked { path: at.path.clone(), reason: found.unwrap_or_default() })
            }
        }
    }

    /// Takes our lock away; `false` if there was none.
    ///
    /// # Errors
    /// `WorktreeLocked` for a lock that is not ours.
    pub fn unlock_worktree(&self, at: &WorktreeLocation) -> Result<bool> {
        self.refuse_main(at)?;
        let Some(existing) = read_lock(&at.git_dir)? else { return Ok(false) };
        self.refuse_foreign(at, existing)?;
        if let Some(worktree) = self.libgit2_worktree(at) {
            worktree.unlock().map_err(|source| GitError::Libgit2 { path: at.git_dir.clone(), source })?;
            return Ok(true);
        }
        let path = at.git_dir.join("locked");
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(GitError::io(&path, error)),
        }
    }

    fn refuse_foreign(&self, at: &WorktreeLocation, reason: String) -> Result<()> {
        if reason.starts_with(OUR_LOCK_PREFIX.trim_end()) {
            Ok(())
        } else {
            Err(GitError::WorktreeLocked { path: at.path.clone(), reason })
        }
    }

    /// Appears whole or not at all: libgit2 makes an empty file first, which whoever looks then, or a crash in this
    /// moment, makes a lock of nobody's.
    fn write_lock(at: &WorktreeLocation, reason: &str) -> Result<()> {
        let path = at.git_dir.join("locked");
        let lock = staged(&at.git_dir, reason)?;
        match lock.persist_noclobber(&path) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(GitError::io(&path, error.error)),
        }
    }

    fn libgit2_worktree(&self, at: &WorktreeLocation) -> Option<git2::Worktree> {
        if self.repo().backend() != Backend::Libgit2 {
            return None;
        }
        let flags = git2::RepositoryOpenFlags::NO_SEARCH | git2::RepositoryOpenFlags::NO_DOTGIT;
        let none = std::iter::empty::<&Path>();
        let repository = git2::Repository::open_ext(self.repo().common_dir(), flags, none).ok()?;
        repository.find_worktree(at.git_dir.file_name()?.to_str()?).ok()
    }
}

/// A new reason for a lock we hold, without a moment in which the worktree is not locked.
fn replace_lock(git_dir: &Path, reason: &str) -> Result<()> {
    let path = git_dir.join("locked");
    staged(git_dir, reason)?.persist(&path).map(drop).map_err(|error| GitError::io(&path, error.error))
}

/// Not synced, which would double the time of a claim: the claim itself is durable, and after a loss of power, which
/// may leave this file empty, whoever keeps the claims takes it away and locks anew.
fn staged(git_dir: &Path, reason: &str) -> Result<tempfile::NamedTempFile> {
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".locked-").tempfile_in(git_dir)?;
        file.write_all(reason.as_bytes())?;
        Ok(file)
    };
    write().map_err(|error| GitError::io(git_dir, error))
}
