//! The Pit: runs of melodies, from the request to the end, across the deaths of the daemon.
//!
//! A run is a row before anything of it happens. What happens in it goes to [`journal::StoreJournal`] before anything
//! follows from it, so that the next daemon takes up each run where its records end ([`recover`]). Whoever follows a run
//! reads its records ([`follow`]): what is shown is stored.

mod cache;
mod control;
mod drive;
mod follow;
mod inputs;
mod journal;
mod logs;
mod metrics;
mod operators;
mod place;
mod read;
mod rows;
mod runner;
mod start;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use podium_melody::Catalogue;
use podium_protocol::WireError;
use podium_store::Store;
use tokio::sync::watch;

use crate::call::Call;
use journal::StoreJournal;
use operators::Bench;
use rows::RunRow;
use runner::Operators;

pub(crate) use control::control;
pub(crate) use drive::recover;
pub(crate) use follow::attach;
pub(crate) use read::{health, list, logs, measure, show};
pub(crate) use start::{run, validate};

/// What the daemon knows of the runs that it works on.
pub(crate) struct Pit {
    catalogue: Arc<Catalogue>,
    journal: Arc<StoreJournal>,
    operators: Arc<Operators>,
    executor: OnceLock<drive::Engine>,
    live: Mutex<HashMap<String, drive::Live>>,
    /// Rises when a run is taken up or let go.
    changed: watch::Sender<u64>,
    /// One at a time decides what becomes of a run.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Pit {
    pub(crate) fn new(store: &Store) -> Self {
        let catalogue = Arc::new(Catalogue::builtin());
        Self {
            journal: Arc::new(StoreJournal::new(store.clone())),
            operators: Arc::new(Operators::default()),
            catalogue,
            executor: OnceLock::new(),
            live: Mutex::default(),
            changed: watch::channel(0).0,
            turns: Mutex::default(),
        }
    }

    /// Runs that are worked on.
    pub(crate) fn running(&self) -> usize {
        self.live().len()
    }

    fn bench(&self, run: &str) -> Option<Arc<Bench>> {
        self.operators.bench(run)
    }

    /// Wakes with what is stored of a run that is worked on.
    fn watch(&self, run: &str) -> Option<watch::Receiver<u64>> {
        self.journal.slot(run).map(|slot| slot.watch())
    }

    /// The same, once a run that is not over is taken up, or was let go of.
    async fn wait_for(&self, run: &str) -> Option<watch::Receiver<u64>> {
        let mut changed = self.changed.subscribe();
        if let Some(told) = self.watch(run) {
            return Some(told);
        }
        let _ = changed.changed().await;
        self.watch(run)
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    async fn turn(&self, run: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(run.to_owned()).or_default())
        };
        turn.lock_owned().await
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, drive::Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that the caller may reach: an agent its own only.
async fn owned(call: &Call, run: &str) -> Result<RunRow, WireError> {
    let row = rows::find(&call.daemon.store, run).await?;
    match call.agent() {
        Some((session, agent)) if row.session.as_deref() != Some(session) => {
            Err(WireError::user(format!("this connection belongs to {agent} and reaches its own runs only")))
        }
        _ => Ok(row),
    }
}
