//! The guard of claimed worktrees against commits of others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RepoRef, RepoSelector};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardAction {
    #[default]
    Status,
    /// Puts it into the worktrees; also mends what another tool replaced. Needs a person.
    Install,
    /// Takes it out, and keeps it out. Needs a person.
    Remove,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardRunParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Only this worktree. Absent: all linked ones, and those to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<String>,
    #[serde(default)]
    pub action: GuardAction,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardReport {
    pub repo: RepoRef,
    /// Whether worktrees get it when they are claimed.
    pub enabled: bool,
    /// Folder of the hooks that `core.hooksPath` names.
    pub folder: String,
    pub worktrees: Vec<GuardWorktree>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardWorktree {
    pub name: String,
    pub state: GuardState,
    /// Folder of the hooks that run as before, as far as it was looked for.
    pub user_hooks: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardState {
    Installed,
    /// Not put in: the worktree was not claimed yet, or the guard is off.
    Absent,
    /// `core.hooksPath` of the worktree was set to something else since.
    Replaced,
    /// Hooks in our folder are missing or are another tool's.
    Altered,
}
