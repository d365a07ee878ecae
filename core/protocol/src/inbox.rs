//! The inbox: questions of agents that only a person may answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InboxDecision {
    Allow,
    Deny,
}

impl InboxDecision {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// How far an answer reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InboxScope {
    /// This question alone.
    Once,
    /// Also what the session asks alike later.
    Session,
    /// Also what sessions in this repository ask alike later.
    Project,
}

impl InboxScope {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Session => "session",
            Self::Project => "project",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InboxItem {
    pub id: String,
    pub agent_id: String,
    pub session: Option<String>,
    pub question: String,
    pub asked_at: String,
    pub decision: Option<InboxDecision>,
    pub answered_at: Option<String>,
    /// Tool that may only be used with an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What exactly would be done: the command, or the change as a unified diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Paths it is about, relative to the session's worktree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Scopes that an answer may have. Empty where an answer is for the question alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<InboxScope>,
    /// When `onTimeout` becomes the answer, as long as the session waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<InboxDecision>,
    /// How far the answer reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<InboxScope>,
    /// Whose answer it was; `timeout` where nobody answered in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// When the question lost its point: its session ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<String>,
}

impl InboxItem {
    /// Whether it still waits for an answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.decision.is_none() && self.withdrawn_at.is_none()
    }
}

/// Asked by an agent. Answers at once with the stored question; the decision comes as event `inbox.answered`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InboxAskParams {
    /// At most 2,000 characters.
    pub question: String,
    #[serde(default)]
    pub agent_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InboxListParams {
    /// Answered and withdrawn questions too.
    #[serde(default)]
    pub all: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InboxList {
    pub items: Vec<InboxItem>,
}

/// A person's connection only. A question is answered once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InboxAnswerParams {
    pub id: String,
    pub decision: InboxDecision,
    /// One of the question's `options`. Default: `once`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<InboxScope>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InboxAnswered {
    pub item: InboxItem,
}

/// An answer that holds for later questions too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionGrant {
    pub id: String,
    /// `session` or `project`.
    pub scope: InboxScope,
    /// Session it holds for.
    pub session: Option<String>,
    /// Id of the repository it holds for.
    pub repo: Option<String>,
    pub tool: String,
    /// The command it is about, to the letter.
    pub command: Option<String>,
    /// The path it is about.
    pub path: Option<String>,
    pub decision: InboxDecision,
    pub granted_by: String,
    pub granted_at: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionListParams {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionList {
    pub permissions: Vec<PermissionGrant>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionForgetParams {
    pub id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionForgotten {
    pub permission: PermissionGrant,
}
