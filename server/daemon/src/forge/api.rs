//! GitHub's REST API.

use std::time::{Duration, Instant};

use podium_worktrees::{ForgeError, ForgeQuery, PullRequest, ReviewComment};
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Certificate, Client, NoProxy, Proxy, StatusCode};
use serde::Deserialize;

use super::{GITHUB, comments, is_own_host, variable};

const CONNECT: Duration = Duration::from_secs(10);
/// A description may be long; this is much longer.
const BODY: usize = 4 * 1024 * 1024;

/// The most that the API gives at once.
const PER_PAGE: usize = 100;
/// More comments than this many pages hold are not read.
const PAGES: usize = 50;

/// Where to ask, and with which token.
struct Access<'a> {
    base: String,
    token: &'a str,
}

/// # Errors
/// `Unavailable` without a token for this host, or without an answer in time.
pub(super) async fn ask(
    query: &ForgeQuery,
    configured: &str,
    timeout: Duration,
) -> Result<PullRequest, ForgeError> {
    let path = format!("/repos/{}/pulls/{}", query.path, query.number);
    let body = get(query, configured, &path, timeout).await?;
    let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
        ForgeError::Unavailable(format!("the API answered something unexpected: {error}"))
    })?;
    Ok(answer.into())
}

/// # Errors
/// As [`ask`].
pub(super) async fn comments(
    query: &ForgeQuery,
    configured: &str,
    timeout: Duration,
) -> Result<Vec<ReviewComment>, ForgeError> {
    let deadline = Instant::now() + timeout;
    let mut all = Vec::new();
    for page in 1..=PAGES {
        let path =
            format!("/repos/{}/pulls/{}/comments?per_page={PER_PAGE}&page={page}", query.path, query.number);
        let left = deadline.saturating_duration_since(Instant::now());
        let found = comments::read(&get(query, configured, &path, left).await?)?;
        let last = found.len() < PER_PAGE;
        all.extend(found);
        if last {
            break;
        }
    }
    Ok(all)
}

async fn get(
    query: &ForgeQuery,
    configured: &str,
    path: &str,
    timeout: Duration,
) -> Result<Vec<u8>, ForgeError> {
    let access = access(query, configured)?;
    let client = client(query).map_err(unavailable)?;
    let request = client
        .get(format!("{}{path}", access.base))
        .header(ACCEPT, "application/vnd.github+json")
        .header(AUTHORIZATION, format!("Bearer {}", access.token))
        .timeout(timeout);
    let mut response = request.send().await.map_err(unavailable)?;
    match response.status() {
        StatusCode::OK => {}
        // GitHub answers so too for what the token may not see: git decides.
        StatusCode::NOT_FOUND => {
            return Err(ForgeError::NotFound(format!("{} has no pull request {}", query.path, query.number)));
        }
        status => return Err(ForgeError::Unavailable(format!("the API answered {}", status.as_u16()))),
    }
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(unavailable)? {
        body.extend_from_slice(&part);
        if body.len() > BODY {
            return Err(ForgeError::Unavailable("the API's answer is too long".to_owned()));
        }
    }
    Ok(body)
}

fn access<'a>(query: &'a ForgeQuery, configured: &str) -> Result<Access<'a>, ForgeError> {
    let none = |why: &str| Err(ForgeError::Unavailable(why.to_owned()));
    let configured = configured.trim_end_matches('/');
    let tokens: &[&str] = match query.host.as_str() {
        GITHUB => &["GH_TOKEN", "GITHUB_TOKEN"],
        // A person's own setting vouches for the host it names.
        _ if is_own_host(query) || !configured.is_empty() => {
            &["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"]
        }
        _ => return none("no API is known for its host (`review.api_url`, GH_HOST)"),
    };
    let Some(token) = variable(&query.env, tokens) else {
        return none("there is no token for its API (GITHUB_TOKEN)");
    };
    let base = match (configured, query.host.as_str()) {
        ("", GITHUB) => "https://api.github.com".to_owned(),
        ("", host) => format!("https://{host}/api/v3"),
        (url, _) => url.to_owned(),
    };
    Ok(Access { base, token })
}

/// Only what the client's variables say counts: the daemon's own environment is not its user's.
fn client(query: &ForgeQuery) -> reqwest::Result<Client> {
    podium_models::install_tls();
    let mut builder = Client::builder()
        .user_agent(concat!("podium/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        // A redirect could carry the request elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(url) = variable(&query.env, &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]) {
        let except = variable(&query.env, &["no_proxy", "NO_PROXY"]).and_then(NoProxy::from_string);
        builder = builder.proxy(Proxy::all(url)?.no_proxy(except));
    }
    if let Some(pem) = variable(&query.env, &["SSL_CERT_FILE"]).and_then(|file| std::fs::read(file).ok()) {
        for certificate in Certificate::from_pem_bundle(&pem)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build()
}

/// The chain of causes, without the address: it is long and says nothing.
fn unavailable(error: reqwest::Error) -> ForgeError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    ForgeError::Unavailable(text)
}

#[derive(Deserialize)]
struct Answer {
    title: Option<String>,
    user: Option<User>,
    state: Option<String>,
    merged: Option<bool>,
    html_url: Option<String>,
    head: Side,
    base: Side,
    maintainer_can_modify: Option<bool>,
}

#[derive(Deserialize)]
struct User {
    login: Option<String>,
}

#[derive(Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    branch: Option<String>,
    /// `null` when the fork was deleted.
    repo: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: Option<String>,
}

impl From<Answer> for PullRequest {
    fn from(answer: Answer) -> Self {
        let name = |side: Side| side.repo.and_then(|repo| repo.full_name);
        let (head_branch, base_branch) = (answer.head.branch.clone(), answer.base.branch.clone());
        let (head_repo, base_repo) = (name(answer.head), name(answer.base));
        let state = if answer.merged == Some(true) { Some("merged".to_owned()) } else { answer.state };
        Self {
            title: answer.title,
            author: answer.user.and_then(|user| user.login),
            url: answer.html_url,
            state,
            head_branch,
            fork: base_repo.map(|base| head_repo.as_ref() != Some(&base)),
            head_repo,
            base_branch,
            maintainer_can_modify: answer.maintainer_can_modify,
            source: "api".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::query;
    use super::*;

    #[test]
    fn a_token_goes_to_its_own_host_only() {
        let token = ("GITHUB_TOKEN", "t");
        let github = query("github.com", &[token]);
        assert_eq!(access(&github, "").unwrap().base, "https://api.github.com");
        let own = query("git.corp", &[token, ("GH_HOST", "git.corp")]);
        assert_eq!(access(&own, "").unwrap().base, "https://git.corp/api/v3");
        assert!(access(&query("evil.example", &[token]), "").is_err());
        assert!(access(&query("github.com", &[]), "").is_err());
        let configured = query("git.corp", &[token]);
        assert_eq!(access(&configured, "https://x.corp/api/").unwrap().base, "https://x.corp/api");
    }

    #[test]
    fn merged_forks_and_deleted_forks_are_told() {
        let read = |text: &str| PullRequest::from(serde_json::from_str::<Answer>(text).unwrap());
        let merged = read(
            r#"{"title":"T","state":"closed","merged":true,"head":{"ref":"x","repo":null},
                "base":{"ref":"main","repo":{"full_name":"ada/app"}}}"#,
        );
        assert_eq!((merged.state.as_deref(), merged.fork), (Some("merged"), Some(true)));
        assert_eq!((merged.head_branch.as_deref(), merged.head_repo), (Some("x"), None));
    }
}
