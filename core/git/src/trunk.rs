//! The branch that everything starts from and is compared with.

use crate::error::{GitError, Result};
use crate::oid::Oid;
use crate::repo::Repo;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkSource {
    Configured,
    /// What the remote calls its HEAD.
    RemoteHead,
    /// It is called `main` or `master`.
    Conventional,
    /// The branch of the main worktree.
    CurrentBranch,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    /// Without `refs/heads/`.
    pub name: String,
    pub local: Option<Oid>,
    /// The remote-tracking reference (full name) and its commit.
    pub remote: Option<(String, Oid)>,
    pub source: TrunkSource,
}

impl Trunk {
    /// All known tips of the trunk.
    pub fn tips(&self) -> Vec<Oid> {
        self.local.iter().chain(self.remote.iter().map(|(_, id)| id)).cloned().collect()
    }
}

impl Repo {
    /// Finds the trunk: the configured name, else the remote's HEAD, else `main` or `master`, else the branch of the
    /// main worktree.
    ///
    /// # Errors
    /// `NoSuchBranch` for a configured name that does not exist, `UnbornHead`, `NoTrunk`.
    pub fn trunk(&self, configured: Option<&str>) -> Result<Trunk> {
        let remote = self.trunk_remote()?;
        let remote = remote.as_deref();
        if let Some(name) = configured {
            let found = self.trunk_named(name, remote, TrunkSource::Configured)?;
            return found.ok_or_else(|| GitError::NoSuchBranch { name: name.to_owned() });
        }
        if let Some(remote) = remote {
            let prefix = format!("refs/remotes/{remote}/");
            let target = self.symbolic_target(&format!("{prefix}HEAD"))?;
            if let Some(name) = target.as_deref().and_then(|target| target.strip_prefix(&prefix))
                && let Some(trunk) = self.trunk_named(name, Some(remote), TrunkSource::RemoteHead)?
            {
                return Ok(trunk);
            }
        }
        for name in ["main", "master"] {
            if let Some(trunk) = self.trunk_named(name, remote, TrunkSource::Conventional)? {
                return Ok(trunk);
            }
        }
        self.current_as_trunk(remote)
    }

    /// Where new work starts: the newest of the local and the remote tip; the remote one when they have diverged.
    pub fn trunk_tip(&self, trunk: &Trunk) -> Result<Oid> {
        match (&trunk.local, &trunk.remote) {
            (Some(local), Some((_, remote))) => {
                let counts = self.ahead_behind(local, remote)?;
                Ok(if counts.ahead > 0 && counts.behind == 0 { local } else { remote }.clone())
            }
            (Some(only), None) | (None, Some((_, only))) => Ok(only.clone()),
            (None, None) => Err(GitError::NoTrunk),
        }
    }

    /// `origin`, or the only remote.
    fn trunk_remote(&self) -> Result<Option<String>> {
        let remotes = self.remotes()?;
        let origin = remotes.iter().find(|name| *name == "origin");
        let only = if remotes.len() == 1 { remotes.first() } else { None };
        Ok(origin.or(only).cloned())
    }

    fn trunk_named(&self, name: &str, remote: Option<&str>, source: TrunkSource) -> Result<Option<Trunk>> {
        let local = self.branch(name)?;
        let tracking = remote.map(|remote| format!("refs/remotes/{remote}/{name}"));
        let remote = match tracking {
            Some(refname) => self.find_ref(&refname)?.map(|id| (refname, id)),
            None => None,
        };
        let exists = local.is_some() || remote.is_some();
        Ok(exists.then(|| Trunk { name: name.to_owned(), local, remote, source }))
    }

    fn current_as_trunk(&self, remote: Option<&str>) -> Result<Trunk> {
        let main = crate::model::WorktreeLocation {
            git_dir: self.common_dir().to_owned(),
            path: self.root().to_owned(),
        };
        match self.head(&main)? {
            crate::model::Head::Branch { name, .. } => {
                let trunk = self.trunk_named(&name, remote, TrunkSource::CurrentBranch)?;
                trunk.ok_or(GitError::NoTrunk)
            }
            crate::model::Head::Unborn { name } => Err(GitError::UnbornHead { branch: name }),
            crate::model::Head::Detached { .. } => Err(GitError::NoTrunk),
        }
    }
}
