//! Work that does not fit together, found before anybody merges.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RepoSelector;

/// Asks which worktrees conflict, as of now: waits for a look that is under way, for a bounded time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeConflictsParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Only pairs with this worktree.
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeConflicts {
    pub pairs: Vec<ConflictPair>,
    /// False when the look took too long; the pairs are those of the look before.
    pub up_to_date: bool,
}

/// Two worktrees, or a worktree and trunk, whose work does not merge. Work is commits and everything uncommitted
/// that git does not ignore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConflictPair {
    pub a: String,
    /// The other worktree; where `trunk` is true, the trunk branch.
    pub b: String,
    #[serde(default)]
    pub trunk: bool,
    /// Who holds `a`, where somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_a: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_b: Option<String>,
    pub path_a: String,
    /// Folder of the other worktree; absent for trunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_b: Option<String>,
    /// By path, at most 200.
    pub files: Vec<ConflictFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConflictFile {
    /// Relative to the worktree `a`.
    pub path: String,
    /// Relative to `b`, where it is another one: renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_b: Option<String>,
    pub kind: ConflictKind,
    /// Lines in `a`'s file, first and last; the first line of a file is 1. Where `a` only took lines away, the line
    /// that now stands there. Empty where no lines can be named. At most 100.
    pub ranges: Vec<[u32; 2]>,
    /// The same in `b`'s file.
    pub ranges_b: Vec<[u32; 2]>,
}

/// Why two changes do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// The same or neighbouring lines.
    Content,
    /// Both made a file of this name.
    AddAdd,
    /// One changed what the other deleted.
    ModifyDelete,
    /// Renamed to different names, or renamed here and deleted there.
    Rename,
    /// A file here, a folder there.
    Directory,
    Binary,
    /// Different modes, or a file here and a symbolic link there.
    Mode,
    Submodule,
}
