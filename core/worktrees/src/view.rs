//! Rows and a fresh look at the disk, as clients see them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use podium_git::{AheadBehind, Change, InProgress, Oid, Status, StatusEntry, Untracked, WorktreeLocation};
use podium_protocol::{
    Alive, ChangedPath, ClaimInfo, CommitInfo, TreeStatus, WireError, Worktree, WorktreeList,
    WorktreeListParams, WorktreeLocateParams, WorktreeLocated, WorktreeState, WorktreeStatus,
    WorktreeStatusParams,
};
use podium_store::rfc3339;

use crate::error::{Error, Result, blocking};
use crate::rows::{Binding, Claim, RepoRow, WorktreeRow};
use crate::select::{self, Place};
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;
use crate::{paths, trunk};

/// Changed paths in one answer.
const CHANGED: usize = 500;
const SUMMARY: usize = 200;

/// What the disk said about one worktree.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) status: Option<Status>,
    pub(crate) head: Option<Oid>,
    pub(crate) tree: Option<TreeStatus>,
    pub(crate) commit: Option<CommitInfo>,
}

impl Worktrees {
    /// The worktrees of a repository (or of all), after a look at what git has. Repositories that cannot be read
    /// are left out when all are asked for.
    ///
    /// # Errors
    /// As [`Worktrees::register`].
    pub async fn list(&self, params: WorktreeListParams, caller: &Caller) -> Result<WorktreeList, WireError> {
        let mut worktrees = Vec::new();
        if !params.all {
            let handle = self.repo_at(&params.at, caller).await?;
            return Ok(WorktreeList { worktrees: self.listed(&handle).await? });
        }
        let repos: Result<Vec<RepoRow>> = self.inner.store.read(|conn| Ok(RepoRow::all(conn)?)).await;
        for repo in repos? {
            let found = match self.handle(&repo).await {
                Ok(handle) => self.listed(&handle).await,
                Err(error) => Err(error),
            };
            match found {
                Ok(found) => worktrees.extend(found),
                Err(error) => {
                    tracing::warn!(%error, root = %repo.root.display(), "a repository cannot be listed")
                }
            }
        }
        Ok(WorktreeList { worktrees })
    }

    /// The whole ones, then those whose files are arriving.
    async fn listed(&self, handle: &Arc<RepoHandle>) -> Result<Vec<Worktree>> {
        let filling = self.filling(handle).await?;
        let mut worktrees = self.listed_whole(handle).await?;
        for half_there in filling {
            // It may have been finished in between.
            if worktrees.iter().all(|known| known.id != half_there.id) {
                worktrees.push(half_there);
            }
        }
        Ok(worktrees)
    }

    async fn listed_whole(&self, handle: &Arc<RepoHandle>) -> Result<Vec<Worktree>> {
        let Some(known) = self.known(handle, true).await? else { return self.listed_afresh(handle).await };
        let rows = self.rows_of(handle).await?;
        let mut looks = Vec::with_capacity(rows.len());
        for row in rows {
            match self.kept_view(handle, &row, &known) {
                Some(worktree) => looks.push(Ok(worktree)),
                None => {
                    let (this, handle, known) = (self.clone(), handle.clone(), known.clone());
                    looks.push(Err(tokio::spawn(async move { this.looked_at(&handle, row, &known).await })));
                }
            }
        }
        let mut worktrees = Vec::with_capacity(looks.len());
        for look in looks {
            worktrees.push(match look {
                Ok(worktree) => worktree,
                Err(look) => look.await.map_err(|_| Error::Unfinished)??,
            });
        }
        Ok(worktrees)
    }

    /// Without the watches.
    async fn listed_afresh(&self, handle: &Arc<RepoHandle>) -> Result<Vec<Worktree>> {
        self.reconcile(handle).await?;
        let rows = self.rows_of(handle).await?;
        let asked = handle.clone();
        let tip = blocking(move || Ok(trunk::tip(&asked))).await?;
        let mut looks = Vec::new();
        for row in rows {
            let (this, handle, tip) = (self.clone(), handle.clone(), tip.clone());
            looks.push(tokio::spawn(async move { this.view(&handle, row, tip).await }));
        }
        let mut worktrees = Vec::with_capacity(looks.len());
        for look in looks {
            worktrees.push(look.await.map_err(|_| Error::Unfinished)??.0);
        }
        Ok(worktrees)
    }

