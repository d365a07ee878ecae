//! One repository: its references and the set of its worktrees.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use podium_git::{Head, Oid};
use podium_watch::Changes;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::{AbortHandle, JoinSet};

use super::hints::{Hints, LEFT_OUT};
use super::tree::Follower;
use super::{Observed, SETTLE, Watched, plain};
use crate::error::{Error, Result, blocking};
use crate::rows::{RepoRow, WorktreeRow};
use crate::seen::{Seen, What};
use crate::service::{RepoHandle, Worktrees, lock};
use crate::trunk;

/// Follows a repository until it is aborted, or cannot be watched.
pub(super) async fn follow(this: Worktrees, row: RepoRow, observed: Arc<Observed>) {
    if let Err(error) = run(&this, &row, &observed).await {
        tracing::warn!(%error, root = %row.root.display(), "a repository is not watched");
    }
    *lock(&observed.git) = None;
}

async fn run(this: &Worktrees, row: &RepoRow, observed: &Arc<Observed>) -> Result<()> {
    let mut full = observed.full.subscribe();
    if !*full.borrow_and_update() {
        // Nobody waits for it; those who were there first do.
        tokio::time::sleep(SETTLE).await;
    }
    let handle = this.open_repo(row).await?;
    let mut seen = this.seen();
    let mut git = watch(this, row).await?;
    *lock(&observed.git) = Some(git.revision());
    let mut repo = Repo {
        this: this.clone(),
        handle,
        observed: observed.clone(),
        set: Vec::new(),
        heads: HashMap::new(),
        tip: None,
        followers: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let mut hints = Hints::everything();
    loop {
        if let Err(error) = repo.look(&hints).await {
            tracing::warn!(%error, root = %row.root.display(), "a change of a repository was not understood");
        }
        hints = tokio::select! {
            change = git.next() => match change {
                Some(change) => Hints::of(&change, &row.common_dir),
                None => return Ok(()),
            },
            seen = seen.recv() => match seen {
                Ok(Seen { repo, what: What::Set }) if repo == row.id => Hints { set: true, ..Hints::default() },
                Ok(_) => continue,
                Err(RecvError::Lagged(_)) => Hints { set: true, ..Hints::default() },
                Err(RecvError::Closed) => return Ok(()),
            },
            changed = full.changed() => match changed {
                Ok(()) => Hints { set: true, ..Hints::default() },
                Err(_) => return Ok(()),
            },
        };
    }
}

async fn watch(this: &Worktrees, row: &RepoRow) -> Result<Changes> {
    let (watcher, folder) = (this.inner.observer.watcher.clone(), row.common_dir.clone());
    blocking(move || {
        let watched = watcher.watch_tree(&folder, plain(LEFT_OUT));
        watched.map_err(|error| Error::io("watched", &folder, std::io::Error::other(error)))
    })
    .await
}

/// What makes a worktree another one to those who show them.
type Shape = (String, PathBuf, Option<String>);

struct Repo {
    this: Worktrees,
    handle: Arc<RepoHandle>,
    observed: Arc<Observed>,
    set: Vec<Shape>,
    heads: HashMap<String, Head>,
    tip: Option<Option<Oid>>,
    followers: HashMap<String, (PathBuf, PathBuf, AbortHandle)>,
    /// Ends them all with the repository.
    tasks: JoinSet<()>,
}

impl Repo {
    async fn look(&mut self, hints: &Hints) -> Result<()> {
        if *hints == Hints::default() {
            return Ok(());
        }
        if hints.set {
            self.this.reconcile(&self.handle).await?;
        }
        let id = self.handle.row.id.clone();
        let rows: Result<Vec<WorktreeRow>> =
            self.this.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &id)?)).await;
        let rows = rows?;
        if hints.set {
            self.settle_set(&rows);
        }
        if hints.refs {
            self.settle_trunk().await?;
        }
        for row in rows.iter().filter(|row| row.removing.is_none()) {
            if self.concerns(hints, row) {
                self.settle_head(row).await;
            }
        }
        Ok(())
    }

    fn concerns(&self, hints: &Hints, row: &WorktreeRow) -> bool {
        let linked = || row.admin_dir.file_name().is_some_and(|name| hints.linked.contains(name));
        hints.all
            || (row.is_main && hints.main)
            || (!row.is_main && linked())
            || row.branch.as_ref().is_some_and(|branch| hints.branches.contains(branch))
            || !self.heads.contains_key(&row.id)
    }

    fn settle_set(&mut self, rows: &[WorktreeRow]) {
        let shape = |row: &WorktreeRow| (row.id.clone(), row.path.clone(), row.branch.clone());
        let set: Vec<Shape> = rows.iter().map(shape).collect();
        self.follow_trees(rows);
        self.heads.retain(|id, _| rows.iter().any(|row| row.id == *id));
        if set != self.set {
            let first = self.set.is_empty();
            self.set = set;
            if !first {
                self.this.announce(&self.handle.row.id, What::Set);
            }
        }
    }

    /// A follower for each worktree that is there, while the repository is in use.
    fn follow_trees(&mut self, rows: &[WorktreeRow]) {
        let full = *self.observed.full.borrow();
        let wanted = |id: &str, path: &PathBuf, admin: &PathBuf| {
            full && rows.iter().any(|row| {
                row.id == id && row.path == *path && row.admin_dir == *admin && row.removing.is_none()
            })
        };
        let mut trees = lock(&self.observed.trees);
        self.followers.retain(|id, (path, admin, task)| {
            let stays = wanted(id, path, admin) && !task.is_finished();
            if !stays {
                task.abort();
                trees.remove(id);
            }
            stays
        });
        for row in rows.iter().filter(|row| full && row.removing.is_none()) {
            if self.followers.contains_key(&row.id) {
                continue;
            }
            let watched = Arc::new(Watched::default());
            trees.insert(row.id.clone(), watched.clone());
            let (this, handle) = (self.this.clone(), self.handle.clone());
            let follower = Follower { this, handle, row: row.clone(), watched };
            let task = self.tasks.spawn(follower.run());
            self.followers.insert(row.id.clone(), (row.path.clone(), row.admin_dir.clone(), task));
        }
        while self.tasks.try_join_next().is_some() {}
    }

    async fn settle_trunk(&mut self) -> Result<()> {
        let handle = self.handle.clone();
        let tip = blocking(move || Ok(trunk::tip(&handle))).await?;
        if self.tip.replace(tip.clone()).is_some_and(|before| before != tip) {
            self.this.announce(&self.handle.row.id, What::Trunk);
            for watched in lock(&self.observed.trees).values() {
                watched.moved.notify_one();
            }
        }
        Ok(())
    }

    async fn settle_head(&mut self, row: &WorktreeRow) {
        let head = match self.this.follow_head(&self.handle, row).await {
            Ok(head) => head,
            Err(error) => {
                tracing::debug!(%error, path = %row.path.display(), "HEAD cannot be read");
                return;
            }
        };
        if self.heads.insert(row.id.clone(), head.clone()).is_some_and(|before| before != head) {
            self.this.announce(&row.repo, What::Head { worktree: row.id.clone() });
            if let Some(watched) = self.observed.watched(&row.id) {
                watched.moved.notify_one();
            }
        }
    }
}
