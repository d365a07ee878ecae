//! Times of single operations of some ten nanoseconds, by the processor's own counter.

use std::time::{Duration, Instant};

/// Nanoseconds by the processor's counter, which costs less to read than a clock.
pub(crate) struct Ticks {
    ns_per_tick: f64,
    /// What measuring nothing takes, in ticks.
    empty: u64,
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn now() -> u64 {
    // SAFETY: all processors of this kind have the counter.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn now() -> u64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

impl Ticks {
    pub(crate) fn calibrate() -> Self {
        let (start, first) = (Instant::now(), now());
        while start.elapsed() < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        let ns_per_tick = start.elapsed().as_nanos() as f64 / (now() - first) as f64;
        let mut empty: Vec<u64> = (0..10_001).map(|_| measure(|| ())).collect();
        empty.sort_unstable();
        Self { ns_per_tick, empty: empty[empty.len() / 2] }
    }

    /// Nanoseconds of what [`measure`] told, without the measuring.
    pub(crate) fn ns(&self, ticks: u64) -> f64 {
        ticks.saturating_sub(self.empty) as f64 * self.ns_per_tick
    }
}

#[inline]
pub(crate) fn measure(work: impl FnOnce()) -> u64 {
    let start = now();
    work();
    now() - start
}
