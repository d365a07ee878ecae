//! Giving a claim back.

use podium_git::Untracked;
use podium_protocol::{ClaimReleaseParams, ClaimReleased, WireError};
use podium_store::rusqlite::params;
use podium_store::{Durability, NewEvent, Tx, rfc3339};
use serde_json::json;

use super::owner::{acting_as, may_force};
use crate::error::{Result, blocking};
use crate::rows::{Claim, RepoRow, WorktreeRow};
use crate::service::Worktrees;
use crate::settings::Caller;
use crate::view::{location, progress, some};

impl Worktrees {
    /// Ends a claim.
    ///
    /// # Errors
    /// `Conflict` for somebody else's claim, a stale token, a tree with uncommitted changes (unless allowed) or in
    /// the middle of a merge (unless forced), and where nothing is claimed.
    pub async fn release(
        &self,
        params: ClaimReleaseParams,
        caller: &Caller,
    ) -> Result<ClaimReleased, WireError> {
        may_force(params.force, caller)?;
        let (repo, row) = self.find(&params.at, params.worktree.as_deref(), caller).await?;
        let Some(claim) = row.claim.clone() else {
            return Err(WireError::conflict(format!("worktree `{}` is not claimed", row.name)));
        };
        if !params.force {
            self.owned(&row, &claim, params.agent_id.as_deref(), params.token, caller)?;
            self.refuse_unfinished(&repo, &row, params.allow_dirty).await?;
        }
        let (this, by) = (self.clone(), caller.name().to_owned());
        let released = self.to_its_end(async move { this.give_back(&repo, &row, &claim, by).await }).await?;
        Ok(released)
    }

    /// Ends every claim bound to a session, whatever its trees look like: their content stays.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn release_session(&self, session: &str) -> Result<(), WireError> {
        let asked = session.to_owned();
        let read = self.inner.store.read(move |conn| -> Result<_> {
            let mut found = Vec::new();
            for row in WorktreeRow::of_session(conn, &asked)? {
                if let Some(repo) = RepoRow::by_id(conn, &row.repo)? {
                    found.push((repo, row));
                }
            }
            Ok(found)
        });
        for (repo, row) in read.await? {
            let Some(claim) = row.claim.clone() else { continue };
            let (this, by) = (self.clone(), format!("session:{session}"));
            self.to_its_end(async move { this.give_back(&repo, &row, &claim, by).await.map(drop) }).await?;
        }
        Ok(())
    }

    /// Tells that a session ended for good: its claims have no owner any more, and who waits may take over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn session_ended(&self, session: &str) -> Result<(), WireError> {
        let asked = session.to_owned();
        let rows: Result<Vec<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::of_session(conn, &asked)?)).await;
        for row in rows? {
            if let Some(claim) = row.claim.as_ref().filter(|claim| self.is_dead(claim)) {
                self.owner_died(&row.id, claim.token).await;
            }
        }
        Ok(())
    }

    /// Whether the caller holds this claim: by name, by token, or by both, which must then agree.
    pub(crate) fn owned(
        &self,
        row: &WorktreeRow,
        claim: &Claim,
        agent_id: Option<&str>,
        token: Option<u64>,
        caller: &Caller,
    ) -> Result<(), WireError> {
        if caller.agent.is_some() && token.is_none() {
            return Err(WireError::user("an agent gives the token of its claim"));
        }
        let name = acting_as(agent_id, caller)?;
        // Who has the token of a person's connection has the claim, whatever it is called.
        let by_token = agent_id.is_none() && caller.agent.is_none() && token == Some(claim.token);
        if name != claim.agent_id && !by_token {
            return Err(self.held(row, claim));
        }
        if token.is_some_and(|token| token != claim.token) {
            let text = format!("the token is stale: the claim on `{}` has a newer one now", row.name);
            return Err(WireError::conflict(text).owned_by(self.info(claim).owner()));
        }
        Ok(())
    }

    async fn refuse_unfinished(&self, repo: &RepoRow, row: &WorktreeRow, allow_dirty: bool) -> Result<()> {
        let handle = self.handle(repo).await?;
        let row = row.clone();
        blocking(move || {
            if !row.path.is_dir() {
                return Ok(());
            }
            let status = handle.repo.status(&location(&row), Untracked::Folded)?;
            if let Some(what) = status.in_progress {
                let text = format!("worktree `{}` is in the middle of a {}", row.name, progress(what));
                return Err(WireError::conflict(text).hint("finish or abort it first").into());
            }
            if !status.entries.is_empty() && !allow_dirty {
                let count = status.entries.len();
                let text = format!("worktree `{}` has {}", row.name, some(count, "uncommitted change"));
                return Err(WireError::conflict(text)
                    .hint("commit them, or release with --allow-dirty")
                    .into());
            }
            Ok(())
        })
        .await
    }

    async fn give_back(
        &self,
        repo: &RepoRow,
        row: &WorktreeRow,
        claim: &Claim,
        by: String,
    ) -> Result<ClaimReleased> {
        let (id, token, now) = (row.id.clone(), claim.token, self.now());
        let write = move |tx: &Tx<'_>| end_claim(tx, &id, token, now, &by);
        if !self.inner.store.write(Durability::Power, write).await? {
            let text = format!("the claim on `{}` changed a moment ago", row.name);
            return Err(WireError::conflict(text).into());
        }
        self.inner.watches.end(&row.id);
        self.mirror_or_warn(repo, &row.id).await;
        self.inner.queues.wake(&row.id);
        Ok(ClaimReleased {
            worktree: row.name.clone(),
            agent_id: claim.agent_id.clone(),
            token,
            released_at: rfc3339(now),
        })
    }
}

/// Ends the claim with this token; `false` if there is none.
pub(super) fn end_claim(tx: &Tx<'_>, id: &str, token: u64, now: i64, by: &str) -> Result<bool> {
    let Some(row) = WorktreeRow::by_id(tx, id)? else { return Ok(false) };
    let sql = "UPDATE worktrees SET agent_id = NULL, token = NULL, host = NULL, pid = NULL, pid_start = NULL,
        boot_id = NULL, session = NULL, claimed_at = NULL, heartbeat_at = NULL, owner_dead_at = NULL, released_at = ?3
        WHERE id = ?1 AND token = ?2 AND agent_id IS NOT NULL";
    if tx.prepare_cached(sql)?.execute(params![id, token, now])? == 0 {
        return Ok(false);
    }
    let agent_id = row.claim.as_ref().map(|claim| claim.agent_id.clone());
    let data = json!({ "worktree": row.id, "name": row.name, "agentId": agent_id, "token": token, "by": by });
    tx.emit(&NewEvent::new("worktree.released", row.subject(), data))?;
    Ok(true)
}
