//! Worktrees as clients see them (seed 000, diagram 1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ClaimInfo, RepoRef, RepoSelector};

/// One git worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Worktree {
    pub id: String,
    pub repo: RepoRef,
    /// Unique within its repository: `feat-user-auth`, `trunk-main`.
    pub name: String,
    /// Absolute path; where it is not UTF-8, the readable form of `pathBytes`.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<Vec<u8>>,
    /// `null` when HEAD is detached.
    pub branch: Option<String>,
    /// `feat`, `fix`, `aiops`, `devops`, `review`, `trunk`, or `other` for one made outside Podium.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether this is the main worktree, which is never removed.
    pub trunk: bool,
    /// Pull request it was made from.
    pub pr: Option<u64>,
    pub claim: Option<ClaimInfo>,
    /// `null` while the tree is missing or cannot be read.
    pub status: Option<TreeStatus>,
    pub last_commit: Option<CommitInfo>,
    /// Names of worktrees that change the same lines.
    pub conflicts_with: Vec<String>,
    pub state: WorktreeState,
}

/// Counts of paths, and commits against trunk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TreeStatus {
    pub staged: u32,
    pub modified: u32,
    pub untracked: u32,
    pub conflicted: u32,
    /// Commits that trunk does not have.
    pub ahead: u32,
    /// Commits of trunk that are missing here.
    pub behind: u32,
    /// `merge`, `rebase`, `cherry_pick`, `revert` or `bisect` while one is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<String>,
}

impl TreeStatus {
    /// Whether the tree holds anything that no commit has.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.staged + self.modified + self.untracked + self.conflicted > 0 || self.in_progress.is_some()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommitInfo {
    pub id: String,
    /// First line of the message, at most 200 characters.
    pub summary: String,
    pub time: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorktreeState {
    Ready,
    /// Files are still arriving.
    Filling,
    /// Git knows it, but its folder is gone.
    Missing,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeCreateParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// `feat`, `fix`, `aiops` or `devops`.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// Free name; becomes `<type>-<name>` as folder and branch.
    #[serde(default)]
    pub name: Option<String>,
    /// Claim it for this agent in the same step.
    #[serde(default)]
    pub agent_id: Option<String>,
    /// Revision to start from. Absent: trunk, freshly fetched where a remote answers in time.
    #[serde(default)]
    pub from: Option<String>,
    /// Bind the claim to this process.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Check out submodules and large files too.
    #[serde(default)]
    pub with_submodules: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeCreated {
    pub worktree: Worktree,
    pub elapsed_ms: f64,
    pub from_spare: bool,
    /// False when it existed and was entered.
    pub created: bool,
    /// What a person should know: trunk could not be fetched, the name was changed, ...
    #[serde(default)]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeListParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Worktrees of every repository Podium knows.
    #[serde(default)]
    pub all: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeList {
    pub worktrees: Vec<Worktree>,
}

/// One worktree, by a fresh look at the disk; the short one from what is known without looking, where that is proven
/// to be true still.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeStatusParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Absent: the worktree that `repo` or `uri` lies in.
    #[serde(default)]
    pub name: Option<String>,
    /// Without the changed paths, for prompts.
    #[serde(default)]
    pub short: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeStatus {
    pub worktree: Worktree,
    /// Changed paths, relative, at most 500.
    pub changed: Vec<ChangedPath>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangedPath {
    pub path: String,
    /// The two letters of `git status --short`.
    pub code: String,
}

/// Finds the worktree to go to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeSwitchParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Name, branch, unique prefix or part of either; `-` is not kept here.
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeSwitched {
    pub worktree: Worktree,
    /// Where the file of the request lies in that worktree, when `uri` named one and it exists there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeRemoveParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub agent_id: Option<String>,
    #[serde(default)]
    pub token: Option<u64>,
    /// Remove although it is dirty, claimed, worked in or has commits found nowhere else. A person's connection only.
    #[serde(default)]
    pub force: bool,
    #[serde(default)]
    pub keep_branch: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeRemoved {
    pub name: String,
    /// What `imi undo` takes.
    pub undo: String,
    pub branch_deleted: bool,
    /// Until when it can be undone.
    pub undo_until: String,
    /// Sessions that worked there and were interrupted for it; they can go on after an undo.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interrupted: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeUndoParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Of a removal or a merge. Absent: the newest of the repository.
    #[serde(default)]
    pub id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeUndone {
    pub undo: String,
    pub worktree: Worktree,
    /// What did not come back, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Which worktree a file lies in, and whether the caller may write there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeLocateParams {
    #[serde(flatten)]
    pub at: RepoSelector,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeLocated {
    /// `null` when the file is in no repository Podium knows or can register.
    pub worktree: Option<Worktree>,
}
