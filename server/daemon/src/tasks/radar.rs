//! Looks for conflicts whenever work changes
//! ([`Worktrees::follow_conflicts`](podium_worktrees::Worktrees::follow_conflicts)).

use std::sync::Arc;

use crate::state::Daemon;

pub(crate) async fn run(daemon: Arc<Daemon>) {
    daemon.worktrees.follow_conflicts().await;
}
