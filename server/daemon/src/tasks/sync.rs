//! Keeps the links of shared files right: one task for each repository watches the folder of shared files and the
//! places of the links, and synchronises when something moves there. What the guard wrote down is read on the way.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use podium_watch::{Changes, TreeOptions, Watcher};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::state::Daemon;

const PAGE: usize = 100;
/// Places of links that are watched in one repository; those beyond are looked at with every other change.
const WATCHED: usize = 4_096;
/// After a fault it is tried again so much later, also when nothing moves.
const TRY_AGAIN: Duration = Duration::from_secs(30);

pub(crate) async fn run(daemon: Arc<Daemon>) {
    let types = ["repo.registered", "repo.forgotten", "worktree.created", "worktree.moved"];
    let types: Vec<String> = types.map(str::to_owned).to_vec();
    let mut head = daemon.store.watch_head();
    let mut from = *head.borrow_and_update();
    let mut repos = Repos { daemon: Arc::clone(&daemon), watcher: Watcher::new(), running: HashMap::new() };
    repos.follow().await;
    loop {
        let Ok(page) = daemon.store.events(from, types.clone(), PAGE).await else { return };
        if !page.events.is_empty() {
            repos.follow().await;
            repos.wake();
        }
        from = page.scanned_to;
        if page.at_end && head.wait_for(|head| *head > from).await.is_err() {
            return;
        }
    }
}

struct Repos {
    daemon: Arc<Daemon>,
    watcher: Watcher,
    running: HashMap<String, (Arc<Notify>, JoinHandle<()>)>,
}

impl Repos {
    async fn follow(&mut self) {
        let Ok(wanted) = self.daemon.worktrees.repo_ids().await else { return };
        self.running.retain(|id, (_, task)| {
            let stays = wanted.contains(id);
            if !stays {
                task.abort();
            }
            stays && !task.is_finished()
        });
        for id in wanted {
            if !self.running.contains_key(&id) {
                let wake = Arc::new(Notify::new());
                let work =
                    keep(Arc::clone(&self.daemon), self.watcher.clone(), id.clone(), Arc::clone(&wake));
                self.running.insert(id, (wake, tokio::spawn(work)));
            }
        }
    }

    fn wake(&self) {
        for (wake, _) in self.running.values() {
            wake.notify_one();
        }
    }
}

impl Drop for Repos {
    fn drop(&mut self) {
        for (_, task) in self.running.values() {
            task.abort();
        }
    }
}

/// What is watched now; begun anew when it is not the right thing any more.
struct Watches {
    folder: PathBuf,
    links: Vec<PathBuf>,
    /// The folder, if it existed when this began.
    tree: Option<Changes>,
    /// The places of links, and the folder as long as it does not exist.
    files: Option<Changes>,
}

async fn keep(daemon: Arc<Daemon>, watcher: Watcher, repo: String, wake: Arc<Notify>) {
    let mut watches: Option<Watches> = None;
    loop {
        let mut again = None;
        // First what is linked is known, then it is watched, then it is looked at: nothing falls between.
        match renew(&daemon, &watcher, &repo, watches.take()).await {
            Ok(Some(new)) => watches = Some(new),
            Ok(None) => return,
            Err(()) => again = Some(TRY_AGAIN),
        }
        if let Err(error) = daemon.worktrees.sync_repo(&repo).await {
            tracing::warn!(%error, repo, "shared files were not synchronised");
            again = Some(TRY_AGAIN);
        }
        if let Err(error) = daemon.worktrees.read_overrides(&repo).await {
            tracing::warn!(%error, repo, "overrides of the guard were not read");
            again = Some(TRY_AGAIN);
        }
        if stale(&daemon, &repo, watches.as_ref()).await {
            continue;
        }
        let Some(current) = &mut watches else {
            tokio::time::sleep(TRY_AGAIN).await;
            continue;
        };
        let lost = tokio::select! {
            () = wake.notified() => false,
            change = next(&mut current.tree) => !change,
            change = next(&mut current.files) => !change,
            () = pause(again) => false,
        };
        if lost {
            watches = None;
        }
    }
}

/// Whether places came or went that have to be watched.
async fn stale(daemon: &Daemon, repo: &str, watches: Option<&Watches>) -> bool {
    let (Some(watches), Ok(Some(wanted))) = (watches, daemon.worktrees.sync_watch(repo).await) else {
        return false;
    };
    wanted.folder != watches.folder
        || bounded(wanted.links) != watches.links
        || (watches.tree.is_some() != wanted.folder.is_dir())
}

fn bounded(mut links: Vec<PathBuf>) -> Vec<PathBuf> {
    links.truncate(WATCHED);
    links
}

/// `Ok(None)` when the repository is gone.
async fn renew(
    daemon: &Daemon,
    watcher: &Watcher,
    repo: &str,
    old: Option<Watches>,
) -> Result<Option<Watches>, ()> {
    let told = |error: &dyn std::fmt::Display| tracing::warn!(%error, repo, "shared files are not watched");
    let wanted = match daemon.worktrees.sync_watch(repo).await {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return Ok(None),
        Err(error) => {
            told(&error);
            return Err(());
        }
    };
    let links = bounded(wanted.links);
    let watcher = watcher.clone();
    let begun = tokio::task::spawn_blocking(move || {
        let folder = wanted.folder;
        let exists = folder.is_dir();
        if let Some(old) = old
            && old.folder == folder
            && old.links == links
            && old.tree.is_some() == exists
        {
            return Ok(old);
        }
        let options = TreeOptions { respect_gitignore: false, skip_git: false, ..TreeOptions::default() };
        let tree = exists.then(|| watcher.watch_tree(&folder, options)).transpose()?;
        let files: Vec<PathBuf> = links.iter().cloned().chain([folder.clone(), wanted.overrides]).collect();
        let files = Some(watcher.watch_files(&files)?);
        Ok::<_, podium_watch::WatchError>(Watches { folder, links, tree, files })
    });
    match begun.await {
        Ok(Ok(watches)) => Ok(Some(watches)),
        Ok(Err(error)) => {
            told(&error);
            Err(())
        }
        Err(_) => Err(()),
    }
}

/// `false` when nothing will be told any more.
async fn next(changes: &mut Option<Changes>) -> bool {
    match changes {
        Some(changes) => changes.next().await.is_some(),
        None => std::future::pending().await,
    }
}

async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