    async fn rows_of(&self, handle: &RepoHandle) -> Result<Vec<WorktreeRow>> {
        let repo = handle.row.id.clone();
        self.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &repo)?)).await
    }

    /// One worktree with its changed paths.
    ///
    /// # Errors
    /// `NotFound` when there is no such worktree.
    pub async fn status(
        &self,
        params: WorktreeStatusParams,
        caller: &Caller,
    ) -> Result<WorktreeStatus, WireError> {
        let (repo, row) = self.find(&params.at, params.name.as_deref(), caller).await?;
        let handle = self.handle(&repo).await?;
        if params.short
            && let Some(known) = self.known(&handle, true).await?
        {
            // It may be on another branch than a moment ago.
            let row = self.row(&row.id).await?;
            let worktree = match self.kept_view(&handle, &row, &known) {
                Some(worktree) => worktree,
                None => self.looked_at(&handle, row, &known).await?,
            };
            return Ok(WorktreeStatus { worktree, changed: Vec::new() });
        }
        let at = location(&row);
        let (worktree, status) = self.fresh_view(&handle, row).await?;
        let mut entries = status.map(|status| status.entries).unwrap_or_default();
        entries.truncate(CHANGED);
        let changed = blocking(move || {
            let staged = staged_changes(&handle, &at, &entries)?;
            Ok(entries.iter().map(|entry| changed_path(entry, &at, &staged)).collect())
        });
        Ok(WorktreeStatus { worktree, changed: changed.await? })
    }

    /// The worktree that a file lies in; without its status, so that it costs no look at the tree.
    ///
    /// # Errors
    /// `User` for a selector that names no place.
    pub async fn locate(
        &self,
        params: WorktreeLocateParams,
        caller: &Caller,
    ) -> Result<WorktreeLocated, WireError> {
        let path = match &params.at.uri {
            Some(uri) => paths::from_uri(uri)?,
            None => select::required(&params.at)?,
        };
        let worktree = self.located(&path, caller).await?.map(|(repo, row)| {
            let missing = !row.path.is_dir();
            self.shown(&repo, &row, Look::default(), missing)
        });
        Ok(WorktreeLocated { worktree })
    }

    pub(crate) async fn located(
        &self,
        path: &std::path::Path,
        caller: &Caller,
    ) -> Result<Option<(RepoRow, WorktreeRow)>> {
        for known in [true, false] {
            if !known && self.register_path(path, caller).await.is_err() {
                break;
            }
            let path = path.to_owned();
            let place = self.inner.store.read(move |conn| select::place(conn, &path)).await?;
            match place {
                Place::Worktree(repo, row) => return Ok(Some((repo, *row))),
                Place::Repo(_) => return Ok(None),
                Place::Unknown => {}
            }
        }
        Ok(None)
    }

    pub(crate) async fn view_by_id(&self, handle: &Arc<RepoHandle>, id: &str) -> Result<Worktree> {
        let row = self.row(id).await?;
        Ok(self.fresh_view(handle, row).await?.0)
    }

    pub(crate) async fn row(&self, id: &str) -> Result<WorktreeRow> {
        let asked = id.to_owned();
        let row: Result<Option<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::by_id(conn, &asked)?)).await;
        row?.ok_or_else(|| WireError::not_found("the worktree was removed a moment ago").into())
    }

    /// [`Worktrees::row`], on the calling thread.
    pub(crate) fn row_blocking(&self, id: &str) -> Result<WorktreeRow> {
        let row: Result<Option<WorktreeRow>> =
            self.inner.store.read_blocking(|conn| Ok(WorktreeRow::by_id(conn, id)?));
        row?.ok_or_else(|| WireError::not_found("the worktree was removed a moment ago").into())
    }

    /// A worktree that was a spare a moment ago: nothing is changed in it, so no file is looked at.
    pub(crate) async fn view_of_spare(
        &self,
        handle: &Arc<RepoHandle>,
        id: &str,
        at: Oid,
    ) -> Result<Worktree> {
        let asked = id.to_owned();
        let row: Result<Option<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::by_id(conn, &asked)?)).await;
        let row = row?.ok_or_else(|| WireError::not_found("the worktree was removed a moment ago"))?;
        let (this, handle) = (self.clone(), handle.clone());
        blocking(move || {
            let tip = trunk::tip(&handle);
            let counts = distance(&handle, Some(&at), tip.as_ref().filter(|tip| **tip != at));
            let tree = TreeStatus {
                ahead: number(counts.ahead),
                behind: number(counts.behind),
                ..TreeStatus::default()
            };
            let commit = newest(&handle, &at);
            let look = Look { status: None, head: Some(at), tree: Some(tree), commit };
            Ok(this.shown(&handle.row, &row, look, false))
        })
        .await
    }

    async fn fresh_view(
        &self,
        handle: &Arc<RepoHandle>,
        row: WorktreeRow,
    ) -> Result<(Worktree, Option<Status>)> {
        let asked = handle.clone();
        let tip = blocking(move || Ok(trunk::tip(&asked))).await?;
        self.view(handle, row, tip).await
    }

    pub(crate) async fn view(
        &self,
        handle: &Arc<RepoHandle>,
        row: WorktreeRow,
        tip: Option<Oid>,
    ) -> Result<(Worktree, Option<Status>)> {
        let _slot = self.inner.looks.acquire().await.map_err(|_| Error::Unfinished)?;
        let (this, handle) = (self.clone(), handle.clone());
        blocking(move || {
            let missing = !row.path.is_dir();
            let mut look = if missing { Look::default() } else { look(&handle, &row, tip.as_ref()) };
            let status = look.status.take();
            Ok((this.shown(&handle.row, &row, look, missing), status))
        })
        .await
    }

    pub(crate) fn shown(&self, repo: &RepoRow, row: &WorktreeRow, look: Look, missing: bool) -> Worktree {
        Worktree {
            id: row.id.clone(),
            repo: repo.to_ref(),
            name: row.name.clone(),
            path: row.path.to_string_lossy().into_owned(),
            path_bytes: paths::odd_bytes(&row.path),
            branch: row.branch.clone(),
            kind: row.kind.clone(),
            trunk: row.is_main,
            pr: row.pr,
            claim: row.claim.as_ref().map(|claim| self.info(claim)),
            status: look.tree,
            last_commit: look.commit,
            conflicts_with: self.conflicts_with(&repo.id, &row.id),
            state: if missing { WorktreeState::Missing } else { WorktreeState::Ready },
        }
    }

    /// A claim as clients see it.
    pub(crate) fn info(&self, claim: &Claim) -> ClaimInfo {
        let (pid, session) = match &claim.binding {
            Binding::Process(process) => (Some(process.pid), None),
            Binding::Session(session) => (None, Some(session.clone())),
            Binding::Heartbeat => (None, None),
        };
        ClaimInfo {
            agent_id: claim.agent_id.clone(),
            host: claim.host.clone(),
            pid,
            since: rfc3339(claim.claimed_at),
            token: claim.token,
            alive: self.alive(claim),
            session,
        }
    }

    pub(crate) fn is_dead(&self, claim: &Claim) -> bool {
        self.alive(claim) == Alive::No
    }
}

