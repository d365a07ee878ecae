//! Keeps spares ready: after a repository was first used, after each creation, and when trunk moved.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use podium_worktrees::{Seen, What};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::state::Daemon;

/// Quiet time before work begins: what comes in bursts (thirteen agents that start) is followed by one tending.
const SETTLE: Duration = Duration::from_millis(400);

pub(crate) async fn run(daemon: Arc<Daemon>) {
    let mut seen = daemon.worktrees.seen();
    let mut due: HashSet<String> = known(&daemon).await;
    let mut when = (!due.is_empty()).then(|| Instant::now() + SETTLE);
    loop {
        tokio::select! {
            change = seen.recv() => match change {
                Ok(Seen { repo, what: What::Set | What::Trunk }) => due.extend([repo]),
                Ok(_) => continue,
                Err(RecvError::Lagged(_)) => due.extend(known(&daemon).await),
                Err(RecvError::Closed) => return,
            },
            () = until(when) => {
                when = None;
                for repo in std::mem::take(&mut due) {
                    if let Err(error) = daemon.worktrees.tend_spares(&repo).await {
                        tracing::warn!(repo, %error, "the spares of a repository are not as they should be");
                    }
                }
                continue;
            }
        }
        when = Some(Instant::now() + SETTLE);
    }
}

async fn known(daemon: &Daemon) -> HashSet<String> {
    daemon.worktrees.repos_with_spares().await.unwrap_or_default().into_iter().collect()
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
