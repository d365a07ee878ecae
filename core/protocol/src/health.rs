//! How a session is beside its text: whether its turn shows signs of life, how full the model's window is, and what
//! confines its programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of a model's window the conversation takes, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContextUse {
    /// The newest question and its answer, as the provider counts them.
    pub used: u64,
    /// Question and answer together; null where the model's size is not known.
    pub window: Option<u64>,
}

/// What a running turn is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// Signs of life come from the provider.
    Working,
    /// A tool runs; how long is the tool's own affair.
    Tool,
    /// For a person's answer, or for a server that asked to be left alone a while.
    Waiting,
    /// Nothing came for longer than the provider's bound.
    Silent,
}

impl HealthState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Tool => "tool",
            Self::Waiting => "waiting",
            Self::Silent => "silent",
        }
    }
}

/// How a running turn is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionHealth {
    pub state: HealthState,
    pub since: String,
    /// Name of the tool that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Times that this turn was silent and was nudged or begun anew.
    #[serde(default)]
    pub revived: u32,
}

/// What confines the programs of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confinement {
    Bubblewrap,
    Landlock,
    /// Nothing does: a person allowed it.
    None,
}

impl Confinement {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Landlock => "landlock",
            Self::None => "none",
        }
    }
}
