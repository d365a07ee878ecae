//! Places of a session to go back to, and what goes there: rewind, fork, export.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SessionStatus, Usage};

/// When a checkpoint was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointKind {
    /// Before a prompt: the place to go back to in order to ask differently.
    TurnStart,
    /// In the middle of an answer.
    Turn,
    /// Behind an answer.
    TurnEnd,
    /// Before a rewind; going there takes it back.
    Rewind,
}

impl CheckpointKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TurnStart => "turn_start",
            Self::Turn => "turn",
            Self::TurnEnd => "turn_end",
            Self::Rewind => "rewind",
        }
    }
}

/// The files of a worktree as they were, untracked ones included, ignored ones not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotInfo {
    /// The commit that holds them. It lies in a repository of Podium's own, so that nothing publishes it.
    pub commit: String,
    /// What was checked out: commit, and branch if it was on one.
    pub head: Option<String>,
    pub branch: Option<String>,
    /// Files too large to be kept, and repositories inside of the worktree: they stay as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// A place of a session to go back to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    pub id: String,
    pub kind: CheckpointKind,
    /// Item it stands behind; 0 before the first prompt.
    pub seq: u64,
    /// Number of the turn it was made in, from 1.
    pub turn: u64,
    /// First line of the prompt of that turn.
    pub title: String,
    /// Used by the session until then.
    pub usage: Usage,
    /// Absent where the session works in no worktree, or an old snapshot was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotInfo>,
    pub created_at: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionCheckpointsParams {
    /// Absent: the newest session.
    #[serde(default)]
    pub id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionCheckpoints {
    pub id: String,
    /// Oldest first.
    pub checkpoints: Vec<Checkpoint>,
}

/// Goes back to a checkpoint: the files of the worktree become what they were, and the conversation goes on from
/// there. What is there now is kept in a checkpoint first. Items are never deleted: those that do not count any more
/// stay in the transcript, and an item of kind `checkpoint` says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionRewindParams {
    pub id: String,
    /// Checkpoint, by its id or the unique beginning of it.
    pub to: String,
    /// The worktree's branch goes back to the commit it was at, too. Without, commits stay, and the files differ.
    #[serde(default)]
    pub commits: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionRewound {
    pub id: String,
    pub to: String,
    /// Item that the conversation goes on behind.
    pub seq: u64,
    /// The checkpoint that takes this rewind back.
    pub undo: String,
    pub status: SessionStatus,
    /// Paths that were brought back, relative to the worktree.
    pub files_changed: Vec<String>,
    /// Paths that were left as they are: somebody changed them meanwhile, or something ignored lies there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// What the rewind could not do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Makes a session of its own out of another one's beginning. The other one stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionForkParams {
    pub id: String,
    /// Checkpoint to begin from, by its id or the unique beginning of it. Absent: the session as it is now.
    #[serde(default)]
    pub at: Option<String>,
    /// Name of a worktree to make for it, with the files of the checkpoint. Absent: the same worktree, files untouched.
    #[serde(default)]
    pub worktree: Option<String>,
    /// Id to give the new session.
    #[serde(default)]
    pub session_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionForked {
    /// The new session.
    pub id: String,
    pub from: String,
    /// Checkpoint it begins from, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Its newest item; items have the numbers they had.
    pub last_seq: u64,
    pub status: SessionStatus,
    pub worktree: Option<String>,
    pub worktree_path: Option<String>,
    /// What could not be taken along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    #[default]
    Markdown,
    Json,
    Html,
}

/// The whole transcript as a document, redacted as it is stored. A long one comes in several answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionExportParams {
    /// Absent: the newest session.
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub format: ExportFormat,
    /// `next` of the answer before; absent for the beginning.
    #[serde(default)]
    pub from_seq: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionExported {
    pub id: String,
    pub format: ExportFormat,
    pub media_type: String,
    /// A piece of the document; joined in order, the pieces are the document.
    pub content: String,
    /// To ask for the next piece with; absent when this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
