//! The pool, and how a model is had: at once where it is ready, else by waiting for the one load of it.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::ModelId;
use super::guard::{Guard, Lease};
use super::ledger::{Landing, Ledger, Why};
use super::loader::{LoadError, Loader};
use super::metrics::{Counters, PoolMetrics};
use super::slots::{MOST, Seat, Slots};
use super::word::{Stage, Word};
use crate::time::Clock;

/// How a pool behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes that all models together may take.
    pub budget: u64,
    /// Loads ahead of their need that run at once. 0: none are made.
    pub warm_at_once: usize,
    /// How far ahead of its use a model is loaded, in the usual times of nodes.
    pub look_ahead: Duration,
    /// A model that no live run will use is unloaded after so long without use; see [`Pool::maintain`].
    pub idle: Duration,
    /// After a failed load, it is not tried again for so long; doubled with each failure in a row, up to `longest_backoff`.
    pub backoff: Duration,
    pub longest_backoff: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            budget: 2 << 30,
            warm_at_once: 1,
            look_ahead: Duration::from_secs(600),
            idle: Duration::from_secs(300),
            backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(60),
        }
    }
}

/// Models by name, loaded once for all who use them.
pub struct Pool<L: Loader> {
    slots: Slots<L::Model>,
    /// Coarse time: milliseconds of the clock, from 1. So that using a model reads no clock.
    now: AtomicU64,
    /// The ledger's floor of worth, for who holds a model without its lock.
    pub(super) floor: AtomicU64,
    pub(super) loader: Arc<L>,
    clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    pub(super) runtime: Handle,
    ledger: Mutex<Ledger>,
    /// Told whenever memory may have become free.
    pub(super) room: Notify,
    pub(super) counters: Counters,
    me: Weak<Self>,
}

/// Why a model was not had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    #[error("a pool knows at most {} models", MOST)]
    TooManyModels,
    #[error("this pool has no such model")]
    UnknownModel,
    #[error("model `{name}` could not be loaded: {error}")]
    Failed {
        name: Arc<str>,
        error: LoadError,
        /// It is not tried again before.
        retry_after: Duration,
    },
}

/// What a caller without the model has to do next.
pub(super) enum Next {
    TryAgain,
    /// It is being unloaded: until something has become free.
    AwaitRoom,
    Await(Waiting, watch::Receiver<Landing>),
}

impl<L: Loader> Pool<L> {
    /// Tasks run on `runtime`; models may be let go of anywhere.
    #[must_use]
    pub fn new(loader: L, settings: Settings, clock: Arc<dyn Clock>, runtime: Handle) -> Arc<Self> {
        let pool = Arc::new_cyclic(|me| Self {
            slots: Slots::new(),
            now: AtomicU64::new(1),
            floor: AtomicU64::new(0.0_f64.to_bits()),
            loader: Arc::new(loader),
            clock,
            ledger: Mutex::new(Ledger::new(settings.budget)),
            settings,
            runtime,
            room: Notify::new(),
            counters: Counters::default(),
            me: me.clone(),
        });
        pool.tick();
        pool
    }

    /// The number of a name. The same name has the same number for the life of the pool.
    ///
    /// # Errors
    /// When there are too many. Whether it can be loaded, acquiring it tells.
    pub fn intern(&self, name: &str) -> Result<ModelId, PoolError> {
        let mut ledger = self.ledger();
        if let Some(id) = ledger.names.get(name) {
            return Ok(*id);
        }
        if !self.slots.make(ModelId(ledger.entries.len() as u32)) {
            return Err(PoolError::TooManyModels);
        }
        let footprint = self.loader.footprint(name);
        Ok(ledger.add(name.into(), footprint))
    }

