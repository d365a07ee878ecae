//! One load of one model: from the change to loading until it is ready or has failed, in a task of its own.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;

use super::ModelId;
use super::ledger::{Entry, Failure, Landing, Why};
use super::loader::{LoadError, Loaded, Loader};
use super::manager::Pool;
use super::metrics::Counters;
use super::slots::Seat;
use super::word::Stage;

/// Why a load ended without a model.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(LoadError),
    /// Nobody needs it, and there is no room for what nobody needs.
    NotNow(&'static str),
}

enum Turn {
    Granted,
    Wait,
    Over(Stop),
}

impl<L: Loader> Pool<L> {
    /// Begins to load an unloaded model. Called with the ledger locked.
    pub(super) fn take_off(
        &self,
        id: ModelId,
        seat: &Seat<L::Model>,
        entry: &mut Entry,
        why: Why,
    ) -> watch::Receiver<Landing> {
        let (flight, landing) = watch::channel(None);
        // All loads begin under the lock, so that the word and the ledger tell the same.
        if seat.slot.begin_load() {
            entry.flight = Some(flight);
            entry.why_loading = why;
            entry.reason = match why {
                Why::Needed => "it is needed".to_owned(),
                Why::Ahead(due) => format!("a live run will use it in {due} ms"),
                Why::Usual => "it is usually used about now".to_owned(),
            };
            self.spawn_load(id, why);
        }
        landing
    }

    fn spawn_load(&self, id: ModelId, why: Why) {
        if let Some(pool) = self.me() {
            self.runtime.spawn(async move {
                let brought = pool.bring(id, why).await;
                pool.land(id, why, brought);
                pool.warm_ahead();
            });
        }
    }

    async fn bring(&self, id: ModelId, why: Why) -> Result<(Box<L::Model>, Duration), Stop> {
        let name = self.name(id);
        let mut bytes = self.ask_footprint(id, &name)?;
        for _ in 0..2 {
            self.reserve(id, why, bytes).await?;
            let started = self.clock_now();
            let loaded = match caught(|| self.loader.load(&name)).await {
                Ok(loaded) => loaded,
                Err(error) => {
                    self.free(id);
                    return Err(Stop::Failed(error));
                }
            };
            let real = loaded.bytes;
            if self.settle_bytes(id, real) {
                let model = self.warm_up(id, &name, loaded).await?;
                return Ok((model, self.clock_now().saturating_sub(started)));
            }
            // It is larger than it said, and there is no room for that: once more, with room for what it is.
            self.unmake(&name, Box::new(loaded.model)).await;
            self.free(id);
            bytes = real;
        }
        let reason = format!("it takes more memory each time it is loaded, now {bytes} bytes");
        Err(Stop::Failed(LoadError::new(reason)))
    }

    /// Asked anew for each load: what was missing when the model was named may be there now.
    fn ask_footprint(&self, id: ModelId, name: &str) -> Result<u64, Stop> {
        let footprint = self.loader.footprint(name);
        if let Some(entry) = self.ledger().entry(id) {
            entry.footprint = footprint.clone();
        }
        footprint.map(|footprint| footprint.bytes).map_err(Stop::Failed)
    }

    async fn warm_up(
        &self,
        id: ModelId,
        name: &str,
        loaded: Loaded<L::Model>,
    ) -> Result<Box<L::Model>, Stop> {
        let model = Box::new(loaded.model);
        if let Some(seat) = self.seat(id) {
            // SAFETY: this task has the load that was begun, and has not ended it.
            unsafe { seat.slot.go_on_loading(Stage::Warming) };
        }
        match caught(|| self.loader.warm(name, &model)).await {
            Ok(()) => Ok(model),
            Err(error) => {
                self.unmake(name, model).await;
                self.free(id);
                Err(Stop::Failed(error))
            }
        }
    }

    /// What was reserved is free again.
    fn free(&self, id: ModelId) {
        self.ledger().give_back(id, false);
        self.room.notify_waiters();
    }

    /// Changes what the model has to what it takes. False, and nothing changed, if that does not fit.
    fn settle_bytes(&self, id: ModelId, real: u64) -> bool {
        let mut ledger = self.ledger();
        let Some(reserved) = ledger.entry(id).map(|entry| entry.bytes) else { return false };
        if real > reserved && !ledger.fits(real - reserved) {
            return false;
        }
        ledger.give_back(id, false);
        ledger.take(id, real);
        if real < reserved {
            self.room.notify_waiters();
        }
        true
    }

    /// Waits until so many bytes are this model's, unloading others if need be.
    async fn reserve(&self, id: ModelId, why: Why, bytes: u64) -> Result<(), Stop> {
        let turn = self.ledger().queue.join(why != Why::Needed, bytes);
        loop {
            // Before the look, so that what happens after it is heard.
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            let next = self.look_for_room(id, why, bytes, turn);
            if matches!(next, Turn::Wait) {
                room.await;
                continue;
            }
            self.ledger().queue.leave(turn, matches!(next, Turn::Granted));
            self.room.notify_waiters();
            match next {
                Turn::Over(stop) => return Err(stop),
                Turn::Granted | Turn::Wait => return Ok(()),
            }
        }
    }

