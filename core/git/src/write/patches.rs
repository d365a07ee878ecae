//! Taking a patch into a worktree.

use std::path::PathBuf;

use super::RepoWriter;
use crate::bytes::path_from_bytes;
use crate::command::GitCommand;
use crate::error::Result;
use crate::model::WorktreeLocation;

impl RepoWriter {
    /// Applies a patch to the files of a worktree, whole or not at all; the index stays as it is. With `again`, an
    /// earlier attempt may have been cut off in the middle: files that have their part already are left alone.
    ///
    /// # Errors
    /// `Failed` with what does not apply.
    pub fn apply_patch(&self, at: &WorktreeLocation, patch: &[u8], again: bool) -> Result<Vec<PathBuf>> {
        let paths = self.paths_of(at, patch)?;
        if !again {
            self.run_ok(&self.apply(at, patch))?;
            return Ok(paths);
        }
        let mut missing = Vec::new();
        for path in &paths {
            let mut reverse = self.apply(at, patch);
            reverse.args(["--reverse", "--check"]);
            only(&mut reverse, path);
            if self.run(&reverse)?.code != Some(0) {
                missing.push(path);
            }
        }
        if !missing.is_empty() {
            let mut rest = self.apply(at, patch);
            missing.into_iter().for_each(|path| only(&mut rest, path));
            self.run_ok(&rest)?;
        }
        Ok(paths)
    }

    /// `git apply` judges all of a patch before it changes anything, and refuses paths outside of the worktree.
    fn apply(&self, at: &WorktreeLocation, patch: &[u8]) -> GitCommand {
        let mut command = self.repo().place().change_in(at);
        command.without_hooks().args(["apply", "--whitespace=nowarn"]).stdin(patch);
        command
    }

    fn paths_of(&self, at: &WorktreeLocation, patch: &[u8]) -> Result<Vec<PathBuf>> {
        let mut list = self.apply(at, patch);
        list.args(["--numstat", "-z"]);
        let listed = self.run_ok(&list)?;
        // "added<TAB>removed<TAB>path<NUL>"
        let paths =
            listed.split(|byte| *byte == 0).filter_map(|entry| entry.splitn(3, |byte| *byte == b'\t').nth(2));
        Ok(paths.map(path_from_bytes).collect())
    }
}

/// Paths are patterns here: what would be one is escaped.
fn only(command: &mut GitCommand, path: &std::path::Path) {
    let mut option = b"--include=".to_vec();
    for byte in crate::bytes::path_bytes(path).iter().copied() {
        if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
            option.push(b'\\');
        }
        option.push(byte);
    }
    command.arg(path_from_bytes(&option));
}
