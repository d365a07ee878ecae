//! What is off in a repository. Looks only.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use podium_git::{OUR_LOCK_PREFIX, Repo, StatusEntry, Untracked};
use podium_protocol::{Alive, Finding, FindingKind, RepoDiagnosis, RepoDoctorParams, WireError};

use super::repair::moved_by_hand;
use crate::claim::lock_reason;
use crate::error::Result;
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;
use crate::sync::LinkRow;
use crate::view::location;

/// A lock file of git lives for moments; one of this age was left by a process that died.
const STALE: Duration = Duration::from_secs(600);

impl Worktrees {
    /// What is off, and what mends it.
    ///
    /// # Errors
    /// When git cannot be read.
    pub async fn diagnose(
        &self,
        params: RepoDoctorParams,
        caller: &Caller,
    ) -> Result<RepoDiagnosis, WireError> {
        let handle = self.repo_at(&params.at, caller).await?;
        Ok(RepoDiagnosis { findings: self.findings(&handle).await? })
    }

    pub(super) async fn findings(&self, handle: &Arc<RepoHandle>) -> Result<Vec<Finding>> {
        let rows = self.all_rows(handle).await?;
        let (asked, known) = (handle.clone(), rows.clone());
        let look = move |repo: &Repo| on_disk(&asked, repo, &known);
        let mut findings = self.with_repo(handle, &Caller::default(), look).await?;
        for row in &rows {
            if let Some(claim) = row.claim.as_ref().filter(|claim| self.alive(claim) == Alive::No) {
                let text = format!("`{}` is held by {}, which is gone", row.name, claim.agent_id);
                let hint = format!(
                    "imi claim {} takes it over; imi release {} --force frees it",
                    row.name, row.name
                );
                findings.push(about(FindingKind::DeadOwner, row, text, hint));
            }
        }
        findings.extend(self.left_intents(handle).await?);
        for row in self.lost_guards(handle).await? {
            let text = format!("commits in `{}` are not guarded, although it is claimed", row.name);
            let hint = "another tool (husky, pre-commit, lefthook) may have replaced core.hooksPath or the hooks \
                there: `imi guard install` puts the guard back and keeps their hooks";
            findings.push(about(FindingKind::LostGuard, &row, text, hint.to_owned()));
        }
        findings.extend(self.visible_links(handle, rows).await?);
        Ok(findings)
    }

    /// Links of ours are listed in `info/exclude`; a line that somebody took out, or that an ignore file takes back,
    /// makes every tree dirty.
    async fn visible_links(&self, handle: &Arc<RepoHandle>, rows: Vec<WorktreeRow>) -> Result<Vec<Finding>> {
        let repo = handle.row.id.clone();
        let links: Result<Vec<LinkRow>> =
            self.inner.store.read(move |conn| Ok(LinkRow::of_repo(conn, &repo)?)).await;
        let links: HashSet<(String, PathBuf)> =
            links?.into_iter().filter(|link| link.linked).map(|link| (link.worktree, link.path)).collect();
        let look = move |repo: &Repo| {
            let mut findings = Vec::new();
            for row in rows.iter().filter(|row| row.path.is_dir()) {
                if !links.iter().any(|(worktree, _)| *worktree == row.id) {
                    continue;
                }
                let status = repo.status(&location(row), Untracked::All)?;
                let ours = |entry: &StatusEntry| {
                    entry.untracked && links.contains(&(row.id.clone(), entry.path.clone()))
                };
                findings.extend(
                    status.entries.iter().filter(|entry| ours(entry)).map(|entry| visible(row, &entry.path)),
                );
            }
            Ok(findings)
        };
        self.with_repo(handle, &Caller::default(), look).await
    }

