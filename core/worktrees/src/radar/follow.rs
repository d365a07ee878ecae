//! Keeps the radar up with what is seen to change.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use super::look::Stale;
use crate::error::Result;
use crate::rows::RepoRow;
use crate::seen::{Seen, What};
use crate::service::{Worktrees, lock};

/// Changes that come together are looked at together.
const SETTLE: Duration = Duration::from_millis(60);
/// The watches stand a little after a repository is first used.
const AGAIN: Duration = Duration::from_millis(700);
/// Looks in a row that may wait for watches which perhaps never vouch for a tree.
const TRIES: u32 = 6;

#[derive(Default)]
struct Due {
    ids: HashSet<String>,
    /// Not told what: everything that is not proven.
    all: bool,
    after: Duration,
}

impl Worktrees {
    /// Looks at the repositories in use whenever something in them changes, until it is dropped. Without it,
    /// conflicts are looked for when somebody asks.
    pub async fn follow_conflicts(&self) {
        let mut seen = self.seen();
        let mut due: HashMap<String, Due> = HashMap::new();
        let mut busy: HashSet<String> = HashSet::new();
        let mut looks: JoinSet<String> = JoinSet::new();
        loop {
            tokio::select! {
                seen = seen.recv() => match seen {
                    Ok(seen) => self.note(&mut due, seen),
                    Err(RecvError::Lagged(_)) => {
                        for repo in lock(&self.inner.radar.repos).keys() {
                            due.entry(repo.clone()).or_default().all = true;
                        }
                    }
                    Err(RecvError::Closed) => return,
                },
                Some(done) = looks.join_next() => match done {
                    Ok(repo) => {
                        busy.remove(&repo);
                    }
                    // The repository of a look that panicked is not known.
                    Err(_) if looks.is_empty() => busy.clear(),
                    Err(_) => {}
                },
                () = self.inner.radar.wake.notified() => {
                    for repo in std::mem::take(&mut *lock(&self.inner.radar.again)) {
                        let tries = self.inner.radar.scope(&repo).unsettled.load(Ordering::Relaxed);
                        if tries <= TRIES {
                            let later = || Due { after: AGAIN, ..Due::default() };
                            due.entry(repo).or_insert_with(later).all = true;
                        }
                    }
                }
            }
            let ready: Vec<String> = due.keys().filter(|repo| !busy.contains(*repo)).cloned().collect();
            for repo in ready {
                let Some(due) = due.remove(&repo) else { continue };
                busy.insert(repo.clone());
                let this = self.clone();
                looks.spawn(async move {
                    tokio::time::sleep(due.after.max(SETTLE)).await;
                    if let Err(error) = this.follow_up(&repo, due).await {
                        tracing::debug!(%error, repo, "conflicts were not looked for");
                    }
                    repo
                });
            }
        }
    }

    fn note(&self, due: &mut HashMap<String, Due>, seen: Seen) {
        let in_use = || self.inner.observer.observed(&seen.repo).is_some_and(|observed| observed.in_use());
        if self.inner.radar.known(&seen.repo).is_none() && !in_use() {
            return;
        }
        let due = due.entry(seen.repo).or_default();
        // A change does not wait for watches.
        due.after = Duration::ZERO;
        match seen.what {
            What::Head { worktree } | What::Tree { worktree } => {
                due.ids.insert(worktree);
            }
            What::Set | What::Trunk => {}
        }
    }

    async fn follow_up(&self, repo: &str, due: Due) -> Result<()> {
        let id = repo.to_owned();
        let row: Result<Option<RepoRow>> =
            self.inner.store.read(move |conn| Ok(RepoRow::by_id(conn, &id)?)).await;
        let Some(row) = row? else {
            self.inner.radar.forget(repo);
            return Ok(());
        };
        let handle = self.open_repo(&row).await?;
        let stale = if due.all { Stale::Unproven } else { Stale::Seen(due.ids) };
        self.look_for_conflicts(&handle, &stale).await.map(drop)
    }
}
