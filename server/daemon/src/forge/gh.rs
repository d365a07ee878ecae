//! GitHub's own command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use podium_process::{Command, Ended};
use podium_worktrees::{ForgeError, ForgeQuery, PullRequest, ReviewComment};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::{GITHUB, comments, is_own_host};

const FIELDS: &str = "title,author,state,url,headRefName,headRepository,headRepositoryOwner,baseRefName,\
                      isCrossRepository,maintainerCanModify";
/// Variables it gets whatever host is asked. It finds its own login by HOME or GH_CONFIG_DIR.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "GH_CONFIG_DIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];
const GITHUB_TOKENS: &[&str] = &["GH_TOKEN", "GITHUB_TOKEN"];
const OWN_HOST_TOKENS: &[&str] = &["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GH_HOST"];
const OUTPUT: usize = 256 * 1024;
/// Of comments there may be many.
const COMMENTS: usize = 16 * 1024 * 1024;
/// How it says that the host knows no such request.
const NONE_SUCH: &[&str] =
    &["Could not resolve to a PullRequest", "no pull requests found", "gh: Not Found (HTTP 404)"];

/// # Errors
/// `Unavailable` without `gh`, without a login, or without an answer in time.
pub(super) async fn ask(query: &ForgeQuery, timeout: Duration) -> Result<PullRequest, ForgeError> {
    let (number, repo) = (query.number.to_string(), format!("{}/{}", query.host, query.path));
    let args = ["pr", "view", &number, "--repo", &repo, "--json", FIELDS];
    let answer: Answer = serde_json::from_slice(&run(query, &args, OUTPUT, timeout).await?)
        .map_err(|error| ForgeError::Unavailable(format!("gh answered something unexpected: {error}")))?;
    Ok(answer.into())
}

/// # Errors
/// As [`ask`].
pub(super) async fn comments(
    query: &ForgeQuery,
    timeout: Duration,
) -> Result<Vec<ReviewComment>, ForgeError> {
    let path = format!("repos/{}/pulls/{}/comments?per_page=100", query.path, query.number);
    comments::read(&run(query, &["api", "--paginate", &path], COMMENTS, timeout).await?)
}

async fn run(
    query: &ForgeQuery,
    args: &[&str],
    most: usize,
    timeout: Duration,
) -> Result<Vec<u8>, ForgeError> {
    let Some(program) = find(query.env.get("PATH").map(String::as_str).unwrap_or_default()) else {
        return Err(ForgeError::Unavailable("gh is not installed".to_owned()));
    };
    let command = Command::new(program).args(args).envs(variables(query)).capture(most).timeout(timeout);
    let output = command.output(&CancellationToken::new()).await;
    let output = output.map_err(|error| ForgeError::Unavailable(format!("gh: {error}")))?;
    if output.ended != Ended::ByItself {
        return Err(ForgeError::Unavailable("gh did not answer in time".to_owned()));
    }
    if output.success() {
        return Ok(output.stdout.bytes().to_vec());
    }
    let said = output.stderr.text();
    if NONE_SUCH.iter().any(|sign| said.contains(sign)) {
        return Err(ForgeError::NotFound(format!("{} has no pull request {}", query.path, query.number)));
    }
    let line: String = said.lines().next().unwrap_or("it failed").chars().take(200).collect();
    Err(ForgeError::Unavailable(format!("gh: {line}")))
}

fn variables(query: &ForgeQuery) -> Vec<(String, String)> {
    let tokens = match query.host.as_str() {
        GITHUB => GITHUB_TOKENS,
        // To another host only what is meant for it: `gh` would send these tokens to any.
        _ if is_own_host(query) => OWN_HOST_TOKENS,
        _ => &[],
    };
    let wanted = |name: &&String| PASSED.contains(&name.as_str()) || tokens.contains(&name.as_str());
    let passed = query.env.keys().filter(wanted).filter_map(|name| query.env.get_key_value(name));
    let fixed =
        [("GH_PROMPT_DISABLED", "1"), ("GH_NO_UPDATE_NOTIFIER", "1"), ("NO_COLOR", "1"), ("GH_PAGER", "cat")];
    let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
    // `gh api` takes its host from here; the token above is for this very host, or there is none.
    let passed = passed.filter(|(name, _)| *name != "GH_HOST");
    let host = [("GH_HOST".to_owned(), query.host.clone())];
    let fixed = fixed.into_iter().chain(host);
    passed.map(|(name, value)| (name.clone(), value.clone())).chain(fixed).collect()
}

fn find(path: &str) -> Option<PathBuf> {
    let name = format!("gh{}", std::env::consts::EXE_SUFFIX);
    let folders = std::env::split_paths(path).filter(|folder| Path::is_absolute(folder));
    folders.map(|folder| folder.join(&name)).find(|file| file.is_file())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    title: Option<String>,
    author: Option<Author>,
    state: Option<String>,
    url: Option<String>,
    head_ref_name: Option<String>,
    head_repository: Option<Name>,
    head_repository_owner: Option<Author>,
    base_ref_name: Option<String>,
    is_cross_repository: Option<bool>,
    maintainer_can_modify: Option<bool>,
}

#[derive(Deserialize)]
struct Author {
    login: Option<String>,
}

#[derive(Deserialize)]
struct Name {
    name: Option<String>,
}

impl From<Answer> for PullRequest {
    fn from(answer: Answer) -> Self {
        let owner =
            answer.head_repository_owner.and_then(|owner| owner.login).filter(|text| !text.is_empty());
        let name = answer.head_repository.and_then(|repo| repo.name).filter(|text| !text.is_empty());
        Self {
            title: answer.title,
            author: answer.author.and_then(|author| author.login),
            url: answer.url,
            state: answer.state.map(|state| state.to_lowercase()),
            head_branch: answer.head_ref_name,
            head_repo: owner.zip(name).map(|(owner, name)| format!("{owner}/{name}")),
            base_branch: answer.base_ref_name,
            fork: answer.is_cross_repository,
            maintainer_can_modify: answer.maintainer_can_modify,
            source: "gh".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::query;
    use super::*;

    fn names(host: &str, env: &[(&str, &str)]) -> Vec<String> {
        let secret = |name: &String| name.contains("TOKEN");
        variables(&query(host, env)).into_iter().map(|(name, _)| name).filter(secret).collect()
    }

    #[test]
    fn a_token_goes_to_its_own_host_only() {
        let env =
            [("GH_TOKEN", "a"), ("GH_ENTERPRISE_TOKEN", "b"), ("GH_HOST", "git.corp"), ("AWS_TOKEN", "c")];
        assert_eq!(names("github.com", &env), ["GH_TOKEN"]);
        assert_eq!(names("git.corp", &env), ["GH_ENTERPRISE_TOKEN"]);
        assert!(names("evil.example", &env).is_empty());
    }
}
