//! What claims need to hear of: changes in their trees, which are signs of life, and the ends of sessions.

use std::sync::Arc;
use std::time::Duration;

use podium_store::StoreError;
use podium_worktrees::{Seen, What};
use tokio::sync::broadcast::error::RecvError;

use crate::state::Daemon;

const PAGE: usize = 100;
/// Pause after a read that failed.
const RETRY: Duration = Duration::from_secs(5);

pub(crate) async fn run(daemon: Arc<Daemon>) {
    tokio::join!(follow_sessions(&daemon), follow_trees(&daemon));
}

/// A claim that was made for a session goes with it.
async fn follow_sessions(daemon: &Daemon) {
    let types = vec!["session.ended".to_owned()];
    let mut head = daemon.store.watch_head();
    let mut from = *head.borrow_and_update();
    // A daemon that was killed between the end of a session and its release left the claim.
    for session in daemon.worktrees.claiming_sessions().await.unwrap_or_default() {
        if !daemon.sessions.holds_claim(&session) {
            session_ended(daemon, &session).await;
        }
    }
    loop {
        let page = match daemon.store.events(from, types.clone(), PAGE).await {
            Ok(page) => page,
            Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::warn!(%error, "the ends of sessions cannot be read");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        for event in page.events {
            if let Some(session) = event.data["id"].as_str() {
                session_ended(daemon, session).await;
            }
        }
        from = page.scanned_to;
        if page.at_end && head.wait_for(|head| *head > from).await.is_err() {
            return;
        }
    }
}

/// One that its agent held before stays.
async fn session_ended(daemon: &Daemon, session: &str) {
    // Resumed since then, it holds the claim again.
    if daemon.sessions.is_active(session).await {
        return;
    }
    if let Err(error) = daemon.worktrees.release_session(session).await {
        tracing::warn!(session, %error, "the claim of an ended session could not be released");
        let _ = daemon.worktrees.session_ended(session).await;
    }
}

/// A change in a tree, or a commit, is a sign of life of whoever holds it.
async fn follow_trees(daemon: &Daemon) {
    let mut seen = daemon.worktrees.seen();
    loop {
        match seen.recv().await {
            Ok(Seen { what: What::Tree { worktree } | What::Head { worktree }, .. }) => {
                daemon.worktrees.touch(&worktree).await;
            }
            // What was missed is followed by more, if the owner lives.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
