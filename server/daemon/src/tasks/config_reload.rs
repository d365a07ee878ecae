//! Takes over the user's configuration file as soon as it changes. A faulty one is told in the log and by `doctor`,
//! and what was in force stays.

use std::sync::Arc;

use podium_watch::Watcher;

use crate::state::Daemon;

pub(crate) async fn run(daemon: Arc<Daemon>) {
    let watcher = Watcher::new();
    let mut changes = match watcher.watch_files(&[daemon.home.config_file()]) {
        Ok(changes) => changes,
        Err(error) => {
            tracing::warn!(%error, "the configuration is not watched; `podium config set` still works");
            return;
        }
    };
    while changes.next().await.is_some() {
        match daemon.config.reload() {
            Ok(true) => {
                tracing::info!("the configuration changed");
                daemon.worktrees.settings_changed().await;
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the changed configuration is not taken over"),
        }
    }
}
