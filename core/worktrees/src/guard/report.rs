//! Asking for the guard: status, in, out.

use std::sync::Arc;

use podium_protocol::{
    GuardAction, GuardReport, GuardRunParams, GuardState, GuardWorktree, PartState, WireError,
};
use podium_store::rusqlite::{Connection, OptionalExtension, params};
use podium_store::{Durability, Tx};

use super::install::{BEFORE, KEY, ensure, is_in_force, take_back};
use super::shims;
use crate::error::{Result, blocking};
use crate::rows::{RepoRow, WorktreeRow};
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;
use crate::view::{location, some};

impl Worktrees {
    /// Tells how the guard of a repository is, puts it in or takes it out.
    ///
    /// # Errors
    /// `NotFound` outside a repository; `User` for an agent that wants to change it.
    pub async fn guard(&self, params: GuardRunParams, caller: &Caller) -> Result<GuardReport, WireError> {
        if caller.agent.is_some() && params.action != GuardAction::Status {
            return Err(WireError::user("an agent may not change the guard"));
        }
        let (handle, only) = match &params.worktree {
            Some(name) => {
                let (repo, row) = self.find(&params.at, Some(name), caller).await?;
                (self.handle(&repo).await?, Some(row.id))
            }
            None => (self.repo_at(&params.at, caller).await?, None),
        };
        self.reconcile(&handle).await?;
        let (this, asked) = (self.clone(), handle.clone());
        let work = async move { this.change_guard(&asked, only, params.action).await };
        Ok(self.to_its_end(work).await?)
    }

    async fn change_guard(
        &self,
        handle: &Arc<RepoHandle>,
        only: Option<String>,
        action: GuardAction,
    ) -> Result<GuardReport> {
        let repo = handle.row.id.clone();
        let rows: Result<Vec<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &repo)?)).await;
        let mut rows = rows?;
        rows.retain(|row| !row.is_main && only.as_ref().is_none_or(|id| *id == row.id));
        let whole = only.is_none();
        if whole && action != GuardAction::Status {
            self.want_guard(&handle.row.id, action == GuardAction::Install).await?;
        }
        let asked = handle.clone();
        let (worktrees, extended) = blocking(move || {
            let mut extended = false;
            for row in rows.iter().filter(|row| row.path.is_dir()) {
                match action {
                    GuardAction::Status => {}
                    GuardAction::Install => extended |= install_anew(&asked, row)?,
                    GuardAction::Remove => {
                        let writer = asked.repo.write(asked.patience())?;
                        take_back(&asked, &writer, &location(row))?;
                    }
                }
            }
            let told = rows.iter().map(|row| tell(&asked, row)).collect::<Result<Vec<_>>>()?;
            Ok((told, extended))
        })
        .await?;
        if extended {
            self.guard_extended(&handle.row.id).await?;
        }
        let folder = shims::folder(&handle.row.common_dir).to_string_lossy().into_owned();
        let enabled = self.guard_wanted(handle).await?;
        Ok(GuardReport { repo: handle.row.to_ref(), enabled, folder, worktrees })
    }

    /// Guards a worktree that was just claimed. The claim stands without it, so a failure is only told.
    pub(crate) async fn guard_claimed(&self, handle: &Arc<RepoHandle>, row: &WorktreeRow) {
        let work = async {
            // On the path of every claim: in force already is the usual case.
            if row.is_main || is_in_force(handle, row) || !self.guard_wanted(handle).await? {
                return Ok(());
            }
            let (asked, row) = (handle.clone(), row.clone());
            if blocking(move || ensure(&asked, &row)).await? {
                self.guard_extended(&handle.row.id).await?;
            }
            Ok::<(), crate::error::Error>(())
        };
        if let Err(error) = work.await {
            tracing::warn!(%error, worktree = row.name, "commits in this worktree are not guarded");
        }
    }

    async fn guard_wanted(&self, handle: &RepoHandle) -> Result<bool> {
        if !handle.config().flag("guard.enabled") {
            return Ok(false);
        }
        let repo = handle.row.id.clone();
        self.inner.store.read(move |conn| Ok(!is_off(conn, &repo)?)).await
    }

    async fn want_guard(&self, repo: &str, wanted: bool) -> Result<()> {
        let repo = repo.to_owned();
        let write = move |tx: &Tx<'_>| -> Result<()> {
            let sql =
                "INSERT INTO guards (repo, off) VALUES (?1, ?2) ON CONFLICT (repo) DO UPDATE SET off = ?2";
            tx.execute(sql, params![repo, !wanted])?;
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await
    }

    /// Remembers that git's settings were extended, to take it back some day.
    async fn guard_extended(&self, repo: &str) -> Result<()> {
        let repo = repo.to_owned();
        let write = move |tx: &Tx<'_>| -> Result<()> {
            let sql = "INSERT INTO guards (repo, extension) VALUES (?1, 1)
                ON CONFLICT (repo) DO UPDATE SET extension = 1";
            tx.execute(sql, [repo])?;
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await
    }

    /// Takes the guard out of every worktree of a repository, and tells what went.
    pub(crate) async fn unguard_all(&self, handle: &Arc<RepoHandle>) -> Result<Vec<String>> {
        let repo = handle.row.id.clone();
        let sql = "SELECT extension FROM guards WHERE repo = ?1";
        let extended: Result<Option<bool>> = self
            .inner
            .store
            .read(move |conn| Ok(conn.query_row(sql, [repo], |row| row.get(0)).optional()?))
            .await;
        let (extended, asked) = (extended?.unwrap_or(false), handle.clone());
        blocking(move || {
            let writer = asked.repo.write(asked.patience())?;
            let mut count = 0_usize;
            for worktree in asked.repo.worktrees()? {
                count += usize::from(take_back(&asked, &writer, &worktree.location)?);
            }
            let mut undone = Vec::new();
            if count > 0 {
                undone.push(format!("took the guard out of {}", some(count, "worktree")));
            }
            if extended && writer.disable_worktree_settings()? {
                undone.push("took extensions.worktreeConfig back".to_owned());
            }
            Ok(undone)
        })
        .await
    }

    /// Whether what holds claims is guarded, for `podium doctor`.
    pub(crate) async fn guard_health(&self) -> (String, PartState, String, String) {
        let part = "guard".to_owned();
        match self.unguarded().await {
            Ok((0, _)) if !self.inner.config.get().flag("guard.enabled") => {
                (part, PartState::Off, "off: `guard.enabled` is false".to_owned(), String::new())
            }
            Ok((guarded, lost)) if lost.is_empty() => {
                (part, PartState::Ok, format!("{guarded} claimed worktrees"), String::new())
            }
            Ok((_, lost)) => {
                let text = format!("commits are not guarded in {}", lost.join(", "));
                let hint = "another tool (husky, pre-commit, lefthook) may have replaced core.hooksPath or the \
                    hooks there: `imi guard install` puts the guard back and keeps their hooks";
                (part, PartState::Degraded, text, hint.to_owned())
            }
            Err(error) => {
                let wire = WireError::from(error);
                (part, PartState::Broken, wire.message, wire.hints.join("; "))
            }
        }
    }

    /// Guarded worktrees, and the names of those that should be and are not.
    async fn unguarded(&self) -> Result<(usize, Vec<String>)> {
        let repos: Result<Vec<RepoRow>> = self.inner.store.read(|conn| Ok(RepoRow::all(conn)?)).await;
        let (mut guarded, mut lost) = (0, Vec::new());
        for repo in repos?.into_iter().filter(|repo| repo.common_dir.is_dir()) {
            let handle = self.handle(&repo).await?;
            if !self.guard_wanted(&handle).await? {
                continue;
            }
            for (row, state) in self.guard_states(&handle).await? {
                if state == GuardState::Installed { guarded += 1 } else { lost.push(row.name) }
            }
        }
        Ok((guarded, lost))
    }

    /// Claimed worktrees in which commits are to be guarded and are not.
    pub(crate) async fn lost_guards(&self, handle: &Arc<RepoHandle>) -> Result<Vec<WorktreeRow>> {
        if !self.guard_wanted(handle).await? {
            return Ok(Vec::new());
        }
        let mut states = self.guard_states(handle).await?;
        states.retain(|(row, state)| *state != GuardState::Installed && row.path.is_dir());
        Ok(states.into_iter().map(|(row, _)| row).collect())
    }

    /// How the guard of each claimed worktree is.
    async fn guard_states(&self, handle: &Arc<RepoHandle>) -> Result<Vec<(WorktreeRow, GuardState)>> {
        let (id, asked) = (handle.row.id.clone(), handle.clone());
        let rows: Result<Vec<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &id)?)).await;
        let claimed: Vec<_> = rows?.into_iter().filter(|row| !row.is_main && row.claim.is_some()).collect();
        let tell = move |row: WorktreeRow| {
            let state = tell(&asked, &row)?.state;
            Ok((row, state))
        };
        blocking(move || claimed.into_iter().map(tell).collect()).await
    }
}

