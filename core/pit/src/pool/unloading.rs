//! How models go: to make room, because they lie idle, or because a person says so.

use std::time::Duration;

use super::ModelId;
use super::ledger::{Ledger, Why};
use super::loader::Loader;
use super::manager::Pool;
use super::metrics::Counters;
use super::slot::Left;
use super::slots::Seat;
use super::word::{Stage, Word};

impl<L: Loader> Pool<L> {
    /// Unloads a model, or has the last who holds it unload it: from now on nobody can acquire it but by a new load.
    /// For when what it was made of has changed. Answers whether it was ready.
    pub fn retire(&self, id: ModelId, reason: &str) -> bool {
        let Some(seat) = self.seat(id) else { return false };
        let mut ledger = self.ledger();
        let (before, model) = seat.slot.retire();
        let Some(before) = before else { return false };
        self.leaves(&mut ledger, id, before, reason.to_owned());
        if let Some(model) = model {
            self.spawn_unload(id, model);
        }
        true
    }

    /// Lets a failed load be tried again at once: what was missing is there now.
    pub fn forgive(&self, id: ModelId) {
        if let Some(entry) = self.ledger().entry(id) {
            entry.failure = None;
        }
    }

    /// Bytes that all models together may take, from now on. What is held stays although it is too much.
    pub fn set_budget(&self, bytes: u64) {
        let mut ledger = self.ledger();
        ledger.budget = bytes;
        self.make_room(&mut ledger, Why::Needed, 0, "the smaller budget");
        drop(ledger);
        self.room.notify_waiters();
    }

    /// Begins to unload until `bytes` more will fit; what is held tells when it is not held any more. Answers whether
    /// they will fit by what is going now.
    pub(super) fn make_room(&self, ledger: &mut Ledger, why: Why, bytes: u64, for_whom: &str) -> bool {
        loop {
            let mut again = false;
            for victim in ledger.victims(self.slots(), why) {
                if ledger.will_fit(bytes) {
                    return true;
                }
                let Some(seat) = self.seat(victim.id) else { continue };
                if let Some((before, model)) = seat.slot.evict() {
                    ledger.floor = ledger.floor.max(victim.worth);
                    self.floor.store(ledger.floor.to_bits(), std::sync::atomic::Ordering::Relaxed);
                    Counters::one(&self.counters.evictions);
                    self.leaves(ledger, victim.id, before, victim.reason(for_whom));
                    self.spawn_unload(victim.id, model);
                } else if why == Why::Needed && !seat.slot.await_release() {
                    // It was let go of between the two looks.
                    again |= seat.slot.word().stage() == Stage::Ready;
                }
            }
            if ledger.will_fit(bytes) || !again {
                return ledger.will_fit(bytes);
            }
        }
    }

    /// Unloads what nobody uses and no live run will, `idle` after its last use.
    pub(super) fn unload_idle(&self, now: u64) {
        let idle = u64::try_from(self.settings.idle.as_millis()).unwrap_or(u64::MAX);
        let mut ledger = self.ledger();
        for index in 0..ledger.entries.len() {
            let id = ModelId(index as u32);
            let (Some(seat), Some(entry)) = (self.seat(id), ledger.entry(id)) else { continue };
            let since = seat.slot.last_use().max(entry.loaded_at);
            let due = entry.waiting == 0 && now.saturating_sub(since) >= idle;
            if !due || seat.slot.word().stage() != Stage::Ready || ledger.horizon.distance(id).is_some() {
                continue;
            }
            if let Some((before, model)) = seat.slot.evict() {
                let reason = format!("not used for {} s", idle / 1000);
                self.leaves(&mut ledger, id, before, reason);
                self.spawn_unload(id, model);
            }
        }
    }

    /// Follows the last who let go of a model that somebody waits for, or that is to go.
    ///
    /// # Safety
    /// `left` is what `release` of the slot of `seat`, which is that of `id`, has just answered.
    #[cold]
    pub(super) unsafe fn left(&self, id: ModelId, seat: &Seat<L::Model>, left: Left) {
        match left {
            Left::Quiet => {}
            Left::Awaited => {
                seat.slot.forget_awaited();
                let mut ledger = self.ledger();
                if !ledger.will_fit(0) {
                    self.make_room(&mut ledger, Why::Needed, 0, "the smaller budget");
                }
                drop(ledger);
                self.room.notify_waiters();
            }
            Left::Retired => {
                // SAFETY: as the caller promises.
                if let Some(model) = unsafe { seat.slot.take_left() } {
                    self.spawn_unload(id, model);
                }
            }
        }
    }

    /// Its bytes are on their way out.
    fn leaves(&self, ledger: &mut Ledger, id: ModelId, before: Word, reason: String) {
        let Some(entry) = ledger.entry(id) else { return };
        entry.reason = reason;
        let (bytes, took) = (entry.bytes, entry.took.unwrap_or(Duration::ZERO));
        ledger.leaving += bytes;
        if before.fresh() {
            self.counters.waste(bytes, took);
        }
    }

    fn spawn_unload(&self, id: ModelId, model: Box<L::Model>) {
        let Some(pool) = self.me() else { return };
        self.runtime.spawn(async move {
            let name = pool.name(id);
            pool.unmake(&name, model).await;
            if let Some(seat) = pool.seat(id) {
                let mut ledger = pool.ledger();
                ledger.give_back(id, true);
                // SAFETY: whoever spawned this took the model out, and it is gone.
                unsafe { seat.slot.end_cooling() };
            }
            pool.room.notify_waiters();
            pool.warm_ahead();
        });
    }
}
