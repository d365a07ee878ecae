//! Takes away what is past its time: old events and tasks, removed worktrees whose days of undo are over, files that the
//! checkpoints of old sessions hold.

use std::sync::Arc;
use std::time::Duration;

use podium_store::{Durability, StoreError, now_ms, purge_events};

use crate::state::Daemon;

const EVERY: Duration = Duration::from_secs(3600);
const DAY_MS: i64 = 24 * 3600 * 1000;

pub(crate) async fn run(daemon: Arc<Daemon>) {
    loop {
        let before = now_ms() - daemon.config.get().integer("events.keep_days") * DAY_MS;
        let purge =
            daemon.store.write::<_, StoreError>(Durability::Process, move |tx| purge_events(tx, before));
        match purge.await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "old events went"),
            Err(error) => tracing::warn!(%error, "old events could not be purged"),
        }
        match daemon.tasks.purge(before).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "old tasks went"),
            Err(error) => tracing::warn!(%error, "old tasks could not be purged"),
        }
        daemon.worktrees.purge_trash().await;
        daemon.worktrees.purge_sync_backups().await;
        let days = daemon.config.get().integer("sessions.snapshot_days");
        match daemon.sessions.purge_snapshots(days).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "files of old checkpoints went"),
            Err(error) => tracing::warn!(%error, "files of old checkpoints could not be purged"),
        }
        tokio::time::sleep(EVERY).await;
    }
}