    fn look_for_room(&self, id: ModelId, why: Why, bytes: u64, turn: u64) -> Turn {
        let mut ledger = self.ledger();
        let budget = ledger.budget;
        if bytes > budget {
            let reason = format!("it takes {bytes} bytes, all models together may take {budget}");
            let hint = "raise the memory budget of the pool".to_owned();
            return Turn::Over(Stop::Failed(LoadError::new(reason).with_hints(vec![hint])));
        }
        let wanted = ledger.entry(id).is_some_and(|entry| entry.waiting > 0);
        let why = if wanted { Why::Needed } else { why };
        if wanted {
            ledger.queue.promote(turn);
        } else if why == Why::Needed {
            return Turn::Over(Stop::NotNow("nobody waits for it any more"));
        }
        let first = ledger.queue.is_first(turn);
        if ledger.fits(bytes) && (bytes == 0 || first || ledger.queue.may_pass(turn)) {
            ledger.take(id, bytes);
            return Turn::Granted;
        }
        if !first {
            return Turn::Wait;
        }
        let name = ledger.entry(id).map_or_else(|| Arc::from(""), |entry| entry.name.clone());
        let enough = self.make_room(&mut ledger, why, bytes, &name);
        if enough || why == Why::Needed {
            return Turn::Wait;
        }
        Turn::Over(Stop::NotNow("there is no room for it now"))
    }

    /// Ends a load: all who wait are told, and either all see the model ready or all hear why not.
    fn land(&self, id: ModelId, why: Why, brought: Result<(Box<L::Model>, Duration), Stop>) {
        let now = self.tick();
        let Some(seat) = self.seat(id) else { return };
        let mut ledger = self.ledger();
        let ahead = why != Why::Needed;
        if let Err(Stop::NotNow(_)) = brought
            && ledger.entry(id).is_some_and(|entry| entry.waiting > 0)
        {
            // Somebody came between the refusal and here: the load begins anew, as a needed one.
            ledger.warming -= usize::from(ahead);
            return self.spawn_load(id, Why::Needed);
        }
        ledger.warming -= usize::from(ahead);
        let Some(entry) = ledger.entry(id) else { return };
        let landing = match brought {
            Ok((model, took)) => {
                self.landed_well(entry, seat, took, now);
                let fresh = ahead && entry.waiting == 0;
                Counters::one(&self.counters.loads);
                if ahead {
                    Counters::one(&self.counters.warmed);
                }
                if ahead && !fresh {
                    Counters::one(&self.counters.warmed_and_used);
                }
                // SAFETY: this task has the load that was begun, and ends it here.
                unsafe { seat.slot.publish(model, fresh) };
                Ok(())
            }
            Err(Stop::NotNow(reason)) => {
                entry.reason = reason.to_owned();
                // SAFETY: as above.
                unsafe { seat.slot.go_on_loading(Stage::Unloaded) };
                Err(LoadError::new(reason))
            }
            Err(Stop::Failed(error)) => {
                Counters::one(&self.counters.failed_loads);
                self.landed_ill(entry, &error, now);
                // SAFETY: as above.
                unsafe { seat.slot.go_on_loading(Stage::Failed) };
                Err(error)
            }
        };
        if let Some(flight) = entry.flight.take() {
            flight.send_replace(Some(landing));
        }
        drop(ledger);
        self.room.notify_waiters();
    }

    fn landed_well(&self, entry: &mut Entry, seat: &Seat<L::Model>, took: Duration, now: u64) {
        entry.took = Some(took);
        entry.failure = None;
        entry.loads += 1;
        entry.hits_before = seat.slot.hits();
        entry.loaded_at = now;
        seat.track.set_floor(self.floor.load(std::sync::atomic::Ordering::Relaxed));
    }

    fn landed_ill(&self, entry: &mut Entry, error: &LoadError, now: u64) {
        let times = entry.failure.as_ref().map_or(0, |failure| failure.times).saturating_add(1);
        let doubled = self.settings.backoff.saturating_mul(1_u32.checked_shl(times - 1).unwrap_or(u32::MAX));
        let wait = doubled.min(self.settings.longest_backoff).max(error.retry_after.unwrap_or_default());
        let not_before = now.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        entry.reason = error.to_string();
        entry.failure = Some(Failure { error: error.clone(), times, not_before });
    }

    pub(super) async fn unmake(&self, name: &str, model: Box<L::Model>) {
        let ended = AssertUnwindSafe(async { self.loader.unload(name, model).await }).catch_unwind().await;
        if ended.is_err() {
            tracing::warn!(model = name, "unloading it panicked");
        }
    }

    pub(super) fn name(&self, id: ModelId) -> Arc<str> {
        self.ledger().entry(id).map_or_else(|| Arc::from(""), |entry| entry.name.clone())
    }
}

/// A loader's future, whose panic is a failed load.
async fn caught<T, F>(start: impl FnOnce() -> F) -> Result<T, LoadError>
where
    F: Future<Output = Result<T, LoadError>>,
{
    let ended = AssertUnwindSafe(async { start().await }).catch_unwind().await;
    ended.unwrap_or_else(|_| Err(LoadError::new("loading it panicked")))
}
