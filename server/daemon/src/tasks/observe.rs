//! Follows what happens in the repositories ([`Worktrees::observe`](podium_worktrees::Worktrees::observe)).

use std::sync::Arc;

use crate::state::Daemon;

pub(crate) async fn run(daemon: Arc<Daemon>) {
    daemon.worktrees.observe().await;
}
