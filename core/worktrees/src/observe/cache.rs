//! The status of each watched worktree, kept as long as it is proven to be still true.
//!
//! A look at the disk is stored with the revisions of the watches as they were *before* it. It is shown while they
//! are the same after the watcher has caught up with the moment of the request: whatever a program did to the disk
//! before it asked has then raised a revision. What no watch tells of (a tree that is polled, writes through a memory
//! map, another machine's writes on a network file system) is not proven, or not seen, by this; what destroys
//! anything takes a fresh look of its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use podium_git::{Oid, Status, StatusEntry};
use podium_protocol::{CommitInfo, TreeStatus, Worktree};

use super::{Observed, Watched, partial, stamp};
use crate::error::{Error, Result, blocking};
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees, lock};
use crate::trunk;
use crate::view::{self, Look};

/// Longest wait for the watcher. It catches up in well under a millisecond unless it walks a new tree.
const CATCH_UP: Duration = Duration::from_millis(60);

/// Changed paths of one worktree that are kept, so that a few more need no look at the whole tree.
const ENTRIES: usize = 2_000;

/// What was read of a repository as a whole.
#[derive(Debug)]
pub(crate) struct Known {
    git: u64,
    stamp: u64,
    pub(crate) tip: Option<Oid>,
    /// Commits of HEADs by admin folder.
    heads: HashMap<PathBuf, Option<Oid>>,
}

/// A look at one worktree, and what it holds under.
#[derive(Debug)]
pub(crate) struct Entry {
    revisions: (u64, u64),
    stamp: u64,
    head: Option<Oid>,
    tip: Option<Oid>,
    pub(super) status: Option<TreeStatus>,
    /// What the counts are made of, while that is little.
    entries: Option<Vec<StatusEntry>>,
    commit: Option<CommitInfo>,
}

impl Entry {
    fn look(&self) -> Look {
        let entries = self.entries.clone();
        let status = entries.map(|entries| Status { entries, ..Status::default() });
        Look { status, head: self.head.clone(), tree: self.status.clone(), commit: self.commit.clone() }
    }
}

impl Watched {
    pub(crate) fn revisions_now(&self) -> Option<(u64, u64)> {
        let revisions = lock(&self.revisions);
        let (tree, admin) = revisions.as_ref()?;
        Some((tree.get()?, admin.get()?))
    }

    /// The last look, when nothing beside the tree changed since: neither HEAD nor index nor settings. Trunk may have,
    /// and files.
    fn kept(&self, row: &WorktreeRow, known: &Known) -> Option<Arc<Entry>> {
        let entry = lock(&self.entry).clone()?;
        let same = self.revisions_now().is_some_and(|(_, admin)| admin == entry.revisions.1)
            && entry.stamp == known.stamp
            && known.heads.get(&row.admin_dir) == Some(&entry.head);
        same.then_some(entry)
    }

    pub(super) fn valid(&self, row: &WorktreeRow, known: &Known) -> Option<Arc<Entry>> {
        let same = |entry: &Arc<Entry>| {
            entry.tip == known.tip && self.revisions_now().is_some_and(|(tree, _)| tree == entry.revisions.0)
        };
        self.kept(row, known).filter(same)
    }

    /// The last look with what was touched since looked at again, and the revision of the tree that it is true for.
    /// `None` when only a whole look can tell.
    fn amended(&self, handle: &RepoHandle, row: &WorktreeRow, known: &Known) -> Option<(u64, Look)> {
        let kept = self.kept(row, known)?;
        let (revision, paths) = lock(&self.revisions).as_ref()?.0.since(kept.revisions.0)?;
        let look = kept.look();
        let look = if paths.is_empty() { look } else { partial::look(handle, row, look, &paths)? };
        Some((revision, view::look_again(handle, known.tip.as_ref(), look)))
    }
}

impl Observed {
    pub(crate) fn watched(&self, worktree: &str) -> Option<Arc<Watched>> {
        lock(&self.trees).get(worktree).cloned()
    }
}

