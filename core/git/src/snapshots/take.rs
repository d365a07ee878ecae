//! Making a snapshot. Nothing of the user's repository is written or locked.

use std::path::{Path, PathBuf};

use super::place::Scratch;
use super::{SnapshotStore, TreeSnapshot};
use crate::command::GitCommand;
use crate::error::Result;
use crate::model::{Status, StatusEntry, Untracked, WorktreeLocation};
use crate::oid::Oid;
use crate::parse;

/// Bounds of what one snapshot takes in. Whatever is beyond them is left out and named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotLimits {
    /// Bytes of one changed or untracked file.
    pub file: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// How many there may be.
    pub files: usize,
}

/// Paths that a snapshot names of those it leaves out.
const NAMED: usize = 1000;

impl Default for SnapshotLimits {
    fn default() -> Self {
        Self { file: 64 * 1024 * 1024, bytes: 1024 * 1024 * 1024, files: 100_000 }
    }
}

impl SnapshotStore {
    /// The worktree as it is now. Where nothing changed since `last`, that is the answer.
    ///
    /// # Errors
    /// `WorktreeMissing`, `Failed`, `Io`.
    pub fn take(
        &self,
        at: &WorktreeLocation,
        limits: &SnapshotLimits,
        last: Option<&TreeSnapshot>,
    ) -> Result<TreeSnapshot> {
        let head = self.repo.head(at)?;
        let (id, branch) = (head.id().cloned(), head.branch().map(str::to_owned));
        let status = self.repo.status(at, Untracked::All)?;
        let clean = status.entries.is_empty();
        if let Some(last) = last
            && clean
            && last.clean
            && last.head == id
            && last.branch == branch
        {
            return Ok(last.clone());
        }
        let scratch = Scratch::new(self, at)?;
        scratch.copy_index()?;
        let conflicts = if status.conflicted > 0 { conflicts(&scratch)? } else { Vec::new() };
        if !conflicts.is_empty() {
            resolve(&scratch, &status)?;
        }
        let staged = write_tree(&scratch)?;
        let (paths, mut left_out) = chosen(&at.path, &status, limits);
        let more_left_out = left_out.len() > NAMED;
        left_out.truncate(NAMED);
        scratch.record(&paths)?;
        let files = if paths.is_empty() { staged.clone() } else { write_tree(&scratch)? };
        let new = TreeSnapshot {
            commit: files.clone(),
            files,
            staged,
            head: id,
            branch,
            conflicts,
            clean,
            left_out,
            more_left_out,
        };
        if let Some(last) = last
            && (TreeSnapshot { commit: new.commit.clone(), ..last.clone() }) == new
        {
            return Ok(last.clone());
        }
        let commit = self.keep(&scratch, &new, last)?;
        self.name(&commit)?;
        Ok(TreeSnapshot { commit, ..new })
    }

    /// Makes the commit, and brings what it needs into the store.
    fn keep(&self, scratch: &Scratch<'_>, new: &TreeSnapshot, last: Option<&TreeSnapshot>) -> Result<Oid> {
        let mut parents: Vec<Oid> = new.head.iter().cloned().collect();
        if new.staged != new.files {
            parents.push(commit(scratch.command(), &new.staged, &[], "what was staged")?);
        }
        let made = commit(scratch.command(), &new.files, &parents, "a worktree as it was")?;
        self.pack(&scratch.command(), std::slice::from_ref(&made), last.map(|last| &last.commit))?;
        Ok(made)
    }
}

fn commit(mut command: GitCommand, tree: &Oid, parents: &[Oid], message: &str) -> Result<Oid> {
    for key in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
        command.env(key, "Podium");
    }
    for key in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
        command.env(key, "podium@localhost");
    }
    command.config("commit.gpgSign=false").args(["commit-tree", "--no-gpg-sign", tree.as_str()]);
    for parent in parents {
        command.args(["-p", parent.as_str()]);
    }
    let output = command.args(["-F", "-"]).stdin(message).output()?;
    parse::oid(output.trim_ascii()).map_err(|error| command.unexpected(error.0))
}

fn write_tree(scratch: &Scratch<'_>) -> Result<Oid> {
    let mut command = scratch.command();
    // A partial clone does not have all that its trees name.
    let output = command.args(["write-tree", "--missing-ok"]).output()?;
    parse::oid(output.trim_ascii()).map_err(|error| command.unexpected(error.0))
}

/// All stages of the paths in conflict, in the form in which they are given back.
fn conflicts(scratch: &Scratch<'_>) -> Result<Vec<u8>> {
    scratch.command().args(["ls-files", "-z", "--unmerged", "--full-name"]).output()
}

/// Paths in conflict have no tree: here they have no stages any more.
fn resolve(scratch: &Scratch<'_>, status: &Status) -> Result<()> {
    let zero = scratch.zero();
    let mut lines = Vec::new();
    for entry in status.entries.iter().filter(|entry| entry.conflicted) {
        lines.extend(format!("0 {zero}\t").into_bytes());
        lines.extend(crate::bytes::path_bytes(&entry.path));
        lines.push(0);
    }
    let mut update = scratch.command();
    update.args(["update-index", "-z", "--index-info"]).stdin(lines).output().map(drop)
}

/// Paths that differ from the index and go into the snapshot, and those that cannot.
fn chosen(top: &Path, status: &Status, limits: &SnapshotLimits) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut paths, mut left_out, mut bytes) = (Vec::new(), Vec::new(), 0);
    for entry in &status.entries {
        paths.extend(entry.renamed_from.clone());
        match size(top, entry) {
            Some(size)
                if size <= limits.file && bytes + size <= limits.bytes && paths.len() < limits.files =>
            {
                bytes += size;
                paths.push(entry.path.clone());
            }
            _ => left_out.push(trimmed(&entry.path)),
        }
    }
    (paths, left_out)
}

/// Bytes that a snapshot of the path takes; `None` for what has no place in one.
fn size(top: &Path, entry: &StatusEntry) -> Option<u64> {
    let path = top.join(&entry.path);
    let Ok(found) = path.symlink_metadata() else { return Some(0) };
    if found.is_symlink() {
        return Some(0);
    }
    if found.is_dir() {
        // A submodule is recorded by its HEAD. Somebody's own repository inside is not looked into.
        return (!entry.untracked).then_some(0);
    }
    let readable = rustix::fs::access(&path, rustix::fs::Access::READ_OK).is_ok();
    (found.is_file() && readable).then_some(found.len())
}

/// A repository is told with a slash at its end.
fn trimmed(path: &Path) -> PathBuf {
    path.components().collect()
}
