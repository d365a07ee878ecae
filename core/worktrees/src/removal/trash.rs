//! Renames between a worktree's place and its trash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::paths;

/// Folder of all trash of a repository.
pub(crate) fn root(common_dir: &Path) -> PathBuf {
    common_dir.join("podium").join("trash")
}

/// Where the tree of a removal goes: beside the admin folder, or, from another file system, beside the tree itself.
pub(crate) fn for_tree(common_dir: &Path, tree: &Path, id: &str) -> PathBuf {
    if same_file_system(common_dir, tree) {
        return root(common_dir).join(id);
    }
    tree.parent().unwrap_or(tree).join(".podium-trash").join(id)
}

#[cfg(unix)]
fn same_file_system(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (a.metadata(), b.symlink_metadata()) {
        (Ok(a), Ok(b)) => a.dev() == b.dev(),
        // A missing tree is not moved at all.
        _ => true,
    }
}

#[cfg(not(unix))]
fn same_file_system(a: &Path, b: &Path) -> bool {
    a.components().next() == b.components().next()
}

pub(crate) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::io("made", folder, error))
}

/// Renames if it has not happened yet. Never over something.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    if !exists(from) && exists(to) {
        return Ok(());
    }
    if exists(to) {
        let taken = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(Error::io("made: something is there", to, taken));
    }
    if let Some(parent) = to.parent() {
        make(parent)?;
    }
    fs::rename(from, to).map_err(|error| Error::io("moved", from, error))?;
    sync(from.parent());
    sync(to.parent());
    Ok(())
}

/// Makes a rename survive a loss of power, where the file system lets folders be synced.
fn sync(folder: Option<&Path>) {
    if let Some(Ok(folder)) = folder.map(fs::File::open) {
        let _ = folder.sync_all();
    }
}

pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Deletes a trash folder, read-only folders in it included.
pub(crate) fn delete(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => make_writable(folder),
    }
    fs::remove_dir_all(folder).map_err(|error| Error::io("deleted", folder, error))
}

#[cfg(unix)]
fn make_writable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        // Links are not followed: `file_type` tells of the entry itself.
        let inner = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(inner.map(|entry| entry.path()));
    }
}

#[cfg(not(unix))]
fn make_writable(_folder: &Path) {}

/// A free name for an admin folder: the old one, or with a number behind it.
pub(crate) fn free_admin(wanted: &Path) -> PathBuf {
    let mut free = wanted.to_owned();
    let mut number = 2;
    while exists(&free) {
        free = paths::beside(wanted, &format!("-{number}"));
        number += 1;
    }
    free
}
