//! The conflict radar: for every two worktrees of a repository, and for each against trunk, whether their work merges.
//!
//! Work is merged on trial ([`podium_git::Trial`]), which leaves no trace. What was merged is remembered by the names
//! of the trees, so that one save costs one look at one tree and the merges with its neighbours. The watches vouch
//! for trees that did not change; what they cannot vouch for is looked at anew.

mod answer;
mod follow;
mod look;
mod memory;
mod told;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use podium_protocol::ConflictPair;
use tokio::sync::Notify;

use crate::service::{Worktrees, lock};
use memory::Memory;

#[derive(Default)]
pub(crate) struct Radar {
    repos: Mutex<HashMap<String, Arc<Scope>>>,
    /// Repositories to look at once more, since the watches of a worktree did not stand yet.
    again: Mutex<BTreeSet<String>>,
    wake: Notify,
}

/// One repository.
#[derive(Default)]
struct Scope {
    /// One look at a time: whoever waits finds what the other one saw.
    memory: tokio::sync::Mutex<Memory>,
    found: Mutex<Arc<Vec<Found>>>,
    /// Looks in a row for which the watches of some worktree did not stand.
    unsettled: AtomicU32,
}

/// A pair that conflicts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// Ids of the worktrees; `None` for trunk.
    a: String,
    b: Option<String>,
    /// Without owners.
    pair: ConflictPair,
}

impl Radar {
    fn scope(&self, repo: &str) -> Arc<Scope> {
        lock(&self.repos).entry(repo.to_owned()).or_default().clone()
    }

    fn known(&self, repo: &str) -> Option<Arc<Scope>> {
        lock(&self.repos).get(repo).cloned()
    }

    pub(crate) fn forget(&self, repo: &str) {
        lock(&self.repos).remove(repo);
    }
}

impl Worktrees {
    /// Names of what a worktree conflicts with, as of the last look.
    pub(crate) fn conflicts_with(&self, repo: &str, worktree: &str) -> Vec<String> {
        let Some(scope) = self.inner.radar.known(repo) else { return Vec::new() };
        let found = lock(&scope.found).clone();
        let other = |found: &Found| match () {
            () if found.a == worktree => Some(found.pair.b.clone()),
            () if found.b.as_deref() == Some(worktree) => Some(found.pair.a.clone()),
            () => None,
        };
        found.iter().filter_map(other).collect()
    }
}
