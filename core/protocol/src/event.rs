//! The event log as clients read it: CloudEvents 1.0 attributes, in the order of their sequence numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// `podium://<host>`.
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
