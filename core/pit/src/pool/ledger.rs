//! What the pool knows about its models and its memory. Behind one lock, which nobody takes who finds a model ready.
//!
//! Who has to go when memory is needed: the model whose next use in a live run is farthest (Belady, "A study of
//! replacement algorithms", 1966), and those that no run will use first. Among these, the one of least worth by
//! GreedyDual-Size with frequency (Cherkasova, 1998): uses * time to load / size, above a floor that rises to the worth
//! of each that went, so that old merits fade.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::ModelId;
use super::ahead::{Distance, Horizon};
use super::loader::{Footprint, LoadError};
use super::slots::Slots;
use super::word::Stage;

/// How a load ended, for all who wait for it. `None`: it has not.
pub(super) type Landing = Option<Result<(), LoadError>>;

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) budget: u64,
    /// Bytes that are loaded, being loaded or being unloaded.
    pub(super) used: u64,
    /// Of those, being unloaded.
    pub(super) leaving: u64,
    pub(super) entries: Vec<Entry>,
    pub(super) names: HashMap<Arc<str>, ModelId>,
    pub(super) horizon: Horizon,
    pub(super) queue: Queue,
    pub(super) floor: f64,
    /// Loads ahead that are under way.
    pub(super) warming: usize,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) footprint: Result<Footprint, LoadError>,
    /// Bytes that it has of the budget now.
    pub(super) bytes: u64,
    /// How long the last load took.
    pub(super) took: Option<Duration>,
    pub(super) flight: Option<watch::Sender<Landing>>,
    pub(super) why_loading: Why,
    /// Callers that wait for its load; it is not evicted before they had it.
    pub(super) waiting: u32,
    /// Why it is in its state, for people.
    pub(super) reason: String,
    pub(super) failure: Option<Failure>,
    pub(super) loads: u64,
    /// The slot's hits when it was loaded.
    pub(super) hits_before: u64,
    /// When it was loaded, in coarse milliseconds.
    pub(super) loaded_at: u64,
}

/// Why a model is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Needed,
    /// A live run will use it in so many milliseconds.
    Ahead(Distance),
    /// It is usually used about now.
    Usual,
}

#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) error: LoadError,
    /// In a row.
    pub(super) times: u32,
    /// Coarse milliseconds before which it is not tried again.
    pub(super) not_before: u64,
}

impl Ledger {
    pub(super) fn new(budget: u64) -> Self {
        Self {
            budget,
            used: 0,
            leaving: 0,
            entries: Vec::new(),
            names: HashMap::new(),
            horizon: Horizon::default(),
            queue: Queue::default(),
            floor: 0.0,
            warming: 0,
        }
    }

    pub(super) fn add(&mut self, name: Arc<str>, footprint: Result<Footprint, LoadError>) -> ModelId {
        let id = ModelId(self.entries.len() as u32);
        self.names.insert(name.clone(), id);
        self.entries.push(Entry {
            name,
            footprint,
            bytes: 0,
            took: None,
            flight: None,
            why_loading: Why::Needed,
            waiting: 0,
            reason: "not used yet".to_owned(),
            failure: None,
            loads: 0,
            hits_before: 0,
            loaded_at: 0,
        });
        id
    }

    pub(super) fn entry(&mut self, id: ModelId) -> Option<&mut Entry> {
        self.entries.get_mut(id.0 as usize)
    }

    pub(super) fn fits(&self, bytes: u64) -> bool {
        bytes == 0 || self.used.saturating_add(bytes) <= self.budget
    }

    /// Whether it will fit when all that is being unloaded is gone.
    pub(super) fn will_fit(&self, bytes: u64) -> bool {
        (self.used - self.leaving).saturating_add(bytes) <= self.budget
    }

    pub(super) fn take(&mut self, id: ModelId, bytes: u64) {
        self.used += bytes;
        if let Some(entry) = self.entry(id) {
            entry.bytes += bytes;
        }
    }

