//! Where a session works, and whether it still may.

use podium_git::{Repo, WorktreeLocation};
use podium_protocol::WireError;

use crate::error::Result;
use crate::rows::{RepoRow, WorktreeRow};
use crate::service::Worktrees;
use crate::view::location;

/// Who works in a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worker {
    /// Under its claim.
    Agent(String),
    /// Where nobody has a claim, or they have it themselves: their sessions work beside them.
    Person(String),
}

/// A worktree as programs in it need it.
pub struct WorkPlace {
    pub repo: Repo,
    pub at: WorktreeLocation,
    /// Token of the claim, where there is one.
    pub token: Option<u64>,
}

impl Worktrees {
    /// The worktree of this id, for `worker` to work in.
    ///
    /// # Errors
    /// `NotFound` for one that is gone, `Conflict` where somebody else holds it, or an agent does not.
    pub async fn work_place(&self, worktree: &str, worker: &Worker) -> Result<WorkPlace, WireError> {
        let row = self.row(worktree).await?;
        let token = self.stands(&row, worker)?;
        self.place_at(&row, token).await
    }

    /// The worktree of this id, only to look at: whose it is does not matter.
    ///
    /// # Errors
    /// `NotFound` for one that is gone.
    pub async fn look_place(&self, worktree: &str) -> Result<WorkPlace, WireError> {
        let row = self.row(worktree).await?;
        self.place_at(&row, None).await
    }

    /// As [`Worktrees::look_place`], where it matters whether the worktree is gone: `None` only if none of this id is known
    /// any more, an error if that cannot be said now.
    ///
    /// # Errors
    /// Those of the store, and of a repository that cannot be opened.
    pub async fn find_place(&self, worktree: &str) -> Result<Option<WorkPlace>, WireError> {
        let id = worktree.to_owned();
        let row: Result<Option<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::by_id(conn, &id)?)).await;
        match row? {
            Some(row) => self.place_at(&row, None).await.map(Some),
            None => Ok(None),
        }
    }

    async fn place_at(&self, row: &WorktreeRow, token: Option<u64>) -> Result<WorkPlace, WireError> {
        let id = row.repo.clone();
        let repo: Result<Option<RepoRow>> =
            self.inner.store.read(move |conn| Ok(RepoRow::by_id(conn, &id)?)).await;
        let repo = repo?.ok_or_else(|| WireError::not_found("its repository is not known any more"))?;
        let handle = self.handle(&repo).await?;
        Ok(WorkPlace { repo: handle.repo.clone(), at: location(row), token })
    }

    /// Whether `worker` may still work there, an agent under the claim of this token. Blocks for a read, so that it can be
    /// asked between a turn to write and the write.
    ///
    /// # Errors
    /// `Conflict` when the claim went to somebody else, was released or taken anew.
    pub fn check_standing(
        &self,
        worktree: &str,
        worker: &Worker,
        token: Option<u64>,
    ) -> Result<(), WireError> {
        let row = self.row_blocking(worktree)?;
        let now = self.stands(&row, worker)?;
        // A person may claim, or let go, while their own session works.
        if now == token || matches!(worker, Worker::Person(_)) {
            return Ok(());
        }
        Err(WireError::conflict(format!("the claim of `{}` was given up or taken anew meanwhile", row.name)))
    }

    /// Token of the claim under which `worker` may work, if there is one.
    fn stands(&self, row: &WorktreeRow, worker: &Worker) -> Result<Option<u64>, WireError> {
        if row.removing.is_some() {
            return Err(WireError::conflict(format!("worktree `{}` is being removed", row.name)));
        }
        let claim = row.claim.as_ref().filter(|claim| !self.is_dead(claim));
        match (claim, worker) {
            (Some(claim), Worker::Agent(name) | Worker::Person(name)) if claim.agent_id == *name => {
                Ok(Some(claim.token))
            }
            (Some(claim), _) => {
                let text = format!("worktree `{}` is claimed by {}", row.name, claim.agent_id);
                Err(WireError::conflict(text))
            }
            (None, Worker::Person(_)) => Ok(None),
            (None, Worker::Agent(agent)) => {
                let text = format!("{agent} holds no claim of worktree `{}`", row.name);
                Err(WireError::conflict(text))
            }
        }
    }
}