/// The tree as it is now. What cannot be read is absent, with a line in the log.
pub(crate) fn look(handle: &RepoHandle, row: &WorktreeRow, tip: Option<&Oid>) -> Look {
    let at = location(row);
    let complain = |error: &podium_git::GitError| {
        tracing::warn!(%error, worktree = %row.path.display(), "a worktree cannot be read");
    };
    let status = handle.repo.status(&at, Untracked::Folded).inspect_err(complain).ok();
    let head = handle.repo.head(&at).inspect_err(complain).ok().and_then(|head| head.id().cloned());
    let id = head.as_ref();
    let counts = distance(handle, id, tip);
    let tree = status.as_ref().map(|status| TreeStatus {
        staged: number(status.staged),
        modified: number(status.modified),
        untracked: number(status.untracked),
        conflicted: number(status.conflicted),
        ahead: number(counts.ahead),
        behind: number(counts.behind),
        in_progress: status.in_progress.map(|what| progress(what).to_owned()),
    });
    let commit = id.and_then(|id| newest(handle, id));
    Look { status, head, tree, commit }
}

/// The commit as clients see it.
fn newest(handle: &RepoHandle, id: &Oid) -> Option<CommitInfo> {
    let read = handle.repo.commit(id);
    let commit = read.inspect_err(|error| tracing::warn!(%error, "a commit cannot be read")).ok()?;
    Some(CommitInfo {
        id: commit.id.to_string(),
        summary: commit.summary.chars().take(SUMMARY).collect(),
        time: rfc3339(commit.time.saturating_mul(1_000)),
    })
}

