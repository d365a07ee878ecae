//! How many nodes of a run are executed at once, and who is next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The slots of one run, and who waits for one: the most urgent first, among equals whoever came first.
#[derive(Debug)]
pub(super) struct Slots(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    free: usize,
    came: u64,
    waiting: BinaryHeap<Waiting>,
}

/// Who is given a slot.
#[derive(Debug)]
pub(super) enum Next {
    /// A node that is not yet run.
    Node(u32),
    /// Something that is under way already: another attempt, an element of a `map`.
    Other(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Waiting {
    urgency: (u32, Reverse<u64>),
    next: Next,
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self(Mutex::new(Inner { free: count.max(1), came: 0, waiting: BinaryHeap::new() }))
    }

    pub(super) fn wait(&self, rank: u32, next: Next) {
        let mut inner = self.lock();
        inner.came += 1;
        let urgency = (rank, Reverse(inner.came));
        inner.waiting.push(Waiting { urgency, next });
    }

    /// Takes a slot for the most urgent one, if there is a free one and somebody who still waits.
    pub(super) fn next(&self) -> Option<Next> {
        let mut inner = self.lock();
        if inner.free == 0 {
            return None;
        }
        loop {
            let next = inner.waiting.pop()?.next;
            if !matches!(&next, Next::Other(sender) if sender.is_closed()) {
                inner.free -= 1;
                return Some(next);
            }
        }
    }

    pub(super) fn give_back(&self) {
        self.lock().free += 1;
    }

    /// Nobody gets one any more.
    pub(super) fn clear(&self) {
        self.lock().waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.urgency == other.urgency
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.urgency.cmp(&other.urgency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_is_next_and_among_equals_whoever_came_first() {
        let slots = Slots::new(3);
        for (node, rank) in [(0, 1), (1, 5), (2, 5), (3, 2)] {
            slots.wait(rank, Next::Node(node));
        }
        let (gone, _) = oneshot::channel();
        slots.wait(9, Next::Other(gone));
        let next = || match slots.next() {
            Some(Next::Node(node)) => Some(node),
            _ => None,
        };
        assert_eq!([next(), next(), next(), next()], [Some(1), Some(2), Some(3), None]);
        slots.give_back();
        assert_eq!(next(), Some(0));
    }
}
