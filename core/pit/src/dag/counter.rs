//! What a node still waits for.

use std::sync::atomic::{AtomicU64, Ordering};

/// The word that a [`Counter`] keeps: an atomic of the standard library, or that of a model checker.
pub(crate) trait Word {
    fn new(value: u64) -> Self;
    fn load(&self) -> u64;
    /// Adds (wrapping) and gives what was there before.
    fn add(&self, value: u64) -> u64;
    fn mark(&self, bits: u64);
}

impl Word for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    fn load(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    // Who brings the last edge has to see what those before it wrote, and hands that on.
    fn add(&self, value: u64) -> u64 {
        self.fetch_add(value, Ordering::AcqRel)
    }

    fn mark(&self, bits: u64) {
        self.fetch_or(bits, Ordering::Relaxed);
    }
}

/// The edges into a node that are not yet decided (low 32 bits), how many were decided as not taken (31
/// bits), and whether one brought a value.
#[derive(Debug)]
pub(crate) struct Counter<W = AtomicU64>(W);

const WAITING: u64 = u32::MAX as u64;
const MISSED: u64 = 1 << 32;
const VALUED: u64 = 1 << 63;

/// What is known once all edges are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many edges were not taken.
    pub(crate) missed: u32,
    /// Whether any brought a value.
    pub(crate) valued: bool,
}

impl<W: Word> Counter<W> {
    pub(crate) fn new(edges: u32) -> Self {
        Self(W::new(u64::from(edges)))
    }

    /// An edge is taken. True for the last one.
    pub(crate) fn taken(&self, valued: bool) -> bool {
        if valued {
            self.0.mark(VALUED);
        }
        self.0.add(1_u64.wrapping_neg()) & WAITING == 1
    }

    /// An edge is not taken. True for the last one.
    pub(crate) fn missed(&self) -> bool {
        self.0.add(MISSED - 1) & WAITING == 1
    }

    pub(crate) fn tally(&self) -> Tally {
        let word = self.0.load();
        Tally { missed: ((word & !VALUED) >> 32) as u32, valued: word & VALUED != 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering as StdOrdering;

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU64 as Checked, AtomicUsize, Ordering};
    use loom::thread;
    use proptest::prelude::*;

    use super::*;

    impl Word for Checked {
        fn new(value: u64) -> Self {
            Self::new(value)
        }

        fn load(&self) -> u64 {
            self.load(Ordering::Acquire)
        }

        fn add(&self, value: u64) -> u64 {
            self.fetch_add(value, Ordering::AcqRel)
        }

        fn mark(&self, bits: u64) {
            self.fetch_or(bits, Ordering::Relaxed);
        }
    }

    struct Child {
        counter: Counter<Checked>,
        outputs: [UnsafeCell<u32>; 2],
        ran: AtomicUsize,
    }

    /// In every interleaving of two parents, exactly one runs the child, and it sees what both wrote.
    #[test]
    fn the_last_parent_and_only_it_runs_the_child_and_sees_what_all_gave() {
        loom::model(|| {
            let child = Arc::new(Child {
                counter: Counter::new(2),
                outputs: [UnsafeCell::new(0), UnsafeCell::new(0)],
                ran: AtomicUsize::new(0),
            });
            let parent = |place: usize| {
                let child = Arc::clone(&child);
                move || {
                    child.outputs[place].with_mut(|output| unsafe { *output = 7 });
                    let last = if place == 0 { child.counter.taken(true) } else { child.counter.missed() };
                    if last {
                        child.ran.fetch_add(1, Ordering::Relaxed);
                        let seen = [0, 1].map(|place| child.outputs[place].with(|output| unsafe { *output }));
                        assert_eq!(seen, [7, 7]);
                        assert_eq!(child.counter.tally(), Tally { missed: 1, valued: true });
                    }
                }
            };
            let other = thread::spawn(parent(0));
            parent(1)();
            other.join().unwrap();
            assert_eq!(child.ran.load(StdOrdering::Relaxed), 1);
        });
    }

    proptest! {
        #[test]
        fn edges_are_counted_whatever_their_order(edges in prop::collection::vec((any::<bool>(), any::<bool>()), 1..200)) {
            let counter: Counter = Counter::new(u32::try_from(edges.len()).unwrap());
            let lasts: Vec<bool> = edges
                .iter()
                .map(|(taken, valued)| if *taken { counter.taken(*valued) } else { counter.missed() })
                .collect();
            prop_assert_eq!(lasts.iter().position(|last| *last), Some(edges.len() - 1));
            let missed = edges.iter().filter(|(taken, _)| !taken).count();
            let valued = edges.iter().any(|(taken, valued)| *taken && *valued);
            prop_assert_eq!(counter.tally(), Tally { missed: u32::try_from(missed).unwrap(), valued });
        }
    }
}
