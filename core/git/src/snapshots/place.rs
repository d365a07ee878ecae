//! Where a look at a worktree, or a change of it, is prepared: an index and objects that nobody else sees.

use std::path::{Path, PathBuf};

use super::SnapshotStore;
use crate::command::GitCommand;
use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;

/// Goes with all it holds when it is dropped.
pub(super) struct Scratch<'a> {
    store: &'a SnapshotStore,
    at: &'a WorktreeLocation,
    folder: tempfile::TempDir,
}

impl<'a> Scratch<'a> {
    pub(super) fn new(store: &'a SnapshotStore, at: &'a WorktreeLocation) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("scratch-").tempdir_in(&store.folder);
        let folder = folder.map_err(|error| GitError::io(&store.folder, error))?;
        let objects = folder.path().join("objects");
        std::fs::create_dir(&objects).map_err(|error| GitError::io(&objects, error))?;
        Ok(Self { store, at, folder })
    }

    pub(super) fn index(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    fn objects(&self) -> PathBuf {
        self.folder.path().join("objects")
    }

    /// A command whose objects and index stay here.
    pub(super) fn command(&self) -> GitCommand {
        let mut command = self.store.command(self.at, &self.objects());
        command.env("GIT_INDEX_FILE", self.index());
        command
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Begins with the worktree's own index.
    pub(super) fn copy_index(&self) -> Result<()> {
        let index = self.at.git_dir.join("index");
        match crate::copy_index_file(&index, &self.index()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(GitError::io(&index, error)),
            _ => Ok(()),
        }
    }

    /// Records files as they are now; what is missing goes.
    pub(super) fn record(&self, paths: &[PathBuf]) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let mut update = self.command();
        update.args(["update-index", "-z", "--add", "--remove", "--replace", "--stdin"]);
        update.stdin(listed(paths.iter().map(PathBuf::as_path))).output().map(drop)
    }
}

/// Each followed by a NUL.
pub(super) fn listed<'p>(paths: impl Iterator<Item = &'p Path>) -> Vec<u8> {
    let mut list = Vec::new();
    for path in paths {
        list.extend(crate::bytes::path_bytes(path));
        list.push(0);
    }
    list
}

impl Scratch<'_> {
    /// The name of no object.
    pub(super) fn zero(&self) -> String {
        self.store.repo.object_format().zero()
    }
}
