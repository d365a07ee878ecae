//! Trees that are filled apart from being registered, moved by a rename, and put on a branch without a look at a file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::RepoWriter;
use crate::admin;
use crate::backend::Backend;
use crate::bytes::{path_bytes, path_from_bytes, without_newline};
use crate::command::GitCommand;
use crate::error::{GitError, Result};
use crate::model::{Head, WorktreeLocation};
use crate::oid::Oid;
use crate::repo::Repo;

/// Taken for each file where sizes are not known (partial clones).
const GUESSED_BYTES: u64 = 8 * 1024;

/// What a checkout of a commit writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeSize {
    pub files: u64,
    pub bytes: u64,
}

impl Repo {
    /// Writes the files of HEAD into a worktree that was registered without them. Needs no turn: nothing but this
    /// worktree is touched. The index appears at the end, so a tree without one is not whole. No hooks.
    ///
    /// # Errors
    /// `Timeout`, `Failed`.
    pub fn fill_worktree(&self, at: &WorktreeLocation, timeout: Duration) -> Result<()> {
        let Some(side) = self.share_files(at) else { return self.reset(at, None, None, timeout) };
        let filled = self.reset(at, None, Some(&side), timeout);
        let index = at.git_dir.join("index");
        let placed =
            filled.and_then(|()| std::fs::rename(&side, &index).map_err(|error| GitError::io(&index, error)));
        if placed.is_err() {
            drop(std::fs::remove_file(&side));
        }
        placed
    }

    /// Files that share their blocks with those of the main worktree, and an index of them beside the place of the real
    /// one. `None` where that cannot be.
    #[cfg(target_os = "linux")]
    fn share_files(&self, at: &WorktreeLocation) -> Option<PathBuf> {
        if self.backend() != Backend::Libgit2 || self.is_bare() {
            return None;
        }
        let main = self.main_worktree().ok()?;
        super::sharing::share(self.common_dir(), at, &main)
    }

    #[cfg(not(target_os = "linux"))]
    fn share_files(&self, _at: &WorktreeLocation) -> Option<PathBuf> {
        None
    }

    /// Writes the files that the index has into a worktree whose folder was lost, over what is there. No hooks.
    ///
    /// # Errors
    /// As [`Repo::fill_worktree`].
    pub fn write_staged(&self, at: &WorktreeLocation, timeout: Duration) -> Result<()> {
        let mut command = self.place().change_in(at);
        command.timeout(timeout).without_hooks().env("GIT_LFS_SKIP_SMUDGE", "1");
        command.args(["checkout-index", "--all", "--force", "--quiet", "--index"]);
        command.output().map(drop)
    }

    /// Brings a detached worktree to another commit; what is not committed there is lost. No hooks.
    ///
    /// # Errors
    /// As [`Repo::fill_worktree`].
    pub fn advance_worktree(&self, at: &WorktreeLocation, to: &Oid, timeout: Duration) -> Result<()> {
        self.reset(at, Some(to), None, timeout)
    }

    fn reset(
        &self,
        at: &WorktreeLocation,
        to: Option<&Oid>,
        index: Option<&Path>,
        timeout: Duration,
    ) -> Result<()> {
        let mut command = self.place().change_in(at);
        command.timeout(timeout).without_hooks();
        if let Some(index) = index {
            command.env("GIT_INDEX_FILE", index);
        }
        // As many writers as there are processors: latency of the disk, not its bandwidth, is what takes time.
        command.config("checkout.workers=0");
        // Large files come on demand.
        command.env("GIT_LFS_SKIP_SMUDGE", "1");
        command.args(["reset", "--hard", "--quiet", "--no-recurse-submodules"]);
        if let Some(to) = to {
            command.arg(to.as_str());
        }
        command.output().map(drop)
    }

    /// What a checkout of this commit takes. Without sizes (partial clones) they are guessed.
    pub fn tree_size(&self, commit: &Oid) -> Result<TreeSize> {
        let ask = |format: &str| {
            let mut command = self.place().read();
            command.args(["ls-tree", "-r", "-z"]).arg(format!("--format={format}")).arg(commit.as_str());
            command.output()
        };
        if let Ok(sizes) = ask("%(objectsize)") {
            let sizes = sizes.split(|byte| *byte == 0).filter(|size| !size.is_empty());
            let add = |sum: TreeSize, size: &[u8]| {
                let bytes = std::str::from_utf8(size).ok().and_then(|size| size.trim().parse().ok());
                TreeSize { files: sum.files + 1, bytes: sum.bytes + bytes.unwrap_or(0) }
            };
            return Ok(sizes.fold(TreeSize { files: 0, bytes: 0 }, add));
        }
        let lines = ask("%(objecttype)")?.split(|byte| *byte == 0).filter(|line| !line.is_empty()).count();
        let files = u64::try_from(lines).unwrap_or(u64::MAX);
        Ok(TreeSize { files, bytes: files.saturating_mul(GUESSED_BYTES) })
    }

    /// What the admin folder of a linked worktree says: HEAD, place, whether the index is whole. Looks at no file of the
    /// tree.
    pub fn peek(&self, git_dir: &Path) -> Result<Peek> {
        let head = self.reader().head(git_dir)?;
        let dot_git = read(&git_dir.join("gitdir"))?;
        let dot_git = git_dir.join(path_from_bytes(without_newline(&dot_git)));
        let path = admin::tidy(dot_git.parent().unwrap_or(&dot_git));
        let whole = git_dir.join("index").exists() && !git_dir.join("index.lock").exists();
        Ok(Peek { head, path, whole })
    }

