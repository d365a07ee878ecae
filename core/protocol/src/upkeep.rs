//! Merging and closing worktrees, and keeping a repository in order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RepoSelector, Worktree};

/// Merges a worktree's branch into trunk. Conflicts are found before anything is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeMergeParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub agent_id: Option<String>,
    #[serde(default)]
    pub token: Option<u64>,
    /// One commit with everything instead of the branch's own commits.
    #[serde(default)]
    pub squash: bool,
    /// A merge commit although trunk could simply move forward.
    #[serde(default)]
    pub no_ff: bool,
    /// Leave worktree and branch.
    #[serde(default)]
    pub keep: bool,
    /// Message of the commit that is made.
    #[serde(default)]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeMerged {
    pub name: String,
    pub branch: String,
    /// Branch of trunk.
    pub trunk: String,
    pub mode: MergeMode,
    /// Commits of the branch that trunk did not have.
    pub commits: u32,
    /// Trunk's commits before and after.
    pub old: String,
    pub new: String,
    /// Whether worktree and branch went.
    pub removed: bool,
    /// What `imi undo` takes, as long as trunk stays where it is.
    pub undo: String,
    #[serde(default)]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeMode {
    FastForward,
    Merge,
    Squash,
}

/// Removes a worktree and its branch once its work is in trunk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeCloseParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub agent_id: Option<String>,
    #[serde(default)]
    pub token: Option<u64>,
    /// Although it has work that trunk has not. A person's connection only.
    #[serde(default)]
    pub force: bool,
}

/// What can be taken back, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UndoListParams {
    #[serde(flatten)]
    pub at: RepoSelector,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UndoList {
    pub undos: Vec<Undoable>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Undoable {
    pub id: String,
    pub what: UndoKind,
    /// Name of the worktree.
    pub name: String,
    pub branch: Option<String>,
    pub by: String,
    pub at: String,
    /// Until when; afterwards it may be gone at any time.
    pub until: String,
    /// Disk that it keeps in use.
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UndoKind {
    Removal,
    Merge,
    /// A plain clone that was made a project folder.
    Layout,
}

/// Removes worktrees that nobody needs any more: merged or never used, clean, unclaimed; or gone from the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreePruneParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Really do it. Otherwise it is only told what would go.
    #[serde(default)]
    pub apply: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreesPruned {
    pub applied: bool,
    pub pruned: Vec<Pruned>,
    pub kept: Vec<Kept>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    pub name: String,
    pub path: String,
    pub reason: PruneReason,
    /// What `imi undo` takes; `null` where nothing was done.
    pub undo: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PruneReason {
    /// All its work is in trunk.
    Merged,
    /// Nothing was ever committed there, for a day at least.
    Unused,
    /// Its folder is gone.
    Missing,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub name: String,
    /// Why it stays.
    pub why: String,
}

/// Mends the links between a repository and its worktrees, git's locks, and what a crash left half done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoRepairParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// New places of worktrees that were moved by hand to where they are not found by themselves.
    #[serde(default)]
    pub moved: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoRepaired {
    /// What was mended, one sentence each.
    pub mended: Vec<String>,
    /// What is still off.
    pub left: Vec<Finding>,
}

/// Makes what Podium knows equal what git has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoReconcileParams {
    #[serde(flatten)]
    pub at: RepoSelector,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoReconciled {
    /// Names of worktrees that somebody else made, moved or took away.
    pub appeared: Vec<String>,
    pub moved: Vec<String>,
    pub gone: Vec<String>,
    pub worktrees: Vec<Worktree>,
}

/// What is off in one repository, and what to do. Changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoDoctorParams {
    #[serde(flatten)]
    pub at: RepoSelector,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoDiagnosis {
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub what: FindingKind,
    /// Worktree it is about, where it is about one.
    pub name: Option<String>,
    pub path: String,
    pub message: String,
    pub hint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    MissingFolder,
    MovedFolder,
    OrphanedAdmin,
    WrongLock,
    StaleLockFile,
    DeadOwner,
    LeftIntent,
    DiskUse,
    LostGuard,
    VisibleLink,
}

/// Disk that a repository's worktrees use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeDuParams {
    #[serde(flatten)]
    pub at: RepoSelector,
}

/// All in bytes on the disk; a file with several hard links counts once, where it is met first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiskUse {
    pub worktrees: Vec<TreeUse>,
    /// Removed worktrees that can be brought back.
    pub trash: u64,
    /// Worktrees that are kept ready and are nobody's yet.
    pub spares: u64,
    /// Git's folder of the repository, trash not included.
    pub objects: u64,
    pub total: u64,
    /// Free on the disk of the repository.
    pub free: u64,
    #[serde(default)]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TreeUse {
    pub name: String,
    pub path: String,
    pub bytes: u64,
    /// Of these, what git ignores: build folders, dependencies.
    pub ignored: u64,
}

/// Types of worktrees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypeListParams {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypeList {
    pub types: Vec<WorktreeType>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeType {
    pub name: String,
    /// What such a worktree is for.
    pub about: String,
    /// Comes with the program and stays.
    pub builtin: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypeChangeParams {
    pub name: String,
    #[serde(default)]
    pub about: Option<String>,
}
