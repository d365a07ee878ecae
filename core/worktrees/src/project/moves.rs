//! The renames of a change, and how far they are: the disk tells.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::removal::trash;

/// One rename within a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
    /// Below `from`: lies there until the rename has happened, and not after, although another folder may by then
    /// have the place. Empty for the folder itself.
    pub(super) proof: PathBuf,
}

impl Move {
    pub(super) fn new(from: impl Into<PathBuf>, to: impl Into<PathBuf>, proof: impl Into<PathBuf>) -> Self {
        Self { from: from.into(), to: to.into(), proof: proof.into() }
    }

    /// Whether it has not happened yet.
    pub(super) fn is_pending(&self) -> bool {
        trash::exists(&self.proof_in(&self.from))
    }

    /// Joining nothing would put a slash behind a file's name.
    fn proof_in(&self, folder: &Path) -> PathBuf {
        if self.proof.as_os_str().is_empty() { folder.to_owned() } else { folder.join(&self.proof) }
    }

    fn run(&self) -> Result<()> {
        if !self.is_pending() {
            return Ok(());
        }
        rename(&self.from, &self.to)
    }

    fn take_back(&self) -> Result<()> {
        if self.is_pending() || !trash::exists(&self.proof_in(&self.to)) {
            return Ok(());
        }
        rename(&self.to, &self.from)
    }
}

/// Over nothing but an empty folder.
fn rename(from: &Path, to: &Path) -> Result<()> {
    if fs::remove_dir(to).is_err() && trash::exists(to) {
        let taken = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(Error::io("made: something is there", to, taken));
    }
    trash::rename(from, to)
}

/// Whether any of them has happened.
pub(super) fn begun(moves: &[Move]) -> bool {
    moves.first().is_some_and(|first| !first.is_pending())
}

/// Does what has not happened yet. `between` is told of each one that was done.
///
/// # Errors
/// The first that cannot be done; those before stay done.
pub(super) fn run(moves: &[Move], mut between: impl FnMut() -> Result<()>) -> Result<()> {
    for step in moves {
        let pending = step.is_pending();
        step.run()?;
        if pending {
            between()?;
        }
    }
    Ok(())
}

/// Puts everything where it was.
///
/// # Errors
/// The first that cannot be taken back.
pub(super) fn take_back(moves: &[Move]) -> Result<()> {
    moves.iter().rev().try_for_each(Move::take_back)
}

/// Removes folders that have become empty, from the innermost on.
pub(super) fn remove_empty(folders: &[PathBuf]) {
    for folder in folders {
        // What is in it is somebody's.
        let _ = fs::remove_dir(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_that_were_cut_off_anywhere_are_finished_or_taken_back() {
        // A folder that moves into a new one of its own name.
        for stop in 0..5 {
            for forward in [true, false] {
                let dir = tempfile::tempdir().unwrap();
                let at = |path: &str| dir.path().join(path);
                fs::create_dir_all(at("app/.git")).unwrap();
                fs::create_dir_all(at("other/.git")).unwrap();
                fs::write(at("app/file"), "x").unwrap();
                let moves = [
                    Move::new(at("app"), at("new/trunk"), ".git"),
                    Move::new(at("other"), at("new/other"), ".git"),
                    Move::new(at("new/trunk/file"), at("new/sync/file"), ""),
                    Move::new(at("new"), at("app"), "trunk/.git"),
                ];
                assert!(!begun(&moves));
                let mut left = stop;
                let cut = run(&moves, || {
                    left -= 1;
                    if left == 0 { Err(Error::Unfinished) } else { Ok(()) }
                });
                assert_eq!(cut.is_err(), (1..=4).contains(&stop));
                assert!(begun(&moves));
                if forward {
                    run(&moves, || Ok(())).unwrap();
                    assert!(at("app/trunk/.git").exists() && at("app/other/.git").exists());
                    assert!(at("app/sync/file").exists());
                    assert!(!at("new").exists());
                } else {
                    take_back(&moves).unwrap();
                    assert!(at("app/.git").exists() && at("other/.git").exists());
                    assert!(at("app/file").exists());
                    assert!(!begun(&moves));
                }
            }
        }
    }
}
