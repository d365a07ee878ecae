//! What a git of ours left that was killed while it moved a branch: locks, and a tree with files of both commits.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::RepoWriter;
use crate::bytes::{path_bytes, path_from_bytes};
use crate::error::{GitError, Result};
use crate::model::{StatusEntry, Untracked, WorktreeLocation};
use crate::oid::Oid;

impl RepoWriter {
    /// Takes away the locks of a branch and of the worktree that has it checked out, if they were made since a time.
    /// Whoever calls this knows that no git is at work there.
    ///
    /// # Errors
    /// `Io`.
    pub fn drop_left_locks(
        &self,
        refname: &str,
        at: Option<&WorktreeLocation>,
        since: SystemTime,
    ) -> Result<Vec<PathBuf>> {
        let mut locks = vec![self.repo.common_dir().join(format!("{refname}.lock"))];
        if let Some(at) = at {
            locks.extend(["index.lock", "HEAD.lock"].map(|name| at.git_dir.join(name)));
        }
        let ours = |lock: &PathBuf| {
            lock.symlink_metadata()
                .is_ok_and(|found| found.is_file() && found.modified().is_ok_and(|time| time >= since))
        };
        locks.retain(ours);
        for lock in &locks {
            match fs::remove_file(lock) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(GitError::io(lock, error));
                }
                _ => {}
            }
        }
        Ok(locks)
    }

    /// Brings a worktree that was killed on the way between two commits to `to`, branch and index included; untracked
    /// files of others stay. `false`, and nothing is changed, where a file is neither of one commit nor of the other:
    /// somebody has worked there since.
    ///
    /// # Errors
    /// `LockBusy`, `Failed`.
    pub fn finish_move(&self, at: &WorktreeLocation, from: &Oid, to: &Oid) -> Result<bool> {
        let moved = self.paths_between(from, to)?;
        let status = self.repo.status(at, Untracked::All)?;
        if status.in_progress.is_some() {
            return Ok(false);
        }
        for entry in &status.entries {
            if !self.is_of_either(at, entry, &moved, [from, to])? {
                return Ok(false);
            }
        }
        let mut command = self.repo.place().change_in(at);
        command.args(["reset", "--hard", "--quiet", "--no-recurse-submodules", to.as_str(), "--"]);
        self.run_ok(&command).map(|_| true)
    }

    fn paths_between(&self, from: &Oid, to: &Oid) -> Result<BTreeSet<PathBuf>> {
        let mut command = self.repo.place().read();
        command.args([
            "diff-tree",
            "-r",
            "-z",
            "--name-only",
            "--no-renames",
            from.as_str(),
            to.as_str(),
            "--",
        ]);
        let output = command.output()?;
        let paths = output.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(path_from_bytes).collect())
    }

    fn is_of_either(
        &self,
        at: &WorktreeLocation,
        entry: &StatusEntry,
        moved: &BTreeSet<PathBuf>,
        commits: [&Oid; 2],
    ) -> Result<bool> {
        for path in [Some(&entry.path), entry.renamed_from.as_ref()].into_iter().flatten() {
            if !moved.contains(path) {
                return Ok(entry.untracked);
            }
            let Some(found) = content(&at.path.join(path))? else { continue };
            let mut known = false;
            for commit in commits {
                known |= self.is_begun(at, commit, path, &found)?;
            }
            if !known {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a file holds what the commit has there, or the beginning of it.
    fn is_begun(&self, at: &WorktreeLocation, commit: &Oid, path: &Path, found: &[u8]) -> Result<bool> {
        let mut command = self.repo.read_command(at);
        command.args(["cat-file", "--filters"]);
        let object = [commit.as_str().as_bytes(), b":", path_bytes(path)].concat();
        command.arg(path_from_bytes(&object));
        let outcome = command.attempt()?;
        Ok(outcome.code == Some(0) && outcome.stdout.starts_with(found))
    }
}

/// What a path holds: of a link its target, of a submodule nothing. `None` where nothing is.
fn content(path: &Path) -> Result<Option<Vec<u8>>> {
    let wrong = |error| GitError::io(path, error);
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        // A file is where a folder was.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(wrong(error)),
    };
    if found.is_symlink() {
        return Ok(Some(path_bytes(&fs::read_link(path).map_err(wrong)?).to_vec()));
    }
    if found.is_dir() {
        return Ok(path.join(".git").symlink_metadata().is_err().then(Vec::new));
    }
    fs::read(path).map(Some).map_err(wrong)
}
