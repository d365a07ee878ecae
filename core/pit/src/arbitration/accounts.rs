//! What each user has, and in which order the runs of one user go.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::request::{Capacity, Needs};

/// What a user took of the tokens counts for so long, fading.
const TOKENS_FADE: f64 = 60.0;

/// One user.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) weight: u32,
    memory: u64,
    cpu: u64,
    tokens: f64,
    tokens_at: Duration,
    /// Millionths of a dollar: spent, and reserved by what runs.
    pub(super) spent: u64,
    pub(super) reserved: u64,
    /// Requests that wait, by when their run's turn is.
    pub(super) waiting: BTreeMap<Turn, u64>,
    /// How far its runs are served, in shares of everything over weight.
    served: f64,
    runs: HashMap<Arc<str>, f64>,
}

/// Order within one user: the virtual time at which it would be done, then age. The bits of a number that is not
/// negative are ordered like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    finish: u64,
    pub(super) request: u64,
    start: u64,
}

impl Account {
    pub(super) fn new() -> Self {
        Self {
            weight: 1,
            memory: 0,
            cpu: 0,
            tokens: 0.0,
            tokens_at: Duration::ZERO,
            spent: 0,
            reserved: 0,
            waiting: BTreeMap::new(),
            served: 0.0,
            runs: HashMap::new(),
        }
    }

    /// The largest part that it has of any one resource, over its weight.
    pub(super) fn share(&self, capacity: &Capacity, now: Duration) -> f64 {
        let memory = part(self.memory, capacity.memory);
        let cpu = part(self.cpu, capacity.cpu);
        let tokens = self.tokens_now(now) / (capacity.tokens_per_minute.max(1) as f64);
        memory.max(cpu).max(tokens) / f64::from(self.weight.max(1))
    }

    pub(super) fn take(&mut self, needs: &Needs, now: Duration) {
        self.memory += needs.memory;
        self.cpu += needs.cpu;
        self.tokens = self.tokens_now(now) + needs.tokens as f64;
        self.tokens_at = now;
        self.reserved += needs.cost;
    }

    pub(super) fn give_back(&mut self, needs: &Needs, tokens: u64, cost: u64, now: Duration) {
        self.memory -= needs.memory;
        self.cpu -= needs.cpu;
        self.tokens = (self.tokens_now(now) + tokens as f64 - needs.tokens as f64).max(0.0);
        self.tokens_at = now;
        self.reserved -= needs.cost;
        self.spent = self.spent.saturating_add(cost);
    }

    fn tokens_now(&self, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.tokens_at).as_secs_f64();
        self.tokens * (-passed / TOKENS_FADE).exp()
    }

    /// Gives a request its turn among those of the user.
    pub(super) fn enqueue(&mut self, request: u64, run: &Arc<str>, weight: u32, size: f64) -> Turn {
        let last = self.runs.get(run).copied().unwrap_or(0.0);
        let start = last.max(self.served);
        // What needs nothing still takes a turn.
        let finish = start + size.max(1e-6) / f64::from(weight.max(1));
        self.runs.insert(run.clone(), finish);
        let turn = Turn { finish: finish.to_bits(), request, start: start.to_bits() };
        self.waiting.insert(turn, request);
        turn
    }

    /// It does not wait any more.
    pub(super) fn dequeue(&mut self, turn: Turn, granted: bool) {
        self.waiting.remove(&turn);
        if granted {
            self.served = self.served.max(f64::from_bits(turn.start));
        }
        if self.waiting.is_empty() {
            // Nobody's turn depends on the past any more.
            self.served = 0.0;
            self.runs.clear();
        }
    }

    /// Whether nothing would be lost without it.
    pub(super) fn is_blank(&self, now: Duration) -> bool {
        let unused = self.memory == 0 && self.cpu == 0 && self.reserved == 0 && self.spent == 0;
        unused && self.weight == 1 && self.waiting.is_empty() && self.tokens_now(now) < 1.0
    }
}

/// The largest part of any one resource that is asked for.
pub(super) fn size(needs: &Needs, capacity: &Capacity) -> f64 {
    let tokens = part(needs.tokens, capacity.tokens_per_minute);
    part(needs.memory, capacity.memory).max(part(needs.cpu, capacity.cpu)).max(tokens)
}

fn part(of: u64, whole: u64) -> f64 {
    of as f64 / whole.max(1) as f64
}