/// An earlier look, counted against another trunk.
pub(crate) fn look_again(handle: &RepoHandle, tip: Option<&Oid>, look: Look) -> Look {
    let counts = distance(handle, look.head.as_ref(), tip);
    let moved = |status| TreeStatus { ahead: number(counts.ahead), behind: number(counts.behind), ..status };
    Look { tree: look.tree.map(moved), ..look }
}

fn distance(handle: &RepoHandle, head: Option<&Oid>, tip: Option<&Oid>) -> AheadBehind {
    let (Some(head), Some(tip)) = (head, tip) else { return AheadBehind::default() };
    handle.repo.ahead_behind(head, tip).unwrap_or_else(|error| {
        tracing::warn!(%error, "commits cannot be counted");
        AheadBehind::default()
    })
}

pub(crate) fn location(row: &WorktreeRow) -> WorktreeLocation {
    WorktreeLocation { git_dir: row.admin_dir.clone(), path: row.path.clone() }
}

/// `1 commit`, `2 commits`.
pub(crate) fn some(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub(crate) fn progress(what: InProgress) -> &'static str {
    match what {
        InProgress::Merge => "merge",
        InProgress::Rebase | InProgress::ApplyMailbox => "rebase",
        InProgress::CherryPick => "cherry_pick",
        InProgress::Revert => "revert",
        InProgress::Bisect => "bisect",
    }
}

/// What was staged: added, deleted or changed. Asked only where something is.
fn staged_changes(
    handle: &RepoHandle,
    at: &WorktreeLocation,
    entries: &[StatusEntry],
) -> Result<HashMap<PathBuf, Change>> {
    if !entries.iter().any(|entry| entry.staged) {
        return Ok(HashMap::new());
    }
    let mut command = handle.repo.read_command(at);
    let output = command.args(["diff", "--cached", "--name-status", "-z", "--no-renames"]).output()?;
    let files = podium_git::parse::name_status(&output).unwrap_or_default();
    Ok(files.into_iter().map(|file| (file.path, file.change)).collect())
}

fn changed_path(
    entry: &StatusEntry,
    at: &WorktreeLocation,
    staged: &HashMap<PathBuf, Change>,
) -> ChangedPath {
    let index = match staged.get(&entry.path) {
        _ if !entry.staged => ' ',
        _ if entry.renamed_from.is_some() => 'R',
        Some(Change::Added) => 'A',
        Some(Change::Deleted) => 'D',
        Some(Change::Modified) | None => 'M',
    };
    let tree = match at.path.join(&entry.path).symlink_metadata() {
        _ if !entry.modified => ' ',
        Ok(_) => 'M',
        Err(_) => 'D',
    };
    let code = match entry {
        StatusEntry { conflicted: true, .. } => "UU".to_owned(),
        StatusEntry { untracked: true, .. } => "??".to_owned(),
        _ => [index, tree].iter().collect(),
    };
    ChangedPath { path: entry.path.to_string_lossy().into_owned(), code }
}
