//! What was staged comes back, and the branch with it if that is wanted.

use super::{SnapshotStore, TreeSnapshot};
use crate::command::GitCommand;
use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;
use crate::oid::Oid;
use crate::write::RepoWriter;

impl SnapshotStore {
    /// Moves the branch of the worktree (HEAD itself, where that is detached) from `old` to `new`, and nothing else. What
    /// is there already is left alone.
    ///
    /// # Errors
    /// `RefMoved` where the branch is elsewhere, `LockBusy`.
    pub fn move_head(
        &self,
        writer: &RepoWriter,
        at: &WorktreeLocation,
        branch: Option<&str>,
        old: &Oid,
        new: &Oid,
    ) -> Result<()> {
        let head = self.repo.head(at)?;
        let refname = branch.map_or_else(|| "HEAD".to_owned(), |name| format!("refs/heads/{name}"));
        let found = head.id().cloned();
        if head.branch() == branch && found.as_ref() == Some(new) {
            return Ok(());
        }
        if head.branch() != branch || found.as_ref() != Some(old) {
            return Err(GitError::RefMoved { refname, expected: old.clone(), found });
        }
        self.bring(writer, at, new)?;
        let mut command = self.repo.place().change_in(at);
        command.without_hooks().args(["update-ref", "--no-deref", "-m", "podium: rewind", "--"]);
        command.args([refname.as_str(), new.as_str(), old.as_str()]);
        writer.run_ok(&command).map(drop)
    }

    /// Makes the index what was staged then, with paths in conflict as they were, if the worktree is at the same commit;
    /// elsewhere nothing is staged any more. Files are not touched.
    ///
    /// # Errors
    /// `LockBusy`, `Failed`.
    pub fn restore_index(&self, writer: &RepoWriter, at: &WorktreeLocation, to: &TreeSnapshot) -> Result<()> {
        let head = self.repo.head(at)?.id().cloned();
        let same = head == to.head;
        let tree = match &head {
            _ if same => to.staged.clone(),
            Some(head) => head.clone(),
            None => return Ok(()),
        };
        if same {
            self.bring(writer, at, &to.commit)?;
        }
        let command = || {
            let mut command = self.repo.place().change_in(at);
            command.without_hooks();
            command
        };
        let mut read = command();
        read.args(["read-tree", "--reset", tree.as_str()]);
        writer.run_ok(&read)?;
        if same && !to.conflicts.is_empty() {
            let mut stages = command();
            stages.args(["update-index", "-z", "--index-info"]).stdin(to.conflicts.clone());
            writer.run_ok(&stages)?;
        }
        let mut refresh = command();
        // It says by its exit code that files differ, as they may.
        refresh.args(["update-index", "-q", "--refresh"]);
        refresh.attempt().map(drop)
    }

    /// Makes the user's repository have a commit and all it needs.
    ///
    /// # Errors
    /// `Failed`.
    pub fn bring(&self, writer: &RepoWriter, at: &WorktreeLocation, commit: &Oid) -> Result<()> {
        let scratch = super::place::Scratch::new(self, at)?;
        let base: GitCommand = scratch.command();
        let mut lines = format!("{commit}\n");
        for id in self.lasting()? {
            lines += &format!("^{id}\n");
        }
        if let Some(head) = self.repo.head(at)?.id() {
            lines += &format!("^{head}\n");
        }
        let mut pack = base;
        pack.args(["pack-objects", "-q", "--revs", "--missing=allow-any"]).arg(scratch.file("bring"));
        let name = String::from_utf8_lossy(&pack.stdin(lines).output()?).trim().to_owned();
        let file = scratch.file(&format!("bring-{name}.pack"));
        let mut unpack = self.repo.place().change_in(at);
        unpack.args(["unpack-objects", "-q"]).stdin_file(&file);
        writer.run_ok(&unpack).map(drop)
    }
}
