//! The clock that decisions are made by, so that tests move it.

use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

/// A clock that only goes forward.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Time since some fixed moment.
    fn now(&self) -> Duration;

    /// Ends when so much time has passed by this clock. Awaited within a tokio runtime.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move { tokio::time::sleep(time).await })
    }
}

/// The machine's monotonic clock, from its making on.
#[derive(Debug)]
pub struct Monotonic(Instant);

impl Monotonic {
    #[must_use]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for Monotonic {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
