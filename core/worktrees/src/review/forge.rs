//! What is asked of a code host. The daemon says how: this crate speaks no HTTP.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A question about one pull request.
#[derive(Debug, Clone)]
pub struct ForgeQuery {
    /// Host of the remote, in lower case: `github.com`.
    pub host: String,
    /// Path of the repository at the host, without `.git`: `owner/name`.
    pub path: String,
    pub number: u64,
    /// The project's folder; a program that asks runs elsewhere, so that nothing in it is obeyed.
    pub folder: PathBuf,
    /// Variables of the client: PATH, tokens, proxies, certificates.
    pub env: BTreeMap<String, String>,
    /// For all attempts together.
    pub timeout: Duration,
}

/// What a host tells. All but the number may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullRequest {
    pub title: Option<String>,
    pub author: Option<String>,
    pub url: Option<String>,
    /// `open`, `closed` or `merged`.
    pub state: Option<String>,
    pub head_branch: Option<String>,
    /// `owner/name`; `None` too when the fork was deleted.
    pub head_repo: Option<String>,
    pub base_branch: Option<String>,
    pub fork: Option<bool>,
    pub maintainer_can_modify: Option<bool>,
    /// `gh` or `api`.
    pub source: String,
}

/// A comment on lines of a pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReviewComment {
    pub id: u64,
    pub author: Option<String>,
    pub url: Option<String>,
    pub path: String,
    /// Lines of the version at `commit`, from 1; `None` where the host no longer finds them, and for comments on lines
    /// that were taken away.
    pub start_line: Option<u32>,
    pub line: Option<u32>,
    pub commit: Option<String>,
    pub body: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// The host says that there is no such request.
    #[error("{0}")]
    NotFound(String),
    /// Nobody could be asked, or nobody answered in time.
    #[error("{0}")]
    Unavailable(String),
}

/// Asks code hosts. Implemented where programs are started and HTTP is spoken.
#[async_trait::async_trait]
pub trait Forge: Send + Sync {
    /// # Errors
    /// `NotFound` only where the host is sure.
    async fn pull_request(&self, query: &ForgeQuery) -> Result<PullRequest, ForgeError>;

    /// All comments on lines, oldest first.
    ///
    /// # Errors
    /// As [`Forge::pull_request`].
    async fn comments(&self, query: &ForgeQuery) -> Result<Vec<ReviewComment>, ForgeError>;
}
