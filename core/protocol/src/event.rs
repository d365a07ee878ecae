//! The event log as clients read it: CloudEvents 1.0 attributes, in the order of their sequence numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::TaskInfo;

/// One event of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// `1.0`, the version of the CloudEvents specification.
    pub specversion: String,
    /// Position in the log; gaps are allowed, going back is not.
    pub seq: u64,
    /// UUIDv7.
    pub id: String,
    /// `podium://<host>`; behind it who published an event that is not the daemon's own.
    pub source: String,
    /// `worktree.claimed`, `session.started`, ...
    #[serde(rename = "type")]
    pub kind: String,
    pub time: String,
    /// What it is about: `worktree/<id>`, `session/<id>`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Version of the shape of `data`.
    pub data_version: u32,
    pub data: Value,
    /// Request or task that everything with the same value belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Event that led to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
}

/// Streams the log above `fromSeq`: first what is stored, then live.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventsSubscribeParams {
    /// Absent: only what is new.
    #[serde(default)]
    pub from_seq: Option<u64>,
    /// Types to send; a trailing `.*` takes all below. Empty: all.
    #[serde(default)]
    pub types: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventsSubscribed {
    pub subscription: u64,
    /// Newest event at the time of the answer.
    pub head_seq: u64,
    /// Oldest event the log still has. When it is above `fromSeq` + 1, events were missed: read the state anew.
    pub oldest_seq: u64,
    pub missed: bool,
}

/// Notification `event`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventNotification {
    pub subscription: u64,
    pub event: Event,
}

/// A page of the log, without a subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventsReadParams {
    #[serde(default)]
    pub from_seq: u64,
    #[serde(default)]
    pub types: Vec<String>,
    /// 1 to 1,000; default 100.
    #[serde(default)]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventsPage {
    pub events: Vec<Event>,
    pub head_seq: u64,
}

/// Appends an event of one's own. Types of the daemon are refused; types with a known shape are checked against it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPublishParams {
    /// A UUID that the client makes up, so that it may send the request twice: the event of that id is the answer.
    #[serde(default)]
    pub id: Option<String>,
    /// `noun.past_participle`: `deploy.finished`, `release.candidate.built`; at most 128 bytes.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about; at most 256 bytes. Absent: `task/<id>` for a task, the session for an agent.
    #[serde(default)]
    pub subject: Option<String>,
    /// An object of at most 64 KiB; what is larger travels as the id of an artifact. Known secrets are redacted.
    #[serde(default)]
    pub data: Value,
    /// At most 128 bytes.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// Id of the event that led to it; at most 128 bytes.
    #[serde(default)]
    pub causation_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPublished {
    pub event: Event,
    /// It was published before: by this very request, or a task of the same id was. Nothing was appended.
    pub duplicate: bool,
    /// The task that the event assigned, or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskInfo>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventGetParams {
    /// Its id, the unique beginning of one, or its number in the log.
    pub id: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventFound {
    pub event: Event,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypesParams {}

/// Who may append events of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventPublisher {
    /// The daemon alone, in the transaction of what the event tells of.
    Daemon,
    Person,
    /// Also agents.
    Anyone,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventType {
    #[serde(rename = "type")]
    pub kind: String,
    pub publisher: EventPublisher,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// JSON Schema that `data` is checked against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Events of it that the log has.
    pub count: u64,
    /// Number of the newest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypes {
    pub types: Vec<EventType>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnsubscribeParams {
    pub subscription: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unsubscribed {
    /// False when there was no such subscription (any more).
    pub existed: bool,
}

/// Notification `progress`: a request that takes long says how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Id of the request.
    pub request: u64,
    pub message: String,
    pub done: u64,
    /// 0 where it is not known.
    pub total: u64,
}
