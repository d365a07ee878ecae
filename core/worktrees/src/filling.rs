//! Worktrees whose files are arriving: shown as what they are, and nothing else can be done with them yet.

use std::sync::Arc;

use podium_protocol::{Worktree, WorktreeState};

use crate::create::Creation;
use crate::error::Result;
use crate::recover::left_creations;
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};

impl Worktrees {
    /// Those that are being made, by name. To be read before the rows: one that is finished in between is in both, and
    /// has the same id in both.
    pub(crate) async fn filling(&self, handle: &Arc<RepoHandle>) -> Result<Vec<Worktree>> {
        let repo = handle.row.id.clone();
        let left: Result<Vec<Creation>> =
            self.inner.store.read(move |conn| left_creations(conn, &repo)).await;
        let under_way = left?.into_iter().filter(|creation| self.is_busy(&creation.id));
        let mut found: Vec<Worktree> = under_way.map(|creation| self.half_there(handle, creation)).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn half_there(&self, handle: &RepoHandle, creation: Creation) -> Worktree {
        let plan = creation.plan;
        let row = WorktreeRow {
            id: creation.id,
            repo: handle.row.id.clone(),
            name: plan.name,
            path: plan.path,
            admin_dir: Default::default(),
            kind: plan.kind,
            is_main: false,
            pr: None,
            branch: Some(plan.branch),
            created_at: 0,
            removing: None,
            claim: None,
        };
        Worktree { state: WorktreeState::Filling, ..self.shown(&handle.row, &row, Default::default(), false) }
    }
}
