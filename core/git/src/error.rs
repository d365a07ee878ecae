//! What can go wrong with git, in the terms of the person who has to mend it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::name::NameError;
use crate::oid::Oid;
use crate::version::GitVersion;

/// The class of an error; exit codes and JSON-RPC codes follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request cannot be done as asked; asking differently helps.
    User,
    NotFound,
    /// Something that exists already, or somebody else, stands in the way.
    Conflict,
    /// Held for the moment; the same request may succeed later.
    Busy,
    /// Something outside (network, git itself) is missing.
    Unavailable,
    Internal,
}

pub type Result<T, E = GitError> = std::result::Result<T, E>;

/// Every failure of this crate. Text taken from git is bounded and free of credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    #[error("git was not found on PATH")]
    GitNotFound,
    #[error("git {found} is too old: {needed} or newer is needed")]
    TooOld { found: GitVersion, needed: GitVersion },
    #[error("`{command}` could not be started")]
    Spawn {
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` did not finish within {} s and was ended", after.as_secs_f32())]
    Timeout { command: String, after: Duration },
    #[error("`{command}` was stopped: nobody waits for it any more")]
    Stopped { command: String },
    #[error("`{command}` printed more than {limit} bytes")]
    OutputTooLarge { command: String, limit: usize },
    #[error("`{command}` failed ({}): {stderr}", status_text(*code))]
    Failed { command: String, code: Option<i32>, stderr: String },
    #[error("`{command}` printed something unexpected: {detail}")]
    Unexpected { command: String, detail: String },

    #[error("{} is not inside a git repository", path.display())]
    NotARepository { path: PathBuf },
    #[error("{} does not exist", path.display())]
    NoSuchPath { path: PathBuf },
    #[error("git refuses {} because somebody else owns it", path.display())]
    DubiousOwnership { path: PathBuf },
    #[error("the repository at {} is damaged: {detail}", path.display())]
    Corrupt { path: PathBuf, detail: String },
    #[error("the repository at {} cannot be opened by this git: {detail}", path.display())]
    Unsupported { path: PathBuf, detail: String },
    #[error("{} is a bare repository and has no main worktree", path.display())]
    Bare { path: PathBuf },

    #[error("branch `{branch}` has no commit yet")]
    UnbornHead { branch: String },
    #[error("no trunk branch was found")]
    NoTrunk,
    #[error("`{rev}` names no commit")]
    NoSuchRevision { rev: String },
    #[error("there is no branch `{name}`")]
    NoSuchBranch { name: String },
    #[error("branch `{name}` exists already")]
    BranchExists { name: String },
    #[error("branch `{name}` cannot exist beside branch `{existing}`")]
    RefConflict { name: String, existing: String },
    #[error("branch `{name}` is checked out at {}", path.display())]
    BranchInUse { name: String, path: PathBuf },
    #[error("`{refname}` moved: expected {expected}, found {}", found.as_ref().map_or("nothing", Oid::as_str))]
    RefMoved { refname: String, expected: Oid, found: Option<Oid> },

    #[error("{} exists already", path.display())]
    PathExists { path: PathBuf },
    #[error("{} is not a worktree of this repository", path.display())]
    NotAWorktree { path: PathBuf },
    #[error("the worktree {} is missing on disk", path.display())]
    WorktreeMissing { path: PathBuf },
    #[error("the main worktree cannot be moved, locked or removed")]
    MainWorktree,
    #[error("the worktree {} is locked by somebody else: {reason}", path.display())]
    WorktreeLocked { path: PathBuf, reason: String },
    #[error("the worktree {} has uncommitted work", path.display())]
    WorktreeDirty { path: PathBuf },

    #[error("{} has been held by another git for {} s", lock_file.display(), age.map_or(0, |a| a.as_secs()))]
    LockBusy { lock_file: PathBuf, age: Option<Duration> },
    #[error("other changes to this repository took longer than {} s", waited.as_secs_f32())]
    QueueBusy { waited: Duration },

    #[error("the remote `{remote}` cannot be reached: {detail}")]
    Offline { remote: String, detail: String },
    #[error("the remote `{remote}` refused the credentials: {detail}")]
    Auth { remote: String, detail: String },
    #[error("`{remote}` has no such remote or ref: {detail}")]
    NoSuchRemoteRef { remote: String, detail: String },

    #[error("{} is on no branch", path.display())]
    DetachedHead { path: PathBuf },
    #[error("the private repository is on {}, not on branch `{branch}`", found.as_deref().unwrap_or("no branch"))]
    OtherBranch { branch: String, found: Option<String> },
    #[error("branch `{branch}` was rewritten: {new} does not descend from {old}")]
    Rewritten { branch: String, old: Oid, new: Oid },
    #[error("what was committed in the private repository is refused: {detail}")]
    BadObjects { detail: String },
    #[error("{} is not as the private repository was made: {detail}", path.display())]
    Tampered { path: PathBuf, detail: String },
    #[error("the private repository has more {what} than are taken over ({limit})")]
    TooMuch { what: &'static str, limit: u64 },

    #[error(transparent)]
    Name(#[from] NameError),
    #[error("`{0}` cannot be used here")]
    InvalidArgument(String),
    #[error("{}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("libgit2 could not read {}", path.display())]
    Libgit2 {
        path: PathBuf,
        #[source]
        source: git2::Error,
    },
}

impl GitError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub fn kind(&self) -> ErrorKind {
        use GitError as E;
        match self {
            E::GitNotFound | E::TooOld { .. } | E::Offline { .. } | E::Spawn { .. } => ErrorKind::Unavailable,
            E::Timeout { .. } | E::Stopped { .. } | E::LockBusy { .. } | E::QueueBusy { .. } => {
                ErrorKind::Busy
            }
            E::NotARepository { .. }
            | E::NoSuchPath { .. }
            | E::NoTrunk
            | E::NoSuchRevision { .. }
            | E::NoSuchBranch { .. }
            | E::NotAWorktree { .. }
            | E::WorktreeMissing { .. }
            | E::NoSuchRemoteRef { .. } => ErrorKind::NotFound,
            E::BranchExists { .. }
            | E::RefConflict { .. }
            | E::BranchInUse { .. }
            | E::RefMoved { .. }
            | E::PathExists { .. }
            | E::WorktreeLocked { .. }
            | E::OtherBranch { .. }
            | E::Rewritten { .. }
            | E::WorktreeDirty { .. } => ErrorKind::Conflict,
            E::DubiousOwnership { .. }
            | E::Unsupported { .. }
            | E::Bare { .. }
            | E::UnbornHead { .. }
            | E::MainWorktree
            | E::Auth { .. }
            | E::DetachedHead { .. }
            | E::BadObjects { .. }
            | E::Tampered { .. }
            | E::TooMuch { .. }
            | E::Name(_)
            | E::InvalidArgument(_) => ErrorKind::User,
            E::OutputTooLarge { .. }
            | E::Failed { .. }
            | E::Unexpected { .. }
            | E::Corrupt { .. }
            | E::Io { .. }
            | E::Libgit2 { .. } => ErrorKind::Internal,
        }
    }

    /// What to do next, one sentence each, most useful first.
    pub fn hints(&self) -> Vec<String> {
        use GitError as E;
        match self {
            E::GitNotFound => vec!["install git, or put its folder on PATH".into()],
            E::TooOld { needed, .. } => vec![format!("install git {needed} or newer")],
            E::Timeout { .. } => vec!["try again; a slow disk, hook or network may have held it up".into()],
            E::NotARepository { .. } => vec!["change into a repository, or run `git init`".into()],
            E::DubiousOwnership { path } => {
                vec![format!(
                    "if you trust it: git config --global --add safe.directory '{}'",
                    path.display()
                )]
            }
            E::Corrupt { .. } => {
                vec!["`git fsck` shows what is damaged; `git worktree repair` mends moved worktrees".into()]
            }
            E::Unsupported { .. } => vec!["a newer git may know this repository's format".into()],
            E::Bare { .. } => vec!["worktrees can be added to it; name one of them".into()],
            E::UnbornHead { .. } => vec!["make a first commit".into()],
            E::NoTrunk => vec!["name the trunk branch in the configuration".into()],
            E::NoSuchRevision { .. } => vec!["`git fetch` may bring it".into()],
            E::BranchExists { name } => vec![format!("use another name, or check out `{name}` as it is")],
            E::RefConflict { existing, .. } => {
                vec![format!("use another name: git cannot keep `{existing}` and a name below or above it")]
            }
            E::BranchInUse { path, .. } => vec![format!("work in {}", path.display())],
            E::RefMoved { .. } => vec!["look again: somebody changed it meanwhile".into()],
            E::PathExists { .. } => vec!["move it away, or use another name".into()],
            E::NotAWorktree { .. } => vec!["`git worktree list` shows what there is".into()],
            E::WorktreeMissing { .. } => {
                vec!["if it was moved: `git worktree repair`; if deleted: `git worktree prune`".into()]
            }
            E::WorktreeLocked { path, .. } => {
                vec![format!("if the lock is obsolete: git worktree unlock '{}'", path.display())]
            }
            E::WorktreeDirty { .. } => vec!["commit or stash first".into()],
            E::LockBusy { lock_file, .. } => vec![format!(
                "wait for the other git to end; if none is running, delete {}",
                lock_file.display()
            )],
            E::QueueBusy { .. } => vec!["try again in a moment".into()],
            E::Offline { .. } => vec!["check the network; everything local works without it".into()],
            E::Auth { .. } => vec!["check the key or token (is SSH_AUTH_SOCK set?)".into()],
            E::NoSuchRemoteRef { .. } => {
                vec!["`git remote -v` and `git ls-remote` show what there is".into()]
            }
            E::DetachedHead { .. } => vec!["put it on a branch: git switch --create NAME".into()],
            E::OtherBranch { branch, .. } => vec![format!("inside: git switch {branch}")],
            E::Rewritten { .. } => {
                vec!["add commits on top of what was there; only an amend may be allowed".into()]
            }
            E::TooMuch { .. } => vec!["inside: git prune-packed, and no `git repack -a`".into()],
            E::Name(error) => vec![error.hint()],
            _ => Vec::new(),
        }
    }
}

fn status_text(code: Option<i32>) -> String {
    code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit {code}"))
}
