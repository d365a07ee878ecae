//! What an earlier daemon left of its runs.

use std::sync::Arc;
use std::time::Duration;

use podium_protocol::SessionStatus;
use podium_sessions::SessionError;

use super::{finish, rows};
use crate::state::Daemon;

/// Keeps the claims of all open runs. Before anybody else can ask for one.
pub(crate) async fn announce(daemon: &Daemon) {
    match rows::open(&daemon.store).await {
        Ok(open) => open.iter().for_each(|session| daemon.runs.open(&daemon.sessions, session)),
        Err(error) => tracing::error!(error = error.message, "open tasks cannot be read"),
    }
}

/// Finishes what only lacked that. A session in the middle waits a while for its client, which brings the keys to go on;
/// where none comes, what was written is committed and the worktree given back. The session can be resumed all the same.
pub(crate) async fn recover(daemon: Arc<Daemon>) {
    for session in rows::open(&daemon.store).await.unwrap_or_default() {
        tokio::spawn(settle(Arc::clone(&daemon), session));
    }
}

async fn settle(daemon: Arc<Daemon>, session: String) {
    match daemon.sessions.info(&session).await {
        Ok(info) => match info.status {
            // It waits for a person, who may come tomorrow.
            SessionStatus::Parked => {}
            SessionStatus::InProgress | SessionStatus::Interrupted => {
                tokio::time::sleep(patience(&daemon)).await;
                let info = daemon.sessions.info(&session).await;
                let resumed = daemon.runs.is_followed(&session)
                    || info.is_ok_and(|info| info.status != SessionStatus::Interrupted);
                if !resumed {
                    finish::finish(&daemon, &session).await;
                }
            }
            SessionStatus::Completed | SessionStatus::Failed | SessionStatus::Cancelled => {
                finish::finish(&daemon, &session).await;
            }
        },
        Err(SessionError::NotFound(_)) => never_began(&daemon, &session).await,
        Err(error) => tracing::error!(session, %error, "the session of a task cannot be read"),
    }
}

/// The daemon ended between the claim and the session. A client that asks again begins anew.
async fn never_began(daemon: &Daemon, session: &str) {
    let _turn = daemon.runs.turn(session).await;
    if daemon.sessions.info(session).await.is_ok() || daemon.runs.is_followed(session) {
        return;
    }
    if let Err(error) = rows::never_began(&daemon.store, session, "the daemon ended").await {
        tracing::error!(session, error = error.message, "a task could not be ended");
        return;
    }
    daemon.runs.close(session);
    if let Err(error) = daemon.worktrees.release_session(session).await {
        tracing::error!(session, error = error.message, "the claim of a task could not be released");
    }
}

fn patience(daemon: &Daemon) -> Duration {
    let seconds = daemon.config.get().integer("sessions.run_grace_seconds");
    Duration::from_secs(u64::try_from(seconds).unwrap_or(60))
}
