//! Signs of life of a running turn beside its chunks, and the nudge that follows their absence.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Pulse {
    alive: Notify,
    nudge: Notify,
    busy: AtomicUsize,
}

impl Pulse {
    pub(crate) fn beat(&self) {
        self.alive.notify_one();
    }

    /// The next beat, or one since the last time that was asked. Cancel-safe.
    pub(crate) async fn beats(&self) {
        self.alive.notified().await;
    }

    pub(crate) fn nudge(&self) {
        self.nudge.notify_waiters();
    }

    pub(crate) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }
}

/// Held while something is done for an agent.
#[derive(Debug)]
pub struct Busy(Arc<Pulse>);

impl Busy {
    pub(crate) fn of(pulse: &Arc<Pulse>) -> Self {
        pulse.busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(pulse))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        self.0.beat();
    }
}
