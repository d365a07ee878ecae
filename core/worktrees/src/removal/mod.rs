//! Removing worktrees into a trash, and bringing them back.
//!
//! Tree and admin folder are renamed, so whatever lies in them (ignored and untracked files, the index, repositories
//! of submodules) comes back as it was. What only the object store would lose, commits of a deleted branch and
//! staged content, is kept in a bundle file beside them; no reference is made that a push could publish.

mod checks;
mod record;
mod remove;
pub(crate) mod trash;
mod undo;
mod workers;

pub(crate) use record::Removal;
pub(crate) use remove::{delete_branch, move_to_trash};
pub use workers::Workers;

/// Points at which a crash can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    SpareIntent,
    SpareAdded,
    SpareFilled,
    SpareAdvancing,
    SpareAdvanced,
    SpareGone,
    LeaseIntent,
    LeaseMoved,
    LeaseLinked,
    LeaseAdvanced,
    LeaseSwitched,
    CreateIntent,
    /// Git knows the worktree; its files are missing.
    CreateRegistered,
    CreateAdded,
    RemoveIntent,
    RemoveBundled,
    RemoveTreeMoved,
    RemoveAdminMoved,
    RemoveBranchDeleted,
    UndoIntent,
    UndoBranchMade,
    UndoAdminMoved,
    UndoTreeMoved,
    MergeIntent,
    MergeTrunkMoved,
    MergeRecorded,
    UnmergeIntent,
    UnmergeTrunkMoved,
    LayoutIntent,
    /// After each rename of a change of the layout.
    LayoutMoving,
    LayoutMoved,
    LayoutMended,
}
