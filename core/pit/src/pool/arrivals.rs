//! How long a model is usually left alone: a histogram of the gaps between its uses.
//!
//! After the hybrid policy of Shahrad et al., "Serverless in the Wild" (2020): few percent of the gaps are shorter than
//! where pre-warming begins, few are longer than where keeping warm ends.

use std::sync::atomic::{AtomicU32, Ordering};

/// Four buckets for each doubling, from 1 ms to 2^32 ms (50 days).
const PER_DOUBLING: u32 = 4;
const BUCKETS: usize = 32 * PER_DOUBLING as usize;
/// With fewer gaps nothing is foretold.
const ENOUGH: u32 = 6;
/// Counts are halved when one reaches this, so that old habits fade.
const FULL: u32 = 1 << 10;

/// Gaps of one model.
#[derive(Debug)]
pub(super) struct Arrivals {
    counts: [AtomicU32; BUCKETS],
}

/// When the next use is likely, in milliseconds after the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Earlier than this come 5 of 100.
    pub(super) from: u64,
    /// Later than this come 5 of 100.
    pub(super) until: u64,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { counts: [const { AtomicU32::new(0) }; BUCKETS] }
    }
}

impl Arrivals {
    /// Counts a gap between two uses, in milliseconds.
    pub(super) fn count(&self, gap: u64) {
        let bucket = &self.counts[bucket_of(gap)];
        if bucket.fetch_add(1, Ordering::Relaxed) + 1 >= FULL {
            for count in &self.counts {
                count.store(count.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
    }

    /// `None` as long as too little is known.
    pub(super) fn window(&self) -> Option<Window> {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let total: u32 = counts.iter().sum();
        if total < ENOUGH {
            return None;
        }
        let rank = |percent: u32| (total * percent).div_ceil(100).max(1);
        let bucket_at = |rank: u32| {
            let mut passed = 0;
            counts.iter().position(|count| {
                passed += count;
                passed >= rank
            })
        };
        let from = start_of(bucket_at(rank(5))?);
        let until = start_of(bucket_at(rank(95))? + 1);
        Some(Window { from, until })
    }
}

fn bucket_of(gap: u64) -> usize {
    let gap = gap.clamp(1, u64::from(u32::MAX));
    let doubling = gap.ilog2();
    let within = ((gap - (1 << doubling)) * u64::from(PER_DOUBLING)) >> doubling;
    (doubling * PER_DOUBLING) as usize + within as usize
}

/// The smallest gap of a bucket, in milliseconds.
fn start_of(bucket: usize) -> u64 {
    let (doubling, within) = (bucket / PER_DOUBLING as usize, bucket % PER_DOUBLING as usize);
    let start = 1_u64 << doubling;
    start + ((start * within as u64) / u64::from(PER_DOUBLING))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_gap_lies_in_its_bucket(gap in 4_u64..u64::from(u32::MAX)) {
            let bucket = bucket_of(gap);
            prop_assert!(start_of(bucket) <= gap && gap < start_of(bucket + 1), "{gap} in {bucket}");
        }

        #[test]
        fn nearly_all_gaps_lie_in_the_window(gaps in prop::collection::vec(4_u64..10_000_000, 20..200)) {
            let arrivals = Arrivals::default();
            gaps.iter().for_each(|gap| arrivals.count(*gap));
            let window = arrivals.window().unwrap();
            let inside = gaps.iter().filter(|gap| (window.from..=window.until).contains(gap)).count();
            prop_assert!(inside * 100 >= gaps.len() * 88, "{inside} of {}", gaps.len());
        }
    }

    #[test]
    fn a_few_uses_foretell_nothing() {
        let arrivals = Arrivals::default();
        (0..ENOUGH - 1).for_each(|_| arrivals.count(1000));
        assert_eq!(arrivals.window(), None);
        arrivals.count(1000);
        let window = arrivals.window().unwrap();
        assert!(window.from <= 1000 && 1000 < window.until && window.until <= 1300, "{window:?}");
    }
}