    async fn left_intents(&self, handle: &Arc<RepoHandle>) -> Result<Vec<Finding>> {
        let repo = handle.row.id.clone();
        let read = self.inner.store.read(move |conn| -> Result<Vec<(String, String, String)>> {
            let sql = "SELECT id, name, 'creation' FROM creations WHERE repo = ?1
                UNION ALL SELECT id, name, 'removal' FROM removals WHERE repo = ?1 AND state IN ('intent', 'restoring')
                UNION ALL SELECT id, name, 'merge' FROM merges WHERE repo = ?1 AND state IN ('intent', 'undoing')";
            let mut statement = conn.prepare_cached(sql)?;
            let rows = statement.query_map([repo], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(rows.collect::<std::result::Result<_, _>>()?)
        });
        let left = read.await?.into_iter().filter(|(id, _, _)| !self.is_busy(id));
        let path = handle.row.root.to_string_lossy().into_owned();
        let finding = |(_, name, what): (String, String, String)| Finding {
            what: FindingKind::LeftIntent,
            message: format!("a {what} of `{name}` was cut off and is not settled"),
            name: Some(name),
            path: path.clone(),
            hint: "imi repair".to_owned(),
        };
        Ok(left.map(finding).collect())
    }
}

fn about(what: FindingKind, row: &WorktreeRow, message: String, hint: String) -> Finding {
    Finding {
        what,
        name: Some(row.name.clone()),
        path: row.path.to_string_lossy().into_owned(),
        message,
        hint,
    }
}

fn visible(row: &WorktreeRow, path: &Path) -> Finding {
    let text = format!("git shows the link {} of `{}` as untracked", path.display(), row.name);
    let hint = "imi sync lists it in info/exclude again; where a .gitignore takes that back, ignore it there";
    Finding {
        path: row.path.join(path).to_string_lossy().into_owned(),
        ..about(FindingKind::VisibleLink, row, text, hint.to_owned())
    }
}

fn on_disk(handle: &RepoHandle, repo: &Repo, rows: &[WorktreeRow]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let moved = moved_by_hand(handle, rows);
    for row in rows.iter().filter(|row| !row.is_main) {
        if let Some(place) = moved.get(&row.admin_dir) {
            let text = format!("`{}` was moved to {}", row.name, place.display());
            findings.push(about(FindingKind::MovedFolder, row, text, "imi repair".to_owned()));
        } else if !row.path.is_dir() {
            let text = format!("the folder of `{}` is gone", row.name);
            let hint = format!("imi repair --moved PATH if it was moved; imi remove {} drops it", row.name);
            findings.push(about(FindingKind::MissingFolder, row, text, hint));
        }
        findings.extend(wrong_lock(row)?);
        findings.extend(stale_locks(&row.admin_dir, Some(&row.name)));
    }
    findings.extend(stale_locks(&handle.row.common_dir, None));
    findings.extend(orphans(repo, rows)?);
    Ok(findings)
}

fn wrong_lock(row: &WorktreeRow) -> Result<Option<Finding>> {
    let lock = lock_reason(row)?;
    let ours = lock.as_ref().is_some_and(|reason| reason.starts_with(OUR_LOCK_PREFIX.trim_end()));
    let text = match (&row.claim, lock.is_some(), ours) {
        (None, true, true) => format!("git's lock of `{}` says it is claimed, which it is not", row.name),
        (Some(claim), false, _) => {
            format!("`{}` is claimed by {}, and git's lock is missing", row.name, claim.agent_id)
        }
        (Some(claim), true, false) => {
            format!("`{}` is claimed by {}, and locked in git by somebody else", row.name, claim.agent_id)
        }
        _ => return Ok(None),
    };
    Ok(Some(about(FindingKind::WrongLock, row, text, "imi repair".to_owned())))
}

/// Lock files that git left behind when it was killed.
fn stale_locks(folder: &Path, name: Option<&String>) -> Vec<Finding> {
    let old = |path: &Path| {
        let modified = path.metadata().and_then(|data| data.modified()).ok();
        modified.and_then(|time| SystemTime::now().duration_since(time).ok()).is_some_and(|age| age > STALE)
    };
    let files = ["index.lock", "HEAD.lock", "config.lock", "packed-refs.lock"].map(|file| folder.join(file));
    let found = files.into_iter().filter(|file| old(file));
    let finding = |file: PathBuf| Finding {
        what: FindingKind::StaleLockFile,
        name: name.cloned(),
        path: file.to_string_lossy().into_owned(),
        message: "a git that was killed left its lock".to_owned(),
        hint: format!("if no git is running there: rm '{}'", file.display()),
    };
    found.map(finding).collect()
}

/// Admin folders of worktrees that nobody knows and that are not there.
fn orphans(repo: &Repo, rows: &[WorktreeRow]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for tree in repo.worktrees()?.into_iter().filter(|tree| !tree.main && !tree.bare) {
        let known = rows.iter().any(|row| row.admin_dir == tree.location.git_dir);
        if !known && tree.prunable.is_some() {
            findings.push(orphan(&tree.location.git_dir, "git remembers a worktree that is gone"));
        }
    }
    // Half-made or half-removed ones have no `gitdir` file: git itself leaves them out.
    let folder = repo.common_dir().join("worktrees");
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        if entry.path().is_dir() && !entry.path().join("gitdir").exists() {
            findings.push(orphan(&entry.path(), "a folder of git's that belongs to no worktree"));
        }
    }
    Ok(findings)
}

fn orphan(path: &Path, message: &str) -> Finding {
    Finding {
        what: FindingKind::OrphanedAdmin,
        name: None,
        path: path.to_string_lossy().into_owned(),
        message: message.to_owned(),
        hint: "git worktree prune".to_owned(),
    }
}
