//! Asking about a claim, and keeping it alive.

use podium_protocol::{
    ClaimHeartbeatParams, ClaimHeartbeaten, ClaimStanding, ClaimVerified, ClaimVerifyParams, WireError,
};
use podium_store::Durability;
use podium_store::rusqlite::params;

use super::owner::acting_as;
use crate::error::Result;
use crate::rows::{Claim, WorktreeRow};
use crate::service::{Worktrees, lock};
use crate::settings::Caller;

/// Signs of life from the tree are written at most so often, in milliseconds.
const TOUCH_EVERY: i64 = 10_000;
/// Worktrees whose last sign of life is remembered.
const TOUCHED: usize = 4_096;

impl Worktrees {
    /// What a claim means to the caller. A dead owner counts as none.
    ///
    /// # Errors
    /// `NotFound` for no such worktree.
    pub async fn verify(
        &self,
        params: ClaimVerifyParams,
        caller: &Caller,
    ) -> Result<ClaimVerified, WireError> {
        let (_, row) = self.find(&params.at, params.worktree.as_deref(), caller).await?;
        let standing = match &row.claim {
            None => ClaimStanding::Free,
            Some(claim) if self.is_dead(claim) => ClaimStanding::Free,
            Some(claim) => {
                let name = acting_as(params.agent_id.as_deref(), caller)?;
                let anonymous = params.agent_id.is_none() && caller.agent.is_none();
                let mine = name == claim.agent_id || (anonymous && params.token == Some(claim.token));
                match params.token {
                    _ if !mine => ClaimStanding::Other,
                    Some(token) if token != claim.token => ClaimStanding::Stale,
                    _ => ClaimStanding::Mine,
                }
            }
        };
        if standing == ClaimStanding::Mine
            && let Some(claim) = row.claim.as_ref().filter(|claim| params.token == Some(claim.token))
        {
            self.beat(&row, claim).await?;
        }
        let claim = row.claim.as_ref().map(|claim| self.info(claim));
        Ok(ClaimVerified { worktree: row.name, standing, claim })
    }

    /// A sign of life of the owner.
    ///
    /// # Errors
    /// `Conflict` for a stale token and a worktree that nobody holds; `User` for an agent without a token.
    pub async fn heartbeat(
        &self,
        params: ClaimHeartbeatParams,
        caller: &Caller,
    ) -> Result<ClaimHeartbeaten, WireError> {
        if caller.agent.is_some() && params.token.is_none() {
            return Err(WireError::user("an agent gives the token of its claim"));
        }
        let (_, row) = self.find(&params.at, params.worktree.as_deref(), caller).await?;
        if row.claim.is_none() && params.token.is_none() {
            let error = WireError::conflict(format!("nobody holds `{}`", row.name));
            return Err(error.hint(format!("imi claim {}", row.name)));
        }
        let stale = |row: &WorktreeRow| {
            let error =
                WireError::conflict(format!("the token is stale: `{}` is not held under it", row.name));
            match &row.claim {
                Some(claim) => error.owned_by(self.info(claim).owner()),
                None => error,
            }
        };
        let Some(claim) =
            row.claim.clone().filter(|claim| params.token.is_none_or(|token| claim.token == token))
        else {
            return Err(stale(&row));
        };
        if caller.agent.as_ref().is_some_and(|agent| agent.agent_id != claim.agent_id) {
            return Err(self.held(&row, &claim));
        }
        if !self.beat(&row, &claim).await? {
            return Err(stale(&self.row(&row.id).await?));
        }
        let claim = Claim { heartbeat_at: self.now(), ..claim };
        Ok(ClaimHeartbeaten { worktree: row.name, claim: self.info(&claim) })
    }

    /// A change in a worktree's tree is a sign of life of whoever holds it. Cheap to call often.
    pub async fn touch(&self, worktree_id: &str) {
        let now = self.now();
        {
            let mut touched = lock(&self.inner.touched);
            let last = touched.get(worktree_id).copied();
            if last.is_some_and(|last| now >= last && now - last < TOUCH_EVERY) {
                return;
            }
            if touched.len() >= TOUCHED {
                touched.clear();
            }
            touched.insert(worktree_id.to_owned(), now);
        }
        let id = worktree_id.to_owned();
        let write = self.inner.store.write(Durability::Process, move |tx| -> Result<()> {
            let sql = "UPDATE worktrees SET heartbeat_at = ?2 WHERE id = ?1 AND agent_id IS NOT NULL";
            tx.prepare_cached(sql)?.execute(params![id, now])?;
            Ok(())
        });
        if let Err(error) = write.await {
            tracing::warn!(%error, "a sign of life was not stored");
        }
    }

    async fn beat(&self, row: &WorktreeRow, claim: &Claim) -> Result<bool> {
        let (id, token, now) = (row.id.clone(), claim.token, self.now());
        let write = self.inner.store.write(Durability::Process, move |tx| -> Result<bool> {
            let sql = "UPDATE worktrees SET heartbeat_at = ?3 WHERE id = ?1 AND token = ?2 AND agent_id IS NOT NULL";
            Ok(tx.prepare_cached(sql)?.execute(params![id, token, now])? == 1)
        });
        write.await
    }
}
