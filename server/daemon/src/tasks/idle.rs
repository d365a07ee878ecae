//! A daemon that nobody needs ends by itself; the next client starts it again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use podium_protocol::StopReason;

use crate::state::Daemon;

/// How often a change of the setting is looked for while it is off.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

pub(crate) async fn run(daemon: Arc<Daemon>) {
    loop {
        let woken = daemon.activity.notified();
        let Some(limit) = daemon.config.get().seconds("daemon.idle_exit_seconds") else {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        if !is_idle(&daemon).await {
            // Claims may also end without a call of ours; a minute late does no harm.
            let _ = tokio::time::timeout(LOOK_AGAIN, woken).await;
            continue;
        }
        if tokio::time::timeout(limit, woken).await.is_err() && is_idle(&daemon).await {
            tracing::info!("nobody needs this daemon; it ends");
            daemon.end(StopReason::Replace);
            return;
        }
    }
}

async fn is_idle(daemon: &Daemon) -> bool {
    daemon.clients.load(Ordering::Relaxed) == 0
        && daemon.sessions.running() == 0
        && daemon.pit.running() == 0
        && daemon.worktrees.claimed_count().await.is_ok_and(|count| count == 0)
}
