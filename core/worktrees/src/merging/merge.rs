//! The way into trunk. Each step can be the last one before a crash; `settle_merges` goes on from where trunk is.

use std::sync::Arc;

use podium_git::{Oid, Repo, WorktreeLocation};
use podium_protocol::{
    Alive, MergeMode, WireError, WorktreeMergeParams, WorktreeMerged, WorktreeRemoveParams,
};
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;

use super::check::{self, Prepared};
use super::record::{Merge, mode_name};
use crate::error::{Error, Result};
use crate::removal::Step;
use crate::rows::{RepoRow, WorktreeRow};
use crate::seen::What;
use crate::service::{RepoHandle, Worktrees, after, new_id};
use crate::settings::Caller;

const DAY: i64 = 86_400_000;

impl Worktrees {
    /// Merges a worktree's branch into trunk; worktree and branch go then, unless they are to stay.
    ///
    /// # Errors
    /// `Conflict` for a dirty or claimed worktree, for a dirty or claimed trunk, and for changes of the same lines,
    /// with the files; `User` where there is nothing to merge.
    pub async fn merge(
        &self,
        params: WorktreeMergeParams,
        caller: &Caller,
    ) -> Result<WorktreeMerged, WireError> {
        if params.squash && params.no_ff {
            return Err(WireError::usage("a squashed commit is no merge commit: choose one of both"));
        }
        let (repo, row) = self.find(&params.at, params.name.as_deref(), caller).await?;
        if row.is_main {
            return Err(WireError::user(format!("`{}` is the main worktree", row.name)));
        }
        self.may_change(&row, params.agent_id.as_deref(), params.token, caller)?;
        let (this, caller) = (self.clone(), caller.clone());
        let work = async move { this.merge_row(&repo, row, params, &caller).await };
        Ok(self.to_its_end(work).await?)
    }

    /// Refuses what somebody else holds.
    pub(crate) fn may_change(
        &self,
        row: &WorktreeRow,
        agent_id: Option<&str>,
        token: Option<u64>,
        caller: &Caller,
    ) -> Result<(), WireError> {
        match &row.claim {
            Some(claim) if self.alive(claim) != Alive::No => self.owned(row, claim, agent_id, token, caller),
            _ => Ok(()),
        }
    }

    async fn merge_row(
        &self,
        repo: &RepoRow,
        row: WorktreeRow,
        params: WorktreeMergeParams,
        caller: &Caller,
    ) -> Result<WorktreeMerged> {
        let handle = self.handle(repo).await?;
        let _trunk = self.inner.gates.enter(format!("trunk/{}", repo.id)).await;
        let turn = self.inner.gates.enter(format!("name/{}/{}", repo.id, row.name)).await;
        let (asked, seen, wanted) = (handle.clone(), row.clone(), params.clone());
        let look = move |repo: &Repo| check::prepare(&asked, repo, &seen, &wanted);
        let prepared = self.with_repo(&handle, caller, look).await?;
        self.refuse_held_trunk(repo, prepared.checkout.as_ref(), &params, caller).await?;
        let merge = self.record(repo, &row, &prepared, caller);
        let _busy = self.busy(&merge.id);
        let intent = merge.clone();
        let write = move |tx: &Tx<'_>| -> Result<()> { Ok(intent.insert(tx)?) };
        self.inner.store.write(Durability::Power, write).await?;
        after(&self.inner.settings, Step::MergeIntent)?;
        if let Err(error) = self.move_trunk(&handle, &merge, prepared.checkout.clone(), caller).await {
            if let Err(worse) = self.settle_merge(&handle, merge).await {
                tracing::error!(error = %worse, "a merge was left half done; the next start settles it");
            }
            return Err(error);
        }
        after(&self.inner.settings, Step::MergeTrunkMoved)?;
        self.finish_merge(&handle, &merge).await?;
        after(&self.inner.settings, Step::MergeRecorded)?;
        drop(turn);
        let mut notes = prepared.notes.clone();
        let removed =
            !params.keep && self.remove_merged(repo, &row, &merge, &params, caller, &mut notes).await;
        Ok(WorktreeMerged {
            name: row.name,
            branch: prepared.branch,
            trunk: prepared.trunk,
            mode: prepared.mode,
            commits: u32::try_from(prepared.commits).unwrap_or(u32::MAX),
            old: merge.old,
            new: merge.new,
            removed,
            undo: merge.id,
            notes,
        })
    }