    /// The hook that git runs after a checkout, if there is one.
    fn post_checkout_hook(&self) -> Option<PathBuf> {
        let folder = match self.config("core.hooksPath").ok().flatten() {
            // Relative to where the hook runs; the top of any worktree will do to see whether there is one.
            Some(path) if !path.is_empty() => self.root().join(path),
            _ => self.common_dir().join("hooks"),
        };
        let hook = folder.join("post-checkout");
        hook.is_file().then_some(hook)
    }

    /// Runs `post-checkout` as `git worktree add` does: from no commit to this one. Its exit status changes nothing.
    pub fn run_post_checkout(&self, at: &WorktreeLocation, id: &Oid, timeout: Duration) {
        if self.post_checkout_hook().is_none() {
            return;
        }
        let mut command: GitCommand = self.git().change();
        // The hook finds its repository by the folder it is in, as anything that is run there by hand.
        command.folder(&at.path).timeout(timeout);
        command.args(["hook", "run", "--ignore-missing", "post-checkout", "--"]);
        command.args([self.object_format().zero().as_str(), id.as_str(), "1"]);
        // As with `git worktree add`: the worktree is whole all the same.
        let _ = command.output();
    }
}

/// What an admin folder says about its worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    pub head: Head,
    pub path: PathBuf,
    pub whole: bool,
}

impl RepoWriter {
    /// Renames the tree of a linked worktree; git looks for it at its old place until [`RepoWriter::link_worktree`]. The
    /// two together are what `git worktree move` does after its look through the index for submodules, which here is
    /// the caller's: no submodule may be checked out.
    ///
    /// # Errors
    /// `PathExists`, `WorktreeLocked`; `InvalidArgument` for a tree with a relative link, which has to be moved by git.
    pub fn rename_tree(&self, from: &WorktreeLocation, to: &Path) -> Result<()> {
        self.refuse_main(from)?;
        if to.symlink_metadata().is_ok() {
            return Err(GitError::PathExists { path: to.to_owned() });
        }
        if let Some(reason) = admin::read_lock(&from.git_dir)? {
            return Err(GitError::WorktreeLocked { path: from.path.clone(), reason });
        }
        if !links_to(&from.path, &from.git_dir) {
            return Err(GitError::InvalidArgument(from.path.display().to_string()));
        }
        std::fs::rename(&from.path, to).map_err(|error| GitError::io(&from.path, error))
    }

    /// Makes the admin folder name the place of its tree.
    pub fn link_worktree(&self, at: &WorktreeLocation) -> Result<()> {
        let file = at.git_dir.join("gitdir");
        let write = || {
            let mut staged = tempfile::Builder::new().prefix(".gitdir-").tempfile_in(&at.git_dir)?;
            staged.write_all(path_bytes(&at.path.join(".git")))?;
            staged.write_all(b"\n")?;
            #[cfg(unix)]
            staged.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            staged.persist(&file).map(drop).map_err(|error| error.error)
        };
        write().map_err(|error| GitError::io(&file, error))
    }

    /// Makes a branch at the commit that a detached worktree has and puts the worktree on it. No file is looked at: a
    /// start point, even an equal one, would have git compare them all.
    ///
    /// # Errors
    /// `BranchExists`, `RefConflict`.
    pub fn start_branch(&self, at: &WorktreeLocation, name: &str, id: &Oid, timeout: Duration) -> Result<()> {
        if self.repo.post_checkout_hook().is_some() {
            // Its first argument is how a hook knows a new worktree, and `git switch` would give it another.
            self.create_branch(name, id)?;
            self.attach_branch(at, name)?;
            self.repo.run_post_checkout(at, id, timeout);
            return Ok(());
        }
        let mut command = self.repo.place().change_in(at);
        command.timeout(timeout);
        command.args(["switch", "--quiet", "--no-track", "--create", name]);
        let switched = self.run_ok(&command).map(drop);
        if switched.is_err() {
            if self.repo.branch(name)?.is_some() {
                return Err(GitError::BranchExists { name: name.to_owned() });
            }
            if let Some(existing) = self.repo.ref_conflict(name)? {
                return Err(GitError::RefConflict { name: name.to_owned(), existing });
            }
        }
        switched
    }

    /// Puts a detached worktree on an existing branch that is at the same commit, whatever its files are.
    pub fn attach_branch(&self, at: &WorktreeLocation, name: &str) -> Result<()> {
        let mut command = self.repo.place().change_in(at);
        command.args(["symbolic-ref", "-m", "podium", "HEAD"]).arg(format!("refs/heads/{name}"));
        self.run_ok(&command).map(drop)
    }

    /// Deletes the admin folder of a worktree whose tree is gone or is to go. The caller knows that nobody worked there.
    pub fn drop_worktree(&self, git_dir: &Path) -> Result<()> {
        let below = self.repo.common_dir().join("worktrees");
        if git_dir.parent() != Some(&below) {
            return Err(GitError::InvalidArgument(git_dir.display().to_string()));
        }
        match std::fs::remove_dir_all(git_dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(GitError::io(git_dir, error)),
            _ => Ok(()),
        }
    }
}

/// Whether the tree's `.git` file names this admin folder, in full.
pub fn links_to(tree: &Path, git_dir: &Path) -> bool {
    let Ok(content) = std::fs::read(tree.join(".git")) else { return false };
    content.strip_prefix(b"gitdir: ").is_some_and(|line| path_from_bytes(without_newline(line)) == git_dir)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| GitError::io(path, error))
}
