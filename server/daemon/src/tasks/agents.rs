//! Ends what an earlier daemon left running for sessions that are over. Agents of others live on until somebody resumes
//! their session, or nobody has for too long.

use std::sync::Arc;

use podium_protocol::SessionStatus;
use podium_sessions::SessionError;

use crate::state::Daemon;

pub(crate) async fn run(daemon: Arc<Daemon>) {
    let host = &daemon.agents;
    for session in host.sessions() {
        if is_over(&daemon, &session).await {
            tracing::info!(session, "clearing away an agent whose session is over");
            host.clear(&session).await;
        }
    }
}

/// A store that does not answer proves nothing.
async fn is_over(daemon: &Daemon, session: &str) -> bool {
    use SessionStatus::{Cancelled, Completed, Failed};
    match daemon.sessions.info(session).await {
        Ok(info) => {
            matches!(info.status, Completed | Failed | Cancelled) && !daemon.sessions.is_running(session)
        }
        Err(SessionError::NotFound(_)) => true,
        Err(_) => false,
    }
}
