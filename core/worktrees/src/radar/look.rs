//! One look at a repository.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use podium_git::{Conflict, ConflictKind as GitKind, Lines, Oid};
use podium_protocol::{ConflictFile, ConflictKind, ConflictPair};

use super::memory::Memory;
use super::{Found, Scope};
use crate::error::{Result, blocking};
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees, lock};
use crate::trunk;

/// Files of a pair, and lines of a file, that are told.
const FILES: usize = 200;
const RANGES: usize = 100;

/// Which worktrees may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stale {
    /// Whatever the watches do not vouch for.
    Unproven,
    /// These ids, and whatever the watches saw to change.
    Seen(HashSet<String>),
}

impl Worktrees {
    /// Brings the conflicts of a repository up to date and tells what changed.
    pub(super) async fn look_for_conflicts(
        &self,
        handle: &Arc<RepoHandle>,
        stale: &Stale,
    ) -> Result<Arc<Vec<Found>>> {
        let scope = self.inner.radar.scope(&handle.row.id);
        let mut memory = scope.memory.lock().await;
        let known = self.known(handle, *stale == Stale::Unproven).await?;
        if known.is_none() {
            self.reconcile(handle).await?;
        }
        let rows = self.active_rows(handle).await?;
        // Where the watches could not be waited for, they vouch for nothing that was done before the question.
        let vouched = known.is_some() || *stale != Stale::Unproven;
        let changed = self.changed_rows(handle, &rows, &memory, stale, vouched);
        self.note_settled(&handle.row.id, &scope, &changed);
        let mut taken = std::mem::take(&mut *memory);
        let of = handle.clone();
        let judged = blocking(move || {
            let tip = match known {
                Some(known) => known.tip.clone(),
                None => trunk::tip(&of),
            };
            let judged = judge(&of, &mut taken, &rows, &changed, tip.as_ref());
            Ok((taken, judged))
        });
        // What was remembered is lost with a panic, and made anew by the next look.
        let (taken, judged) = judged.await?;
        *memory = taken;
        let found = self.tell_conflicts(&handle.row.id, judged?).await?;
        *lock(&scope.found) = found.clone();
        Ok(found)
    }

    async fn active_rows(&self, handle: &RepoHandle) -> Result<Vec<WorktreeRow>> {
        let (repo, bare) = (handle.row.id.clone(), handle.row.is_bare());
        let rows: Result<Vec<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &repo)?)).await;
        let rows = rows?.into_iter().filter(move |row| row.removing.is_none() && !(row.is_main && bare));
        blocking(move || Ok(rows.filter(|row| row.path.is_dir()).collect())).await
    }

    /// The worktrees to look at, with what the watches stand at before the look.
    fn changed_rows(
        &self,
        handle: &RepoHandle,
        rows: &[WorktreeRow],
        memory: &Memory,
        stale: &Stale,
        vouched: bool,
    ) -> Vec<(WorktreeRow, Option<(u64, u64)>)> {
        let observed = self.inner.observer.observed(&handle.row.id);
        let mut changed = Vec::new();
        for row in rows {
            let watched = observed.as_ref().and_then(|observed| observed.watched(&row.id));
            let revisions = watched.and_then(|watched| watched.revisions_now());
            let proven = memory.works.get(&row.id).is_some_and(|kept| match (kept.revisions, revisions) {
                (Some(then), Some(now)) => vouched && then == now,
                _ => match stale {
                    Stale::Unproven => false,
                    Stale::Seen(ids) => !ids.contains(&row.id),
                },
            });
            if !proven {
                changed.push((row.clone(), revisions));
            }
        }
        changed
    }

    /// A change between a first look and the watches' start would be seen by nobody: there is another look then.
    fn note_settled(&self, repo: &str, scope: &Scope, changed: &[(WorktreeRow, Option<(u64, u64)>)]) {
        if changed.iter().all(|(_, revisions)| revisions.is_some()) {
            scope.unsettled.store(0, Ordering::Relaxed);
        } else {
            scope.unsettled.fetch_add(1, Ordering::Relaxed);
            lock(&self.inner.radar.again).insert(repo.to_owned());
            self.inner.radar.wake.notify_one();
        }
    }
}

fn judge(
    handle: &RepoHandle,
    memory: &mut Memory,
    rows: &[WorktreeRow],
    changed: &[(WorktreeRow, Option<(u64, u64)>)],
    tip: Option<&Oid>,
) -> Result<Vec<Found>> {
    memory.refresh(&handle.repo, changed);
    let judged = memory.judge(&handle.repo, rows, tip)?;
    if judged.is_empty() {
        return Ok(Vec::new());
    }
    let trunk = trunk::name(handle);
    let found = judged.into_iter().filter_map(|((ours, theirs), conflicts)| {
        let (a, b) = (rows.get(ours)?, theirs.and_then(|nth| rows.get(nth)));
        let shown = |row: &WorktreeRow| row.path.to_string_lossy().into_owned();
        let pair = ConflictPair {
            a: a.name.clone(),
            b: b.map_or_else(|| trunk.clone(), |row| row.name.clone()),
            trunk: b.is_none(),
            owner_a: None,
            owner_b: None,
            path_a: shown(a),
            path_b: b.map(shown),
            files: conflicts.iter().take(FILES).map(file).collect(),
        };
        Some(Found { a: a.id.clone(), b: b.map(|row| row.id.clone()), pair })
    });
    Ok(found.collect())
}

fn file(conflict: &Conflict) -> ConflictFile {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let ranges = |lines: &[Lines]| lines.iter().take(RANGES).map(|lines| [lines.from, lines.to]).collect();
    ConflictFile {
        path: text(&conflict.ours),
        path_b: (conflict.theirs != conflict.ours).then(|| text(&conflict.theirs)),
        kind: kind(conflict.kind),
        ranges: ranges(&conflict.our_lines),
        ranges_b: ranges(&conflict.their_lines),
    }
}

fn kind(kind: GitKind) -> ConflictKind {
    match kind {
        GitKind::Content => ConflictKind::Content,
        GitKind::AddAdd => ConflictKind::AddAdd,
        GitKind::ModifyDelete => ConflictKind::ModifyDelete,
        GitKind::Rename => ConflictKind::Rename,
        GitKind::Directory => ConflictKind::Directory,
        GitKind::Binary => ConflictKind::Binary,
        GitKind::Mode => ConflictKind::Mode,
        GitKind::Submodule => ConflictKind::Submodule,
    }
}
