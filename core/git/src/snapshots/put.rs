//! Bringing files back. Each path changes only if it is what it is expected to be, by one rename.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::look::{Found, look};
use super::place::{Scratch, listed};
use super::{SnapshotStore, TreeChange, TreeEntry, TreeSnapshot};
use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;

/// What came of bringing files back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// Paths that changed now.
    pub changed: Vec<PathBuf>,
    /// Paths that were neither as before nor as they are to be, or that nobody knows how they were, and stay.
    pub kept: Vec<PathBuf>,
    /// Repositories inside of the worktree: they are not touched.
    pub repositories: Vec<PathBuf>,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Files on their way; a name that nobody else uses.
const STAGING: &str = "podium-restore-";

impl SnapshotStore {
    /// Makes the files of `from` those of `to`. What is that already, stays; so does what somebody changed since `from`, and
    /// what `to` left out: nobody knows what it was. So it may be done again after it was cut off.
    ///
    /// # Errors
    /// `Failed` or `Io`, before anything changed if what is needed cannot be had.
    pub fn restore(&self, at: &WorktreeLocation, from: &TreeSnapshot, to: &TreeSnapshot) -> Result<Restored> {
        let changes = self.changes(at, &from.files, &to.files, false)?;
        let left_out: BTreeSet<&Path> = to.left_out.iter().map(PathBuf::as_path).collect();
        let stays = |change: &TreeChange| {
            let named = change.path.ancestors().any(|path| left_out.contains(path));
            // Where not all are named, whatever is missing may have been left out.
            named || (to.more_left_out && change.new.is_none())
        };
        let (left, changes): (Vec<_>, Vec<_>) = changes.into_iter().partition(stays);
        let scratch = Scratch::new(self, at)?;
        let mut restored = self.apply(&scratch, at, changes)?;
        restored.kept.extend(left.into_iter().map(|change| change.path));
        restored.kept.sort();
        Ok(restored)
    }

    pub(super) fn apply(
        &self,
        scratch: &Scratch<'_>,
        at: &WorktreeLocation,
        changes: Vec<TreeChange>,
    ) -> Result<Restored> {
        clear_left(at)?;
        let mut restored = Restored::default();
        let is_repository = |entry: &Option<TreeEntry>| entry.as_ref().is_some_and(TreeEntry::is_repository);
        let (inner, files): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| is_repository(&change.old) || is_repository(&change.new));
        restored.repositories.extend(inner.into_iter().map(|change| change.path));
        let paths: Vec<PathBuf> = files.iter().map(|change| change.path.clone()).collect();
        let found = look(scratch, &at.path, &paths)?;
        let goes: Vec<&Path> =
            files.iter().filter(|change| change.new.is_none()).map(|change| change.path.as_path()).collect();
        let mut todo = Vec::new();
        for change in &files {
            let now = found.get(&change.path).unwrap_or(&Found::Nothing);
            match (now, &change.old, &change.new) {
                (Found::Nothing, _, None) => {}
                (Found::Entry(now), _, Some(new)) if now == new => {}
                (Found::Entry(now), Some(old), _) if now == old => todo.push(change.clone()),
                // It was deleted already, by a run that was cut off, and comes back now.
                (Found::Nothing, None, Some(_)) => todo.push(change.clone()),
                // A folder whose files go makes room for a file.
                (Found::Other, None, Some(_)) if goes.iter().any(|path| path.starts_with(&change.path)) => {
                    todo.push(change.clone());
                }
                _ => restored.kept.push(change.path.clone()),
            }
        }
        let rules = files.iter().any(|change| is_rules(&change.path) && change.new.is_some());
        self.put(scratch, at, todo, rules, &mut restored)?;
        restored.kept.sort();
        Ok(restored)
    }

    /// What is to come is prepared first; then what is to go goes, then the rest takes its place. `rules`: what is ignored
    /// differs.
    fn put(
        &self,
        scratch: &Scratch<'_>,
        at: &WorktreeLocation,
        todo: Vec<TreeChange>,
        rules: bool,
        restored: &mut Restored,
    ) -> Result<()> {
        let comes: BTreeMap<PathBuf, TreeEntry> =
            todo.iter().filter_map(|change| Some((change.path.clone(), change.new.clone()?))).collect();
        let staging = staging(at)?;
        self.prepare(scratch, staging.path(), &comes)?;
        let top = open(&at.path)?;
        let spared = match rules {
            true => self.spared(scratch, &top, staging.path(), &todo)?,
            false => BTreeSet::new(),
        };
        let gone = |change: &&TreeChange| change.new.is_none() && !spared.contains(&change.path);
        for change in todo.iter().filter(gone) {
            match remove(&top, &at.path, &change.path) {
                Ok(()) => restored.changed.push(change.path.clone()),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ISDIR) => {
                    restored.kept.push(change.path.clone());
                }
                Err(error) => return Err(GitError::io(&at.path.join(&change.path), error.into())),
            }
        }
        for path in comes.keys() {
            match place(&top, &staging.path().join(path), path) {
                Ok(()) => restored.changed.push(path.clone()),
                // Its rules took their place before the rest.
                Err(Errno::NOENT) if is_rules(path) => restored.changed.push(path.clone()),
                // A folder that is not empty, or something else on the way: it is not ours.
                Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR | Errno::LOOP) => {
                    restored.kept.push(path.clone());
                }
                Err(error) => return Err(GitError::io(&at.path.join(path), error.into())),
            }
        }
        restored.changed.sort();
        Ok(())
    }

    /// What is to go only because it was ignored then, and so was in no snapshot: it stays. For that the rules of then have
    /// to be there first; a run that was cut off may have brought them already.
    fn spared(
        &self,
        scratch: &Scratch<'_>,
        top: &OwnedFd,
        staging: &Path,
        todo: &[TreeChange],
    ) -> Result<BTreeSet<PathBuf>> {
        let rules: Vec<&TreeChange> =
            todo.iter().filter(|change| is_rules(&change.path) && change.new.is_some()).collect();
        let goes: Vec<&Path> =
            todo.iter().filter(|change| change.new.is_none()).map(|change| change.path.as_path()).collect();
        if goes.is_empty() {
            return Ok(BTreeSet::new());
        }
        for change in rules {
            // One that cannot be placed yet is told of when the others take their place.
            let _ = place(top, &staging.join(&change.path), &change.path);
        }
        let mut check = scratch.command();
        check.args(["check-ignore", "-z", "--no-index", "--stdin"]).stdin(listed(goes.into_iter()));
        let outcome = check.attempt()?;
        match outcome.code {
            // Nothing is ignored.
            Some(1) => Ok(BTreeSet::new()),
            Some(0) => {
                let paths = outcome.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
                Ok(paths.map(crate::bytes::path_from_bytes).collect())
            }
            _ => Err(check.failure(&outcome)),
        }
    }

    /// Checks files out into a folder beside, filters and all.
    fn prepare(
        &self,
        scratch: &Scratch<'_>,
        staging: &Path,
        comes: &BTreeMap<PathBuf, TreeEntry>,
    ) -> Result<()> {
        if comes.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for (path, TreeEntry { mode, id }) in comes {
            lines.extend(format!("{mode} {id}\t").into_bytes());
            lines.extend(crate::bytes::path_bytes(path));
            lines.push(0);
        }
        let index = scratch.file("comes");
        let command = || {
            let mut command = scratch.command();
            command.env("GIT_INDEX_FILE", &index);
            command
        };
        command().args(["update-index", "-z", "--index-info"]).stdin(lines).output()?;
        let mut prefix = std::ffi::OsString::from("--prefix=");
        prefix.push(staging);
        prefix.push("/");
        // A sparse checkout would leave some of them out.
        let mut checkout = command();
        checkout.config("core.sparseCheckout=false");
        checkout.args(["checkout-index", "--all", "--force", "--quiet"]).arg(prefix).output().map(drop)
    }
}

