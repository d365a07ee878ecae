//! The slots of all models that were ever named, found by number without a lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ModelId;
use super::arrivals::Arrivals;
use super::slot::Slot;

const PER_CHUNK: usize = 64;
const CHUNKS: usize = 64;
/// Models that one pool knows at most.
pub(super) const MOST: usize = PER_CHUNK * CHUNKS;

/// Grows by chunks, which stay where they are.
pub(super) struct Slots<T> {
    chunks: [OnceLock<Box<[Seat<T>]>>; CHUNKS],
}

/// A slot, and what is kept about its use.
pub(super) struct Seat<T> {
    pub(super) slot: Slot<T>,
    pub(super) track: Track,
}

/// Touched at most once in a tick of the coarse time.
#[derive(Default)]
pub(super) struct Track {
    pub(super) arrivals: Arrivals,
    floor: AtomicU64,
}

impl Track {
    /// The pool's floor of worth when this was last used; see [`super::ledger`].
    pub(super) fn floor(&self) -> f64 {
        f64::from_bits(self.floor.load(Ordering::Relaxed))
    }

    pub(super) fn set_floor(&self, bits: u64) {
        self.floor.store(bits, Ordering::Relaxed);
    }
}

impl<T> Slots<T> {
    pub(super) fn new() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS] }
    }

    #[inline]
    pub(super) fn get(&self, id: ModelId) -> Option<&Seat<T>> {
        let index = id.0 as usize;
        self.chunks.get(index / PER_CHUNK)?.get()?.get(index % PER_CHUNK)
    }

    /// Makes sure that there is one for `id`. False if that is one too many.
    pub(super) fn make(&self, id: ModelId) -> bool {
        let Some(chunk) = self.chunks.get(id.0 as usize / PER_CHUNK) else { return false };
        chunk.get_or_init(|| {
            let seat = || Seat { slot: Slot::new(), track: Track::default() };
            std::iter::repeat_with(seat).take(PER_CHUNK).collect()
        });
        true
    }
}
