//! Who works in a worktree beside the owner of its claim.

use podium_protocol::WireError;

use crate::error::Result;
use crate::rows::WorktreeRow;
use crate::service::Worktrees;

/// Sessions, as far as removals need to know of them. Implemented where sessions are known.
#[async_trait::async_trait]
pub trait Workers: Send + Sync {
    /// Ids of what works in this worktree now.
    ///
    /// # Errors
    /// When that cannot be told.
    async fn working_in(&self, worktree: &str) -> Result<Vec<String>, WireError>;

    /// Stops them so that they can go on later, and waits until they have stopped.
    async fn stop(&self, ids: &[String]);
}

impl Worktrees {
    pub(super) async fn working_in(&self, row: &WorktreeRow) -> Result<Vec<String>> {
        match &self.inner.settings.workers {
            Some(workers) => Ok(workers.working_in(&row.id).await?),
            None => Ok(Vec::new()),
        }
    }

    pub(super) async fn stop_working(&self, ids: &[String]) {
        if let Some(workers) = &self.inner.settings.workers {
            workers.stop(ids).await;
        }
    }
}

pub(super) fn refuse_working(row: &WorktreeRow, ids: &[String]) -> Result<()> {
    let Some(first) = ids.first() else { return Ok(()) };
    let who = match ids.len() {
        1 => format!("session {first} works"),
        n => format!("{n} sessions work"),
    };
    let error = WireError::conflict(format!("{who} in worktree `{}`", row.name));
    let error = error.hint(format!("wait for its end, or end it: `jelmore sessions cancel {first}`"));
    Err(error.hint("--force interrupts it first, so that it can go on after `imi undo`").into())
}
