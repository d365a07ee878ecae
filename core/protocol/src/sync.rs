//! Configuration that all worktrees of a repository share (seed 000, diagram 5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RepoRef, RepoSelector};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncRunParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Only this worktree. Absent: all of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<String>,
    /// Only look.
    #[serde(default)]
    pub check: bool,
    /// Makes the file at this path, relative to the top of its worktree, the shared one. Needs a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<String>,
    /// Also where a worktree has a file of its own that never was a link; it is kept as a backup. Needs a person.
    #[serde(default)]
    pub force: bool,
}

/// What was found and done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncReport {
    pub repo: RepoRef,
    /// Folder of the shared files, whether or not it exists.
    pub folder: String,
    /// Whether nothing was changed because that was asked for.
    pub check: bool,
    /// Files in the folder that can be shared.
    pub sources: u32,
    pub worktrees: Vec<SyncWorktree>,
    pub linked: u32,
    pub repaired: u32,
    pub removed: u32,
    pub adopted: u32,
    /// Files that are not as they should be, now.
    pub off: u32,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncWorktree {
    pub name: String,
    pub path: String,
    pub off: u32,
    pub files: Vec<SyncFile>,
}

/// One path in one worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncFile {
    /// Relative to the top of the worktree.
    pub path: String,
    pub state: SyncState,
    /// `global`, `repo` or `worktree`; `null` when nothing is shared at this path any more.
    pub layer: Option<String>,
    /// Text of the link, relative to its folder.
    pub target: Option<String>,
    /// Why, where the state alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where what lay at the path is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// The right link.
    Ok,
    /// Linked just now.
    Linked,
    /// A wrong or replaced link was set right just now.
    Repaired,
    /// The link of a file that is not shared any more was taken away just now.
    Removed,
    /// Its content became the shared one just now.
    Adopted,
    /// No link yet.
    Missing,
    /// A link to something else.
    WrongTarget,
    /// The shared file is a link to nothing.
    Dangling,
    /// A file took the place of the link, as editors do that save by renaming.
    Replaced,
    /// A file of the worktree's own that never was a link.
    Own,
    /// A folder, or something that is no file, is in the way.
    Conflict,
    /// Git tracks a file at this path.
    Tracked,
    /// The shared file is a link that leads back to itself.
    Loop,
    /// The shared file is a link that leads out of the project.
    Outside,
    /// The disk refused.
    Failed,
}

impl SyncState {
    /// As it is written on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Linked => "linked",
            Self::Repaired => "repaired",
            Self::Removed => "removed",
            Self::Adopted => "adopted",
            Self::Missing => "missing",
            Self::WrongTarget => "wrong_target",
            Self::Dangling => "dangling",
            Self::Replaced => "replaced",
            Self::Own => "own",
            Self::Conflict => "conflict",
            Self::Tracked => "tracked",
            Self::Loop => "loop",
            Self::Outside => "outside",
            Self::Failed => "failed",
        }
    }

    /// Whether the worktree now sees the shared file, or rightly none.
    #[must_use]
    pub fn is_well(self) -> bool {
        matches!(self, Self::Ok | Self::Linked | Self::Repaired | Self::Removed | Self::Adopted)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncBackupsParams {
    #[serde(flatten)]
    pub at: RepoSelector,
}

/// What links replaced and what was adopted over, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncBackups {
    pub backups: Vec<SyncBackup>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncBackup {
    pub worktree: String,
    /// Relative to the top of the worktree.
    pub path: String,
    /// The file that has the content.
    pub kept: String,
    pub time: String,
}
