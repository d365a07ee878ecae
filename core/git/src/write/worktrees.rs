//! Worktrees made, moved and mended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::RepoWriter;
use crate::admin;
use crate::command::GitCommand;
use crate::error::{GitError, Result};
use crate::model::{Worktree, WorktreeLocation};
use crate::oid::Oid;

/// What a new worktree has checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorktreeStart {
    /// A branch made for it, without upstream.
    NewBranch {
        name: String,
        at: Oid,
    },
    Branch(String),
    Detached(Oid),
}

#[derive(Debug, Clone)]
pub struct AddWorktree {
    /// Absolute; must not exist, or be an empty folder.
    pub path: PathBuf,
    pub start: WorktreeStart,
    /// Run the repository's `post-checkout` hook.
    pub hooks: bool,
    /// Write the files too. Without, [`crate::Repo::fill_worktree`] does it, for which no turn is needed.
    pub checkout: bool,
    pub timeout: Duration,
}

impl AddWorktree {
    pub fn new(path: impl Into<PathBuf>, start: WorktreeStart) -> Self {
        Self { path: path.into(), start, hooks: true, checkout: true, timeout: Duration::from_secs(600) }
    }
}

impl RepoWriter {
    /// Adds a worktree. On failure nothing is left of it, nor of a branch made for it.
    ///
    /// # Errors
    /// `PathExists`, `BranchExists`, `NoSuchBranch`, `BranchInUse`, `RefConflict`.
    pub fn add_worktree(&self, add: &AddWorktree) -> Result<Worktree> {
        if !add.path.is_absolute() || has_dots(&add.path) {
            return Err(GitError::InvalidArgument(add.path.display().to_string()));
        }
        if occupied(&add.path) {
            return Err(GitError::PathExists { path: add.path.clone() });
        }
        // Not `-b`: git would leave the branch behind when the rest fails.
        match &add.start {
            WorktreeStart::NewBranch { name, at } => self.create_branch(name, at)?,
            WorktreeStart::Branch(name) => {
                if self.repo.branch(name)?.is_none() {
                    return Err(GitError::NoSuchBranch { name: name.clone() });
                }
                self.refuse_branch_in_use(name)?;
            }
            WorktreeStart::Detached(_) => {}
        }
        let added = self.run_add(add);
        if let (Err(_), WorktreeStart::NewBranch { name, at }) = (&added, &add.start) {
            // If even this fails, the first error says more.
            let _ = self.update_ref(&format!("refs/heads/{name}"), None, Some(at));
        }
        added
    }

    fn run_add(&self, add: &AddWorktree) -> Result<Worktree> {
        let mut command = self.repo.place().change();
        command.timeout(add.timeout);
        if !add.hooks {
            command.without_hooks();
        }
        // Without this a missing branch could turn into one that tracks a remote.
        command.args(["worktree", "add", "--quiet", "--no-guess-remote"]);
        if !add.checkout {
            command.arg("--no-checkout");
        }
        match &add.start {
            WorktreeStart::NewBranch { name, .. } | WorktreeStart::Branch(name) => {
                command.arg("--").arg(&add.path).arg(name)
            }
            WorktreeStart::Detached(id) => command.args(["--detach", "--"]).arg(&add.path).arg(id.as_str()),
        };
        let result = self.run(&command);
        let made = self.repo.worktree_at(&add.path);
        match (result, made) {
            (Ok(outcome), Ok(worktree)) if outcome.code == Some(0) => Ok(worktree),
            // The hook's exit status is git's; the worktree is whole.
            (Ok(outcome), Ok(worktree)) if is_whole(&worktree) && !outcome.stderr.contains("fatal:") => {
                Ok(worktree)
            }
            (result, made) => {
                if let Ok(worktree) = made {
                    self.discard(&worktree.location);
                }
                Err(match result {
                    Ok(outcome) => command.failure(&outcome),
                    Err(error) => error,
                })
            }
        }
    }

    /// Takes back a worktree that was not finished; nobody has worked in it yet.
    fn discard(&self, at: &WorktreeLocation) {
        let mut remove = self.repo.place().change();
        remove.args(["worktree", "remove", "--force", "--force", "--"]).arg(&at.path);
        // `git worktree prune` gets what this leaves.
        let _ = self.run(&remove);
    }

