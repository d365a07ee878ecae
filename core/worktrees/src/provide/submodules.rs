//! Submodules and large files: not by default, since they can be larger than all the rest, but on demand.

use podium_git::Repo;
use podium_protocol::{WireError, WorktreeSubmodules, WorktreeSubmodulesParams};

use crate::error::Result;
use crate::service::Worktrees;
use crate::settings::Caller;
use crate::view::location;

impl Worktrees {
    /// Checks out the submodules of a worktree, and its large files where the LFS extension is installed.
    ///
    /// # Errors
    /// What git says: a submodule whose remote does not answer, for one.
    pub async fn submodules(
        &self,
        params: WorktreeSubmodulesParams,
        caller: &Caller,
    ) -> Result<WorktreeSubmodules, WireError> {
        let (repo, row) = self.find(&params.at, params.name.as_deref(), caller).await?;
        let handle = self.handle(&repo).await?;
        let patience = handle.patience();
        let at = location(&row);
        let work = move |repo: &Repo| {
            let submodules = repo.write(patience)?.update_submodules(&at, patience)?;
            Ok((submodules, repo.fetch_large_files(&at, patience)?))
        };
        let (submodules, large_files) = self.with_repo(&handle, caller, work).await?;
        let submodules = submodules.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        Ok(WorktreeSubmodules { worktree: row.name, submodules, large_files })
    }
}