    /// Gives back all that the model has; `leaving`: it was being unloaded.
    pub(super) fn give_back(&mut self, id: ModelId, leaving: bool) {
        let bytes = self.entry(id).map_or(0, |entry| std::mem::take(&mut entry.bytes));
        self.used -= bytes;
        if leaving {
            self.leaving -= bytes;
        }
    }

    /// Those that could go for `why`, whoever should go first in front.
    pub(super) fn victims<T>(&self, slots: &Slots<T>, why: Why) -> Vec<Victim> {
        let mut victims: Vec<Victim> = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.bytes > 0 && entry.waiting == 0)
            .filter_map(|(index, entry)| self.victim(slots, ModelId(index as u32), entry))
            .filter(|victim| match why {
                Why::Needed => true,
                Why::Ahead(distance) => victim.next_use.is_none_or(|next| next > distance),
                Why::Usual => false,
            })
            .collect();
        victims.sort_by(|a, b| a.order(b));
        victims
    }

    fn victim<T>(&self, slots: &Slots<T>, id: ModelId, entry: &Entry) -> Option<Victim> {
        let seat = slots.get(id)?;
        if seat.slot.word().stage() != Stage::Ready {
            return None;
        }
        let uses = seat.slot.hits().saturating_sub(entry.hits_before) + 1;
        let cost = entry.took.or(entry.footprint.as_ref().ok().map(|f| f.cost)).unwrap_or_default();
        // Milliseconds to load a mebibyte again.
        let density =
            (cost.as_secs_f64() * 1e3).max(1e-3) / (entry.bytes as f64 / f64::from(1 << 20)).max(1e-3);
        let worth = seat.track.floor() + uses as f64 * density;
        Some(Victim { id, next_use: self.horizon.distance(id), worth })
    }
}

/// A model that may have to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Victim {
    pub(super) id: ModelId,
    next_use: Option<Distance>,
    pub(super) worth: f64,
}

impl Victim {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let farthest = |victim: &Self| victim.next_use.unwrap_or(Distance::MAX);
        farthest(other).cmp(&farthest(self)).then(self.worth.total_cmp(&other.worth))
    }

    /// Why it went, for people.
    pub(super) fn reason(&self, for_whom: &str) -> String {
        match self.next_use {
            None => format!("made room for {for_whom}: no live run will use it"),
            Some(next) => format!("made room for {for_whom}: its next use, in {next} ms, is the farthest"),
        }
    }
}

/// Loads that wait for memory. What is needed goes before what is loaded ahead, the older before the younger.
#[derive(Debug, Default)]
pub(super) struct Queue {
    turns: BTreeMap<(bool, u64), u64>,
    next: u64,
    /// How often somebody went past the present first.
    passed: u32,
}

/// So often smaller loads may go past one that waits for memory.
const PASSES: u32 = 8;

impl Queue {
    pub(super) fn join(&mut self, ahead: bool, bytes: u64) -> u64 {
        self.next += 1;
        self.turns.insert((ahead, self.next), bytes);
        self.next
    }

    /// Somebody needs now what was loaded ahead.
    pub(super) fn promote(&mut self, turn: u64) {
        if let Some(bytes) = self.turns.remove(&(true, turn)) {
            self.turns.insert((false, turn), bytes);
        }
    }

    pub(super) fn is_first(&self, turn: u64) -> bool {
        self.turns.first_key_value().is_some_and(|((_, first), _)| *first == turn)
    }

    /// Whether this one may go before its turn.
    pub(super) fn may_pass(&self, turn: u64) -> bool {
        self.passed < PASSES && self.turns.contains_key(&(false, turn))
    }

    pub(super) fn len(&self) -> usize {
        self.turns.len()
    }

    pub(super) fn leave(&mut self, turn: u64, granted: bool) {
        if self.is_first(turn) {
            self.passed = 0;
        } else if granted {
            self.passed += 1;
        }
        self.turns.remove(&(false, turn));
        self.turns.remove(&(true, turn));
    }
}
