//! Capability sockets: what connects there is a session's agent, whatever it says. A socket lasts as long as the turn
//! it was opened for. Each session has a folder for its sockets, and a link in it to the one that is open: an agent that
//! outlives the daemon sees the folder, and finds the next daemon's socket by the link.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podium_config::Home;
use podium_protocol::{Caller, SessionCapability, WireError};
use tokio_util::sync::CancellationToken;

use crate::ipc::{Listening, bind};
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
    opened: AtomicU32,
}

/// The link to the open socket.
const CURRENT: &str = "s";

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
        let number = self.opened.fetch_add(1, Ordering::Relaxed) % 0x1000;
        let path = folder(&daemon.home, session).join(format!("{number:03x}.sock"));
        let listening = bind_in(&path).map_err(|e| {
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

    /// The folder that a session's agent is shown, and the socket's lasting name in it.
    pub(crate) fn open_for_agent(
        &self,
        daemon: &Arc<Daemon>,
        session: &str,
        agent_id: &str,
    ) -> Result<(PathBuf, PathBuf), WireError> {
        self.open(daemon, session, agent_id)?;
        let folder = folder(&daemon.home, session);
        let socket = folder.join(CURRENT);
        Ok((folder, socket))
    }

    /// The session is over: its folder goes, unless a socket is open.
    pub(crate) fn forget(&self, home: &Home, session: &str) {
        let open = self.table();
        if !open.contains_key(session) {
            let folder = folder(home, session);
            let _ = std::fs::remove_file(folder.join(CURRENT));
            let _ = std::fs::remove_dir(folder);
        }
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

/// Named by the session, so that a next daemon finds it. No longer than a socket's path may be.
fn folder(home: &Home, session: &str) -> PathBuf {
    home.capability_sockets().join(&blake3::hash(session.as_bytes()).to_hex()[..12])
}

fn bind_in(path: &Path) -> std::io::Result<Listening> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = path.parent().unwrap_or(path);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let listening = bind(path)?;
    // Exchanged in one step: an agent never finds none.
    let (new, name) = (folder.join("new"), path.file_name().unwrap_or_default());
    let _ = std::fs::remove_file(&new);
    std::os::unix::fs::symlink(name, &new)?;
    std::fs::rename(new, folder.join(CURRENT))?;
    Ok(listening)
}

fn describe(path: &Path, session: &str, agent_id: &str) -> SessionCapability {
    let socket = path.to_string_lossy().into_owned();
    let env =
        [("PODIUM_SOCKET", socket.as_str()), ("PODIUM_SESSION", session), ("PODIUM_AGENT_ID", agent_id)];
    let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    SessionCapability { socket, env }
}
