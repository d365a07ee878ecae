//! Tokens per minute, as a bucket that fills by the millisecond.

use std::time::Duration;

const MS_A_MINUTE: i128 = 60_000;

/// Counts in tokens * 60,000, so that each millisecond adds a whole number.
#[derive(Debug)]
pub(super) struct Bucket {
    per_minute: u64,
    /// Below 0 after somebody used more than was foreseen.
    level: i128,
    at: Duration,
}

impl Bucket {
    pub(super) fn new(per_minute: u64, now: Duration) -> Self {
        Self { per_minute, level: i128::from(per_minute) * MS_A_MINUTE, at: now }
    }

    pub(super) fn refill(&mut self, now: Duration) {
        let passed = now.as_millis().saturating_sub(self.at.as_millis());
        if passed == 0 {
            return;
        }
        self.at = now;
        let full = i128::from(self.per_minute) * MS_A_MINUTE;
        let passed = i128::try_from(passed).unwrap_or(i128::MAX).min(1 << 60);
        self.level = (self.level + passed * i128::from(self.per_minute)).min(full);
    }

    /// Whole tokens that can be taken.
    pub(super) fn available(&self) -> u64 {
        u64::try_from(self.level / MS_A_MINUTE).unwrap_or(0)
    }

    /// Time until so many can be taken. `None` if there are never as many.
    pub(super) fn wait_for(&self, tokens: u64) -> Option<Duration> {
        if tokens > self.per_minute {
            return None;
        }
        let lacking = (i128::from(tokens) * MS_A_MINUTE - self.level).max(0);
        let per_ms = i128::from(self.per_minute.max(1));
        Some(Duration::from_millis(u64::try_from((lacking + per_ms - 1) / per_ms).unwrap_or(u64::MAX)))
    }

    pub(super) fn take(&mut self, tokens: u64) {
        self.level -= i128::from(tokens) * MS_A_MINUTE;
    }

    /// What was taken and not used.
    pub(super) fn give_back(&mut self, tokens: u64) {
        let full = i128::from(self.per_minute) * MS_A_MINUTE;
        self.level = (self.level + i128::from(tokens) * MS_A_MINUTE).min(full);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn in_no_minute_more_is_taken_than_a_burst_and_a_minute_of_refill(
            per_minute in 1_u64..1_000_000,
            steps in prop::collection::vec((0_u64..30_000, 1_u64..1_000_000), 1..60),
        ) {
            let mut now = Duration::ZERO;
            let mut bucket = Bucket::new(per_minute, now);
            let mut taken: Vec<(Duration, u64)> = Vec::new();
            for (pass, wanted) in steps {
                now += Duration::from_millis(pass);
                bucket.refill(now);
                if wanted <= bucket.available() {
                    bucket.take(wanted);
                    taken.push((now, wanted));
                }
                let minute = |at: &Duration| now - *at <= Duration::from_secs(60);
                let within: u64 = taken.iter().filter(|(at, _)| minute(at)).map(|(_, n)| n).sum();
                prop_assert!(within <= 2 * per_minute);
            }
        }

        #[test]
        fn after_the_wait_that_it_tells_and_not_before_there_are_as_many(
            per_minute in 1_u64..100_000,
            first in 0_u64..100_000,
            then in 0_u64..100_000,
        ) {
            let available = |wait| {
                let mut bucket = Bucket::new(per_minute, Duration::ZERO);
                bucket.take(first);
                bucket.refill(wait);
                bucket.available()
            };
            let mut bucket = Bucket::new(per_minute, Duration::ZERO);
            bucket.take(first);
            match bucket.wait_for(then) {
                None => prop_assert!(then > per_minute),
                Some(wait) => {
                    prop_assert!(available(wait) >= then);
                    let before = wait.saturating_sub(Duration::from_millis(1));
                    prop_assert!(wait.is_zero() || available(before) < then);
                }
            }
        }
    }
}
