//! Branches and references, changed by compare-and-swap.

use super::RepoWriter;
use crate::error::{GitError, Result};
use crate::oid::Oid;
use crate::repo::is_full_refname;

impl RepoWriter {
    /// Makes a branch; an existing one is never touched. It tracks nothing.
    ///
    /// # Errors
    /// `BranchExists`, `RefConflict`.
    pub fn create_branch(&self, name: &str, at: &Oid) -> Result<()> {
        let refname = format!("refs/heads/{name}");
        if self.repo.find_ref(&refname)?.is_some() {
            return Err(GitError::BranchExists { name: name.to_owned() });
        }
        if let Some(existing) = self.repo.ref_conflict(name)? {
            return Err(GitError::RefConflict { name: name.to_owned(), existing });
        }
        match self.update_ref(&refname, Some(at), None) {
            Err(GitError::RefMoved { .. }) => Err(GitError::BranchExists { name: name.to_owned() }),
            done => done,
        }
    }

    /// Deletes a branch that still is at `expected` and that no worktree uses, and its configuration.
    ///
    /// # Errors
    /// `NoSuchBranch`, `RefMoved`, `BranchInUse`.
    pub fn delete_branch(&self, name: &str, expected: &Oid) -> Result<()> {
        let refname = format!("refs/heads/{name}");
        if self.repo.find_ref(&refname)?.is_none() {
            return Err(GitError::NoSuchBranch { name: name.to_owned() });
        }
        self.refuse_branch_in_use(name)?;
        self.update_ref(&refname, None, Some(expected))?;
        // A stale upstream would come back to life with the next branch of this name. Most have none.
        let mut forget = self.repo.place().change();
        forget.args(["config", "--local", "--remove-section"]).arg(format!("branch.{name}"));
        self.run(&forget).map(drop)
    }

    /// Moves a reference from `expected` (`None`: it must not exist) to `new` (`None`: deleted).
    ///
    /// # Errors
    /// `RefMoved` when it is elsewhere.
    pub fn update_ref(&self, refname: &str, new: Option<&Oid>, expected: Option<&Oid>) -> Result<()> {
        if !is_full_refname(refname) {
            return Err(GitError::InvalidArgument(refname.to_owned()));
        }
        let zero = self.repo.object_format().zero();
        let old = expected.map_or(zero.as_str(), Oid::as_str);
        let mut command = self.repo.place().change();
        command.args(["update-ref", "--no-deref", "-m", "podium"]);
        match new {
            Some(new) => command.args(["--", refname, new.as_str(), old]),
            None if expected.is_none() => return Err(GitError::InvalidArgument(refname.to_owned())),
            None => command.args(["-d", "--", refname, old]),
        };
        let outcome = self.run(&command)?;
        if outcome.code == Some(0) {
            return Ok(());
        }
        let found = self.repo.find_ref(refname)?;
        if found.as_ref() == expected {
            return Err(command.failure(&outcome));
        }
        let expected = match expected {
            Some(expected) => expected.clone(),
            None => zero.parse().map_err(|_| command.unexpected("zero"))?,
        };
        Err(GitError::RefMoved { refname: refname.to_owned(), expected, found })
    }

    pub(super) fn refuse_branch_in_use(&self, name: &str) -> Result<()> {
        for worktree in self.repo.worktrees()? {
            let checked_out = worktree.head.as_ref().and_then(|head| head.branch()) == Some(name);
            if checked_out || being_rebased(&worktree.location.git_dir).as_deref() == Some(name) {
                return Err(GitError::BranchInUse { name: name.to_owned(), path: worktree.location.path });
            }
        }
        Ok(())
    }
}

/// During a rebase HEAD is detached, but the branch is to be moved at its end.
fn being_rebased(git_dir: &std::path::Path) -> Option<String> {
    let files = ["rebase-merge/head-name", "rebase-apply/head-name"];
    let content = files.iter().find_map(|file| std::fs::read_to_string(git_dir.join(file)).ok())?;
    content.trim_end().strip_prefix("refs/heads/").map(str::to_owned)
}
