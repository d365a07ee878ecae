//! What is seen without being asked: one set of watches for each repository, which everything in the daemon follows.
//!
//! A repository that was ever used has its git folder watched, so that commits made by plain git become events. One
//! in use has the trees of its worktrees watched as well, and their status kept ready ([`cache`]). Podium's own reads
//! take no lock and write nothing, so they are not seen as changes.

mod cache;
mod commits;
mod hints;
mod partial;
mod repo;
mod stamp;
mod tree;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podium_watch::{Revision, TreeOptions, Watcher};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

pub(crate) use cache::Known;
pub(crate) use commits::baseline;

use crate::error::Result;
use crate::rows::RepoRow;
use crate::service::{Worktrees, lock};
use cache::Entry;

/// Repositories whose git folder is watched.
const REPOS: usize = 64;
/// Repositories whose trees are watched; beyond, those used longest ago give theirs up.
const IN_USE: usize = 16;
/// A repository is looked at so much later than it was first used: making watches would be in the way of the requests
/// that come next.
const SETTLE: Duration = Duration::from_millis(300);

/// All watches, and what they are worth to those who ask.
pub(crate) struct Observer {
    watcher: Watcher,
    repos: Mutex<Repos>,
    wake: Notify,
}

#[derive(Default)]
struct Repos {
    /// Ids by use, the newest last.
    used: Vec<String>,
    /// With the tasks that follow them.
    observed: HashMap<String, Following>,
}

/// A repository that is followed, at the place where it was when that began.
struct Following {
    observed: Arc<Observed>,
    row: RepoRow,
    task: AbortHandle,
}

/// One repository.
pub(crate) struct Observed {
    /// Whether its trees are watched as well.
    full: watch::Sender<bool>,
    /// Of the watch on the git folder.
    git: Mutex<Option<Revision>>,
    /// What was read of the repository as a whole, and under which revision.
    known: tokio::sync::Mutex<Option<Arc<Known>>>,
    trees: Mutex<HashMap<String, Arc<Watched>>>,
}

/// One worktree.
#[derive(Default)]
pub(crate) struct Watched {
    /// Of the watches on the tree and on the worktree's own part of the git folder.
    revisions: Mutex<Option<(Revision, Revision)>>,
    entry: Mutex<Option<Arc<Entry>>>,
    /// One look at a time: whoever waits finds what the other one saw.
    turn: tokio::sync::Mutex<()>,
    /// HEAD or trunk moved.
    moved: Notify,
}

impl Observed {
    /// Whether the trees are watched, and not the git folder alone.
    pub(crate) fn in_use(&self) -> bool {
        *self.full.borrow()
    }
}

impl Observer {
    /// What goes beyond `folders` is polled.
    pub(crate) fn new(home: &Path, folders: usize) -> Self {
        let watcher = Watcher::with_fences(folders, home.join("run").join("watch"));
        Self { watcher, repos: Mutex::default(), wake: Notify::new() }
    }

    /// Notes that somebody asks for a repository. Cheap.
    pub(crate) fn used(&self, repo: &str) {
        let mut repos = lock(&self.repos);
        if repos.used.last().is_some_and(|last| last == repo) {
            return;
        }
        let known = repos.used.iter().position(|used| used == repo);
        let new = known.is_none_or(|at| at + IN_USE < repos.used.len());
        if let Some(at) = known {
            repos.used.remove(at);
        }
        repos.used.push(repo.to_owned());
        if repos.used.len() > REPOS {
            repos.used.remove(0);
        }
        drop(repos);
        if new {
            self.wake.notify_one();
        }
    }

    pub(crate) fn forget(&self, repo: &str) {
        lock(&self.repos).used.retain(|used| used != repo);
        self.wake.notify_one();
    }

    pub(crate) fn observed(&self, repo: &str) -> Option<Arc<Observed>> {
        lock(&self.repos).observed.get(repo).map(|known| known.observed.clone())
    }

    /// Ids in use, and whether the trees are to be watched.
    fn wanted(&self, known: &[RepoRow]) -> Vec<(String, bool)> {
        let repos = lock(&self.repos);
        let in_use = repos.used.iter().rev().enumerate().map(|(nth, id)| (id.clone(), nth < IN_USE));
        let mut wanted: Vec<(String, bool)> = in_use.collect();
        for row in known {
            if wanted.len() < REPOS && !wanted.iter().any(|(id, _)| *id == row.id) {
                wanted.push((row.id.clone(), false));
            }
        }
        wanted
    }
}

impl Observed {
    fn new(full: bool) -> Self {
        Self {
            full: watch::Sender::new(full),
            git: Mutex::default(),
            known: tokio::sync::Mutex::default(),
            trees: Mutex::default(),
        }
    }
}

impl Worktrees {
    /// Watches the repositories until it is dropped: tells [`Worktrees::seen`], writes `worktree.commit` and
    /// `worktree.changed`, keeps the status of worktrees ready. Without it everything is looked at when it is asked
    /// for.
    pub async fn observe(&self) {
        let mut tasks = JoinSet::new();
        self.use_claimed().await;
        loop {
            if let Err(error) = self.follow_repos(&mut tasks).await {
                tracing::warn!(%error, "the repositories cannot be told; what is watched stays");
            }
            tokio::select! {
                () = self.inner.observer.wake.notified() => tokio::time::sleep(SETTLE).await,
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    /// Changes in a claimed tree are signs of life of its owner.
    async fn use_claimed(&self) {
        let claimed: Result<Vec<String>> = self
            .inner
            .store
            .read(|conn| {
                let sql = "SELECT DISTINCT repo FROM worktrees WHERE agent_id IS NOT NULL";
                let mut statement = conn.prepare_cached(sql)?;
                Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
            })
            .await;
        for repo in claimed.unwrap_or_default() {
            self.inner.observer.used(&repo);
        }
    }

    async fn follow_repos(&self, tasks: &mut JoinSet<()>) -> Result<()> {
        let rows: Result<Vec<RepoRow>> = self.inner.store.read(|conn| Ok(RepoRow::all(conn)?)).await;
        let rows = rows?;
        let wanted = self.inner.observer.wanted(&rows);
        let mut repos = lock(&self.inner.observer.repos);
        repos.observed.retain(|id, known| {
            // One that was moved is followed anew.
            let stays = wanted.iter().any(|(wanted, _)| wanted == id) && rows.contains(&known.row);
            if !stays {
                known.task.abort();
            }
            stays
        });
        for (id, full) in wanted {
            let Some(row) = rows.iter().find(|row| row.id == id) else { continue };
            if let Some(known) = repos.observed.get(&id) {
                known.observed.full.send_if_modified(|now| std::mem::replace(now, full) != full);
                continue;
            }
            let observed = Arc::new(Observed::new(full));
            let (this, its, at) = (self.clone(), Arc::clone(&observed), row.clone());
            let task = tasks.spawn(async move { repo::follow(this, at, its).await });
            repos.observed.insert(id, Following { observed, row: row.clone(), task });
        }
        Ok(())
    }
}

/// A watch that leaves nothing out but what is named.
fn plain(ignored: &[&str]) -> TreeOptions {
    let ignored = ignored.iter().map(|&pattern| pattern.to_owned()).collect();
    TreeOptions { respect_gitignore: false, skip_git: false, ignored, ..TreeOptions::default() }
}
