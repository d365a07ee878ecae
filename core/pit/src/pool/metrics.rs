//! How good the pool's foresight is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts since the pool was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolMetrics {
    /// Times a model was asked for and had, or waited for.
    pub needed: u64,
    /// Of those, the model was ready.
    pub warm: u64,
    /// Of those that waited, the model was already being loaded ahead.
    pub late: u64,
    pub loads: u64,
    pub failed_loads: u64,
    /// Models unloaded to make room. Those unloaded because they lay idle, or by a person, are not among them.
    pub evictions: u64,
    /// Models loaded before anybody asked.
    pub warmed: u64,
    /// Of those, used while they were there.
    pub warmed_and_used: u64,
    /// Of those, unloaded without having been used. The rest may still be used.
    pub wasted: u64,
    /// Memory that the wasted ones took, summed.
    pub wasted_bytes: u64,
    /// Time that loading the wasted ones took, summed.
    pub wasted_time: Duration,
}

impl PoolMetrics {
    /// Share of the needs that found the model ready, 0 to 1; `None` before the first.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        share(self.warm, self.needed)
    }

    /// Share of what was loaded ahead that was used, of what it is known of; `None` before that.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        share(self.warmed_and_used, self.warmed_and_used + self.wasted)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) cold: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) loads: AtomicU64,
    pub(super) failed_loads: AtomicU64,
    pub(super) evictions: AtomicU64,
    pub(super) warmed: AtomicU64,
    pub(super) warmed_and_used: AtomicU64,
    pub(super) wasted: AtomicU64,
    pub(super) wasted_bytes: AtomicU64,
    pub(super) wasted_ms: AtomicU64,
}

impl Counters {
    pub(super) fn one(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A model loaded ahead goes without having been used.
    pub(super) fn waste(&self, bytes: u64, took: Duration) {
        Self::one(&self.wasted);
        self.wasted_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.wasted_ms.fetch_add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// With `warm`, the hits of all slots.
    pub(super) fn read(&self, warm: u64) -> PoolMetrics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PoolMetrics {
            needed: warm + of(&self.cold),
            warm,
            late: of(&self.late),
            loads: of(&self.loads),
            failed_loads: of(&self.failed_loads),
            evictions: of(&self.evictions),
            warmed: of(&self.warmed),
            warmed_and_used: of(&self.warmed_and_used),
            wasted: of(&self.wasted),
            wasted_bytes: of(&self.wasted_bytes),
            wasted_time: Duration::from_millis(of(&self.wasted_ms)),
        }
    }
}
