//! Which remote has a request, and under which name.

use std::time::Duration;

use podium_git::{Fetch, GitError, Oid, Repo};
use podium_protocol::WireError;

use crate::error::{Error, Result};

/// A request moves while it is fetched at most so often.
const TRIES: usize = 3;

/// Where requests of a remote come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) remote: String,
    /// Host and path of a URL that names both.
    pub(super) place: Option<(String, String)>,
}

/// A request as the remote has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) refname: String,
    pub(super) head: Oid,
}

/// The asked remote, else the one that `gh` resolved, else `upstream` (of who works on a fork), `origin`, or the first.
pub(super) fn source(repo: &Repo, asked: Option<&str>) -> Result<Source> {
    let remotes = repo.remotes()?;
    let known = |name: &str| remotes.iter().find(|remote| *remote == name).cloned();
    let remote = match asked {
        Some(name) => known(name).ok_or_else(|| no_remote(name, &remotes))?,
        None => {
            let resolved = remotes.iter().find(|name| {
                let key = format!("remote.{name}.gh-resolved");
                repo.config(&key).ok().flatten().as_deref() == Some("base")
            });
            let usual = || known("upstream").or_else(|| known("origin")).or_else(|| remotes.first().cloned());
            resolved.cloned().or_else(usual).ok_or_else(|| {
                let error = WireError::user("the repository has no remote to review requests of");
                Error::from(error.hint("git remote add origin URL"))
            })?
        }
    };
    // `insteadOf` may lead to a mirror; the address as it is written still says which host is meant.
    let written = || repo.config(&format!("remote.{remote}.url")).ok().flatten();
    let place = place_of(&repo.remote_url(&remote)?).or_else(|| place_of(&written()?));
    Ok(Source { remote, place })
}

fn no_remote(name: &str, remotes: &[String]) -> Error {
    let shown: String = name.chars().take(80).collect();
    let error = WireError::not_found(format!("there is no remote `{shown}`"));
    error.hint(format!("remotes: {}", remotes.join(", "))).into()
}

/// Host (with its port) and path of `https://host/owner/name.git`, `ssh://git@host/owner/name` and
/// `git@host:owner/name.git`.
fn place_of(url: &str) -> Option<(String, String)> {
    let (authority, path) = match url.split_once("://") {
        Some((scheme, _)) if !matches!(scheme, "http" | "https" | "ssh" | "git" | "git+ssh") => return None,
        Some((_, rest)) => rest.split_once('/')?,
        None if url.starts_with(['/', '.']) => return None,
        None => url.split_once(':')?,
    };
    let host = authority.rsplit('@').next().unwrap_or(authority).to_lowercase();
    // A port of ssh says nothing about where the host answers questions.
    let host = if url.starts_with("ssh") { host.split(':').next().unwrap_or(&host).to_owned() } else { host };
    let path = path.trim_matches('/').trim_end_matches(".git").to_owned();
    let odd =
        |text: &str| text.contains(|c: char| c.is_control() || matches!(c, ' ' | '?' | '#' | '%' | '\\'));
    let whole = !host.is_empty() && path.contains('/') && !odd(&host) && !odd(&path) && !path.contains("..");
    whole.then_some((host, path))
}

/// References under which hosts keep a request's newest commit: GitHub and Gitea, GitLab, Bitbucket Server.
fn names(number: u64) -> [String; 3] {
    [
        format!("refs/pull/{number}/head"),
        format!("refs/merge-requests/{number}/head"),
        format!("refs/pull-requests/{number}/from"),
    ]
}

/// Looks for the request at the remote and brings its commits. They have no reference until a branch is made.
///
/// # Errors
/// `NotFound` for a number that the remote does not have; what keeps git from reaching it.
pub(super) fn fetch(repo: &Repo, source: &Source, number: u64, timeout: Duration) -> Result<Found> {
    let names = names(number);
    let mut last = None;
    for _ in 0..TRIES {
        let listed = repo.remote_refs(&source.remote, &names, timeout)?;
        let wanted = names.iter().find_map(|name| listed.iter().find(|(found, _)| found == name));
        let Some((refname, head)) = wanted.cloned() else {
            return Err(no_such(&source.remote, number).into());
        };
        let mut fetch = Fetch::new(&source.remote, timeout);
        fetch.refspecs = vec![refname.clone()];
        repo.fetch(&fetch)?;
        // Unless it moved between the two.
        match repo.resolve_here(head.as_str()) {
            Ok(_) => return Ok(Found { refname, head }),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or(GitError::NoSuchRevision { rev: number.to_string() }).into())
}

pub(super) fn no_such(remote: &str, number: u64) -> WireError {
    let error = WireError::not_found(format!("`{remote}` has no pull request or merge request {number}"));
    error.hint("check the number").hint("--remote NAME asks another remote")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_path_are_read_from_every_form_of_address() {
        let found = Some(("github.com".to_owned(), "ada/app".to_owned()));
        for url in [
            "https://github.com/ada/app.git",
            "https://token:x@GitHub.com/ada/app",
            "git@github.com:ada/app.git",
            "ssh://git@github.com:22/ada/app.git/",
        ] {
            assert_eq!(place_of(url), found, "{url}");
        }
        assert_eq!(
            place_of("http://127.0.0.1:8080/a/b"),
            Some(("127.0.0.1:8080".to_owned(), "a/b".to_owned()))
        );
        let grouped = Some(("gitlab.example".to_owned(), "group/sub/app".to_owned()));
        assert_eq!(place_of("git@gitlab.example:group/sub/app.git"), grouped);
        for url in ["/srv/x.git", "../x", "file:///srv/x/y.git", "https://host/", "https://h/a b/c", "x"] {
            assert_eq!(place_of(url), None, "{url}");
        }
    }
}
