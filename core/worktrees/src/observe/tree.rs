//! One worktree: its files, its index, what is under way in it.

use std::sync::Arc;
use std::time::Duration;

use podium_protocol::TreeStatus;
use podium_store::{Durability, NewEvent};
use podium_watch::{Change, Changes, TreeOptions};
use serde_json::json;
use tokio::time::Instant;

use super::{Watched, plain};
use crate::error::{Error, Result, blocking};
use crate::rows::WorktreeRow;
use crate::seen::What;
use crate::service::{RepoHandle, Worktrees, lock};
use crate::view::location;

/// Left out of what is watched of a linked worktree's admin folder.
const LINKED: &[&str] =
    &["/modules/**/objects", "/locked", "/COMMIT_EDITMSG", "/ORIG_HEAD", "/logs", "*.lock"];
/// The same of the main worktree, whose admin folder is the whole git folder.
const MAIN: &[&str] = &[
    "/objects",
    "/refs",
    "/packed-refs",
    "/reftable",
    "/logs",
    "/worktrees",
    "/podium",
    "/lfs",
    "/annex",
    "/hooks",
    "/branches",
    "/modules/**/objects",
    "/COMMIT_EDITMSG",
    "/ORIG_HEAD",
    "/FETCH_HEAD",
    "*.lock",
];
/// A tree that never rests is looked at this often at most, and a fifth of the time at most.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const SHARE: u32 = 4;

/// Follows a worktree until it is aborted.
pub(super) struct Follower {
    pub(super) this: Worktrees,
    pub(super) handle: Arc<RepoHandle>,
    pub(super) row: WorktreeRow,
    pub(super) watched: Arc<Watched>,
}

struct Watches {
    tree: Changes,
    admin: Changes,
}

impl Follower {
    pub(super) async fn run(self) {
        loop {
            match self.open().await {
                Ok(watches) => self.follow(watches).await,
                Err(error) => {
                    tracing::debug!(%error, path = %self.row.path.display(), "a worktree is not watched");
                    if !self.appears().await {
                        return;
                    }
                }
            }
        }
    }

    async fn open(&self) -> Result<Watches> {
        let (watcher, at, main) =
            (self.this.inner.observer.watcher.clone(), location(&self.row), self.row.is_main);
        let failed = |error| Error::io("watched", &self.row.path, std::io::Error::other(error));
        let opened = blocking(move || {
            let admin = watcher.watch_tree(&at.git_dir, plain(if main { MAIN } else { LINKED }));
            let tree = watcher.watch_tree(&at.path, TreeOptions::default());
            Ok(admin.and_then(|admin| Ok(Watches { tree: tree?, admin })))
        });
        opened.await?.map_err(failed)
    }

    /// Waits until the folder is there (again). `false` when that cannot be told.
    async fn appears(&self) -> bool {
        let (watcher, file) = (self.this.inner.observer.watcher.clone(), self.row.path.join(".git"));
        let opened = blocking(move || Ok(watcher.watch_files(&[file]))).await;
        let Ok(Ok(mut changes)) = opened else { return false };
        while !self.row.path.join(".git").exists() {
            if changes.next().await.is_none() {
                return false;
            }
        }
        true
    }

    async fn follow(&self, mut watches: Watches) {
        self.vouch(&watches).await;
        let mut told: Option<TreeStatus> = None;
        let mut due = Some(Instant::now());
        let mut rested = Instant::now();
        loop {
            tokio::select! {
                change = watches.tree.next() => {
                    let Some(change) = change else { return };
                    if change == Change::Rescan {
                        self.vouch(&watches).await;
                    }
                    self.changed();
                }
                change = watches.admin.next() => {
                    if change.is_none() {
                        return;
                    }
                    self.changed();
                }
                () = self.watched.moved.notified() => {}
                () = until(due) => {
                    due = None;
                    let started = Instant::now();
                    if let Err(error) = self.tell(&mut told).await {
                        tracing::debug!(%error, path = %self.row.path.display(), "a status was not kept");
                    }
                    rested = Instant::now() + (started.elapsed() * SHARE).clamp(PAUSE, LONGEST_PAUSE);
                    continue;
                }
            }
            due.get_or_insert(rested.max(Instant::now()));
        }
    }

    fn changed(&self) {
        self.this.announce(&self.row.repo, What::Tree { worktree: self.row.id.clone() });
    }

    /// Lets the watches vouch for the status, unless files are tracked although they are ignored: ignored folders are
    /// not watched.
    async fn vouch(&self, watches: &Watches) {
        let (handle, at) = (self.handle.clone(), location(&self.row));
        let blind = blocking(move || {
            let mut command = handle.repo.read_command(&at);
            let listed =
                command.args(["ls-files", "-z", "--cached", "--ignored", "--exclude-standard"]).output()?;
            Ok(!listed.is_empty())
        });
        let sees_all = matches!(blind.await, Ok(false));
        let revisions = sees_all.then(|| (watches.tree.revision(), watches.admin.revision()));
        *lock(&self.watched.revisions) = revisions;
    }

    /// Brings the status up to date and tells of it when its counts are other ones than those told last.
    async fn tell(&self, told: &mut Option<TreeStatus>) -> Result<()> {
        let Some(status) = self.status().await? else { return Ok(()) };
        if told.as_ref() == Some(&status) {
            return Ok(());
        }
        // The first look after a start is no change.
        if told.replace(status.clone()).is_none() {
            return Ok(());
        }
        let id = self.row.id.clone();
        let write = self.this.inner.store.write(Durability::Process, move |tx| -> Result<()> {
            let Some(row) = WorktreeRow::by_id(tx, &id)? else { return Ok(()) };
            let data = json!({ "worktree": row.id, "repo": row.repo, "name": row.name, "status": status });
            tx.emit(&NewEvent::new("worktree.changed", row.subject(), data))?;
            Ok(())
        });
        write.await
    }

    async fn status(&self) -> Result<Option<TreeStatus>> {
        let Some(known) = self.this.known(&self.handle, false).await? else { return Ok(None) };
        let entry = self.this.refresh(&self.handle, &self.row, &known, &self.watched).await?;
        if let Some(entry) = entry {
            return Ok(entry.status.clone());
        }
        // Polled, or with tracked files that are ignored: looked at, but not kept.
        let (row, handle, tip) = (self.row.clone(), self.handle.clone(), known.tip.clone());
        Ok(self.this.view(&handle, row, tip).await?.0.status)
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
