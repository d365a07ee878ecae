//! What all services share.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

use podium_artifacts::Artifacts;
use podium_broker::Tasks;
use podium_config::{Home, Live};
use podium_protocol::StopReason;
use podium_sessions::local::ModelHost;
use podium_sessions::{AgentHost, Inbox, Sessions};
use podium_store::Store;
use podium_worktrees::Worktrees;
use tokio::sync::watch;

use crate::ipc::CapabilitySockets;
use crate::pit::Pit;
use crate::runs::Runs;
use crate::workplaces::ClaimedWorkplaces;

/// The running daemon.
pub(crate) struct Daemon {
    pub(crate) home: Home,
    pub(crate) version: String,
    /// Unique for this start.
    pub(crate) instance: String,
    pub(crate) token: String,
    pub(crate) host: String,
    pub(crate) started: Instant,
    pub(crate) config: Arc<Live>,
    pub(crate) store: Store,
    pub(crate) artifacts: Artifacts,
    pub(crate) models: Arc<ModelHost>,
    pub(crate) sessions: Sessions,
    pub(crate) inbox: Inbox,
    pub(crate) agents: Arc<AgentHost>,
    pub(crate) worktrees: Worktrees,
    pub(crate) workplaces: Arc<ClaimedWorkplaces>,
    pub(crate) capabilities: CapabilitySockets,
    pub(crate) runs: Runs,
    pub(crate) pit: Pit,
    pub(crate) tasks: Tasks,
    pub(crate) clients: AtomicU32,
    /// Set once when the daemon is to end.
    pub(crate) ending: watch::Sender<Option<StopReason>>,
    /// Wakes with whatever may begin or end idleness.
    pub(crate) activity: tokio::sync::Notify,
}

impl Daemon {
    /// Asks the daemon to end. The first reason stands.
    pub(crate) fn end(&self, reason: StopReason) {
        self.ending.send_if_modified(|now| {
            let first = now.is_none();
            now.get_or_insert(reason);
            first
        });
    }
}

/// Resolves when the daemon is to end, with the reason.
pub(crate) async fn ended(ending: &mut watch::Receiver<Option<StopReason>>) -> StopReason {
    ending.wait_for(Option::is_some).await.ok().and_then(|reason| *reason).unwrap_or_default()
}

/// Name of this machine.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What a person at this machine is known as: `person:<user>@<host>`.
pub(crate) fn person(host: &str) -> String {
    format!("person:{}@{host}", user_name())
}

fn user_name() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| format!("uid{}", rustix::process::getuid().as_raw()))
}
