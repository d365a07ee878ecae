//! A common folder of a session's own, for work in one worktree without a hand on the repository.
//!
//! The private folder has its own references, index, configuration and objects, and borrows the repository's objects to
//! read. A sandbox shows it in place of the real one, so that `git add`, `commit` and `log` work as ever and reach nothing
//! else. What is committed there comes over by [`PrivateCommon::fetch`] and [`PrivateCommon::land`]: only the one branch,
//! only checked objects, by compare-and-swap.
//!
//! Whoever is confined can write everything in it. No git outside ever opens it as a repository; its files are read one by
//! one (`hostile.rs`), and its objects copied before git sees them.

mod create;
mod fetch;
mod hostile;
mod land;
mod large;
mod record;
mod settings;

use std::path::{Path, PathBuf};

use hostile::Inside;
use record::Record;

use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;
use crate::oid::Oid;
use crate::repo::Repo;

pub use land::Imported;

/// How a private folder is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrivateOptions {
    /// Folder inside the sandbox below which the shares are shown; `None`: they are seen where they are.
    pub shown_below: Option<PathBuf>,
    /// Name and address for commits where the user has set none.
    pub identity: Option<(String, String)>,
    /// Somebody works in it now: a folder that is there stays exactly as it is.
    pub occupied: bool,
}

/// A folder of the repository that is to be readable inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub real: PathBuf,
    /// Where it has to be seen.
    pub seen: PathBuf,
}

/// Bounds of what is taken over at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportLimits {
    pub bytes: u64,
    /// Object files.
    pub files: u64,
    pub commits: u64,
}

impl Default for ImportLimits {
    fn default() -> Self {
        Self { bytes: 4 * 1024 * 1024 * 1024, files: 500_000, commits: 100_000 }
    }
}

/// Commits whose objects are in the repository, while no reference has moved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where the branch was; `None` before its first commit.
    pub old: Option<Oid>,
    pub new: Oid,
    /// Commits that `old` does not reach.
    pub commits: u64,
}

/// The private common folder of one worktree. It stays when this is dropped.
#[derive(Debug)]
pub struct PrivateCommon {
    repo: Repo,
    at: WorktreeLocation,
    folder: PathBuf,
    shares: Vec<Share>,
}

impl PrivateCommon {
    /// The folder that takes the place of the repository's common folder. In it everything may be hostile.
    pub fn common_dir(&self) -> PathBuf {
        self.folder.join(COMMON)
    }

    /// What takes the place of the worktree's git folder.
    pub fn git_dir(&self) -> PathBuf {
        self.common_dir().join(self.admin())
    }

    /// The git folder within the common folder; empty for the main worktree.
    fn admin(&self) -> PathBuf {
        admin_of(&self.repo, &self.at)
    }

    /// The private folder that is in `folder`, as it was left, to bring over what is in it; `None` if there is none.
    ///
    /// # Errors
    /// `Io`.
    pub fn find(repo: &Repo, at: &WorktreeLocation, folder: &Path) -> Result<Option<Self>> {
        let found =
            Self { repo: repo.clone(), at: at.clone(), folder: folder.to_owned(), shares: Vec::new() };
        Ok(Record::find(folder)?.filter(|_| found.common_dir().is_dir()).map(|_| found))
    }

    pub fn branch(&self) -> Result<String> {
        Ok(Record::read(&self.folder)?.branch)
    }

    /// Folders to show for reading: borrowed objects, and the user's hooks.
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    pub fn worktree(&self) -> &WorktreeLocation {
        &self.at
    }

    /// Where the branch is in here; `None` before its first commit.
    ///
    /// # Errors
    /// `OtherBranch` when HEAD was put elsewhere, `Tampered`, `TooMuch`.
    pub fn tip(&self) -> Result<Option<Oid>> {
        tip(&self.repo, &self.at, &self.folder, &Record::read(&self.folder)?.branch)
    }

    /// Whether there is something to bring over, or to finish.
    ///
    /// # Errors
    /// As [`PrivateCommon::tip`].
    pub fn is_ahead(&self) -> Result<bool> {
        let record = Record::read(&self.folder)?;
        Ok(record.is_behind() || tip(&self.repo, &self.at, &self.folder, &record.branch)? != record.base)
    }
}

const COMMON: &str = "git";

fn admin_of(repo: &Repo, at: &WorktreeLocation) -> PathBuf {
    match at.git_dir.file_name() {
        Some(name) if at.git_dir != repo.common_dir() => Path::new("worktrees").join(name),
        _ => PathBuf::new(),
    }
}

fn tip(repo: &Repo, at: &WorktreeLocation, folder: &Path, branch: &str) -> Result<Option<Oid>> {
    let common = Inside::open(&folder.join(COMMON))?;
    let admin = common.folder(&admin_of(repo, at))?;
    let found = admin.map(|admin| hostile::head_branch(&admin)).transpose()?.flatten();
    if found.as_deref() != Some(branch) {
        return Err(GitError::OtherBranch { branch: branch.to_owned(), found });
    }
    hostile::branch(&common, branch, repo.object_format())
}
