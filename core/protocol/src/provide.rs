//! What worktrees are given beside their files: ports, hooks, submodules.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RepoSelector;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeEnvParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Absent: the worktree that `repo` or `uri` lies in.
    #[serde(default)]
    pub name: Option<String>,
}

/// What no other worktree on this machine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeEnv {
    pub worktree: String,
    pub ports: Vec<u16>,
    pub database: Option<String>,
    /// The same as variables: `PODIUM_PORT`, `PODIUM_PORT_2`, ..., `PODIUM_DATABASE`.
    pub variables: BTreeMap<String, String>,
    /// File in the worktree that holds the variables; absent while there is none.
    pub file: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookListParams {
    #[serde(flatten)]
    pub at: RepoSelector,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookList {
    pub hooks: Vec<HookInfo>,
}

/// A hook of the project's configuration, as it would run now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookInfo {
    /// `pre-create`, `post-create`, `pre-remove` or `post-switch`.
    pub hook: String,
    pub command: String,
    /// Of the command and of the project's files that it names.
    pub hash: String,
    pub approved: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookApproveParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Absent: all that are configured.
    #[serde(default)]
    pub hook: Option<String>,
    /// What the person has read; refused when it is another one by now.
    #[serde(default)]
    pub hash: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeSubmodulesParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeSubmodules {
    pub worktree: String,
    /// Paths of the submodules that are checked out now.
    pub submodules: Vec<String>,
    /// Whether large files (LFS) were fetched.
    pub large_files: bool,
}