fn is_off(conn: &Connection, repo: &str) -> Result<bool> {
    let sql = "SELECT off FROM guards WHERE repo = ?1";
    let off: Option<bool> = conn.prepare_cached(sql)?.query_row([repo], |row| row.get(0)).optional()?;
    Ok(off.unwrap_or(false))
}

/// Also where hooks were altered, which a look at the settings does not show.
fn install_anew(handle: &RepoHandle, row: &WorktreeRow) -> Result<bool> {
    let folder = shims::folder(&handle.row.common_dir);
    shims::write(&folder, &handle.row.common_dir)
        .map_err(|error| crate::error::Error::io("written", &folder, error))?;
    ensure(handle, row)
}

fn tell(handle: &RepoHandle, row: &WorktreeRow) -> Result<GuardWorktree> {
    let folder = shims::folder(&handle.row.common_dir);
    let writer = handle.repo.write(handle.patience())?;
    let at = location(row);
    let found = writer.worktree_setting(&at, KEY)?;
    let hooks = std::fs::read_to_string(row.admin_dir.join("podium-hooks")).ok();
    let before = writer.worktree_setting(&at, BEFORE)?.or(hooks);
    let state = match found {
        _ if is_in_force(handle, row) && shims::altered(&folder).is_empty() => GuardState::Installed,
        _ if is_in_force(handle, row) => GuardState::Altered,
        Some(_) if before.is_some() => GuardState::Replaced,
        _ => GuardState::Absent,
    };
    Ok(GuardWorktree {
        name: row.name.clone(),
        state,
        user_hooks: before.map(|before| before.trim_end().to_owned()),
    })
}
