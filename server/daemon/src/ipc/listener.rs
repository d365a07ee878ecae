//! Sockets: bound privately, a stale one taken over, everybody but this user turned away.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};

use crate::home;
use crate::ipc::{Capability, serve};
use crate::state::{Daemon, ended};

/// A bound socket. Its file goes with it.
#[derive(Debug)]
pub(crate) struct Listening {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Binds a socket that only this user can reach. The caller holds the lock of the home, so that whatever lies at
/// the path belongs to nobody.
pub(crate) fn bind(path: &Path) -> std::io::Result<Listening> {
    match std::fs::remove_file(path) {
        Ok(()) => tracing::info!(path = %path.display(), "took over a stale socket"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(Listening { listener, path: path.to_owned() })
}

impl Listening {
    /// Accepts connections until the daemon ends, or the capability whose socket this is: connections there need no
    /// token and have an agent's rights.
    pub(crate) async fn accept(self, daemon: Arc<Daemon>, capability: Option<Capability>) {
        let mut ending = daemon.ending.subscribe();
        let closed = capability.as_ref().map(|c| c.closed.clone()).unwrap_or_default();
        loop {
            tokio::select! {
                _ = ended(&mut ending) => return,
                () = closed.cancelled() => return,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if is_mine(&stream) => {
                        tokio::spawn(serve(Arc::clone(&daemon), stream, capability.clone()));
                    }
                    Ok(_) => tracing::warn!("turned away a process of another user"),
                    Err(error) => {
                        // Too many open files: the next accept would fail at once, again and again.
                        tracing::error!(%error, "a connection could not be accepted");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }
}

fn is_mine(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|cred| cred.uid() == home::uid())
}
