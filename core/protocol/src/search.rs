//! Searching transcripts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ItemKind, ListScope, SessionInfo};

/// Finds sessions by words of their prompts, answers and tool calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionSearchParams {
    #[serde(flatten)]
    pub scope: ListScope,
    /// Words, or beginnings of words, all of which the session must hold; at most 10.
    pub query: String,
    /// 1 to 1,000; default 50. Newest first.
    #[serde(default)]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionHits {
    pub sessions: Vec<SessionHit>,
}

/// A session that was found, with where in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionHit {
    #[serde(flatten)]
    pub session: SessionInfo,
    /// The best places, at most 3.
    pub matches: Vec<SessionMatch>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionMatch {
    /// Item in which the passage begins.
    pub seq: u64,
    pub kind: ItemKind,
    /// Text around the words, one line.
    pub snippet: String,
}
