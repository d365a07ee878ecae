//! A token bucket: how many requests one connection may send.

use std::time::Instant;

/// Seconds of its rate that a bucket holds: a burst may be this long.
const BURST_SECONDS: f64 = 2.0;

#[derive(Debug)]
pub(crate) struct TokenBucket {
    rate: f64,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    pub(crate) fn new(per_second: f64, now: Instant) -> Self {
        Self { rate: per_second, tokens: per_second * BURST_SECONDS, filled: now }
    }

    /// Takes one token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.rate * BURST_SECONDS);
        self.filled = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_bounded_and_refills_with_time() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(10.0, start);
        assert_eq!((0..100).filter(|_| bucket.take(start)).count(), 20);
        assert!(!bucket.take(start + Duration::from_millis(50)));
        assert!(bucket.take(start + Duration::from_millis(150)));
    }

    #[test]
    fn a_clock_that_stands_still_gives_nothing_for_free() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(1.0, start + Duration::from_secs(10));
        assert_eq!((0..10).filter(|_| bucket.take(start)).count(), 2);
    }
}
