//! What claims need to hear of: changes in their trees, which are signs of life, and the ends of sessions.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use podium_watch::{TreeOptions, Watcher};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::state::Daemon;

const PAGE: usize = 100;
/// A change of claims is followed so much later: a claim that comes and goes costs no watcher, whose making would be
/// in the way of the next claim. A fraction of the shortest heartbeat.
const SETTLE: Duration = Duration::from_millis(500);

pub(crate) async fn run(daemon: Arc<Daemon>) {
    let types: Vec<String> =
        ["worktree.claimed", "worktree.released", "worktree.removed", "worktree.moved", "session.ended"]
            .map(str::to_owned)
            .to_vec();
    let mut head = daemon.store.watch_head();
    let mut from = *head.borrow_and_update();
    let mut trees = Trees { daemon: Arc::clone(&daemon), watcher: Watcher::new(), watched: HashMap::new() };
    trees.follow().await;
    let mut due: Option<Instant> = None;
    loop {
        let Ok(page) = daemon.store.events(from, types.clone(), PAGE).await else { return };
        for event in page.events {
            match event.data["id"].as_str() {
                Some(session) if event.kind == "session.ended" => session_ended(&daemon, session).await,
                _ => {
                    due.get_or_insert_with(|| Instant::now() + SETTLE);
                }
            }
        }
        from = page.scanned_to;
        if !page.at_end {
            continue;
        }
        let more = tokio::select! {
            more = head.wait_for(|head| *head > from) => more.is_ok(),
            () = until(due) => true,
        };
        if !more {
            return;
        }
        if due.take_if(|due| *due <= Instant::now()).is_some() {
            trees.follow().await;
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// A claim that was made for the session goes with it. One that its agent held before stays.
async fn session_ended(daemon: &Daemon, session: &str) {
    if let Err(error) = daemon.worktrees.release_session(session).await {
        tracing::warn!(session, %error, "the claim of an ended session could not be released");
        let _ = daemon.worktrees.session_ended(session).await;
    }
}

/// The trees of claims that live by heartbeat alone.
struct Trees {
    daemon: Arc<Daemon>,
    watcher: Watcher,
    watched: HashMap<String, (PathBuf, JoinHandle<()>)>,
}

impl Trees {
    async fn follow(&mut self) {
        let Ok(wanted) = self.daemon.worktrees.heartbeat_claims().await else { return };
        self.watched.retain(|id, (path, task)| {
            let stays = wanted.iter().any(|(wanted, at)| wanted == id && at == path) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for (id, path) in wanted {
            if !self.watched.contains_key(&id) {
                let task = tokio::spawn(touch(
                    Arc::clone(&self.daemon),
                    self.watcher.clone(),
                    id.clone(),
                    path.clone(),
                ));
                self.watched.insert(id, (path, task));
            }
        }
    }
}

async fn touch(daemon: Arc<Daemon>, watcher: Watcher, id: String, path: PathBuf) {
    let root = path.clone();
    let opened = tokio::task::spawn_blocking(move || watcher.watch_tree(&root, TreeOptions::default())).await;
    let mut changes = match opened {
        Ok(Ok(changes)) => changes,
        Ok(Err(error)) => {
            tracing::warn!(path = %path.display(), %error, "a claimed tree is not watched; only calls keep its claim");
            return;
        }
        Err(_) => return,
    };
    while changes.next().await.is_some() {
        daemon.worktrees.touch(&id).await;
    }
}
