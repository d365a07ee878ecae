//! A clock that tests move.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use podium_pit::time::Clock;
use tokio::sync::watch;

/// Stands still but for [`forward`](Self::forward).
#[derive(Debug)]
pub(crate) struct Hands(watch::Sender<Duration>);

impl Hands {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(Duration::ZERO)))
    }

    pub(crate) fn forward(&self, milliseconds: u64) {
        self.0.send_modify(|now| *now += Duration::from_millis(milliseconds));
    }
}

impl Clock for Hands {
    fn now(&self) -> Duration {
        *self.0.borrow()
    }

    // tidy-allow(sleep): by the hands of this clock, which a test moves.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let (end, mut told) = (self.now() + time, self.0.subscribe());
        async move { drop(told.wait_for(|now| *now >= end).await) }.boxed()
    }
}

/// Until something has become so, which other tasks see to.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(std::time::Instant::now() < end, "never came about: {what}");
        tokio::task::yield_now().await;
    }
}
