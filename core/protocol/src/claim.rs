//! Exclusive, fenced claims on worktrees (seed 000, diagram 2).

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::RepoSelector;

/// Whether the owner of a claim still exists: `true`, `false`, or `"unknown"` where nothing can prove either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alive {
    Yes,
    No,
    Unknown,
}

impl Serialize for Alive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
            Self::Unknown => serializer.serialize_str("unknown"),
        }
    }
}

impl<'de> Deserialize<'de> for Alive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Bool(true) => Self::Yes,
            serde_json::Value::Bool(false) => Self::No,
            _ => Self::Unknown,
        })
    }
}

impl JsonSchema for Alive {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Alive".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "string", "const": "unknown" }] })
    }
}

/// Who holds a worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimOwner {
    pub agent_id: String,
    pub host: String,
    /// Process the claim is bound to; `null` when it lives by heartbeat or is bound to a session.
    pub pid: Option<u32>,
    /// When the claim was made.
    pub since: String,
    pub alive: Alive,
    /// Session the claim is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// A claim as it stands on a worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimInfo {
    pub agent_id: String,
    pub host: String,
    pub pid: Option<u32>,
    pub since: String,
    /// Fencing token: rises with every acquire of any worktree, never reset.
    pub token: u64,
    pub alive: Alive,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

impl ClaimInfo {
    #[must_use]
    pub fn owner(&self) -> ClaimOwner {
        ClaimOwner {
            agent_id: self.agent_id.clone(),
            host: self.host.clone(),
            pid: self.pid,
            since: self.since.clone(),
            alive: self.alive,
            session: self.session.clone(),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimAcquireParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Name of the worktree; absent: the one that `repo` or `uri` lies in.
    #[serde(default)]
    pub worktree: Option<String>,
    /// Who claims. Absent: the session of the connection, else the person.
    #[serde(default)]
    pub agent_id: Option<String>,
    /// Bind to this process: its death frees the claim for others.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Bind to this session.
    #[serde(default)]
    pub session: Option<String>,
    /// Wait this long, first come first served, in seconds (0 to 86,400).
    #[serde(default)]
    pub wait: Option<u32>,
    /// Take it from an owner that is not proven dead. A person's connection only; recorded in the log.
    #[serde(default)]
    pub force: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimAcquired {
    pub worktree: String,
    pub agent_id: String,
    pub token: u64,
    pub since: String,
    pub path: String,
    /// Whether the caller held it already.
    pub already: bool,
    /// Owner that was replaced: proven dead, or by force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<ClaimOwner>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimReleaseParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    #[serde(default)]
    pub worktree: Option<String>,
    #[serde(default)]
    pub agent_id: Option<String>,
    /// Fencing token: optional for a person, needed from an agent's connection, refused when stale.
    #[serde(default)]
    pub token: Option<u64>,
    /// Release although the tree has uncommitted changes.
    #[serde(default)]
    pub allow_dirty: bool,
    /// Release somebody else's claim, or a tree in the middle of a merge. A person's connection only.
    #[serde(default)]
    pub force: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimReleased {
    pub worktree: String,
    pub agent_id: String,
    pub token: u64,
    pub released_at: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimVerifyParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    #[serde(default)]
    pub worktree: Option<String>,
    #[serde(default)]
    pub agent_id: Option<String>,
    #[serde(default)]
    pub token: Option<u64>,
}

/// What a claim means to the one who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimStanding {
    Free,
    Mine,
    /// Held by the asker's agent id, but under a newer token than the one given.
    Stale,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimVerified {
    pub worktree: String,
    pub standing: ClaimStanding,
    pub claim: Option<ClaimInfo>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimHeartbeatParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    #[serde(default)]
    pub worktree: Option<String>,
    /// Needed from an agent; without one, a person keeps whatever claim there is.
    #[serde(default)]
    pub token: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimHeartbeaten {
    pub worktree: String,
    pub claim: ClaimInfo,
}