    /// Moves a linked worktree.
    ///
    /// # Errors
    /// `MainWorktree`, `WorktreeLocked`, `PathExists`; `Failed` for a tree with submodules, which git cannot move.
    pub fn move_worktree(&self, from: &WorktreeLocation, to: &Path) -> Result<Worktree> {
        self.refuse_main(from)?;
        if !to.is_absolute() || has_dots(to) {
            return Err(GitError::InvalidArgument(to.display().to_string()));
        }
        // Git would move it into an existing folder.
        if to.symlink_metadata().is_ok() {
            return Err(GitError::PathExists { path: to.to_owned() });
        }
        if let Some(reason) = admin::read_lock(&from.git_dir)? {
            return Err(GitError::WorktreeLocked { path: from.path.clone(), reason });
        }
        let mut command = self.repo.place().change();
        command.args(["worktree", "move", "--"]).arg(&from.path).arg(to);
        self.run_ok(&command)?;
        self.repo.worktree_at(to)
    }

    /// Makes a branch at the worktree's HEAD and puts the worktree on it, leaving every file as it is.
    pub fn switch_to_new_branch(&self, at: &WorktreeLocation, name: &str) -> Result<()> {
        let head = self.repo.head(at)?;
        let id = head
            .id()
            .ok_or_else(|| GitError::UnbornHead { branch: head.branch().unwrap_or_default().to_owned() })?;
        self.create_branch(name, id)?;
        let mut command = self.repo.place().change_in(at);
        command.args(["switch", "--quiet", "--no-guess", name]);
        let switched = self.run_ok(&command).map(drop);
        if switched.is_err() {
            // The switch's error says more.
            let _ = self.update_ref(&format!("refs/heads/{name}"), None, Some(id));
        }
        switched
    }

    /// Removes a linked worktree that is clean, or any unlocked one with `force`. Its branch stays.
    ///
    /// # Errors
    /// `MainWorktree`, `WorktreeLocked`, `WorktreeDirty`.
    pub fn remove_worktree(&self, at: &WorktreeLocation, force: bool) -> Result<()> {
        self.refuse_main(at)?;
        if let Some(reason) = admin::read_lock(&at.git_dir)? {
            return Err(GitError::WorktreeLocked { path: at.path.clone(), reason });
        }
        if !force && !self.repo.status(at, crate::model::Untracked::Folded)?.is_clean() {
            return Err(GitError::WorktreeDirty { path: at.path.clone() });
        }
        let mut command = self.repo.place().change();
        command.args(["worktree", "remove"]);
        if force {
            command.arg("--force");
        }
        self.run_ok(command.arg("--").arg(&at.path)).map(drop)
    }

    /// Drops the admin folders of worktrees that are gone.
    pub fn prune_worktrees(&self) -> Result<()> {
        let mut command = self.repo.place().change();
        command.args(["worktree", "prune", "--expire=now"]);
        self.run_ok(&command).map(drop)
    }

    /// Mends the links between the repository and its worktrees; `moved` are new places of moved ones.
    pub fn repair_worktrees(&self, moved: &[PathBuf]) -> Result<()> {
        let mut command: GitCommand = self.repo.place().change();
        // Without a path git looks at the current folder.
        command.folder(self.repo.root()).args(["worktree", "repair", "--"]).args(moved);
        self.run_ok(&command).map(drop)
    }

    pub(crate) fn refuse_main(&self, at: &WorktreeLocation) -> Result<()> {
        if at.git_dir == self.repo.common_dir() { Err(GitError::MainWorktree) } else { Ok(()) }
    }
}

/// `a/../b` through a link is not what it looks like.
fn has_dots(path: &Path) -> bool {
    path.components().any(|part| matches!(part, std::path::Component::ParentDir))
}

fn occupied(path: &Path) -> bool {
    match path.symlink_metadata() {
        Err(_) => false,
        Ok(metadata) if metadata.is_dir() => path.read_dir().map_or(true, |mut it| it.next().is_some()),
        Ok(_) => true,
    }
}

fn is_whole(worktree: &Worktree) -> bool {
    let git_dir = &worktree.location.git_dir;
    worktree.head.is_some() && git_dir.join("index").exists() && !git_dir.join("index.lock").exists()
}
