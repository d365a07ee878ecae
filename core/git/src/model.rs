//! What reads give back. Paths are bytes as the file system has them; branch names are shown lossily if not UTF-8.

use std::path::PathBuf;

use crate::oid::Oid;

/// Where one worktree is: kept by the caller, so that no `.git` file has to be believed later.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorktreeLocation {
    /// The admin folder: the common folder for the main worktree, `worktrees/<id>` in it for a linked one.
    pub git_dir: PathBuf,
    pub path: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    Branch {
        name: String,
        id: Oid,
    },
    /// A branch without a commit.
    Unborn {
        name: String,
    },
    Detached {
        id: Oid,
    },
}

impl Head {
    pub fn id(&self) -> Option<&Oid> {
        match self {
            Self::Branch { id, .. } | Self::Detached { id } => Some(id),
            Self::Unborn { .. } => None,
        }
    }

    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Branch { name, .. } | Self::Unborn { name } => Some(name),
            Self::Detached { .. } => None,
        }
    }
}

/// One line of `git worktree list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    pub location: WorktreeLocation,
    /// `None` when its HEAD cannot be read, and for a bare repository itself.
    pub head: Option<Head>,
    pub main: bool,
    pub bare: bool,
    /// The reason, possibly empty.
    pub locked: Option<String>,
    /// Why `git worktree prune` would drop it.
    pub prunable: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Untracked {
    No,
    /// A folder with nothing tracked in it counts as one.
    #[default]
    Folded,
    All,
}

/// Counts of paths. A renamed path counts once, under `staged` and `renamed`; a path that is staged and modified
/// again counts under both; a conflicted path counts only as conflicted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    pub staged: usize,
    pub modified: usize,
    pub untracked: usize,
    pub conflicted: usize,
    pub renamed: usize,
    pub in_progress: Option<InProgress>,
    /// In path order.
    pub entries: Vec<StatusEntry>,
}

impl Status {
    /// Nothing uncommitted, nothing untracked, no operation half done.
    pub fn is_clean(&self) -> bool {
        self.entries.is_empty() && self.in_progress.is_none()
    }

    pub(crate) fn of(mut entries: Vec<StatusEntry>, in_progress: Option<InProgress>) -> Self {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let count = |test: fn(&StatusEntry) -> bool| entries.iter().filter(|entry| test(entry)).count();
        Self {
            staged: count(|entry| entry.staged),
            modified: count(|entry| entry.modified),
            untracked: count(|entry| entry.untracked),
            conflicted: count(|entry| entry.conflicted),
            renamed: count(|entry| entry.renamed_from.is_some()),
            in_progress,
            entries,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusEntry {
    pub path: PathBuf,
    pub renamed_from: Option<PathBuf>,
    pub staged: bool,
    pub modified: bool,
    pub untracked: bool,
    pub conflicted: bool,
}

/// What is to be said of a path whose file was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    /// It is tracked; whether it differs from the index.
    Tracked { modified: bool },
    /// It is neither tracked nor there.
    Absent,
}

/// An operation that waits for somebody to finish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InProgress {
    Merge,
    Rebase,
    /// `git am`.
    ApplyMailbox,
    CherryPick,
    Revert,
    Bisect,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    pub id: Oid,
    pub summary: String,
    pub author: String,
    /// Committer time, seconds since 1970.
    pub time: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AheadBehind {
    pub ahead: usize,
    pub behind: usize,
}

/// Commits that exist nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unpushed {
    pub count: usize,
    /// The newest of them, as many as were asked for.
    pub newest: Vec<Oid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    Added,
    Deleted,
    Modified,
}

/// A rename shows as a deletion and an addition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangedFile {
    pub path: PathBuf,
    pub change: Change,
}
