//! Capability sockets: what connects there is a session's agent, whatever it says. A socket lasts as long as the turn
//! it was opened for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podium_protocol::{Caller, SessionCapability, WireError};
use tokio_util::sync::CancellationToken;

use crate::ipc::bind;
use crate::state::Daemon;

/// What a capability socket gives to whoever connects.
#[derive(Debug, Clone)]
pub(crate) struct Capability {
    pub(crate) caller: Caller,
    /// Ends the listener and every connection made through it.
    pub(crate) closed: CancellationToken,
}

/// The open capability sockets, by session.
#[derive(Debug, Default)]
pub(crate) struct CapabilitySockets {
    open: Mutex<HashMap<String, Socket>>,
}

#[derive(Debug)]
struct Socket {
    path: PathBuf,
    closed: CancellationToken,
    /// Head of the log when it was last asked for: an end that was logged before is that of an earlier turn.
    asked_at: u64,
}

impl Socket {
    fn close(self) {
        self.closed.cancel();
        // Gone with this call, and not only when the listener has noticed.
        let _ = std::fs::remove_file(self.path);
    }
}

impl CapabilitySockets {
    /// The socket of a session's agent; opened with the first request.
    pub(crate) fn open(
        &self,
        daemon: &Arc<Daemon>,
        session: &str,
        agent_id: &str,
    ) -> Result<SessionCapability, WireError> {
        let mut open = self.table();
        let asked_at = daemon.store.head();
        if let Some(socket) = open.get_mut(session) {
            socket.asked_at = asked_at;
            return Ok(describe(&socket.path, session, agent_id));
        }
        let name = uuid::Uuid::new_v4().simple().to_string();
        let path = daemon.home.capability_sockets().join(format!("{}.sock", &name[..16]));
        let listening = bind(&path).map_err(|e| {
            WireError::internal(format!("the socket {} cannot be opened: {e}", path.display()))
        })?;
        let caller = Caller::Agent { session: session.to_owned(), agent_id: agent_id.to_owned() };
        let closed = CancellationToken::new();
        let capability = Capability { caller, closed: closed.clone() };
        tokio::spawn(listening.accept(Arc::clone(daemon), Some(capability)));
        let answer = describe(&path, session, agent_id);
        open.insert(session.to_owned(), Socket { path, closed, asked_at });
        Ok(answer)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.table().is_empty()
    }

    /// A turn of this session ended, as the log says at `seq`: its agent has nothing more to say.
    pub(crate) fn turn_ended(&self, session: &str, seq: u64) {
        let mut open = self.table();
        if open.get(session).is_some_and(|socket| socket.asked_at < seq)
            && let Some(socket) = open.remove(session)
        {
            socket.close();
        }
    }

    /// Closes all of them.
    pub(crate) fn close(&self) {
        self.table().drain().for_each(|(_, socket)| socket.close());
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Socket>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe(path: &Path, session: &str, agent_id: &str) -> SessionCapability {
    let socket = path.to_string_lossy().into_owned();
    let env =
        [("PODIUM_SOCKET", socket.as_str()), ("PODIUM_SESSION", session), ("PODIUM_AGENT_ID", agent_id)];
    let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    SessionCapability { socket, env }
}
