//! AI sessions, their transcript and how it streams (seed 000, diagram 3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Confinement, ContextUse, ListScope, RepoRef, RepoSelector, SessionHealth};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    InProgress,
    /// The daemon stopped or died in the middle of an answer; it can be resumed.
    Interrupted,
    Completed,
    Failed,
    Cancelled,
    /// Waits for something a person must give; `reason` says what.
    Parked,
}

impl SessionStatus {
    /// Whether nothing more will come unless somebody asks.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::InProgress)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Interrupted => "interrupted",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Parked => "parked",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// What the user asked.
    Prompt,
    /// A piece of the answer. Joined in order, the pieces are the answer.
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Permission,
    Checkpoint,
    Error,
    Usage,
}

impl ItemKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Text => "text",
            Self::Thinking => "thinking",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
            Self::Permission => "permission",
            Self::Checkpoint => "checkpoint",
            Self::Error => "error",
            Self::Usage => "usage",
        }
    }
}

/// One entry of a transcript. It is stored before anybody is shown it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionItem {
    /// Rises by 1 within a session, from 1.
    pub seq: u64,
    pub kind: ItemKind,
    #[serde(default)]
    pub text: String,
    /// On the last `text` item of an answer.
    #[serde(rename = "final", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_final: bool,
    /// What the kind needs beside text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    pub time: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// US dollars; null where the price of any of it is not known.
    pub cost_usd: Option<f64>,
}

/// Nothing, which costs nothing.
impl Default for Usage {
    fn default() -> Self {
        Self { input_tokens: 0, output_tokens: 0, cost_usd: Some(0.0) }
    }
}

impl Usage {
    /// Both together. What is not known of one is not known of the sum.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            input_tokens: self.input_tokens + other.input_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            cost_usd: self.cost_usd.zip(other.cost_usd).map(|(one, other)| one + other),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointRef {
    pub id: String,
    /// Item the checkpoint stands behind.
    pub seq: u64,
}

/// A session without its transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    pub id: String,
    pub provider: String,
    pub model: Option<String>,
    pub status: SessionStatus,
    /// Why it failed, was parked or interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// First line of the prompt, at most 80 characters.
    pub title: String,
    pub agent_id: Option<String>,
    /// Name of the worktree it works in.
    pub worktree: Option<String>,
    pub worktree_path: Option<String>,
    /// Where it was started, if that is in a repository; in lists only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoRef>,
    pub created_at: String,
    pub updated_at: String,
    pub checkpoint: Option<CheckpointRef>,
    /// Sequence number of the newest item.
    pub last_seq: u64,
    pub usage: Usage,
    /// Absent before the provider has counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextUse>,
    /// Of the turn that runs; absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<SessionHealth>,
    /// Absent before its first turn, and where it can run no programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confinement: Option<Confinement>,
    /// Artifact that holds the newest complete answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
}

/// What the editor knows about the place a session is asked from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionContext {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// LSP range: zero-based lines and characters, in the negotiated position encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Value>,
    /// LSP diagnostics the editor shows there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<Value>,
    /// LSP document symbols that the place lies in, outermost first: each with `name`, and `range` where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbols: Option<Value>,
    /// Text of the selection, at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Language id of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionStartParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Absent: the first usable one. `claude` is an alias of `anthropic`.
    #[serde(default)]
    pub provider: Option<String>,
    #[serde(default)]
    pub prompt: Option<String>,
    /// Id to give the session; starting it again with the same id is a conflict unless `continue` is set.
    #[serde(default)]
    pub session_id: Option<String>,
    /// The client made up the id so that it may send the request twice: an existing session of that id is the answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry: bool,
    /// Go on with the newest session that is not over (or with `sessionId`), in this worktree or repository.
    #[serde(rename = "continue", default)]
    pub go_on: bool,
    /// Worktree to work in; it is claimed for the session unless the agent holds it already.
    #[serde(default)]
    pub worktree: Option<String>,
    #[serde(default)]
    pub agent_id: Option<String>,
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub context: Option<SessionContext>,
    /// Seed of the sampler of a local model; same seed, same text.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Upper bound of the answer, in tokens.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// 0 to 2; 0 takes the likeliest token always.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Most that the whole session may cost, in US dollars; what is not priced counts as `budget.unknown_price` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    /// Most tokens of the whole session, asked and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_total_tokens: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionStarted {
    pub id: String,
    pub provider: String,
    pub model: Option<String>,
    pub worktree: Option<String>,
    pub status: SessionStatus,
    /// Newest item at the time of the answer; attach from here to see only what is new.
    pub last_seq: u64,
    /// It ran already, for somebody else: nothing was started.
    #[serde(default)]
    pub joined: bool,
}

