//! Asking code hosts about pull requests: by `gh` where it is there and logged in, else by the REST API with a token.
//!
//! A token goes to the host it is for and to no other: that of a remote is whatever the repository's configuration
//! says.

mod api;
mod comments;
mod gh;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use podium_config::Live;
use podium_worktrees::{Forge, ForgeError, ForgeQuery, PullRequest, ReviewComment};

const GITHUB: &str = "github.com";

/// The hosts as the settings and a client's variables describe them.
pub(crate) struct Hosts {
    config: Arc<Live>,
}

impl Hosts {
    pub(crate) fn new(config: Arc<Live>) -> Self {
        Self { config }
    }
}

#[async_trait]
impl Forge for Hosts {
    async fn pull_request(&self, query: &ForgeQuery) -> Result<PullRequest, ForgeError> {
        let started = Instant::now();
        // Whoever asks second must have time left.
        let by_gh = gh::ask(query, query.timeout / 2).await;
        let missing = match by_gh {
            Err(ForgeError::Unavailable(why)) => why,
            told => return told,
        };
        let left = query.timeout.saturating_sub(started.elapsed());
        let configured = self.config.get().text("review.api_url").to_owned();
        api::ask(query, &configured, left).await.map_err(|error| with_reason(error, &missing))
    }

    async fn comments(&self, query: &ForgeQuery) -> Result<Vec<ReviewComment>, ForgeError> {
        let started = Instant::now();
        let by_gh = gh::comments(query, query.timeout / 2).await;
        let missing = match by_gh {
            Err(ForgeError::Unavailable(why)) => why,
            told => return told,
        };
        let left = query.timeout.saturating_sub(started.elapsed());
        let configured = self.config.get().text("review.api_url").to_owned();
        api::comments(query, &configured, left).await.map_err(|error| with_reason(error, &missing))
    }
}

/// Why the first way did not work belongs to why the second did not.
fn with_reason(error: ForgeError, missing: &str) -> ForgeError {
    match error {
        ForgeError::Unavailable(why) => ForgeError::Unavailable(format!("{missing}; {why}")),
        error @ ForgeError::NotFound(_) => error,
    }
}

/// A variable that is set and not empty.
fn variable<'a>(env: &'a BTreeMap<String, String>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| env.get(*name).map(String::as_str).filter(|value| !value.is_empty()))
}

/// Whether the client's variables name this host as its own, other than `github.com`.
fn is_own_host(query: &ForgeQuery) -> bool {
    variable(&query.env, &["GH_HOST"]).is_some_and(|host| host.eq_ignore_ascii_case(&query.host))
}

#[cfg(test)]
pub(super) fn query(host: &str, env: &[(&str, &str)]) -> ForgeQuery {
    ForgeQuery {
        host: host.to_owned(),
        path: "ada/app".to_owned(),
        number: 7,
        folder: "/".into(),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        timeout: std::time::Duration::from_secs(5),
    }
}
