//! The variables a git process is given: an allow-list, never the daemon's or a hook's own environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Passed to every git process when the caller has them.
const ALWAYS: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_SSL_CAINFO",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    // Windows processes do not start without these.
    "SYSTEMROOT",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "PATHEXT",
    "TEMP",
    "TMP",
];

/// Passed only to a process that writes a commit or a reflog entry.
const IDENTITY: &[&str] = &[
    "EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_DATE",
];

/// The caller's variables, reduced to those that git may see.
///
/// Any other `GIT_*` variable is dropped: one inherited from a hook would point git at another repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitEnv {
    vars: BTreeMap<OsString, OsString>,
}

impl GitEnv {
    pub fn from_vars<K, V>(vars: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let allowed =
            |key: &OsStr| key.to_str().is_some_and(|key| ALWAYS.contains(&key) || IDENTITY.contains(&key));
        let vars = vars.into_iter().map(|(key, value)| (key.into(), value.into()));
        Self { vars: vars.filter(|(key, _)| allowed(key)).collect() }
    }

    pub fn get(&self, key: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(key)).map(OsString::as_os_str)
    }

    /// What a process gets; identity only when `with_identity`.
    pub(crate) fn for_process(&self, with_identity: bool) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.vars
            .iter()
            .filter(move |(key, _)| with_identity || !IDENTITY.iter().any(|name| key.as_os_str() == *name))
            .map(|(key, value)| (key.as_os_str(), value.as_os_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_redirect_git_are_dropped() {
        let env = GitEnv::from_vars([
            ("PATH", "/bin"),
            ("GIT_DIR", "/elsewhere"),
            ("GIT_INDEX_FILE", "/elsewhere/index"),
            ("GIT_SSH_COMMAND", "evil"),
            ("GIT_AUTHOR_NAME", "Ada"),
            ("LD_PRELOAD", "x.so"),
        ]);
        let read: Vec<_> = env.for_process(false).map(|(key, _)| key.to_owned()).collect();
        assert_eq!(read, ["PATH"]);
        let commit: Vec<_> = env.for_process(true).map(|(key, _)| key.to_owned()).collect();
        assert_eq!(commit, ["GIT_AUTHOR_NAME", "PATH"]);
    }
}
