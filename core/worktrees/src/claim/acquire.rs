//! Taking a claim: one conditional `UPDATE`.

use std::time::Duration;

use podium_protocol::{Alive, ClaimAcquireParams, ClaimAcquired, ClaimOwner, WireError};
use podium_store::rusqlite::{self, params};
use podium_store::{Durability, NewEvent, StoreError, Tx, rfc3339};
use serde_json::json;
use tokio::time::Instant;

use super::mirror::{is_foreign, is_locked_outside, lock_reason, locked_outside};
use super::owner::{Claimant, may_force};
use crate::error::{Error, Result};
use crate::rows::{Binding, Claim, RepoRow, WorktreeRow};
use crate::service::Worktrees;
use crate::settings::Caller;

const LONGEST_WAIT: u32 = 86_400;
/// Who comes while others wait for a free worktree, and would not wait, learns the new owner within this time.
const BEHIND_OTHERS: Duration = Duration::from_secs(5);
/// Lost races after which a request gives up. Each of them means that somebody else won.
const TRIES: usize = 64;
/// Owners bound to sessions have no process that the kernel could watch.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What stands between a claimant and a worktree.
enum Standing {
    Free,
    /// The claimant is the owner already.
    Mine(Claim),
    /// The owner is proven dead.
    Dead(Claim),
    Held(Claim),
}

/// Whether a claimant stays in line while somebody else has the worktree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    UntilMine,
    /// Only until it is known who of those in line got it.
    UntilTaken,
}

/// How one try ended.
enum Try {
    Done(Box<ClaimAcquired>),
    Held(Box<(WorktreeRow, Claim)>),
}

impl Worktrees {
    /// Claims a worktree; for its owner again is no error and gives the same token.
    ///
    /// # Errors
    /// `Conflict` with the owner, after the wait; `NotFound` for no such worktree; `User` for an agent that forces
    /// or acts under another name.
    pub async fn acquire(
        &self,
        params: ClaimAcquireParams,
        caller: &Caller,
    ) -> Result<ClaimAcquired, WireError> {
        self.acquire_as(params, caller, false).await
    }

    /// The same for a session that shares the worktree with no other, also not with one of the same agent.
    ///
    /// # Errors
    /// As [`Worktrees::acquire`].
    pub async fn acquire_alone(
        &self,
        params: ClaimAcquireParams,
        caller: &Caller,
    ) -> Result<ClaimAcquired, WireError> {
        self.acquire_as(params, caller, true).await
    }

    async fn acquire_as(
        &self,
        params: ClaimAcquireParams,
        caller: &Caller,
        alone: bool,
    ) -> Result<ClaimAcquired, WireError> {
        may_force(params.force, caller)?;
        let wait = params.wait.unwrap_or_default();
        if wait > LONGEST_WAIT {
            return Err(WireError::usage(format!("a wait is at most {LONGEST_WAIT} seconds")));
        }
        let agent = params.agent_id.as_deref();
        let mut claimant = self.claimant(agent, params.pid, params.session.as_deref(), caller)?;
        claimant.force = params.force;
        claimant.alone = alone;
        let (repo, row) = self.find(&params.at, params.worktree.as_deref(), caller).await?;
        let acquired = if wait > 0 && !params.force {
            self.claim_in_turn(&repo, row, claimant, Patience::UntilMine, Duration::from_secs(wait.into()))
                .await
        } else {
            self.claim_row(&repo, row, claimant).await
        };
        Ok(acquired?)
    }

    /// Claims without waiting.
    pub(crate) async fn claim_now(
        &self,
        repo: &RepoRow,
        id: &str,
        claimant: Claimant,
    ) -> Result<ClaimAcquired> {
        let row = self.row(id).await?;
        self.claim_row(repo, row, claimant).await
    }

    async fn claim_row(&self, repo: &RepoRow, row: WorktreeRow, claimant: Claimant) -> Result<ClaimAcquired> {
        let taken = matches!(self.standing(&row, &claimant), Standing::Held(_) | Standing::Mine(_));
        if !claimant.force && !taken && self.inner.queues.is_waited_for(&row.id) {
            // It is about to be somebody's who came earlier.
            return self.claim_in_turn(repo, row, claimant, Patience::UntilTaken, BEHIND_OTHERS).await;
        }
        match self.try_claim(repo, row, &claimant).await? {
            Try::Done(acquired) => Ok(*acquired),
            Try::Held(held) => Err(self.held(&held.0, &held.1).into()),
        }
    }

