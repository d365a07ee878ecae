//! What an earlier daemon left of its runs.

use std::sync::Arc;
use std::time::Duration;

use podium_protocol::{SessionStatus, WireError};
use podium_sessions::SessionError;

use super::{Until, finish, give_up, rows};
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
            // Whoever listens to its queue next goes on with it.
            _ if is_of_queue(&daemon, &session).await => finish::finish(&daemon, &session, Until::Over).await,
            SessionStatus::InProgress | SessionStatus::Interrupted => {
                tokio::time::sleep(patience(&daemon)).await;
                let resumed = daemon.runs.is_followed(&session) || daemon.sessions.is_running(&session);
                let until = if resumed { Until::Over } else { Until::GivenUp };
                finish::finish(&daemon, &session, until).await;
            }
            SessionStatus::Parked
            | SessionStatus::Completed
            | SessionStatus::Failed
            | SessionStatus::Cancelled => finish::finish(&daemon, &session, Until::Over).await,
        },
        Err(SessionError::NotFound(_)) => never_began(&daemon, &session).await,
        Err(error) => tracing::error!(session, %error, "the session of a task cannot be read"),
    }
}

async fn is_of_queue(daemon: &Daemon, session: &str) -> bool {
    daemon.tasks.has_open(session).await.unwrap_or_else(|error| {
        tracing::error!(session, %error, "the tasks cannot be read");
        true
    })
}

/// The daemon ended between the claim and the session. A client that asks again begins anew.
async fn never_began(daemon: &Daemon, session: &str) {
    let _turn = daemon.runs.turn(session).await;
    if daemon.sessions.info(session).await.is_ok() || daemon.runs.is_followed(session) {
        return;
    }
    let keeps_claim = match end_unbegun(daemon, session).await {
        Ok(keeps_claim) => keeps_claim,
        Err(error) => {
            tracing::error!(session, error = error.message, "a task could not be ended");
            return;
        }
    };
    daemon.runs.close(session);
    if let Err(error) = give_up(daemon, session, keeps_claim).await {
        tracing::error!(session, error = error.message, "the claim of a task could not be released");
    }
}

/// Whether the claim stays with the agent.
async fn end_unbegun(daemon: &Daemon, session: &str) -> Result<bool, WireError> {
    let Some(run) = rows::find(&daemon.store, session).await? else { return Ok(false) };
    rows::never_began(&daemon.store, session, "the daemon ended", !run.keeps_claim).await?;
    Ok(run.keeps_claim)
}

fn patience(daemon: &Daemon) -> Duration {
    let seconds = daemon.config.get().integer("sessions.run_grace_seconds");
    Duration::from_secs(u64::try_from(seconds).unwrap_or(60))
}
