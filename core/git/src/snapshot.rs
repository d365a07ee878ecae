//! The uncommitted state of a worktree, written as commits that no reference names.

use std::path::Path;

use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;
use crate::oid::Oid;
use crate::parse;
use crate::write::RepoWriter;

/// What besides tracked files goes into a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotScope {
    Tracked,
    Untracked,
    /// Ignored files too.
    Everything,
}

/// Two commits on top of HEAD. Filters and line endings apply as in `git add`; repositories nested in the worktree
/// are recorded by their HEAD only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What was staged; `None` while conflicts are unresolved.
    pub index: Option<Oid>,
    /// What the files held.
    pub files: Oid,
}

/// Copies an index together with its time. Git tells by that time which files may have changed within the tick in which
/// the index was written: a copy that looks younger hides such a change.
///
/// # Errors
/// What reading or writing gives; `NotFound` where there is no index.
pub fn copy_index_file(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut from = std::fs::File::open(from)?;
    let mut to = std::fs::File::create(to)?;
    std::io::copy(&mut from, &mut to)?;
    to.set_modified(from.metadata()?.modified()?)
}

impl RepoWriter {
    /// Records index and files of a worktree, changing neither.
    pub fn snapshot(&self, at: &WorktreeLocation, scope: SnapshotScope, message: &str) -> Result<Snapshot> {
        let parent = self.repo().head(at)?.id().cloned();
        let parents: Vec<Oid> = parent.into_iter().collect();
        let scratch = tempfile::Builder::new()
            .prefix("podium-index-")
            .tempdir_in(&at.git_dir)
            .map_err(|error| GitError::io(&at.git_dir, error))?;
        let copy = scratch.path().join("index");
        let index = at.git_dir.join("index");
        if index.exists() {
            copy_index_file(&index, &copy).map_err(|error| GitError::io(&index, error))?;
        }
        let staged = match self.write_tree(at, Some(&copy)) {
            Ok(tree) => Some(self.commit_tree(at, &tree, &parents, message)?),
            // Unresolved conflicts have no tree.
            Err(GitError::Failed { stderr, .. })
                if stderr.contains("unmerged") || stderr.contains("merge") =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let mut add = self.repo().place().change_in(at);
        add.env("GIT_INDEX_FILE", &copy).without_hooks().config("advice.addEmbeddedRepo=false");
        add.args(["add", "--sparse"]);
        match scope {
            SnapshotScope::Tracked => add.arg("--update"),
            SnapshotScope::Untracked => add.arg("--all"),
            SnapshotScope::Everything => add.args(["--all", "--force"]),
        };
        add.args(["--", "."]).output()?;
        let tree = self.write_tree(at, Some(&copy))?;
        let files = self.commit_tree(at, &tree, &parents, message)?;
        Ok(Snapshot { index: staged, files })
    }

    /// The tree of an index: the worktree's own, or the file given.
    pub fn write_tree(&self, at: &WorktreeLocation, index: Option<&Path>) -> Result<Oid> {
        let mut command = self.repo().place().change_in(at);
        if let Some(index) = index {
            command.env("GIT_INDEX_FILE", index);
        }
        command.arg("write-tree");
        let output = command.output()?;
        parse::oid(output.trim_ascii()).map_err(|error| command.unexpected(error.0))
    }

    /// A commit of a tree that nothing refers to. Without an identity of the caller, ours is used.
    pub fn commit_tree(
        &self,
        at: &WorktreeLocation,
        tree: &Oid,
        parents: &[Oid],
        message: &str,
    ) -> Result<Oid> {
        let mut command = self.repo().place().change_in(at);
        // Configured or given identities win over these: they only keep git from refusing.
        let env = self.repo().git();
        for (key, fallback) in IDENTITY {
            if !env.has_var(key) && self.repo().config(config_key(key))?.is_none() {
                command.env(key, *fallback);
            }
        }
        // A signature would need a key that nobody can unlock here.
        command.config("commit.gpgSign=false").args(["commit-tree", "--no-gpg-sign", tree.as_str()]);
        for parent in parents {
            command.args(["-p", parent.as_str()]);
        }
        command.args(["-F", "-"]).stdin(message);
        let output = command.output()?;
        parse::oid(output.trim_ascii()).map_err(|error| command.unexpected(error.0))
    }
}

const IDENTITY: &[(&str, &str)] = &[
    ("GIT_AUTHOR_NAME", "Podium"),
    ("GIT_AUTHOR_EMAIL", "podium@localhost"),
    ("GIT_COMMITTER_NAME", "Podium"),
    ("GIT_COMMITTER_EMAIL", "podium@localhost"),
];

fn config_key(variable: &str) -> &'static str {
    if variable.ends_with("_NAME") { "user.name" } else { "user.email" }
}
