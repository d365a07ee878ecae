//! The pool as people see it.

use std::sync::Arc;
use std::time::Duration;

use super::ModelId;
use super::ledger::{Entry, Ledger};
use super::loader::Loader;
use super::manager::Pool;
use super::metrics::PoolMetrics;
use super::word::{Stage, Word};

/// What a model is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelState {
    Unloaded,
    Loading,
    /// Loaded, and being made quick.
    Warming,
    Ready,
    /// Ready, and held.
    Active,
    /// On its way out; held by who had it before.
    Cooling,
    Failed,
}

/// One model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelView {
    pub id: ModelId,
    pub name: Arc<str>,
    pub state: ModelState,
    /// Why it is in this state.
    pub reason: String,
    /// What to do about it, where something is to be done.
    pub hints: Vec<String>,
    /// How many hold it.
    pub active: u32,
    /// How many wait for it.
    pub waiting: u32,
    /// Rises with each unloading.
    pub generation: u32,
    /// Bytes of the budget that it has.
    pub bytes: u64,
    /// Times it was loaded.
    pub loads: u64,
    /// Times it was had without waiting.
    pub hits: u64,
    /// Time that its last load took.
    pub load_time: Option<Duration>,
    /// Since its last use.
    pub unused_for: Option<Duration>,
    /// Until a live run will use it, in the usual times of nodes.
    pub next_use: Option<Duration>,
    /// A failed load is not tried again before.
    pub retry_after: Option<Duration>,
}

/// All models, by number, and the memory.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolView {
    pub models: Vec<ModelView>,
    /// Bytes that all models together may take, and do.
    pub budget: u64,
    pub used: u64,
    /// Loads that wait for memory.
    pub waiting_for_memory: usize,
    pub metrics: PoolMetrics,
}

impl<L: Loader> Pool<L> {
    /// The present state of everything. Counters of what is in use are of slightly different moments.
    pub fn view(&self) -> PoolView {
        let now = self.tick();
        let metrics = self.metrics();
        let ledger = self.ledger();
        let models = (0_u32..).map(ModelId).zip(&ledger.entries);
        let models = models.filter_map(|(id, entry)| self.view_of(&ledger, id, entry, now)).collect();
        let waiting_for_memory = ledger.queue.len();
        PoolView { models, budget: ledger.budget, used: ledger.used, waiting_for_memory, metrics }
    }

    fn view_of(&self, ledger: &Ledger, id: ModelId, entry: &Entry, now: u64) -> Option<ModelView> {
        let slot = &self.seat(id)?.slot;
        let word = slot.word();
        let failure = entry.failure.as_ref();
        let since = |then: u64| Duration::from_millis(now.saturating_sub(then));
        Some(ModelView {
            id,
            name: entry.name.clone(),
            state: state(word),
            reason: entry.reason.clone(),
            hints: failure.map(|failure| failure.error.hints.clone()).unwrap_or_default(),
            active: word.active(),
            waiting: entry.waiting,
            generation: word.generation(),
            bytes: entry.bytes,
            loads: entry.loads,
            hits: slot.hits(),
            load_time: entry.took,
            unused_for: (slot.last_use() != 0).then(|| since(slot.last_use())),
            next_use: ledger.horizon.distance(id).map(Duration::from_millis),
            retry_after: failure.map(|f| Duration::from_millis(f.not_before.saturating_sub(now))),
        })
    }
}

fn state(word: Word) -> ModelState {
    match word.stage() {
        Stage::Unloaded => ModelState::Unloaded,
        Stage::Loading => ModelState::Loading,
        Stage::Warming => ModelState::Warming,
        Stage::Ready if word.active() > 0 => ModelState::Active,
        Stage::Ready => ModelState::Ready,
        Stage::Cooling => ModelState::Cooling,
        Stage::Failed => ModelState::Failed,
    }
}
