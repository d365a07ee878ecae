//! Merging without a work tree, and moving a work tree to a commit that is prepared.

use std::path::PathBuf;

use super::RepoWriter;
use crate::bytes::path_from_bytes;
use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;
use crate::oid::Oid;
use crate::parse;

/// What merging two commits gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergedTree {
    Clean(Oid),
    /// Paths that a person has to look at, sorted.
    Conflicts(Vec<PathBuf>),
}

impl RepoWriter {
    /// Merges two commits in memory; only objects are written.
    ///
    /// # Errors
    /// `Failed` for histories without a common commit.
    pub fn merge_tree(&self, ours: &Oid, theirs: &Oid) -> Result<MergedTree> {
        let mut command = self.repo.place().change();
        command.args(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"]);
        let outcome = command.args([ours.as_str(), theirs.as_str()]).attempt()?;
        if !matches!(outcome.code, Some(0 | 1)) {
            return Err(command.failure(&outcome));
        }
        let mut parts = outcome.stdout.split(|byte| *byte == 0).filter(|part| !part.is_empty());
        let tree = parts.next().unwrap_or_default();
        if outcome.code == Some(0) {
            let tree = parse::oid(tree.trim_ascii()).map_err(|error| command.unexpected(error.0))?;
            return Ok(MergedTree::Clean(tree));
        }
        let mut paths: Vec<PathBuf> = parts.map(path_from_bytes).collect();
        paths.sort();
        paths.dedup();
        Ok(MergedTree::Conflicts(paths))
    }

    /// Moves a worktree's branch, index and files to a descendant of its HEAD, as `git merge --ff-only` does. Changed
    /// files that stay as they are do not matter to git; one in the way refuses.
    ///
    /// # Errors
    /// `Failed` when HEAD is no ancestor, or local changes are in the way.
    pub fn fast_forward(&self, at: &WorktreeLocation, to: &Oid) -> Result<()> {
        let mut command = self.repo.place().change_in(at);
        command.args([
            "merge",
            "--quiet",
            "--ff-only",
            "--no-edit",
            "--no-autostash",
            "--no-stat",
            to.as_str(),
        ]);
        self.run_ok(&command).map(drop)
    }

    /// Puts a worktree's branch elsewhere, with index and files; refused where that would lose a local change.
    ///
    /// # Errors
    /// `Failed` when a local change is in the way.
    pub fn reset_keeping(&self, at: &WorktreeLocation, to: &Oid) -> Result<()> {
        let mut command = self.repo.place().change_in(at);
        command.args(["reset", "--quiet", "--keep", to.as_str(), "--"]);
        self.run_ok(&command).map(drop)
    }

    /// Makes a missing branch's deletion or a moved one an error of its own before anything is changed.
    ///
    /// # Errors
    /// `NoSuchBranch`, `RefMoved`.
    pub fn expect_branch(&self, name: &str, at: &Oid) -> Result<()> {
        match self.repo.branch(name)? {
            Some(found) if found == *at => Ok(()),
            Some(found) => Err(GitError::RefMoved {
                refname: format!("refs/heads/{name}"),
                expected: at.clone(),
                found: Some(found),
            }),
            None => Err(GitError::NoSuchBranch { name: name.to_owned() }),
        }
    }
}
