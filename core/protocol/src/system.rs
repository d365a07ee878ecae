//! The daemon itself: is it there, how is it, stop it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Echo, for measuring and for proving life.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PingParams {
    #[serde(default)]
    pub payload: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pong {
    pub payload: Value,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusParams {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DaemonStatus {
    pub pid: u32,
    pub version: String,
    pub protocol: u32,
    pub uptime_ms: u64,
    pub socket: String,
    pub rss_bytes: u64,
    pub home: String,
    /// Connections that are open now.
    pub clients: u32,
    pub sessions_running: u32,
    pub worktrees: u32,
    pub head_seq: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoctorParams {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    Ok,
    Degraded,
    Broken,
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    pub name: String,
    pub state: PartState,
    pub message: String,
    /// What to do about it; empty when all is well.
    pub hint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoctorReport {
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A person asked: clients stay away until a person acts.
    #[default]
    Deliberate,
    /// A newer daemon takes over: clients reconnect at once.
    Replace,
}

/// A person's connection only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopParams {
    #[serde(default)]
    pub reason: StopReason,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stopping {
    pub pid: u32,
    /// Sessions that were marked resumable.
    pub sessions_interrupted: u32,
}

/// Notification `daemon/stopping`, to every client before the socket closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DaemonStopping {
    pub reason: StopReason,
}

/// What a status line shows for one window: `podium/status` notification and the answer of `claim/summary`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusLine {
    /// `free`, `mine`, `other`, `dead` or `off` (no repository, no daemon).
    pub state: StatusLineState,
    /// Ready to show, such as `feat-x: claude-1 (3m)`.
    pub text: String,
    pub worktree: Option<String>,
    pub agent_id: Option<String>,
    pub since: Option<String>,
    /// Sessions running in the worktree.
    pub sessions: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusLineState {
    Free,
    Mine,
    Other,
    Dead,
    Off,
}
