//! Waiting for a condition that cannot tell by itself when it holds.

use std::time::{Duration, Instant};

/// A bounded wait for a condition.
#[derive(Debug, Clone, Copy)]
pub struct Poll {
    timeout: Duration,
    every: Duration,
}

impl Poll {
    /// Looks every 10 ms for at most `timeout`.
    #[must_use]
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout, every: Duration::from_millis(10) }
    }

    #[must_use]
    pub const fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// The first value that `look` gives; `None` when none came in time. Looks once more at the deadline.
    pub fn until<T>(self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + self.timeout;
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            let now = Instant::now();
            if now >= deadline {
                return look();
            }
            std::thread::sleep(self.every.min(deadline - now));
        }
    }

    /// As [`Poll::until`].
    ///
    /// # Panics
    /// When no value came in time; `what` says what was waited for.
    pub fn expect<T>(self, what: &str, look: impl FnMut() -> Option<T>) -> T {
        self.until(look).unwrap_or_else(|| panic!("waited {:?} in vain: {what}", self.timeout))
    }
}

/// Waits at most 20 s for a condition.
///
/// # Panics
/// When it does not come true.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    Poll::new(Duration::from_secs(20)).expect(what, || condition().then_some(()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_the_wait_and_a_deadline_does_too() {
        let mut looks = 0;
        let poll = Poll::new(Duration::from_secs(60)).every(Duration::ZERO);
        let found = poll.until(|| {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, Some(3));
        assert_eq!(Poll::new(Duration::ZERO).until(|| None::<()>), None);
    }
}
