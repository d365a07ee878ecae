//! Loading before anybody asks: what live runs will use, then what is usually used about now.

use std::sync::Arc;

use super::ModelId;
use super::ahead::Upcoming;
use super::ledger::{Ledger, Why};
use super::loader::Loader;
use super::manager::Pool;
use super::word::Stage;

/// Models that are looked at ahead of their use, at most.
const FARTHEST: usize = 64;

/// What one live run will use; without it, no run will any more.
#[must_use = "a run whose look-ahead is dropped is over"]
pub struct LookAhead<L: Loader> {
    pool: Arc<Pool<L>>,
    run: u64,
}

impl<L: Loader> LookAhead<L> {
    /// The node has its model: the run is where the node was due. To be told after the model is acquired, else nothing
    /// keeps it from being unloaded between the two.
    pub fn begun(&self, node: u32) {
        self.settle(node, true);
    }

    /// The node will not run.
    pub fn skipped(&self, node: u32) {
        self.settle(node, false);
    }

    /// More nodes than were known when the run began: another round of a loop, the elements of a map. A node that is
    /// known is due anew.
    pub fn extend(&self, uses: &[Upcoming]) {
        self.pool.ledger().horizon.extend(self.run, uses);
        self.pool.warm_ahead();
    }

    fn settle(&self, node: u32, begun: bool) {
        self.pool.ledger().horizon.settle(self.run, node, begun);
        self.pool.warm_ahead();
    }
}

impl<L: Loader> Drop for LookAhead<L> {
    fn drop(&mut self) {
        self.pool.ledger().horizon.remove(self.run);
    }
}

impl<L: Loader> Pool<L> {
    /// Tells what a run will use, from its graph. It is loaded ahead as far as memory allows, and what it needs soonest
    /// is unloaded last.
    pub fn look_ahead(self: &Arc<Self>, uses: &[Upcoming]) -> LookAhead<L> {
        let run = self.ledger().horizon.add(uses);
        self.warm_ahead();
        LookAhead { pool: self.clone(), run }
    }

    /// To be called every second or so: unloads what lies idle, and loads what is usually used about now.
    pub fn maintain(&self) {
        let now = self.tick();
        self.unload_idle(now);
        self.warm_ahead();
        self.warm_usual(now);
    }

    /// Loads what live runs will use next and memory has room for. What is nearer keeps its place.
    pub(super) fn warm_ahead(&self) {
        let now = self.now();
        let limit = u64::try_from(self.settings.look_ahead.as_millis()).unwrap_or(u64::MAX);
        let mut ledger = self.ledger();
        if ledger.warming >= self.settings.warm_at_once {
            return;
        }
        let nearest = ledger.horizon.nearest(FARTHEST);
        let mut room = ledger.budget.saturating_sub(self.taken_by_others(&ledger, &nearest));
        for (distance, id) in nearest {
            let Some(entry) = ledger.entry(id) else { continue };
            let Ok(footprint) = &entry.footprint else { continue };
            let bytes = if entry.bytes > 0 { entry.bytes } else { footprint.bytes };
            if bytes > room || distance > limit || ledger.warming >= self.settings.warm_at_once {
                break;
            }
            room -= bytes;
            self.warm(&mut ledger, id, Why::Ahead(distance), now);
        }
    }

    /// Bytes of what cannot go now and is not among `nearest`.
    fn taken_by_others(&self, ledger: &Ledger, nearest: &[(u64, ModelId)]) -> u64 {
        let others = ledger.entries.iter().enumerate().filter(|(index, entry)| {
            let id = ModelId(*index as u32);
            let stays = || {
                let word = self.seat(id).map(|seat| seat.slot.word());
                word.is_some_and(|word| {
                    let loading = matches!(word.stage(), Stage::Loading | Stage::Warming);
                    loading || word.active() > 0 || entry.waiting > 0
                })
            };
            entry.bytes > 0 && stays() && nearest.iter().all(|(_, near)| *near != id)
        });
        others.map(|(_, entry)| entry.bytes).sum()
    }

    fn warm_usual(&self, now: u64) {
        let mut ledger = self.ledger();
        for index in 0..ledger.entries.len() {
            if ledger.warming >= self.settings.warm_at_once {
                return;
            }
            let id = ModelId(index as u32);
            let Some(seat) = self.seat(id) else { continue };
            let last = seat.slot.last_use();
            let Some(window) = (last != 0).then(|| seat.track.arrivals.window()).flatten() else { continue };
            let footprint = ledger.entry(id).and_then(|entry| entry.footprint.clone().ok());
            // Nothing has to go for what is only likely.
            let fits = footprint.is_some_and(|footprint| ledger.fits(footprint.bytes));
            if fits && (window.from..=window.until).contains(&now.saturating_sub(last)) {
                self.warm(&mut ledger, id, Why::Usual, now);
            }
        }
    }

    fn warm(&self, ledger: &mut Ledger, id: ModelId, why: Why, now: u64) {
        let (Some(seat), Some(entry)) = (self.seat(id), ledger.entry(id)) else { return };
        let loadable = matches!(seat.slot.word().stage(), Stage::Unloaded | Stage::Failed);
        let may = entry.failure.as_ref().is_none_or(|failure| failure.not_before <= now);
        if loadable && may {
            drop(self.take_off(id, seat, entry, why));
            ledger.warming += 1;
        }
    }
}
