//! How a client finds its daemon and what it tells it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use podium_config::Home;
use podium_protocol::{VERSION, WireError};

/// Whether a client may start a daemon where none answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartPolicy {
    Never,
    OnDemand,
}

/// Which variables go along with requests that need them.
#[derive(Debug, Clone)]
pub enum EnvSource {
    /// The relevant ones of this process ([`relevant_env`]), read at the time of the call.
    Process,
    Fixed(BTreeMap<String, String>),
}

#[derive(Debug, Clone)]
pub struct ConnectOptions {
    pub home: Home,
    /// Name of the client program, for the daemon's log.
    pub name: String,
    pub start: StartPolicy,
    pub env: EnvSource,
    /// A capability socket to use instead of the daemon's main one; no token is sent on it.
    pub socket: Option<PathBuf>,
    /// Version told in the handshake. A newer client replaces an older daemon.
    pub version: String,
    /// Program to start as `<program> daemon --foreground`; absent: `podium` beside this program, else on the PATH.
    pub program: Option<PathBuf>,
}

impl ConnectOptions {
    #[must_use]
    pub fn new(home: Home, name: impl Into<String>) -> Self {
        Self {
            home,
            name: name.into(),
            start: StartPolicy::OnDemand,
            env: EnvSource::Process,
            socket: None,
            version: VERSION.to_owned(),
            program: None,
        }
    }

    /// Options as this process' environment says: `PODIUM_HOME`, and `PODIUM_SOCKET` for an agent.
    ///
    /// # Errors
    /// `user` when the home cannot be determined.
    pub fn from_process(name: &str) -> Result<Self, WireError> {
        let home = Home::from_process()
            .map_err(|e| WireError::user(e.to_string()).hint("set PODIUM_HOME to an absolute path"))?;
        let socket = std::env::var_os("PODIUM_SOCKET").filter(|s| !s.is_empty()).map(PathBuf::from);
        let start = if socket.is_some() { StartPolicy::Never } else { StartPolicy::OnDemand };
        Ok(Self { start, socket, ..Self::new(home, name) })
    }
}

/// Names (or beginnings, with `*`) of variables that a method with `needs_env` may be sent.
const RELEVANT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_GLOBAL",
    "GIT_AUTHOR_*",
    "GIT_COMMITTER_*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "PIP_*",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "VIRTUAL_ENV",
    "PYENV_*",
    "GH_*",
    "GITHUB_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "ANTHROPIC_*",
    "OPENAI_*",
];

/// The variables of this process that a request may need, and no others. Values that are not UTF-8 are left out.
#[must_use]
pub fn relevant_env() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| is_relevant(name))
        .collect()
}

fn is_relevant(name: &str) -> bool {
    RELEVANT.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::is_relevant;

    #[test]
    fn only_named_variables_travel() {
        assert!(is_relevant("PATH") && is_relevant("GIT_AUTHOR_NAME") && is_relevant("ANTHROPIC_API_KEY"));
        assert!(
            !is_relevant("GIT_DIR")
                && !is_relevant("GIT_INDEX_FILE")
                && !is_relevant("AWS_SECRET_ACCESS_KEY")
        );
    }
}
