//! Committing what somebody left in a worktree.

use std::path::PathBuf;

use super::RepoWriter;
use crate::bytes::path_bytes;
use crate::error::Result;
use crate::model::WorktreeLocation;
use crate::oid::Oid;

/// A commit of paths as they are on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPaths {
    /// Relative to the top of the worktree; gone ones are deletions.
    pub paths: Vec<PathBuf>,
    /// Staged ones that shall stay out.
    pub unstage: Vec<PathBuf>,
    pub message: String,
    /// Name and address of author and committer.
    pub by: (String, String),
}

impl RepoWriter {
    /// Commits these paths and what is staged, in the name of somebody who is no person here: without the repository's
    /// hooks, which that somebody may have written, and without the person's signature.
    ///
    /// # Errors
    /// `Failed` where a path is not there any more, or git refuses.
    pub fn commit_paths(&self, at: &WorktreeLocation, commit: &CommitPaths) -> Result<Option<Oid>> {
        let before = self.repo.head(at)?.id().cloned();
        if !commit.unstage.is_empty() {
            self.with_paths(at, &["reset", "--quiet"], &commit.unstage)?;
        }
        if !commit.paths.is_empty() {
            self.with_paths(at, &["add", "--all"], &commit.paths)?;
        }
        let mut staged = self.repo.place().change_in(at);
        staged.args(["diff", "--cached", "--quiet", "--no-ext-diff", "--no-textconv"]);
        if self.run(&staged)?.code == Some(0) {
            return Ok(None);
        }
        let mut command = self.repo.place().change_in(at);
        let (name, address) = &commit.by;
        for key in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
            command.env(key, name);
        }
        for key in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            command.env(key, address);
        }
        command.without_hooks().config("commit.gpgSign=false");
        command.args(["commit", "--quiet", "--no-verify", "--cleanup=whitespace", "--file=-"]);
        self.run_ok(command.stdin(commit.message.as_bytes()))?;
        let after = self.repo.head(at)?.id().cloned();
        Ok(after.filter(|after| Some(after) != before.as_ref()))
    }

    fn with_paths(&self, at: &WorktreeLocation, words: &[&str], paths: &[PathBuf]) -> Result<()> {
        let mut list = Vec::new();
        for path in paths {
            list.extend(path_bytes(path));
            list.push(0);
        }
        let mut command = self.repo.place().change_in(at);
        command.without_hooks().arg("--literal-pathspecs").args(words.iter().copied());
        command.args(["--pathspec-from-file=-", "--pathspec-file-nul"]).stdin(list);
        self.run_ok(&command).map(drop)
    }
}
