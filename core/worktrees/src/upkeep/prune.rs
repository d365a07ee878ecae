//! Worktrees that nobody needs any more.

use std::path::Path;
use std::sync::Arc;

use podium_git::{Oid, Repo, Untracked};
use podium_protocol::{
    Alive, Kept, PruneReason, Pruned, WireError, WorktreePruneParams, WorktreeRemoveParams, WorktreesPruned,
};

use crate::claim::{is_foreign, lock_reason};
use crate::error::Result;
use crate::merging::is_merged;
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;
use crate::trunk;
use crate::view::location;

/// A worktree without a commit is somebody's plan for so long, in milliseconds.
const UNUSED_FOR: i64 = 86_400_000;

/// What is to become of one worktree.
enum Verdict {
    Go(PruneReason, Option<Oid>),
    Stay(String),
}

impl Worktrees {
    /// Removes what is merged or was never used, clean and unclaimed, and what is gone from the disk; each of them can
    /// be brought back. Without `apply` it only tells.
    ///
    /// # Errors
    /// When git cannot be read. What refuses to go is told as kept.
    pub async fn prune(
        &self,
        params: WorktreePruneParams,
        caller: &Caller,
    ) -> Result<WorktreesPruned, WireError> {
        let handle = self.repo_at(&params.at, caller).await?;
        let (this, caller) = (self.clone(), caller.clone());
        let work = async move { this.prune_repo(&handle, params, &caller).await };
        Ok(self.to_its_end(work).await?)
    }

    async fn prune_repo(
        &self,
        handle: &Arc<RepoHandle>,
        params: WorktreePruneParams,
        caller: &Caller,
    ) -> Result<WorktreesPruned> {
        self.reconcile(handle).await?;
        let rows = self.all_rows(handle).await?;
        let mut answer = WorktreesPruned { applied: params.apply, pruned: Vec::new(), kept: Vec::new() };
        for row in rows.into_iter().filter(|row| !row.is_main) {
            let (asked, seen, now) = (handle.clone(), row.clone(), self.now());
            let verdict = match row.claim.as_ref().filter(|claim| self.alive(claim) != Alive::No) {
                Some(claim) => Verdict::Stay(format!("claimed by {}", claim.agent_id)),
                None => self.with_repo(handle, caller, move |repo| judge(&asked, repo, &seen, now)).await?,
            };
            let (reason, merged) = match verdict {
                Verdict::Go(reason, merged) => (reason, merged),
                Verdict::Stay(why) => {
                    answer.kept.push(Kept { name: row.name, why });
                    continue;
                }
            };
            let path = row.path.to_string_lossy().into_owned();
            let mut undo = None;
            if params.apply {
                let remove = WorktreeRemoveParams { at: params.at.clone(), ..Default::default() };
                match self.remove_known(&handle.row, row.clone(), &remove, merged, caller).await {
                    Ok(removed) => undo = Some(removed.undo),
                    Err(error) => {
                        answer.kept.push(Kept { name: row.name, why: WireError::from(error).message });
                        continue;
                    }
                }
            }
            answer.pruned.push(Pruned { name: row.name, path, reason, undo });
        }
        Ok(answer)
    }

    pub(crate) async fn all_rows(&self, handle: &RepoHandle) -> Result<Vec<WorktreeRow>> {
        let repo = handle.row.id.clone();
        self.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &repo)?)).await
    }
}

fn judge(handle: &RepoHandle, repo: &Repo, row: &WorktreeRow, now: i64) -> Result<Verdict> {
    let stay = |why: &str| Ok(Verdict::Stay(why.to_owned()));
    if is_foreign(lock_reason(row)?.as_deref()) {
        return stay("locked in git by somebody else");
    }
    let found = trunk::find(handle).ok();
    let at = location(row);
    let head = repo.head(&at).ok();
    if found.as_ref().map(|trunk| trunk.name.as_str()) == head.as_ref().and_then(|head| head.branch()) {
        return stay("the worktree of trunk");
    }
    let tips = found.map(|trunk| trunk.tips()).unwrap_or_default();
    let id = head.as_ref().and_then(|head| head.id()).cloned();
    let missing = !row.path.is_dir();
    if missing && !row.path.parent().is_some_and(Path::is_dir) {
        return stay("its disk may not be mounted");
    }
    if !missing && !repo.status(&at, Untracked::Folded)?.is_clean() {
        return stay("not clean");
    }
    let writer = repo.write(handle.patience())?;
    let merged = match &id {
        Some(id) => is_merged(repo, Some(&writer), &tips, id)?,
        None => false,
    };
    if !merged {
        return stay("has work that trunk has not");
    }
    if missing {
        return Ok(Verdict::Go(PruneReason::Missing, id));
    }
    if is_unused(repo, head.as_ref().and_then(|head| head.branch())) {
        if now.saturating_sub(row.created_at) < UNUSED_FOR {
            return stay("new, and nothing was committed yet");
        }
        return Ok(Verdict::Go(PruneReason::Unused, id));
    }
    Ok(Verdict::Go(PruneReason::Merged, id))
}

/// Whether a branch never moved since it was made, by its log. Without a log nobody knows.
fn is_unused(repo: &Repo, branch: Option<&str>) -> bool {
    let Some(branch) = branch else { return true };
    let log = repo.common_dir().join("logs/refs/heads").join(branch);
    match std::fs::read(log) {
        Ok(lines) => lines.iter().filter(|byte| **byte == b'\n').count() <= 1,
        Err(_) => true,
    }
}
