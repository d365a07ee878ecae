//! Fetching, with "offline" told apart from every other failure.

use std::time::Duration;

use crate::error::{GitError, Result};
use crate::queue::{Lane, RepoLock};
use crate::repo::Repo;

#[derive(Debug, Clone)]
pub struct Fetch {
    /// Name of a configured remote.
    pub remote: String,
    /// Empty: what the remote is configured with.
    pub refspecs: Vec<String>,
    pub prune: bool,
    /// Waiting for another fetch included.
    pub timeout: Duration,
}

impl Fetch {
    pub fn new(remote: impl Into<String>, timeout: Duration) -> Self {
        Self { remote: remote.into(), refspecs: Vec::new(), prune: false, timeout }
    }
}

impl Repo {
    /// Fetches. Runs beside other changes, but not beside another fetch of this repository.
    ///
    /// # Errors
    /// `Offline`, `Auth`, `NoSuchRemoteRef`, `Timeout`, `QueueBusy`.
    pub fn fetch(&self, fetch: &Fetch) -> Result<()> {
        // Git would take any other word for a path or a URL.
        if !self.remotes()?.contains(&fetch.remote) {
            let (remote, detail) = (fetch.remote.clone(), "it is not configured".to_owned());
            return Err(GitError::NoSuchRemoteRef { remote, detail });
        }
        let started = std::time::Instant::now();
        let _turn = RepoLock::acquire_lane(self.common_dir(), Lane::Fetches, fetch.timeout)?;
        let mut command = self.place().change();
        command.timeout(fetch.timeout.saturating_sub(started.elapsed()));
        // A relative address is meant from there.
        command.folder(self.root());
        command.args(["fetch", "--quiet", "--no-auto-maintenance", "--no-write-fetch-head"]);
        command.arg("--no-recurse-submodules");
        if fetch.prune {
            command.arg("--prune");
        }
        command.arg("--").arg(&fetch.remote).args(&fetch.refspecs);
        let outcome = command.attempt()?;
        if outcome.code == Some(0) {
            return Ok(());
        }
        Err(classify(&fetch.remote, &outcome.stderr).unwrap_or_else(|| command.failure(&outcome)))
    }
}

pub(crate) fn classify(remote: &str, stderr: &str) -> Option<GitError> {
    const OFFLINE: &[&str] = &[
        "could not resolve host",
        "could not resolve proxy",
        "name resolution",
        "name or service not known",
        "network is unreachable",
        "network is down",
        "no route to host",
        "connection refused",
        "connection timed out",
        "operation timed out",
        "failed to connect",
        "couldn't connect",
        "unable to connect",
        "connection reset",
        "could not connect",
    ];
    const AUTH: &[&str] = &[
        "authentication failed",
        "could not read username",
        "could not read password",
        "permission denied (",
        "host key verification failed",
        "returned error: 401",
        "returned error: 403",
    ];
    const MISSING: &[&str] = &[
        "couldn't find remote ref",
        "does not appear to be a git repository",
        "repository not found",
        "not found",
        "does not exist",
        "no such remote",
        "invalid refspec",
    ];
    let text = stderr.to_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    let line = stderr.lines().find(|line| line.starts_with("fatal:")).unwrap_or(stderr);
    let (remote, detail) = (remote.to_owned(), line.to_owned());
    if says(OFFLINE) {
        Some(GitError::Offline { remote, detail })
    } else if says(AUTH) {
        Some(GitError::Auth { remote, detail })
    } else if says(MISSING) {
        Some(GitError::NoSuchRemoteRef { remote, detail })
    } else {
        None
    }
}