    /// The tree in which trunk is checked out may be somebody's too.
    async fn refuse_held_trunk(
        &self,
        repo: &RepoRow,
        checkout: Option<&WorktreeLocation>,
        params: &WorktreeMergeParams,
        caller: &Caller,
    ) -> Result<()> {
        let Some(place) = checkout else { return Ok(()) };
        let (id, admin) = (repo.id.clone(), place.git_dir.clone());
        let rows: Result<Vec<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &id)?)).await;
        match rows?.iter().find(|row| row.admin_dir == admin) {
            Some(row) if self.other_holder(row, params.agent_id.as_deref(), caller).is_some() => {
                Err(row.claim.as_ref().map_or(Error::Unfinished, |claim| self.held(row, claim).into()))
            }
            _ => Ok(()),
        }
    }

    fn record(&self, repo: &RepoRow, row: &WorktreeRow, prepared: &Prepared, caller: &Caller) -> Merge {
        let now = self.now();
        let days = self.inner.config.get().integer("worktrees.undo_days");
        Merge {
            id: new_id(),
            repo: repo.id.clone(),
            worktree: row.id.clone(),
            name: row.name.clone(),
            branch: prepared.branch.clone(),
            head: prepared.head.to_string(),
            trunk: prepared.trunk.clone(),
            old: prepared.old.to_string(),
            new: prepared.new.to_string(),
            mode: mode_name(prepared.mode),
            removal: None,
            merged_by: caller.name().to_owned(),
            merged_at: now,
            purge_at: now.saturating_add(days.saturating_mul(DAY)),
        }
    }

    async fn move_trunk(
        &self,
        handle: &Arc<RepoHandle>,
        merge: &Merge,
        checkout: Option<WorktreeLocation>,
        caller: &Caller,
    ) -> Result<()> {
        let (merge, patience) = (merge.clone(), handle.patience());
        let work = move |repo: &Repo| {
            let (old, new) = merge.ends().ok_or(Error::Unfinished)?;
            let writer = repo.write(patience)?;
            match checkout {
                Some(at) => {
                    writer.expect_branch(&merge.trunk, &old)?;
                    Ok(writer.fast_forward(&at, &new)?)
                }
                None => Ok(writer.update_ref(&merge.refname(), Some(&new), Some(&old))?),
            }
        };
        self.with_repo(handle, caller, work).await
    }

    pub(super) async fn finish_merge(&self, handle: &Arc<RepoHandle>, merge: &Merge) -> Result<()> {
        let task = merge.clone();
        let write = move |tx: &Tx<'_>| -> Result<()> {
            if !task.advance(tx, "intent", "merged")? {
                return Ok(());
            }
            let data = json!({
                "worktree": task.worktree, "repo": task.repo, "name": task.name, "branch": task.branch,
                "trunk": task.trunk, "old": task.old, "new": task.new, "mode": task.mode, "undo": task.id,
                "by": task.merged_by,
            });
            tx.emit(&NewEvent::new("worktree.merged", format!("worktree/{}", task.worktree), data))?;
            Ok(())
        };
        self.inner.store.write(Durability::Power, write).await?;
        self.announce(&handle.row.id, What::Trunk);
        Ok(())
    }

    /// True when worktree and branch are gone. What keeps them is told, and is no failure of the merge.
    async fn remove_merged(
        &self,
        repo: &RepoRow,
        row: &WorktreeRow,
        merge: &Merge,
        params: &WorktreeMergeParams,
        caller: &Caller,
        notes: &mut Vec<String>,
    ) -> bool {
        let remove = WorktreeRemoveParams {
            at: params.at.clone(),
            name: Some(row.name.clone()),
            agent_id: params.agent_id.clone(),
            token: params.token,
            ..Default::default()
        };
        let squashed = merge.mode == mode_name(MergeMode::Squash);
        let head: Option<Oid> = merge.head.parse().ok().filter(|_| squashed);
        let removed = match self.row(&row.id).await {
            Ok(fresh) => self.remove_known(repo, fresh, &remove, head, caller).await,
            Err(error) => Err(error),
        };
        match removed {
            Ok(removed) => {
                let id = merge.id.clone();
                let write = move |tx: &Tx<'_>| -> Result<()> {
                    let sql = "UPDATE merges SET removal = ?2 WHERE id = ?1";
                    tx.execute(sql, [&id, &removed.undo])?;
                    Ok(())
                };
                let noted = self.inner.store.write(Durability::Process, write).await;
                noted.unwrap_or_else(|error| tracing::warn!(%error, "a merge does not know its removal"));
                true
            }
            Err(error) => {
                notes.push(format!("`{}` stays: {}", row.name, WireError::from(error).message));
                false
            }
        }
    }
}