/// Whether it says what is ignored.
fn is_rules(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == ".gitignore")
}

/// A folder on the file system of the worktree: a file takes its place by a rename.
fn staging(at: &WorktreeLocation) -> Result<tempfile::TempDir> {
    let device = |path: &Path| path.metadata().map(|found| found.dev()).ok();
    let inside = device(&at.git_dir) == device(&at.path);
    let folder = if inside { &at.git_dir } else { &at.path };
    let prefix = if inside { STAGING.to_owned() } else { format!(".{STAGING}") };
    let made = tempfile::Builder::new().prefix(&prefix).tempdir_in(folder);
    made.map_err(|error| GitError::io(folder, error))
}

/// Takes away what a killed process had prepared. One worktree is restored by one at a time.
fn clear_left(at: &WorktreeLocation) -> Result<()> {
    for folder in [&at.git_dir, &at.path] {
        let entries = std::fs::read_dir(folder).map_err(|error| GitError::io(folder, error))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let ours = name.to_string_lossy().trim_start_matches('.').starts_with(STAGING);
            if ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                std::fs::remove_dir_all(entry.path()).map_err(|error| GitError::io(&entry.path(), error))?;
            }
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, FOLDER, Mode::empty()).map_err(|error| GitError::io(path, error.into()))
}

/// The folder of a path, step by step and never through a link; missing ones are made if asked for.
fn parent(top: &OwnedFd, path: &Path, make: bool) -> Result<OwnedFd, Errno> {
    let mut at = rustix::io::fcntl_dupfd_cloexec(top, 0)?;
    for part in path.parent().unwrap_or(Path::new("")) {
        if make {
            match rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        at = rustix::fs::openat(&at, part, FOLDER, Mode::empty())?;
    }
    Ok(at)
}

fn name(path: &Path) -> Result<&std::ffi::OsStr, Errno> {
    path.file_name().ok_or(Errno::INVAL)
}

/// Deletes a file, and the folders that are empty then.
fn remove(top: &OwnedFd, root: &Path, path: &Path) -> Result<(), Errno> {
    let folder = parent(top, path, false)?;
    rustix::fs::unlinkat(&folder, name(path)?, AtFlags::empty())?;
    for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        if root.join(folder).join(".git").symlink_metadata().is_ok() {
            break;
        }
        let above = parent(top, folder, false)?;
        if rustix::fs::unlinkat(&above, name(folder)?, AtFlags::REMOVEDIR).is_err() {
            break;
        }
    }
    Ok(())
}

fn place(top: &OwnedFd, from: &Path, path: &Path) -> Result<(), Errno> {
    let folder = parent(top, path, true)?;
    rustix::fs::renameat(rustix::fs::CWD, from, &folder, name(path)?)
}
