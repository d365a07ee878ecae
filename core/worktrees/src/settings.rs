//! What the service is given when it starts, and who calls it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::removal::{Step, Workers};
use crate::review::Forge;

/// Tells whether a session runs, or can be resumed without anybody asking.
pub type SessionAlive = Arc<dyn Fn(&str) -> bool + Send + Sync>;
/// Milliseconds since 1970 UTC.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;
/// `true` makes the work stop after this step, as a SIGKILL there would.
pub type StopAfter = Arc<dyn Fn(Step) -> bool + Send + Sync>;

#[derive(Clone)]
pub struct Settings {
    /// Name of this machine: a claim made on another one is never proven dead here.
    pub host: String,
    pub home: PathBuf,
    pub session_alive: SessionAlive,
    pub now: Clock,
    /// Variables for git where no client asks: PATH and HOME at least.
    pub env: BTreeMap<String, String>,
    /// Who asks code hosts about reviews. Without one, git alone knows.
    pub forge: Option<Arc<dyn Forge>>,
    /// Keeps what hooks print.
    pub hook_output: Option<crate::provide::HookOutput>,
    /// Who works in worktrees beside the owners of claims.
    pub workers: Option<Arc<dyn Workers>>,
    /// For tests of crashes.
    pub stop_after: Option<StopAfter>,
}

impl Settings {
    /// Settings with the clock of the system and the variables of this process that are text.
    #[must_use]
    pub fn new(host: impl Into<String>, home: impl Into<PathBuf>, session_alive: SessionAlive) -> Self {
        let text = |(key, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((key.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            host: host.into(),
            home: home.into(),
            session_alive,
            now: Arc::new(podium_store::now_ms),
            env: std::env::vars_os().filter_map(text).collect(),
            forge: None,
            hook_output: None,
            workers: None,
            stop_after: None,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Set on an agent's own connection; it acts under its own name, with its token, and never by force.
    pub agent: Option<AgentCaller>,
    /// `person:<user>@<host>`.
    pub person: String,
    /// Variables that the client sent: PATH, keys, proxy, identity.
    pub env: BTreeMap<String, String>,
    pub connection_pid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCaller {
    pub session: String,
    pub agent_id: String,
}

impl Caller {
    /// The name the caller acts under when the request gives none.
    pub(crate) fn name(&self) -> &str {
        self.agent.as_ref().map_or(&self.person, |agent| &agent.agent_id)
    }
}
