//! Where everything lies: one folder for all state, and the cache of model weights.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Longest path of a Unix socket on Linux, without the final NUL.
const MAX_SOCKET_PATH: usize = 107;

/// The folder that holds all state of one Podium, and the paths in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    models: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error("no home folder is known for this user")]
    Unknown,
    #[error("PODIUM_HOME must be an absolute path, not `{0}`")]
    Relative(PathBuf),
}

impl Home {
    /// A home at `root`, with model weights in `models`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, models: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), models: models.into() }
    }

    /// From `PODIUM_HOME` and `PODIUM_MODELS`, else the platform's state and cache folders.
    ///
    /// # Errors
    /// When `PODIUM_HOME` is relative, or nothing is set and the platform knows no home folder.
    pub fn from_process() -> Result<Self, HomeError> {
        Self::resolve(|name| std::env::var_os(name).filter(|v| !v.is_empty()))
    }

    /// As [`Home::from_process`], over the variables that `get` gives.
    ///
    /// # Errors
    /// As [`Home::from_process`].
    pub fn resolve(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, HomeError> {
        let platform = directories::ProjectDirs::from("", "", "podium");
        let root = match get("PODIUM_HOME") {
            Some(path) => PathBuf::from(path),
            None => {
                let dirs = platform.as_ref().ok_or(HomeError::Unknown)?;
                dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned()
            }
        };
        if root.is_relative() {
            return Err(HomeError::Relative(root));
        }
        let models = match get("PODIUM_MODELS") {
            Some(path) => PathBuf::from(path),
            None => platform.as_ref().ok_or(HomeError::Unknown)?.cache_dir().join("models"),
        };
        Ok(Self { root, models })
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of model weights, shared by all homes of the user.
    #[must_use]
    pub fn models(&self) -> &Path {
        &self.models
    }

    /// Folder of the database alone: it changes all the time, and whoever watches the configuration file is woken by
    /// every change beside that.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.store().join("podium.db")
    }

    /// Held locked by the daemon as long as it lives.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("daemon.lock")
    }

    /// Secret that tells a person's process from an agent's. Readable by the user only, hidden by every sandbox.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.root.join("token")
    }

    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    #[must_use]
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// Texts that editors write prompts in.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// Read-only files made for editors: transcripts, search hits.
    #[must_use]
    pub fn views(&self) -> PathBuf {
        self.root.join("views")
    }

    #[must_use]
    pub fn secrets_file(&self) -> PathBuf {
        self.root.join("secrets.toml")
    }

    /// The user's configuration file. Beside the state when `PODIUM_HOME` is set, so that nothing outside is read.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// Folder of the sockets: in the home, or, where that path would be too long for a socket, in a folder of the
    /// user's runtime directory that is named by a hash of the home.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        let inside = self.root.join("run");
        // The longest name in it: a capability socket.
        if inside.join("cap").join("0123456789abcdef.sock").as_os_str().len() <= MAX_SOCKET_PATH {
            return inside;
        }
        let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        base.join(format!("podium-{:016x}", fnv1a(self.root.as_os_str().as_encoded_bytes())))
    }

    /// The daemon's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.run().join("daemon.sock")
    }

    /// Folder of the capability sockets of sessions.
    #[must_use]
    pub fn capability_sockets(&self) -> PathBuf {
        self.run().join("cap")
    }

    /// Folder of the agents that run or have left something: a folder for each session. In the home, however long its
    /// path is: what agents write may be much.
    #[must_use]
    pub fn agents(&self) -> PathBuf {
        self.root.join("run").join("agents")
    }

    /// Files of worktrees that checkpoints of sessions hold: a repository for each session.
    #[must_use]
    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// Where a daemon that could not start says why, for the client that started it.
    #[must_use]
    pub fn start_failure(&self) -> PathBuf {
        self.root.join("start-failure.json")
    }
}

/// FNV-1a, 64 bit: stable between versions, which the standard library's hasher is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(root: &str) -> Home {
        Home::new(root, "/m")
    }

    #[test]
    fn sockets_lie_in_the_home() {
        assert_eq!(home("/h").socket(), PathBuf::from("/h/run/daemon.sock"));
    }

    #[test]
    fn a_long_home_moves_its_sockets_to_a_short_place_of_its_own() {
        let (a, b) = (home(&format!("/{}", "a".repeat(200))), home(&format!("/{}", "b".repeat(200))));
        assert!(a.socket().as_os_str().len() <= MAX_SOCKET_PATH);
        assert_ne!(a.socket(), b.socket());
        assert_eq!(a.socket(), home(&format!("/{}", "a".repeat(200))).socket());
    }

    #[test]
    fn a_relative_home_is_refused() {
        let found = Home::resolve(|name| (name == "PODIUM_HOME").then(|| "x/y".into()));
        assert!(matches!(found, Err(HomeError::Relative(_))));
    }
}
