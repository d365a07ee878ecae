//! How the parts are, for `podium doctor`.

use podium_protocol::{PartState, count as counted};

use crate::error::{Result, blocking};
use crate::provide::can_share;
use crate::rows::{RepoRow, WorktreeRow};
use crate::service::Worktrees;

impl Worktrees {
    /// Name, state, message and hint of each part.
    pub async fn health(&self) -> Vec<(String, PartState, String, String)> {
        let mut parts =
            vec![self.git_health().await, self.worktree_health().await, self.guard_health().await];
        parts.extend(self.copies_health().await);
        parts
    }

    /// What `worktree.copy` costs where the repositories lie.
    async fn copies_health(&self) -> Option<(String, PartState, String, String)> {
        let repos: Result<Vec<RepoRow>> = self.inner.store.read(|conn| Ok(RepoRow::all(conn)?)).await;
        let repos = repos.ok().filter(|repos| !repos.is_empty())?;
        let all = repos.len();
        let count = move || Ok(repos.iter().filter(|repo| can_share(&repo.common_dir)).count());
        let message = match blocking(count).await.unwrap_or_default() {
            0 => "copied folders (`worktree.copy`) take their full size: the file system shares no blocks"
                .to_owned(),
            some if some == all => "copied folders (`worktree.copy`) share their blocks".to_owned(),
            some => {
                format!("copied folders (`worktree.copy`) share their blocks in {some} of {all} repositories")
            }
        };
        Some(("copies".to_owned(), PartState::Ok, message, String::new()))
    }

    async fn git_health(&self) -> (String, PartState, String, String) {
        let this = self.clone();
        let found = blocking(move || this.git(None)).await;
        let part = "git".to_owned();
        match found {
            Ok(git) => (
                part,
                PartState::Ok,
                format!("git {} at {}", git.version(), git.exe().display()),
                String::new(),
            ),
            Err(error) => {
                let wire = podium_protocol::WireError::from(error);
                (part, PartState::Broken, wire.message, wire.hints.join("; "))
            }
        }
    }

    async fn worktree_health(&self) -> (String, PartState, String, String) {
        let part = "worktrees".to_owned();
        let read = self.inner.store.read(|conn| -> Result<_> {
            let repos = RepoRow::all(conn)?;
            let mut rows = Vec::new();
            for repo in &repos {
                rows.extend(WorktreeRow::of_repo(conn, &repo.id)?);
            }
            let sql = "SELECT (SELECT count(*) FROM removals WHERE state IN ('intent', 'restoring'))
                + (SELECT count(*) FROM creations)";
            let open: u64 = conn.query_row(sql, [], |row| row.get(0))?;
            Ok((repos, rows, open))
        });
        let (repos, rows, open) = match read.await {
            Ok(read) => read,
            Err(error) => {
                let wire = podium_protocol::WireError::from(error);
                return (part, PartState::Broken, wire.message, wire.hints.join("; "));
            }
        };
        let lost = blocking(move || {
            let repos = repos.iter().filter(|repo| !repo.common_dir.is_dir()).count();
            let trees = rows.iter().filter(|row| !row.path.is_dir()).count();
            Ok((repos, trees, rows.len()))
        });
        let Ok((lost_repos, lost_trees, count)) = lost.await else {
            return (part, PartState::Degraded, "the disk was not looked at".to_owned(), String::new());
        };
        if lost_repos + lost_trees > 0 {
            let text =
                format!("on disk are missing: repositories {lost_repos}, worktrees {lost_trees} of {count}");
            let hint = "mount what is missing; `imi remove NAME` drops a worktree for good".to_owned();
            return (part, PartState::Degraded, text, hint);
        }
        let under_way = if open > 0 { format!(", {open} on their way") } else { String::new() };
        (part, PartState::Ok, format!("{}{under_way}", counted(count as u64, "worktree")), String::new())
    }
}
