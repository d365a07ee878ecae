//! Removes the workplaces of sessions that are over: at the start what earlier daemons left, then with each end.

use std::sync::Arc;
use std::time::Duration;

use podium_store::StoreError;

use crate::state::Daemon;

const PAGE: usize = 100;
/// Pause after a read that failed.
const RETRY: Duration = Duration::from_secs(5);
const ENDS: [&str; 2] = ["session.ended", "session.failed"];

pub(crate) async fn run(daemon: Arc<Daemon>) {
    let types = ENDS.map(str::to_owned).to_vec();
    let mut head = daemon.store.watch_head();
    let mut from = *head.borrow_and_update();
    for session in daemon.workplaces.sessions() {
        daemon.workplaces.tidy(&session).await;
    }
    loop {
        if head.wait_for(|head| *head > from).await.is_err() {
            return;
        }
        match daemon.store.events(from, types.clone(), PAGE).await {
            Ok(page) => {
                for event in page.events {
                    if let Some(session) = event.data["id"].as_str() {
                        daemon.workplaces.tidy(session).await;
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
