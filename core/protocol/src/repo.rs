//! Repositories, and how a request names the one it means.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Worktree;

/// Which repository a request is about. All fields may be absent where the caller has only one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoSelector {
    /// Any path inside the repository or one of its worktrees, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// The same as bytes, where the path is not UTF-8. Wins over `repo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_bytes: Option<Vec<u8>>,
    /// Any `file:` URI inside it, for editors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// Which repositories a list is about. All absent: everything there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListScope {
    /// One repository; what is in none is not found.
    #[serde(flatten)]
    pub at: RepoSelector,
    /// `file:` URIs of places, such as the folders of a window: the repositories they lie in. Where none lies in one,
    /// they leave nothing out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,
    /// Everything, whatever `uris` says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// A repository Podium knows, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoRef {
    pub id: String,
    /// Folder of the main worktree, or of the bare repository.
    pub root: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoRegisterParams {
    #[serde(flatten)]
    pub at: RepoSelector,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoRegistered {
    pub repo: RepoRef,
    /// Branch that worktrees start from and are compared with.
    pub trunk: String,
    /// The commit that they are compared with: the newest of trunk and its remote branch; `null` without a commit.
    pub trunk_tip: Option<String>,
    /// Whether the repository was unknown before.
    pub added: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoListParams {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoList {
    pub repos: Vec<RepoRef>,
}

/// Makes a project folder: `trunk-<branch>/` with the main worktree, `sync/global/`, `sync/repo/`, and later worktrees
/// beside them. With `url` by cloning, else by moving the clone that the selector names into one of its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoInitParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// What to clone: a URL, `host:path` or an absolute path.
    #[serde(default)]
    pub url: Option<String>,
    /// The project folder of a clone, absolute; must not exist, or be empty.
    #[serde(default)]
    pub folder: Option<String>,
    /// The same as bytes, where it is not UTF-8. Wins over `folder`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_bytes: Option<Vec<u8>>,
    /// Branch to check out [default: the remote's own].
    #[serde(default)]
    pub branch: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoInited {
    /// The main worktree.
    pub worktree: Worktree,
    pub elapsed_ms: f64,
    /// Never: a main worktree is none. Here so that the answer reads as that of other creations.
    pub from_spare: bool,
    pub how: InitKind,
    /// The project folder.
    pub project: String,
    /// What `worktree/undo` takes to move a converted clone back.
    pub undo: Option<String>,
    /// What a person should know.
    #[serde(default)]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitKind {
    Cloned,
    /// An existing clone was moved, with its worktrees.
    Converted,
    /// It was a project folder already.
    Unchanged,
}

/// Takes back everything that Podium left in a repository: locks, excludes, its own folder in the git directory.
/// Worktrees and branches stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoForgetParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Also when worktrees are claimed.
    #[serde(default)]
    pub force: bool,
    /// Also moves a clone that was made a project folder back to where it was, with its worktrees.
    #[serde(default)]
    pub layout: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoForgotten {
    pub repo: RepoRef,
    /// One line for each thing taken back.
    pub undone: Vec<String>,
}
