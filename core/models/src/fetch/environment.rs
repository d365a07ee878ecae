//! The user's environment, as far as a fetch needs it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Variables that matter to pip, TLS and proxies. Anything else of a caller's environment stays out.
const NAMES: &[&str] = &[
    "PATH",
    "HOME",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "SYSTEMROOT",
    "TMPDIR",
    "TEMP",
    "LANG",
    "LC_ALL",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CACHE_HOME",
    "VIRTUAL_ENV",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NETRC",
];
const PREFIXES: &[&str] = &["PIP_", "SSL_CERT_", "PYENV_"];
const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// An explicit list of variables: a daemon's own environment is not its user's.
#[derive(Clone, Default)]
pub struct FetchEnvironment {
    variables: Vec<(OsString, OsString)>,
}

/// Values can hold credentials (an index address with a password), so only names are shown.
impl std::fmt::Debug for FetchEnvironment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.variables.iter().map(|(name, _)| name)).finish()
    }
}

impl FetchEnvironment {
    /// Picks what a fetch needs out of any list of variables, for example `std::env::vars_os()` of the
    /// client that asked.
    pub fn from_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self { variables: variables.into_iter().filter(|(name, _)| wanted(name)).collect() }
    }

    /// Does a fetch need this variable?
    pub fn wants(name: &OsStr) -> bool {
        wanted(name)
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    pub(super) fn get(&self, wanted: &str) -> Option<&OsStr> {
        let found = self.variables().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    /// A variable whose name is written in capitals or not.
    pub(super) fn proxy(&self, name: &str) -> Option<&str> {
        self.get(&name.to_ascii_lowercase()).or_else(|| self.get(name)).and_then(OsStr::to_str)
    }

    pub(super) fn find_program(&self, names: &[&str], dir: &Path) -> Option<PathBuf> {
        let path = self.get("PATH")?;
        names.iter().find_map(|name| which::which_in(name, Some(path), dir).ok())
    }
}

fn wanted(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let name = name.to_ascii_uppercase();
    NAMES.contains(&name.as_str())
        || PROXIES.contains(&name.as_str())
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_fetch_needs_is_taken() {
        let all = ["PATH", "PIP_INDEX_URL", "https_proxy", "SSL_CERT_FILE", "ANTHROPIC_API_KEY", "GIT_DIR"];
        let environment = FetchEnvironment::from_variables(all.map(|name| (name.into(), "secret".into())));
        let names: Vec<_> = environment.variables().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(names, ["PATH", "PIP_INDEX_URL", "https_proxy", "SSL_CERT_FILE"]);
        assert!(!format!("{environment:?}").contains("secret"));
    }
}
