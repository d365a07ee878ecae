//! What a session changed in its worktree, file by file and hunk by hunk, and taking that back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    Added,
    Deleted,
    /// Content or mode.
    Modified,
    Renamed,
    /// A file became a link, or the other way round.
    TypeChanged,
}

/// How a hunk stands in the worktree now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HunkState {
    /// The change is there; it can be taken back.
    #[default]
    There,
    /// It was taken back.
    Gone,
    /// Somebody has changed these lines since.
    Changed,
}

/// A run of changed lines with what is around them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffHunk {
    /// Counted from 1; 0 where the side has no lines.
    pub old_start: u32,
    pub old_lines: u32,
    pub new_start: u32,
    pub new_lines: u32,
    /// Each begins with ` `, `-`, `+`, or `\` for a missing newline at the end. Known secrets are redacted.
    pub lines: Vec<String>,
    #[serde(default)]
    pub state: HunkState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileDiff {
    /// Relative to the worktree; where it is not UTF-8, the readable form of `pathBytes`.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<Vec<u8>>,
    /// Where it was before a rename.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_path: Option<String>,
    pub status: FileStatus,
    /// As git writes them: `100644`, `100755`, `120000` for a link. Absent where there is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_mode: Option<String>,
    pub binary: bool,
    /// Why no lines are shown: `binary`, `too_large`, `secret`, `repository`. Absent when they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<String>,
    pub hunks: Vec<DiffHunk>,
}

/// What a session changed. Without a choice: everything since its first turn began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionDiffParams {
    /// Absent: the newest session.
    #[serde(default)]
    pub id: Option<String>,
    /// Of this turn only, from 1.
    #[serde(default)]
    pub turn: Option<u64>,
    /// Since this checkpoint, by its id or the unique beginning of it.
    #[serde(default)]
    pub from: Option<String>,
    /// Until this checkpoint. Absent: the newest one of the session, or the end of the turn.
    #[serde(default)]
    pub to: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionDiff {
    pub id: String,
    /// The checkpoints that are compared; absent where nothing was recorded yet.
    pub from: Option<String>,
    pub to: Option<String>,
    /// In path order.
    pub files: Vec<FileDiff>,
    /// There are more changes than one answer holds: files at the end have no lines.
    #[serde(default)]
    pub truncated: bool,
    /// Artifact with the whole diff as text, where one turn was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
}

/// Takes back what a session changed in one file: all of it, or single hunks of the diff with the same choice. Refused
/// where the file was changed since in that place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionRevertParams {
    pub id: String,
    pub path: String,
    /// The same as bytes, where the path is not UTF-8. Wins over `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<Vec<u8>>,
    /// Places in `hunks` of the file's diff, from 0. Absent: the whole file, its mode and name included.
    #[serde(default)]
    pub hunks: Option<Vec<u32>>,
    /// As in `session/diff`.
    #[serde(default)]
    pub turn: Option<u64>,
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub to: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionReverted {
    pub id: String,
    /// Paths that changed now; empty when everything was taken back before.
    pub files_changed: Vec<String>,
    /// The file's diff as it stands now.
    pub file: FileDiff,
}
