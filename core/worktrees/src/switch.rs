//! Finding the worktree to go to.

use podium_protocol::{WireError, WorktreeSwitchParams, WorktreeSwitched};

use crate::error::Result;
use crate::paths;
use crate::provide::Hook;
use crate::rows::WorktreeRow;
use crate::service::Worktrees;
use crate::settings::Caller;

impl Worktrees {
    /// The worktree with this name or branch, else the only one that begins with it, else the only one that
    /// contains it.
    ///
    /// # Errors
    /// `NotFound` for none, `User` for several.
    pub async fn switch(
        &self,
        params: WorktreeSwitchParams,
        caller: &Caller,
    ) -> Result<WorktreeSwitched, WireError> {
        let (handle, row) = match &params.name {
            None => {
                let (repo, row) = self.find(&params.at, None, caller).await?;
                (self.handle(&repo).await?, row)
            }
            Some(query) => {
                let handle = self.repo_at(&params.at, caller).await?;
                self.reconcile(&handle).await?;
                let (repo, asked) = (handle.row.id.clone(), query.clone());
                let read = self.inner.store.read(move |conn| -> Result<_> {
                    let exact = WorktreeRow::by_name(conn, &repo, &asked)?;
                    Ok((exact, WorktreeRow::of_repo(conn, &repo)?))
                });
                let (exact, rows) = read.await?;
                let row = exact.map_or_else(|| search(rows, query), Ok)?;
                (handle, row)
            }
        };
        let uri = match &params.at.uri {
            Some(uri) => self.same_file(uri, &row, caller).await?,
            None => None,
        };
        let ran = self.run_hook(Hook::PostSwitch, &handle, &row.path, &row.name, Some(&row), caller).await;
        if let Some(note) = ran.note() {
            tracing::info!(note, worktree = row.name, "the hook after a switch");
        }
        Ok(WorktreeSwitched { worktree: self.view_by_id(&handle, &row.id).await?, uri })
    }

    /// The file of a URI, in another worktree of its repository.
    async fn same_file(&self, uri: &str, target: &WorktreeRow, caller: &Caller) -> Result<Option<String>> {
        let path = paths::real(&paths::from_uri(uri)?);
        let Some((_, from)) = self.located(&path, caller).await? else { return Ok(None) };
        let Ok(relative) = path.strip_prefix(&from.path) else { return Ok(None) };
        let there = target.path.join(relative);
        Ok((from.repo == target.repo && there.is_file()).then(|| paths::to_uri(&there)))
    }
}

fn search(rows: Vec<WorktreeRow>, query: &str) -> Result<WorktreeRow, WireError> {
    let shown: String = query.chars().take(100).collect();
    let tests: [fn(&str, &str) -> bool; 2] =
        [|text, part| text.starts_with(part), |text, part| text.contains(part)];
    for test in tests {
        let matches = |row: &&WorktreeRow| {
            test(&row.name, query) || row.branch.as_deref().is_some_and(|branch| test(branch, query))
        };
        let mut found = rows.iter().filter(matches);
        let names: Vec<&str> = found.clone().map(|row| row.name.as_str()).take(10).collect();
        match (found.next(), names.len()) {
            (Some(row), 1) => return Ok(row.clone()),
            (None, _) => {}
            _ => {
                let error = WireError::user(format!("`{shown}` means several worktrees"));
                return Err(error.hint(format!("one of: {}", names.join(", "))));
            }
        }
    }
    let error = WireError::not_found(format!("no worktree is called `{shown}`"));
    Err(error.hint("`imi list` shows what there is"))
}
