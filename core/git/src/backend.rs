//! The trait behind which a repository is read.

mod cli;
mod libgit2;

use std::path::{Path, PathBuf};

use crate::command::{Git, GitCommand};
use crate::error::Result;
use crate::model::{
    AheadBehind, ChangedFile, CommitInfo, Head, Status, Touched, Unpushed, Untracked, Worktree,
    WorktreeLocation,
};
use crate::oid::Oid;

pub(crate) use cli::CliReader;
pub(crate) use libgit2::{Libgit2Reader, open as open_repository};

/// Who reads the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    Libgit2,
    CommandLine,
}

/// What both backends need to know about the repository.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) git: Git,
    pub(crate) common_dir: PathBuf,
    /// `None` for a bare repository.
    pub(crate) main_worktree: Option<PathBuf>,
    pub(crate) reftable: bool,
}

impl Place {
    /// A read of the repository as a whole.
    pub(crate) fn read(&self) -> GitCommand {
        let mut command = self.git.read();
        command.git_dir(&self.common_dir);
        command
    }

    /// A change of the repository as a whole.
    pub(crate) fn change(&self) -> GitCommand {
        let mut command = self.git.change();
        command.git_dir(&self.common_dir);
        command
    }

    pub(crate) fn read_in(&self, at: &WorktreeLocation) -> GitCommand {
        let mut command = self.git.read();
        self.aim(&mut command, at);
        command
    }

    pub(crate) fn change_in(&self, at: &WorktreeLocation) -> GitCommand {
        let mut command = self.git.change();
        self.aim(&mut command, at);
        command
    }

    fn aim(&self, command: &mut GitCommand, at: &WorktreeLocation) {
        command.git_dir(&at.git_dir).work_tree(&at.path);
        if at.git_dir != self.common_dir {
            command.env("GIT_COMMON_DIR", &self.common_dir);
        }
    }
}

/// Reads of one repository; one test suite runs over every implementation.
pub(crate) trait Reader: Send + Sync {
    fn head(&self, git_dir: &Path) -> Result<Head>;
    /// The commit that a revision names, seen from one worktree.
    fn resolve(&self, git_dir: &Path, rev: &str) -> Result<Option<Oid>>;
    /// The object that a full reference name points at.
    fn find_ref(&self, refname: &str) -> Result<Option<Oid>>;
    fn symbolic_target(&self, refname: &str) -> Result<Option<String>>;
    /// References below a prefix that ends in `/`, sorted; symbolic ones left out.
    fn refs_under(&self, prefix: &str) -> Result<Vec<(String, Oid)>>;
    /// The main worktree first.
    fn worktrees(&self) -> Result<Vec<Worktree>>;
    fn status(&self, at: &WorktreeLocation, untracked: Untracked) -> Result<Status>;
    /// `None` where only a whole status can tell.
    fn touched(&self, _at: &WorktreeLocation, _paths: &[PathBuf]) -> Result<Option<Vec<Touched>>> {
        Ok(None)
    }
    fn ahead_behind(&self, head: &Oid, base: &Oid) -> Result<AheadBehind>;
    fn merge_base(&self, a: &Oid, b: &Oid) -> Result<Option<Oid>>;
    fn commit(&self, id: &Oid) -> Result<CommitInfo>;
    /// Commits of `tip` that neither a remote-tracking reference nor one of `known` reaches.
    fn unpushed(&self, tip: &Oid, known: &[Oid], newest: usize) -> Result<Unpushed>;
    /// Differences between two commits, in path order.
    fn changed_files(&self, from: &Oid, to: &Oid) -> Result<Vec<ChangedFile>>;
    fn blob(&self, id: &Oid, limit: usize) -> Result<Vec<u8>>;
    fn config(&self, key: &str) -> Result<Option<String>>;
    fn remotes(&self) -> Result<Vec<String>>;
}
