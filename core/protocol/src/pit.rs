//! The Pit: runs of melodies, their nodes, and the models that they use. A run here is of a melody; a task of
//! `jelmore run` is a [`crate::RunInfo`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MelodyRunStatus {
    /// Stored; waits for its turn.
    Queued,
    Executing,
    /// Nothing new begins; what began runs to its end.
    Paused,
    Completed,
    Failed,
    Cancelled,
}

impl MelodyRunStatus {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Executing => "executing",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens unless somebody asks.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MelodyNodeState {
    /// Waits for nodes before it.
    Pending,
    /// Waits for room.
    Ready,
    Allocated,
    Executing,
    /// Its outputs are being stored.
    Storing,
    Completed,
    Failed,
    /// Failed, and tries again.
    Retrying,
    /// Not taken, or given up by its own rule.
    Skipped,
    Cancelled,
}

impl MelodyNodeState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Allocated => "allocated",
            Self::Executing => "executing",
            Self::Storing => "storing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Retrying => "retrying",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How many nodes a run has, and how many of them are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeCounts {
    pub total: u64,
    pub completed: u64,
    pub failed: u64,
    pub skipped: u64,
}

/// A run of a melody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MelodyRun {
    pub id: String,
    /// Id of the melody.
    pub melody: String,
    pub name: String,
    pub version: String,
    pub status: MelodyRunStatus,
    /// `person:<user>@<host>`, or the agent that started it.
    pub started_by: String,
    /// Folder that its nodes work in.
    pub folder: String,
    pub nodes: NodeCounts,
    pub inputs: Map<String, Value>,
    /// Outputs of the melody by their names; empty until it has completed.
    pub outputs: Map<String, Value>,
    /// What made it fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Time that its nodes took, from the first to the last, in milliseconds, without what lay between two daemons.
    pub elapsed_ms: f64,
}

/// A node of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MelodyNode {
    pub id: String,
    pub state: MelodyNodeState,
    /// Rises by 1 with each attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// Rises within the run with each change that is told.
    pub seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Session that does its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitRunsParams {
    /// Of this melody only, by its id.
    #[serde(default)]
    pub melody: Option<String>,
    /// Only those that are not over.
    #[serde(default)]
    pub open: bool,
    /// 1 to 1,000; default 50. Newest first.
    #[serde(default)]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitRuns {
    pub runs: Vec<MelodyRun>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitShowParams {
    /// Id of the run, or its unique beginning (8 characters at least).
    pub run: String,
    /// Nodes that were told before this many are left out.
    #[serde(default)]
    pub from_seq: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitShown {
    #[serde(flatten)]
    pub run: MelodyRun,
    /// In the order in which they changed last; at most 20,000. Those that wait are left out.
    pub node_list: Vec<MelodyNode>,
    /// Whether there are more; go on behind the last `seq`.
    pub more: bool,
}

/// Streams the states of a run's nodes as `pit/update`, the newest of each, and the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitAttachParams {
    pub run: String,
    #[serde(default)]
    pub from_seq: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitAttached {
    pub subscription: u64,
    pub run: MelodyRun,
}

/// Notification `pit/update`. What it tells is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitUpdate {
    pub subscription: u64,
    /// Rising `seq`.
    pub nodes: Vec<MelodyNode>,
    /// The run as it is now, where it changed: its end too, which is the last update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<MelodyRun>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PitAction {
    /// Nothing new begins.
    Pause,
    /// Goes on after a pause.
    Resume,
    /// Ends what runs; nothing new begins.
    Cancel,
    /// Runs what failed or was cancelled again: one node, or all of them.
    Retry,
    /// Runs a node again, and all that follow it.
    Rerun,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitControlParams {
    pub run: String,
    pub action: PitAction,
    /// For `retry` and `rerun`.
    #[serde(default)]
    pub node: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitLogsParams {
    pub run: String,
    #[serde(default)]
    pub node: Option<String>,
    /// Lines above this number only.
    #[serde(default)]
    pub from_seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitLogs {
    /// At most 1,000.
    pub entries: Vec<PitLogEntry>,
    pub more: bool,
}

/// What a node said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitLogEntry {
    pub seq: u64,
    pub node: String,
    pub attempt: u32,
    /// `stdout`, `stderr`, or `note` for what the Pit itself says.
    pub stream: String,
    /// At most 64 KiB; known secrets are redacted.
    pub text: String,
    pub time: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitMetricsParams {
    /// The melody of this run, or with none all of them.
    #[serde(default)]
    pub run: Option<String>,
    /// Also as text for Prometheus.
    #[serde(default)]
    pub prometheus: bool,
}

/// Durations in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Durations {
    pub count: u64,
    pub avg: f64,
    pub p50: f64,
    pub p99: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeMetrics {
    pub melody: String,
    pub node: String,
    #[serde(flatten)]
    pub durations: Durations,
}

/// Over the newest 200 runs of each melody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PitMetrics {
    /// How long runs took, by melody.
    pub runs: Vec<NodeMetrics>,
    /// How long completed nodes took; at most 10,000.
    pub nodes: Vec<NodeMetrics>,
    /// Runs by status.
    pub statuses: std::collections::BTreeMap<String, u64>,
    /// In the text format of Prometheus, version 0.0.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolListParams {}

/// A model, a provider's connection or an agent's process that the Pit may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolEntry {
    pub name: String,
    /// `model`, `provider` or `agent`.
    pub kind: String,
    /// `unloaded`, `loading`, `warming`, `ready`, `active`, `cooling` or `failed`.
    pub state: String,
    /// Why it is so.
    pub reason: String,
    /// Sessions that use it now.
    pub active: u32,
    /// Memory that it takes or would take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolList {
    pub entries: Vec<PoolEntry>,
}