/// Goes on with an interrupted, parked, failed or finished session. One that was cancelled goes on with a `prompt`, or
/// with `again`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionResumeParams {
    /// Absent: the newest session that is not over.
    #[serde(default)]
    pub id: Option<String>,
    /// Next turn of the conversation. Absent: finish what was interrupted.
    #[serde(default)]
    pub prompt: Option<String>,
    /// Finish an answer that was cancelled.
    #[serde(default)]
    pub again: bool,
    /// Seed of the sampler of a local model, for this turn and those after it; with `prompt` only.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Upper bound of the answer, in tokens; with `prompt` only.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// 0 to 2; with `prompt` only.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Most that the whole session may cost, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    /// Most tokens of the whole session, asked and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_total_tokens: Option<u64>,
    #[serde(flatten)]
    pub at: RepoSelector,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionCancelParams {
    pub id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionCancelled {
    pub id: String,
    pub status: SessionStatus,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionListParams {
    #[serde(flatten)]
    pub scope: ListScope,
    #[serde(default)]
    pub status: Option<SessionStatus>,
    #[serde(default)]
    pub worktree: Option<String>,
    /// Words that title or transcript must hold.
    #[serde(default)]
    pub query: Option<String>,
    /// 1 to 1,000; default 50. Newest first.
    #[serde(default)]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionList {
    pub sessions: Vec<SessionInfo>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionShowParams {
    /// Absent: the newest session.
    #[serde(default)]
    pub id: Option<String>,
    /// Only items above this sequence number.
    #[serde(default)]
    pub from_seq: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionShown {
    #[serde(flatten)]
    pub session: SessionInfo,
    /// At most 20,000 items or 8 MiB; `more` tells that there are further ones.
    pub items: Vec<SessionItem>,
    #[serde(default)]
    pub more: bool,
}

/// Streams a session's items above `fromSeq`: first the stored ones, then live, each once and in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionAttachParams {
    pub id: String,
    #[serde(default)]
    pub from_seq: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionAttached {
    /// Names the stream in `session/update` notifications and in `unsubscribe`.
    pub subscription: u64,
    pub session: SessionInfo,
}

/// Notification `session/update`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionUpdate {
    pub subscription: u64,
    pub id: String,
    #[serde(default)]
    pub items: Vec<SessionItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<SessionProgress>,
    /// Set when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<SessionHealth>,
    /// Set when the provider has counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextUse>,
    /// Set on the last update of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<SessionEnd>,
}

/// Something slow that is not yet text: loading weights, reading the prompt, restoring after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionProgress {
    /// `loading_model`, `reading_prompt`, `restoring`, `waiting`.
    pub phase: String,
    pub done: u64,
    /// 0 where the size is not known.
    pub total: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionEnd {
    pub status: SessionStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub usage: Usage,
    /// Paths the session changed, relative to its worktree.
    pub files_changed: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
}

/// What was used, on the newest days on which something was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionUsageParams {
    /// 1 to 1,000 days; default 30.
    #[serde(default)]
    pub days: Option<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionUsage {
    /// Newest day first.
    pub rows: Vec<UsageRow>,
}

/// What the sessions of one provider used in one worktree on one day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageRow {
    /// YYYY-MM-DD, UTC.
    pub day: String,
    pub provider: String,
    /// Name of the worktree; absent for sessions without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<String>,
    pub sessions: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// US dollars; null where a price is not known.
    pub cost_usd: Option<f64>,
}

/// Opens the socket on which the session's agent speaks for itself, with the agent's rights only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionCapabilityParams {
    pub id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionCapability {
    pub socket: String,
    /// Variables to give the agent's process.
    pub env: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderListParams {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderList {
    pub providers: Vec<ProviderInfo>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderInfo {
    pub name: String,
    pub usable: bool,
    /// Why it is usable or not, and how to make it so.
    pub why: String,
    pub models: Vec<String>,
}
