//! Done with a worktree: its work is in trunk.

use podium_git::Repo;
use podium_protocol::{WireError, WorktreeCloseParams, WorktreeRemoveParams, WorktreeRemoved};

use super::check;
use crate::claim::may_force;
use crate::error::Result;
use crate::rows::{RepoRow, WorktreeRow};
use crate::service::Worktrees;
use crate::settings::Caller;
use crate::trunk;
use crate::view::location;

impl Worktrees {
    /// Removes a worktree and its branch if trunk has all of its work.
    ///
    /// # Errors
    /// `Conflict` for work that trunk has not, besides what [`Worktrees::remove`] refuses.
    pub async fn close(
        &self,
        params: WorktreeCloseParams,
        caller: &Caller,
    ) -> Result<WorktreeRemoved, WireError> {
        may_force(params.force, caller)?;
        let (repo, row) = self.find(&params.at, params.name.as_deref(), caller).await?;
        if !params.force {
            self.may_change(&row, params.agent_id.as_deref(), params.token, caller)?;
        }
        let (this, caller) = (self.clone(), caller.clone());
        let work = async move { this.close_row(&repo, row, params, &caller).await };
        Ok(self.to_its_end(work).await?)
    }

    async fn close_row(
        &self,
        repo: &RepoRow,
        row: WorktreeRow,
        params: WorktreeCloseParams,
        caller: &Caller,
    ) -> Result<WorktreeRemoved> {
        let handle = self.handle(repo).await?;
        let (asked, seen, force) = (handle.clone(), row.clone(), params.force);
        let look = move |repo: &Repo| {
            let tips = trunk::find(&asked).map(|trunk| trunk.tips()).unwrap_or_default();
            let Some(head) = repo.head(&location(&seen)).ok().and_then(|head| head.id().cloned()) else {
                return Ok(None);
            };
            let writer = repo.write(asked.patience())?;
            if check::is_merged(repo, Some(&writer), &tips, &head)? {
                return Ok(Some(head));
            }
            if force {
                return Ok(None);
            }
            let text = format!("`{}` has work that trunk has not", seen.name);
            let error = WireError::conflict(text).hint(format!("imi merge {}", seen.name));
            Err(error.hint("--force closes it all the same; `imi undo` brings it back").into())
        };
        let merged = self.with_repo(&handle, caller, look).await?;
        let remove = WorktreeRemoveParams {
            at: params.at,
            name: Some(row.name.clone()),
            agent_id: params.agent_id,
            token: params.token,
            force,
            ..Default::default()
        };
        self.remove_known(repo, row, &remove, merged, caller).await
    }
}