    async fn claim_in_turn(
        &self,
        repo: &RepoRow,
        mut row: WorktreeRow,
        claimant: Claimant,
        patience: Patience,
        wait: Duration,
    ) -> Result<ClaimAcquired> {
        let deadline = Instant::now() + wait;
        let mut place = self.inner.queues.join(&row.id)?;
        loop {
            place.mark();
            row = self.row(&row.id).await?;
            let standing = self.standing(&row, &claimant);
            if let (Standing::Held(claim), Patience::UntilTaken) = (&standing, patience) {
                return Err(self.held(&row, claim).into());
            }
            if place.is_first() || matches!(standing, Standing::Mine(_)) {
                match self.try_claim(repo, row.clone(), &claimant).await? {
                    Try::Done(acquired) => return Ok(*acquired),
                    Try::Held(held) => row = held.0,
                }
            }
            let by_session =
                row.claim.as_ref().is_some_and(|claim| matches!(claim.binding, Binding::Session(_)));
            let look = if by_session { deadline.min(Instant::now() + LOOK_AGAIN) } else { deadline };
            if tokio::time::timeout_at(look, place.moved()).await.is_err() && Instant::now() >= deadline {
                let row = self.row(&row.id).await?;
                return Err(match &row.claim {
                    Some(claim) => self.held(&row, claim).into(),
                    None => {
                        WireError::conflict(format!("others wait for worktree `{}` already", row.name)).into()
                    }
                });
            }
        }
    }

    fn standing(&self, row: &WorktreeRow, claimant: &Claimant) -> Standing {
        let Some(claim) = row.claim.clone() else { return Standing::Free };
        match self.alive(&claim) {
            Alive::No => Standing::Dead(claim),
            _ if claimant.is_kept_out(&claim.binding) => Standing::Held(claim),
            _ if claim.agent_id == claimant.agent_id && claim.host == self.inner.settings.host => {
                Standing::Mine(claim)
            }
            _ => Standing::Held(claim),
        }
    }

    async fn try_claim(&self, repo: &RepoRow, row: WorktreeRow, claimant: &Claimant) -> Result<Try> {
        let (this, repo, claimant) = (self.clone(), repo.clone(), claimant.clone());
        // The answer may find nobody; lock and watch must follow the commit all the same.
        self.to_its_end(async move { this.race(&repo, row, &claimant).await }).await
    }

    async fn race(&self, repo: &RepoRow, mut row: WorktreeRow, claimant: &Claimant) -> Result<Try> {
        for _ in 0..TRIES {
            let replaced = match self.standing(&row, claimant) {
                Standing::Mine(claim) => match self.renew(&row, &claim, claimant).await? {
                    Some(acquired) => return Ok(Try::Done(Box::new(acquired))),
                    None => {
                        row = self.row(&row.id).await?;
                        continue;
                    }
                },
                Standing::Held(claim) if !claimant.force => return Ok(Try::Held(Box::new((row, claim)))),
                Standing::Free => None,
                Standing::Dead(claim) | Standing::Held(claim) => Some(claim),
            };
            if !row.is_main
                && let Some(reason) = lock_reason(&row)?
                && is_foreign(Some(&reason))
            {
                return Err(locked_outside(&row, &reason).into());
            }
            if let Some(acquired) = self.take(repo, &row, claimant, replaced).await? {
                return Ok(Try::Done(Box::new(acquired)));
            }
            row = self.row(&row.id).await?;
        }
        Err(WireError::busy(format!("worktree `{}` changes hands too quickly", row.name)).into())
    }

    /// Takes a free worktree, or replaces the owner seen. `None` when somebody else was faster.
    async fn take(
        &self,
        repo: &RepoRow,
        row: &WorktreeRow,
        claimant: &Claimant,
        replaced: Option<Claim>,
    ) -> Result<Option<ClaimAcquired>> {
        let owner = replaced.as_ref().map(|claim| self.info(claim).owner());
        let forced = owner.as_ref().is_some_and(|owner| owner.alive != Alive::No);
        let taking = Taking {
            id: row.id.clone(),
            claimant: claimant.clone(),
            expected: replaced.map(|claim| claim.token),
            owner,
            forced,
            host: self.inner.settings.host.clone(),
            now: self.now(),
        };
        let taken = self.inner.store.write(Durability::Power, move |tx| taking.run(tx)).await;
        let (row, acquired) = match taken {
            Ok(taken) => taken,
            Err(Lost::Race) => return Ok(None),
            Err(Lost::Failed(error)) => return Err(error),
        };
        self.watch(&row);
        if let Err(error) = self.mirror(repo, &row.id).await {
            if is_locked_outside(&error) {
                // Locked by hand in this very moment: theirs came first.
                self.drop_claim(&row.id, acquired.token).await?;
                let reason = lock_reason(&row)?.unwrap_or_default();
                return Err(locked_outside(&row, &reason).into());
            }
            tracing::warn!(%error, worktree = row.name, "git's worktree lock does not show the claim");
        }
        if let Ok(handle) = self.handle(repo).await {
            self.guard_claimed(&handle, &row).await;
        }
        Ok(Some(acquired))
    }

