//! Git's own folders for worktrees, read as files: which worktree belongs to which admin folder, and what is going on.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::bytes::{path_from_bytes, without_newline};
use crate::error::{GitError, Result};
use crate::model::InProgress;

/// Bytes of a lock's reason that are read.
const LONGEST_LOCK: u64 = 4_096;

/// `<common>/worktrees/<id>` of a linked worktree.
#[derive(Debug, Clone)]
pub(crate) struct AdminFolder {
    pub(crate) id: OsString,
    pub(crate) git_dir: PathBuf,
    /// The worktree, as the admin folder says.
    pub(crate) path: PathBuf,
    pub(crate) locked: Option<String>,
}

impl AdminFolder {
    /// Why `git worktree prune` would drop it.
    pub(crate) fn prunable(&self) -> Option<String> {
        let missing = self.locked.is_none() && !self.path.join(".git").exists();
        missing.then(|| "gitdir file points to non-existent location".to_owned())
    }
}

/// All linked worktrees with a readable `gitdir` file, in the order of their ids.
pub(crate) fn admin_folders(common_dir: &Path) -> Result<Vec<AdminFolder>> {
    let root = common_dir.join("worktrees");
    let entries = match root.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(GitError::io(&root, error)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| GitError::io(&root, error))?;
        let git_dir = entry.path();
        // Half-made or half-removed folders have no `gitdir`; git skips them as well.
        let Ok(content) = std::fs::read(git_dir.join("gitdir")) else { continue };
        let dot_git = git_dir.join(path_from_bytes(without_newline(&content)));
        let path = tidy(dot_git.parent().unwrap_or(&dot_git));
        let locked = read_lock(&git_dir)?;
        folders.push(AdminFolder { id: entry.file_name(), git_dir, path, locked });
    }
    folders.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(folders)
}

/// Real path of an existing folder; of a missing one, its real parent and its name.
pub(crate) fn tidy(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => tidy(parent).join(name),
        _ => path.to_owned(),
    }
}

/// The reason in the lock of the worktree with this admin folder, if it is locked. Who can commit in the worktree can
/// write that folder: what is there is neither followed nor waited for, and read only so far.
///
/// # Errors
/// `Io` when it cannot be read.
pub fn read_lock(git_dir: &Path) -> Result<Option<String>> {
    let path = git_dir.join("locked");
    match read_start(&path) {
        Ok(reason) => Ok(Some(String::from_utf8_lossy(&reason).trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(GitError::io(&path, error)),
    }
}

/// The start of a regular file. Anything else is no error but empty: git takes whatever is there for a lock.
fn read_start(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
        options.custom_flags(flags.bits().cast_signed());
    }
    if !path.symlink_metadata()?.is_file() {
        return Ok(Vec::new());
    }
    let file = options.open(path)?;
    let mut start = Vec::new();
    if file.metadata()?.is_file() {
        file.take(LONGEST_LOCK).read_to_end(&mut start)?;
    }
    Ok(start)
}

/// The half-done operation, from the files that git leaves in the admin folder.
pub(crate) fn in_progress(git_dir: &Path) -> Option<InProgress> {
    let has = |name: &str| git_dir.join(name).exists();
    if has("rebase-merge") {
        Some(InProgress::Rebase)
    } else if has("rebase-apply") {
        let mailbox = has("rebase-apply/applying");
        Some(if mailbox { InProgress::ApplyMailbox } else { InProgress::Rebase })
    } else if has("MERGE_HEAD") {
        Some(InProgress::Merge)
    } else if has("CHERRY_PICK_HEAD") {
        Some(InProgress::CherryPick)
    } else if has("REVERT_HEAD") {
        Some(InProgress::Revert)
    } else if let Some(sequence) = sequence(git_dir) {
        Some(sequence)
    } else {
        has("BISECT_LOG").then_some(InProgress::Bisect)
    }
}

/// Between two commits of a longer cherry-pick or revert no `*_HEAD` exists, only the list of what is to come.
fn sequence(git_dir: &Path) -> Option<InProgress> {
    let todo = std::fs::read(git_dir.join("sequencer/todo")).ok()?;
    let revert = todo.starts_with(b"revert") || todo.starts_with(b"r ");
    Some(if revert { InProgress::Revert } else { InProgress::CherryPick })
}