impl Worktrees {
    /// What is known of a repository as of now; rows follow git where something changed. `None` when its watches
    /// cannot vouch for it.
    pub(crate) async fn known(&self, handle: &Arc<RepoHandle>, asked: bool) -> Result<Option<Arc<Known>>> {
        let Some(observed) = self.inner.observer.observed(&handle.row.id) else { return Ok(None) };
        if asked && !self.inner.observer.watcher.caught_up(CATCH_UP).await {
            return Ok(None);
        }
        let mut kept = observed.known.lock().await;
        let revision = lock(&observed.git).clone();
        let Some(git) = revision.as_ref().and_then(podium_watch::Revision::get) else { return Ok(None) };
        let (this, of) = (self.clone(), handle.clone());
        let stamp = blocking(move || Ok(stamp::take(&this, &of.row))).await?;
        if let Some(known) = kept.as_ref().filter(|known| known.git == git && known.stamp == stamp) {
            return Ok(Some(Arc::clone(known)));
        }
        self.reconcile(handle).await?;
        let of = handle.clone();
        let known = blocking(move || {
            let found = of.repo.worktrees()?.into_iter();
            let head = |found: podium_git::Worktree| {
                (found.location.git_dir, found.head.as_ref().and_then(|head| head.id()).cloned())
            };
            Ok(Arc::new(Known { git, stamp, tip: trunk::tip(&of), heads: found.map(head).collect() }))
        });
        Ok(Some(Arc::clone(kept.insert(known.await?))))
    }

    /// The worktree from the cache, if that is proven to be true.
    pub(crate) fn kept_view(
        &self,
        handle: &RepoHandle,
        row: &WorktreeRow,
        known: &Known,
    ) -> Option<Worktree> {
        let watched = self.inner.observer.observed(&handle.row.id)?.watched(&row.id)?;
        let entry = watched.valid(row, known)?;
        Some(self.shown(&handle.row, row, entry.look(), false))
    }

    /// The worktree by a look that is kept for the next who asks.
    pub(crate) async fn looked_at(
        &self,
        handle: &Arc<RepoHandle>,
        row: WorktreeRow,
        known: &Arc<Known>,
    ) -> Result<Worktree> {
        let observed = self.inner.observer.observed(&handle.row.id);
        let Some(watched) = observed.and_then(|observed| observed.watched(&row.id)) else {
            return Ok(self.view(handle, row, known.tip.clone()).await?.0);
        };
        match self.refresh(handle, &row, known, &watched).await? {
            Some(entry) => Ok(self.shown(&handle.row, &row, entry.look(), false)),
            None => Ok(self.view(handle, row, known.tip.clone()).await?.0),
        }
    }

    /// The entry, made anew where it has to be. `None` for a worktree that is not watched, or is not there.
    pub(super) async fn refresh(
        &self,
        handle: &Arc<RepoHandle>,
        row: &WorktreeRow,
        known: &Arc<Known>,
        watched: &Arc<Watched>,
    ) -> Result<Option<Arc<Entry>>> {
        let _turn = watched.turn.lock().await;
        if let Some(entry) = watched.valid(row, known) {
            return Ok(Some(entry));
        }
        let _slot = self.inner.looks.acquire().await.map_err(|_| Error::Unfinished)?;
        let (handle, row, known, watched) = (handle.clone(), row.clone(), known.clone(), watched.clone());
        blocking(move || {
            let Some(revisions) = watched.revisions_now().filter(|_| row.path.is_dir()) else {
                return Ok(None);
            };
            let (tree, look) = watched
                .amended(&handle, &row, &known)
                .unwrap_or_else(|| (revisions.0, view::look(&handle, &row, known.tip.as_ref())));
            let entry = Arc::new(Entry {
                revisions: (tree, revisions.1),
                stamp: known.stamp,
                head: look.head,
                tip: known.tip.clone(),
                status: look.tree,
                entries: look.status.map(|status| status.entries).filter(|entries| entries.len() <= ENTRIES),
                commit: look.commit,
            });
            // A tree that could not be read is asked again the next time.
            *lock(&watched.entry) = entry.status.is_some().then(|| Arc::clone(&entry));
            Ok(Some(entry))
        })
        .await
    }
}