    /// The owner asks again: same token, a sign of life, and perhaps something else to live by.
    async fn renew(
        &self,
        row: &WorktreeRow,
        claim: &Claim,
        claimant: &Claimant,
    ) -> Result<Option<ClaimAcquired>> {
        let rebinds = claimant.binding != Binding::Heartbeat && claimant.binding != claim.binding;
        let binding = if rebinds { claimant.binding.clone() } else { claim.binding.clone() };
        let (id, token, now) = (row.id.clone(), claim.token, self.now());
        let durability = if rebinds { Durability::Power } else { Durability::Process };
        let renewed = self.inner.store.write(durability, move |tx| -> Result<bool> {
            let (process, session) = columns(&binding);
            let (pid, start, boot) = process;
            let sql =
                "UPDATE worktrees SET heartbeat_at = ?3, pid = ?4, pid_start = ?5, boot_id = ?6, session = ?7
                WHERE id = ?1 AND token = ?2 AND agent_id IS NOT NULL AND owner_dead_at IS NULL";
            Ok(tx.prepare_cached(sql)?.execute(params![id, token, now, pid, start, boot, session])? == 1)
        });
        if !renewed.await? {
            return Ok(None);
        }
        if rebinds {
            self.watch(&self.row(&row.id).await?);
        }
        Ok(Some(answer(row, claim.agent_id.clone(), token, claim.claimed_at, true, None)))
    }

    /// Takes back a claim that could not be mirrored.
    async fn drop_claim(&self, id: &str, token: u64) -> Result<()> {
        let (row, now) = (id.to_owned(), self.now());
        let dropped = self.inner.store.write(Durability::Power, move |tx| -> Result<()> {
            super::release::end_claim(tx, &row, token, now, "locked outside")?;
            Ok(())
        });
        dropped.await?;
        self.inner.watches.end(id);
        self.inner.queues.wake(id);
        Ok(())
    }
}

enum Lost {
    Race,
    Failed(Error),
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<StoreError> for Lost {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<rusqlite::Error> for Lost {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// One conditional update and its event.
struct Taking {
    id: String,
    claimant: Claimant,
    /// Token of the owner that is replaced; `None`: the worktree must be free.
    expected: Option<u64>,
    owner: Option<ClaimOwner>,
    forced: bool,
    host: String,
    now: i64,
}

impl Taking {
    fn run(self, tx: &Tx<'_>) -> Result<(WorktreeRow, ClaimAcquired), Lost> {
        // An error rolls the number back with the rest: only winners use one up.
        let token = tx.next_in("fence")?;
        let ((pid, start, boot), session) = columns(&self.claimant.binding);
        let sql = "UPDATE worktrees SET agent_id = ?2, token = ?3, host = ?4, pid = ?5, pid_start = ?6, boot_id = ?7,
            session = ?8, claimed_at = ?9, heartbeat_at = ?9, owner_dead_at = NULL, released_at = NULL
            WHERE id = ?1 AND removing IS NULL
            AND ((?10 IS NULL AND agent_id IS NULL) OR (agent_id IS NOT NULL AND token = ?10))";
        let agent = &self.claimant.agent_id;
        let changed = tx.prepare_cached(sql)?.execute(params![
            self.id,
            agent,
            token,
            self.host,
            pid,
            start,
            boot,
            session,
            self.now,
            self.expected
        ])?;
        if changed != 1 {
            return Err(self.lost(tx));
        }
        let row = WorktreeRow::by_id(tx, &self.id)?.ok_or(Lost::Race)?;
        let data = json!({
            "worktree": row.id,
            "name": row.name,
            "agentId": agent,
            "token": token,
            "path": row.path.to_string_lossy(),
            "replaced": self.owner,
            "forced": self.forced,
            "by": self.claimant.by,
        });
        tx.emit(&NewEvent::new("worktree.claimed", row.subject(), data))?;
        let acquired = answer(&row, agent.clone(), token, self.now, false, self.owner);
        Ok((row, acquired))
    }

    fn lost(&self, tx: &Tx<'_>) -> Lost {
        match WorktreeRow::by_id(tx, &self.id) {
            Ok(Some(row)) if row.removing.is_some() => {
                Lost::Failed(WireError::conflict(format!("worktree `{}` is being removed", row.name)).into())
            }
            Ok(_) => Lost::Race,
            Err(error) => error.into(),
        }
    }
}

type ProcessColumns = (Option<u32>, Option<u64>, Option<String>);

fn columns(binding: &Binding) -> (ProcessColumns, Option<String>) {
    match binding {
        Binding::Process(process) => {
            ((Some(process.pid), Some(process.start_time), Some(process.boot_id.clone())), None)
        }
        Binding::Session(session) => ((None, None, None), Some(session.clone())),
        Binding::Heartbeat => ((None, None, None), None),
    }
}

fn answer(
    row: &WorktreeRow,
    agent_id: String,
    token: u64,
    since: i64,
    already: bool,
    replaced: Option<ClaimOwner>,
) -> ClaimAcquired {
    ClaimAcquired {
        worktree: row.name.clone(),
        agent_id,
        token,
        since: rfc3339(since),
        path: row.path.to_string_lossy().into_owned(),
        already,
        replaced,
    }
}
