//! What a workplace is opened with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use podium_config::{Config, Home};
use podium_git::{Repo, WorktreeLocation};
use podium_process::{Limits, sandbox::Mechanism};

use super::Claimed;
use crate::Env;

/// Where, for whom and how an agent works.
#[derive(Clone)]
pub struct Opening {
    pub repo: Repo,
    pub at: WorktreeLocation,
    /// A folder of this session alone, out of the reach of agents. It stays over restarts, until the workplace is closed.
    pub folder: PathBuf,
    pub confine: Confine,
    /// Who commits where the user has set no name.
    pub agent: String,
    /// Variables of the caller. What is not known to be harmless does not reach the agent.
    pub env: Env,
    pub claimed: Arc<dyn Claimed>,
    /// The agent works there already: nothing that it sees may be exchanged.
    pub occupied: bool,
}

/// How an agent is confined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confine {
    /// `None`: the best that works here.
    pub mechanism: Option<Mechanism>,
    /// Somebody's word that this agent may work without any confinement where none works.
    pub unsandboxed: Option<Approval>,
    /// Never shown, wherever it lies: Podium's home with the main socket and its token.
    pub hidden: Vec<PathBuf>,
    /// The session's capability socket.
    pub socket: Option<PathBuf>,
    /// Holds that socket and nothing else: shown in its place where a folder can be, so that a socket which a next daemon
    /// opens is seen as well.
    pub socket_folder: Option<PathBuf>,
    /// Shown for reading; what does not exist is passed over.
    pub read: Vec<PathBuf>,
    /// Shown for writing, beside the worktree.
    pub write: Vec<PathBuf>,
    /// Of these the ones that the agent finds in its own home too.
    pub linked: Vec<PathBuf>,
    /// Podium's own programs: shown one by one, and found by `PATH`.
    pub programs: Vec<PathBuf>,
    pub network: bool,
    pub limits: Limits,
}

/// Who allowed an agent to work unconfined, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub by: String,
    pub at: SystemTime,
}

const MIB: u64 = 1024 * 1024;

impl Confine {
    /// As the settings say, for a user whose home is `user_home`.
    #[must_use]
    pub fn configured(config: &Config, home: &Home, user_home: Option<&Path>) -> Self {
        let mechanism = match config.text("sandbox.mechanism") {
            "bubblewrap" => Some(Mechanism::Bubblewrap),
            "landlock" => Some(Mechanism::Landlock),
            "none" => Some(Mechanism::None),
            _ => None,
        };
        let read = config.list("sandbox.read").into_iter();
        let mib = |name: &str| u64::try_from(config.integer(name)).unwrap_or(0).saturating_mul(MIB);
        let limits = Limits {
            memory: Some(mib("sandbox.memory_mb")).filter(|bytes| *bytes > 0),
            file_size: Some(mib("sandbox.file_mb")),
            ..Limits::default()
        };
        Self {
            mechanism,
            read: read.filter_map(|path| expanded(path, user_home)).collect(),
            hidden: vec![home.root().to_owned(), home.run()],
            network: config.flag("sandbox.network"),
            limits,
            ..Self::default()
        }
    }
}

pub(super) fn expanded(path: &str, home: Option<&Path>) -> Option<PathBuf> {
    let path = match path.strip_prefix("~/") {
        Some(rest) => home?.join(rest),
        None => PathBuf::from(path),
    };
    path.is_absolute().then_some(path)
}
