//! Who asks for conflicts.

use std::collections::HashMap;
use std::time::Duration;

use podium_protocol::{WireError, WorktreeConflicts, WorktreeConflictsParams};

use super::Found;
use super::look::Stale;
use crate::error::Result;
use crate::rows::WorktreeRow;
use crate::service::{Worktrees, lock};
use crate::settings::Caller;

/// Longest wait for a look. It goes on afterwards, and its events tell what it found.
const PATIENCE: Duration = Duration::from_secs(10);

impl Worktrees {
    /// Conflicts between the worktrees of a repository, and with trunk, as of now.
    ///
    /// # Errors
    /// `NotFound` for a worktree or repository that is not there.
    pub async fn conflicts(
        &self,
        params: WorktreeConflictsParams,
        caller: &Caller,
    ) -> Result<WorktreeConflicts, WireError> {
        let only = match params.name.as_deref() {
            Some(name) => Some(self.find(&params.at, Some(name), caller).await?.1.id),
            None => None,
        };
        let handle = self.repo_at(&params.at, caller).await?;
        let (this, of) = (self.clone(), handle.clone());
        let look = self.to_its_end(async move { this.look_for_conflicts(&of, &Stale::Unproven).await });
        let (found, up_to_date) = match tokio::time::timeout(PATIENCE, look).await {
            Ok(found) => (found?, true),
            Err(_) => (lock(&self.inner.radar.scope(&handle.row.id).found).clone(), false),
        };
        let id = handle.row.id.clone();
        let rows: Result<Vec<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &id)?)).await;
        let owners: HashMap<String, String> =
            rows?.into_iter().filter_map(|row| Some((row.id, row.claim?.agent_id))).collect();
        let concerns = |found: &&Found| {
            only.as_ref().is_none_or(|only| found.a == *only || found.b.as_ref() == Some(only))
        };
        let pairs = found.iter().filter(concerns).map(|found| {
            let mut pair = found.pair.clone();
            pair.owner_a = owners.get(&found.a).cloned();
            pair.owner_b = found.b.as_ref().and_then(|id| owners.get(id)).cloned();
            pair
        });
        Ok(WorktreeConflicts { pairs: pairs.collect(), up_to_date })
    }
}
