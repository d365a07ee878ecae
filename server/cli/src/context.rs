//! Where a command is run, and its way to the daemon.

use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};

use podium_client::{Client, ConnectOptions, StartPolicy};
use podium_protocol::{ListScope, RepoSelector, WireError};

use crate::output::{Ending, Failure, Output};

/// What a command knows of its process: streams, folder, and the variables that say who calls.
#[derive(Debug, Clone)]
pub struct Context {
    pub output: Output,
    /// Name of the program, for the daemon's log.
    pub name: &'static str,
    agent: Option<String>,
    token: Option<String>,
    /// File in which the shell function of `imi shell-init` wants the folder to go to.
    pub cd_file: Option<PathBuf>,
}

impl Context {
    #[must_use]
    pub fn from_process(name: &'static str, output: Output) -> Self {
        Self {
            output,
            name,
            agent: text_variable("PODIUM_AGENT_ID"),
            token: text_variable("PODIUM_CLAIM_TOKEN"),
            cd_file: variable("PODIUM_CD_FILE").map(PathBuf::from),
        }
    }

    /// A client that starts a daemon when none answers. It connects with the first call.
    ///
    /// # Errors
    /// When there is no place for Podium's state.
    pub fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(ConnectOptions::from_process(self.name)?))
    }

    /// A client for commands that must not start a daemon.
    ///
    /// # Errors
    /// When there is no place for Podium's state.
    pub fn client_of_running(&self) -> Result<Client, Failure> {
        Ok(Client::new(ConnectOptions {
            start: StartPolicy::Never,
            ..ConnectOptions::from_process(self.name)?
        }))
    }

    /// Who calls: the option, else `PODIUM_AGENT_ID`, else nobody in particular, which the daemon takes for
    /// the connection's session or the person.
    #[must_use]
    pub fn agent(&self, option: Option<String>) -> Option<String> {
        option.or_else(|| self.agent.clone())
    }

    /// The claim's token: the option, else `PODIUM_CLAIM_TOKEN`.
    ///
    /// # Errors
    /// When the variable is not a number.
    pub fn token(&self, option: Option<u64>) -> Result<Option<u64>, Failure> {
        match (option, &self.token) {
            (None, Some(text)) => text.trim().parse().map(Some).map_err(|_| {
                crate::output::usage(
                    "PODIUM_CLAIM_TOKEN is not a number",
                    "use the token that `imi claim` printed",
                )
            }),
            (token, _) => Ok(token),
        }
    }
}

/// The repository a command is about: the one `path` lies in, without it the current folder's.
///
/// # Errors
/// When the path does not exist, or the current folder was deleted.
pub fn repo_selector(path: Option<&Path>) -> Result<RepoSelector, Failure> {
    let folder = match path {
        Some(path) if path.as_os_str().is_empty() => {
            return Err(crate::output::usage("--repo is empty", "give a path inside the repository"));
        }
        Some(path) => std::path::absolute(path),
        None => match std::env::current_dir() {
            // Deleted under the shell: it still knows where it was, and the daemon whose that place is.
            Err(error) => {
                return shells_folder().map(|folder| selector_of(&folder)).ok_or(error).map_err(no_folder);
            }
            folder => folder,
        },
    };
    let folder = folder.map_err(no_folder)?;
    if !folder.exists() {
        return Err(WireError::not_found(format!("no folder {}", folder.display())).into());
    }
    Ok(selector_of(&folder))
}

/// Where the shell thinks it is.
fn shells_folder() -> Option<PathBuf> {
    variable("PWD").map(PathBuf::from).filter(|folder| folder.is_absolute())
}

fn no_folder(error: std::io::Error) -> Failure {
    let error = WireError::user(format!("the current folder cannot be told: {error}"));
    error.hint("change to a folder that exists").into()
}

/// What a list is about: the repository that is named, else the one that the current folder lies in, else everything.
///
/// # Errors
/// As [`repo_selector`], for a path that is named.
pub fn list_scope(path: Option<&Path>, all: bool) -> Result<ListScope, Failure> {
    if path.is_some() {
        return Ok(ListScope { at: repo_selector(path)?, ..ListScope::default() });
    }
    let here = std::env::current_dir().ok().filter(|_| !all);
    let uris = here.iter().map(|folder| file_uri(folder)).collect();
    Ok(ListScope { uris, all, ..ListScope::default() })
}

/// A `file:` URI; what is not plain in one is escaped byte by byte.
fn file_uri(path: &Path) -> String {
    let mut uri = "file://".to_owned();
    for byte in path_bytes(path) {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

/// An absolute path as the protocol carries it.
#[must_use]
pub fn selector_of(folder: &Path) -> RepoSelector {
    match folder.to_str() {
        Some(text) => RepoSelector { repo: Some(text.to_owned()), ..RepoSelector::default() },
        None => RepoSelector { repo_bytes: Some(path_bytes(folder)), ..RepoSelector::default() },
    }
}

/// The path of a worktree, bytes first: its text may be a readable form only.
#[must_use]
pub fn wire_path(text: &str, bytes: Option<&Vec<u8>>) -> PathBuf {
    match bytes {
        #[cfg(unix)]
        Some(bytes) => {
            use std::os::unix::ffi::OsStringExt;
            PathBuf::from(OsString::from_vec(bytes.clone()))
        }
        _ => PathBuf::from(text),
    }
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

/// Runs a command to its end. One thread: a command line waits for the daemon and does nothing beside.
pub fn block_on(work: impl Future<Output = Ending>) -> Ending {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| WireError::internal(format!("cannot wait for input and output: {e}")))?;
    let ending = runtime.block_on(work);
    // A read of standard input that nobody needs any more must not hold the process.
    runtime.shutdown_background();
    ending
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|v| !v.is_empty())
}

fn text_variable(name: &str) -> Option<String> {
    variable(name).map(|v| v.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(agent: Option<&str>, token: Option<&str>) -> Context {
        Context {
            output: Output::from_process(true),
            name: "imi",
            agent: agent.map(str::to_owned),
            token: token.map(str::to_owned),
            cd_file: None,
        }
    }

    #[test]
    fn an_option_wins_over_its_variable() {
        let context = context(Some("from-env"), Some("7"));
        assert_eq!(context.agent(None).as_deref(), Some("from-env"));
        assert_eq!(context.agent(Some("option".into())).as_deref(), Some("option"));
        assert_eq!(context.token(None).unwrap(), Some(7));
        assert_eq!(context.token(Some(9)).unwrap(), Some(9));
    }

    #[test]
    fn a_token_that_is_no_number_is_a_usage_error() {
        assert!(matches!(context(None, Some("x")).token(None), Err(Failure::Coded(_, 2))));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_not_utf8_travels_as_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let bytes = b"/tmp/\xff".to_vec();
        let selector = selector_of(Path::new(std::ffi::OsStr::from_bytes(&bytes)));
        assert_eq!((selector.repo, selector.repo_bytes), (None, Some(bytes.clone())));
        assert_eq!(path_bytes(&wire_path("/tmp/?", Some(&bytes))), bytes);
    }

    #[test]
    fn a_folder_becomes_a_uri_that_reads_back() {
        assert_eq!(file_uri(Path::new("/a b/ü%.rs")), "file:///a%20b/%C3%BC%25.rs");
    }

    #[test]
    fn a_folder_that_is_not_there_is_not_found() {
        let error = repo_selector(Some(Path::new("/no/such/folder"))).unwrap_err();
        assert!(matches!(error, Failure::Wire(e) if e.kind.exit_code() == 4));
    }
}
