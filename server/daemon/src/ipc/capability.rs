//! Capability sockets: what connects there is a session's agent, whatever it says.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use podium_protocol::{Caller, SessionCapability, WireError};
use tokio::task::AbortHandle;

use crate::ipc::bind;
use crate::state::Daemon;

/// The open capability sockets, by session.
#[derive(Debug, Default)]
pub(crate) struct CapabilitySockets {
    open: Mutex<HashMap<String, (PathBuf, AbortHandle)>>,
}

impl CapabilitySockets {
    /// The socket of a session's agent; opened with the first request.
    pub(crate) fn open(
        &self,
        daemon: &Arc<Daemon>,
        session: &str,
        agent_id: &str,
    ) -> Result<SessionCapability, WireError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, _)) = open.get(session) {
            return Ok(describe(path, session, agent_id));
        }
        let name = uuid::Uuid::new_v4().simple().to_string();
        let path = daemon.home.capability_sockets().join(format!("{}.sock", &name[..16]));
        let listening = bind(&path).map_err(|e| {
            WireError::internal(format!("the socket {} cannot be opened: {e}", path.display()))
        })?;
        let caller = Caller::Agent { session: session.to_owned(), agent_id: agent_id.to_owned() };
        let task = tokio::spawn(listening.accept(Arc::clone(daemon), Some(caller)));
        let answer = describe(&path, session, agent_id);
        open.insert(session.to_owned(), (path, task.abort_handle()));
        Ok(answer)
    }

    /// Closes all of them.
    pub(crate) fn close(&self) {
        for (_, (path, task)) in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            task.abort();
            let _ = std::fs::remove_file(path);
        }
    }
}

fn describe(path: &std::path::Path, session: &str, agent_id: &str) -> SessionCapability {
    let socket = path.to_string_lossy().into_owned();
    let env =
        [("PODIUM_SOCKET", socket.as_str()), ("PODIUM_SESSION", session), ("PODIUM_AGENT_ID", agent_id)];
    let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    SessionCapability { socket, env }
}
