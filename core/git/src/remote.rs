//! What a remote has, asked without fetching, and pushing to it.

use std::time::Duration;

use crate::error::{GitError, Result};
use crate::fetch::classify;
use crate::oid::Oid;
use crate::parse;
use crate::repo::{Repo, is_full_refname};
use crate::write::RepoWriter;

impl Repo {
    /// The references of these full names that a remote has now. What it lacks is left out.
    ///
    /// # Errors
    /// `Offline`, `Auth`, `NoSuchRemoteRef`, `Timeout`.
    pub fn remote_refs(
        &self,
        remote: &str,
        names: &[String],
        timeout: Duration,
    ) -> Result<Vec<(String, Oid)>> {
        self.check_remote(remote)?;
        if let Some(odd) = names.iter().find(|name| !is_full_refname(name)) {
            return Err(GitError::InvalidArgument(odd.clone()));
        }
        let mut command = self.place().change();
        // A relative address is meant from there.
        command.folder(self.root());
        command.timeout(timeout).args(["ls-remote", "--quiet", "--refs", "--", remote]).args(names);
        let outcome = command.attempt()?;
        if outcome.code != Some(0) {
            return Err(classify(remote, &outcome.stderr).unwrap_or_else(|| command.failure(&outcome)));
        }
        let mut found = Vec::new();
        for line in String::from_utf8_lossy(&outcome.stdout).lines() {
            let Some((id, name)) = line.split_once('\t') else { continue };
            // Patterns match ends of names; only whole names were asked for.
            if names.iter().any(|wanted| wanted == name) {
                let id = parse::oid(id.as_bytes()).map_err(|error| command.unexpected(error.0))?;
                found.push((name.to_owned(), id));
            }
        }
        Ok(found)
    }

    /// Where a remote is fetched from, with `insteadOf` applied. May hold credentials.
    pub fn remote_url(&self, remote: &str) -> Result<String> {
        self.check_remote(remote)?;
        let mut command = self.place().read();
        command.args(["remote", "get-url", "--", remote]).text()
    }

    fn check_remote(&self, remote: &str) -> Result<()> {
        // Git would take any other word for a path or a URL.
        if self.remotes()?.iter().any(|known| known == remote) {
            return Ok(());
        }
        let (remote, detail) = (remote.to_owned(), "it is not configured".to_owned());
        Err(GitError::NoSuchRemoteRef { remote, detail })
    }
}

impl RepoWriter {
    /// Pushes one commit to a branch elsewhere, which must be missing there or an ancestor. `to` is a remote's name or a
    /// URL that the caller vouches for. Runs the user's `pre-push` hook.
    ///
    /// # Errors
    /// `Offline`, `Auth`; `Failed` where the other side refuses.
    pub fn push(&self, to: &str, id: &Oid, branch: &str, timeout: Duration) -> Result<()> {
        let refname = format!("refs/heads/{branch}");
        if to.is_empty() || to.starts_with('-') || !is_full_refname(&refname) {
            return Err(GitError::InvalidArgument(to.to_owned()));
        }
        let mut command = self.repo().place().change();
        command.folder(self.repo().root());
        command.timeout(timeout).args([
            "push",
            "--quiet",
            "--porcelain",
            "--no-recurse-submodules",
            "--",
            to,
        ]);
        let outcome = command.arg(format!("{id}:{refname}")).attempt()?;
        if outcome.code == Some(0) {
            return Ok(());
        }
        Err(classify(to, &outcome.stderr).unwrap_or_else(|| command.failure(&outcome)))
    }
}
