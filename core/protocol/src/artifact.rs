//! The artifact store: content addressed by BLAKE3, found by full-text search.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ListScope, RepoRef};

/// One stored artifact, without its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Id of the artifact (UUIDv7); several artifacts may share one content.
    pub id: String,
    /// BLAKE3 of the content, hex.
    pub hash: String,
    pub title: String,
    /// `code`, `docs`, `tests`, `config`, `log` or `report`.
    pub kind: String,
    /// Media type, such as `text/markdown`.
    pub media_type: String,
    pub bytes: u64,
    pub session: Option<String>,
    pub worktree: Option<String>,
    /// Where its session was started; in lists only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoRef>,
    pub created_at: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactHit {
    pub id: String,
    pub title: String,
    pub kind: String,
    pub session: Option<String>,
    pub worktree: Option<String>,
    /// BM25 score; higher is better, comparable within one answer only.
    pub score: f32,
    /// Part of the text around the match, plain, at most 200 characters.
    pub snippet: String,
    pub created_at: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactSearchParams {
    #[serde(default)]
    pub query: String,
    #[serde(default)]
    pub kind: Option<String>,
    #[serde(default)]
    pub session: Option<String>,
    #[serde(default)]
    pub worktree: Option<String>,
    /// 1 to 200; default 20.
    #[serde(default)]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactHits {
    pub hits: Vec<ArtifactHit>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactListParams {
    /// By the sessions that made them: what no session made is in no repository.
    #[serde(flatten)]
    pub scope: ListScope,
    #[serde(default)]
    pub kind: Option<String>,
    #[serde(default)]
    pub session: Option<String>,
    #[serde(default)]
    pub worktree: Option<String>,
    /// 1 to 1,000; default 50. Newest first.
    #[serde(default)]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactList {
    pub artifacts: Vec<Artifact>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactGetParams {
    /// Id of the artifact or its unique beginning (8 characters at least), or the full hash.
    pub id: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactContent {
    #[serde(flatten)]
    pub artifact: Artifact,
    /// The content where it is UTF-8 text of at most 8 MiB.
    pub text: Option<String>,
    /// File with the content, read-only, for editors and for what is not text.
    pub path: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactPutParams {
    pub title: String,
    pub kind: String,
    /// At most 8 MiB.
    pub text: String,
    #[serde(default)]
    pub media_type: Option<String>,
    #[serde(default)]
    pub session: Option<String>,
    #[serde(default)]
    pub worktree: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactStored {
    #[serde(flatten)]
    pub artifact: Artifact,
    /// Whether the content was there already.
    pub duplicate: bool,
}
