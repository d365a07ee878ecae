//! Closes the capability socket of a session with the turn it was opened for.

use std::sync::Arc;
use std::time::Duration;

use podium_store::StoreError;

use crate::state::Daemon;

const PAGE: usize = 100;
/// Pause after a read that failed.
const RETRY: Duration = Duration::from_secs(5);
/// However a turn ends, it is one of these.
const ENDS: [&str; 4] = ["session.ended", "session.failed", "session.interrupted", "session.parked"];

pub(crate) async fn run(daemon: Arc<Daemon>) {
    let types = ENDS.map(str::to_owned).to_vec();
    let mut head = daemon.store.watch_head();
    let mut from = *head.borrow_and_update();
    loop {
        if head.wait_for(|head| *head > from).await.is_err() {
            return;
        }
        let newest = *head.borrow_and_update();
        if daemon.capabilities.is_empty() {
            // One that is opened from here on knows of every end until now.
            from = newest;
            continue;
        }
        match daemon.store.events(from, types.clone(), PAGE).await {
            Ok(page) => {
                for event in page.events {
                    if let Some(session) = event.data["id"].as_str() {
                        daemon.capabilities.turn_ended(session, event.seq);
                        // Of a session that is parked or interrupted an agent may live that sees the folder.
                        if matches!(event.kind.as_str(), "session.ended" | "session.failed") {
                            daemon.capabilities.forget(&daemon.home, session);
                        }
                    }
                }
                from = page.scanned_to;
            }
            Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::warn!(%error, "the ends of sessions cannot be read");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
