//! The one wrapper around git.
//!
//! [`Git`] is an executable git with the variables its processes get; [`Repo`] a repository, found or opened by its
//! stored place. Reads go through libgit2 where it can open the repository and through the command line elsewhere,
//! behind one trait. Changes go through the command line, one at a time for each repository: [`Repo::write`] waits
//! for its turn and gives the [`RepoWriter`] that has them all.
//!
//! Everything here blocks; asynchronous callers move it to a blocking thread.

mod admin;
mod backend;
mod bundle;
mod bytes;
mod clone;
mod command;
mod discover;
mod environment;
mod error;
mod exclude;
mod fetch;
mod lock;
mod model;
mod name;
mod oid;
pub mod parse;
#[cfg(unix)]
mod private;
mod process;
mod queue;
mod redact;
mod reflog;
mod remote;
mod repo;
mod snapshot;
#[cfg(unix)]
mod snapshots;
mod trial;
mod trunk;
mod version;
mod write;

pub use admin::read_lock;
pub use backend::Backend;
pub use bundle::BundledRef;
pub use clone::{CloneOrder, CloneProgress};
pub use command::{Git, GitCommand, Outcome};
pub use environment::GitEnv;
pub use error::{ErrorKind, GitError, Result};
pub use exclude::exact_pattern;
pub use fetch::Fetch;
pub use lock::{LockOutcome, OUR_LOCK_PREFIX};
pub use model::{
    AheadBehind, Change, ChangedFile, CommitInfo, Head, InProgress, Status, StatusEntry, Touched, Unpushed,
    Untracked, Worktree, WorktreeLocation,
};
pub use name::{MAX_NAME_BYTES, NameError, NameNote, ValidName, validate_name, validate_name_bytes};
pub use oid::{InvalidOid, ObjectFormat, Oid};
#[cfg(unix)]
pub use private::{Fetched, ImportLimits, Imported, PrivateCommon, PrivateOptions, Share};
pub use queue::RepoLock;
pub use redact::redact_urls;
pub use reflog::{HeadLog, HeadMove};
pub use repo::{RefFormat, Repo};
pub use snapshot::{Snapshot, SnapshotScope, copy_index_file};
#[cfg(unix)]
pub use snapshots::{
    FileContents, Hunk, HunkLine, Restored, Reverted, SnapshotLimits, SnapshotStore, Standing, TreeChange,
    TreeEntry, TreeSnapshot, hunks,
};
pub use trial::{Conflict, ConflictKind, Lines, Trial, Work};
pub use trunk::{Trunk, TrunkSource};
pub use version::GitVersion;
pub use write::{
    AddWorktree, CommitPaths, Edit, Edited, MergedTree, Peek, RepoWriter, TreeSize, WorktreeStart, links_to,
};