    /// The model, if it is ready: one compare-and-swap.
    #[inline]
    pub fn try_acquire(&self, id: ModelId) -> Option<Guard<'_, L>> {
        let seat = self.slots.get(id)?;
        let before = seat.slot.acquire().ok()?;
        self.used(seat, before);
        // SAFETY: the slot was just acquired, and the guard alone lets go of it.
        Some(unsafe { Guard::new(self, seat, id, before.generation()) })
    }

    /// The model, loaded if need be. Dropping the future ends only this wait: a load that others wait for goes on.
    ///
    /// # Errors
    /// When it cannot be loaded, to all who wait for the load, and until its time to be tried again.
    pub async fn acquire(&self, id: ModelId) -> Result<Lease<L>, PoolError> {
        let seat = self.slots.get(id).ok_or(PoolError::UnknownModel)?;
        let before = match seat.slot.acquire() {
            Ok(before) => {
                self.used(seat, before);
                before
            }
            Err(_) => self.acquire_cold(id, seat).await?,
        };
        let pool = self.me.upgrade().unwrap_or_else(|| unreachable!("who borrows a pool keeps it"));
        // SAFETY: the slot was just acquired, and the lease alone lets go of it.
        Ok(unsafe { Lease::new(pool, id, before.generation()) })
    }

    async fn acquire_cold(&self, id: ModelId, seat: &Seat<L::Model>) -> Result<Word, PoolError> {
        Counters::one(&self.counters.cold);
        let mut counted_late = false;
        loop {
            // Before the look, so that what happens after it is heard.
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            let (waiting, mut landing) = match self.join(id)? {
                Next::TryAgain => match seat.slot.acquire() {
                    Ok(before) => return Ok(self.used_cold(seat, before)),
                    Err(_) => continue,
                },
                Next::AwaitRoom => {
                    room.await;
                    continue;
                }
                Next::Await(waiting, landing) => (waiting, landing),
            };
            if waiting.late && !counted_late {
                Counters::one(&self.counters.late);
                counted_late = true;
            }
            let landed = landing.wait_for(Option::is_some).await.map(|landed| landed.clone());
            match landed {
                Ok(Some(Ok(()))) => {}
                Ok(Some(Err(error))) => return Err(self.failed(id, error)),
                Ok(None) | Err(_) => return Err(self.failed(id, LoadError::new("its load was given up"))),
            }
            // Nobody evicts it as long as somebody waits; only a person's removal comes between.
            if let Ok(before) = seat.slot.acquire() {
                drop(waiting);
                return Ok(self.used_cold(seat, before));
            }
        }
    }

    /// Makes this caller one of those who wait for the model's load, the first of whom begins it.
    fn join(&self, id: ModelId) -> Result<Next, PoolError> {
        let now = self.tick();
        let seat = self.slots.get(id).ok_or(PoolError::UnknownModel)?;
        let mut ledger = self.ledger();
        let entry = ledger.entry(id).ok_or(PoolError::UnknownModel)?;
        let late = entry.why_loading != Why::Needed;
        let landing = match seat.slot.word().stage() {
            Stage::Ready => return Ok(Next::TryAgain),
            Stage::Cooling => return Ok(Next::AwaitRoom),
            Stage::Loading | Stage::Warming => match &entry.flight {
                Some(flight) => flight.subscribe(),
                None => return Ok(Next::TryAgain),
            },
            Stage::Unloaded | Stage::Failed => {
                if let Some(failure) = entry.failure.as_ref().filter(|failure| failure.not_before > now) {
                    let retry_after = Duration::from_millis(failure.not_before - now);
                    let error = failure.error.clone();
                    return Err(PoolError::Failed { name: entry.name.clone(), error, retry_after });
                }
                let landing = self.take_off(id, seat, entry, Why::Needed);
                entry.waiting += 1;
                return Ok(Next::Await(self.waiting(id, false), landing));
            }
        };
        entry.waiting += 1;
        // Whoever loads it ahead may stand back behind what is needed, and this is needed now.
        self.room.notify_waiters();
        Ok(Next::Await(self.waiting(id, late), landing))
    }

    fn failed(&self, id: ModelId, error: LoadError) -> PoolError {
        let now = self.now();
        let mut ledger = self.ledger();
        let Some(entry) = ledger.entry(id) else { return PoolError::UnknownModel };
        let not_before = entry.failure.as_ref().map_or(now, |failure| failure.not_before);
        let retry_after = Duration::from_millis(not_before.saturating_sub(now));
        PoolError::Failed { name: entry.name.clone(), error, retry_after }
    }

    fn waiting(&self, id: ModelId, late: bool) -> Waiting {
        let pool = self.me.clone();
        let ended = move || {
            let Some(pool) = pool.upgrade() else { return };
            if let Some(entry) = pool.ledger().entry(id) {
                entry.waiting -= 1;
            }
            pool.room.notify_waiters();
        };
        Waiting { late, ended: Some(Box::new(ended)) }
    }

    #[inline]
    fn used(&self, seat: &Seat<L::Model>, before: Word) {
        seat.slot.count_hit();
        let now = self.now();
        if before.fresh() || seat.slot.last_use() != now {
            self.note_use(seat, before, now);
        }
    }

    /// Once in a tick: what foretells the next use.
    #[cold]
    fn note_use(&self, seat: &Seat<L::Model>, before: Word, now: u64) {
        let last = seat.slot.used_at(now);
        if last != 0 && last < now {
            seat.track.arrivals.count(now - last);
        }
        seat.track.set_floor(self.floor.load(Ordering::Relaxed));
        if before.fresh() {
            Counters::one(&self.counters.warmed_and_used);
        }
    }

    fn used_cold(&self, seat: &Seat<L::Model>, before: Word) -> Word {
        self.note_use(seat, before, self.now());
        before
    }

    /// What it is known to be good for so far.
    pub fn metrics(&self) -> PoolMetrics {
        let models = self.ledger().entries.len() as u32;
        let hits = |id| self.slots.get(ModelId(id)).map_or(0, |seat| seat.slot.hits());
        self.counters.read((0..models).map(hits).sum())
    }

    /// Reads the clock. Called by whatever is slow anyway, and by [`maintain`](Self::maintain).
    pub(super) fn tick(&self) -> u64 {
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        self.now.fetch_max(now, Ordering::Relaxed).max(now)
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since some fixed moment.
    pub(super) fn clock_now(&self) -> Duration {
        self.clock.now()
    }

    pub(super) fn slots(&self) -> &Slots<L::Model> {
        &self.slots
    }

    pub(super) fn seat(&self, id: ModelId) -> Option<&Seat<L::Model>> {
        self.slots.get(id)
    }

    /// This pool, for a task; `None` while it is being dropped.
    pub(super) fn me(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }
}

/// One who waits for a load, until dropped.
pub(super) struct Waiting {
    /// The load had begun before anybody asked.
    late: bool,
    ended: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            ended();
        }
    }
}

impl<L: Loader> fmt::Debug for Pool<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("settings", &self.settings).finish_non_exhaustive()
    }
}
