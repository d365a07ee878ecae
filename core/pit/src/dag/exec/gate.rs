//! Whether a run may start anything.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::watch;

/// Open until somebody pauses the run; shut for good by a failure, a cancellation or a broken journal.
#[derive(Debug)]
pub(super) struct Gate {
    bits: AtomicU8,
    changed: watch::Sender<u8>,
}

/// Nothing more is started in this run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shut;

pub(super) const PAUSED: u8 = 1;
/// A node failed for good.
pub(super) const HALTED: u8 = 2;
pub(super) const CANCELLED: u8 = 4;
/// The journal failed.
pub(super) const BROKEN: u8 = 8;
const SHUT: u8 = HALTED | CANCELLED | BROKEN;

impl Gate {
    pub(super) fn new() -> Self {
        Self { bits: AtomicU8::new(0), changed: watch::Sender::new(0) }
    }

    pub(super) fn is_open(&self) -> bool {
        self.bits.load(Ordering::SeqCst) == 0
    }

    pub(super) fn is_shut(&self) -> bool {
        self.bits.load(Ordering::SeqCst) & SHUT != 0
    }

    pub(super) fn is(&self, bit: u8) -> bool {
        self.bits.load(Ordering::SeqCst) & bit != 0
    }

    /// True if it was not so before.
    pub(super) fn set(&self, bit: u8) -> bool {
        let before = self.bits.fetch_or(bit, Ordering::SeqCst);
        self.changed.send_replace(before | bit);
        before & bit == 0
    }

    /// True if it was so before.
    pub(super) fn clear(&self, bit: u8) -> bool {
        let before = self.bits.fetch_and(!bit, Ordering::SeqCst);
        self.changed.send_replace(before & !bit);
        before & bit != 0
    }

    /// Waits while the run is paused.
    pub(super) async fn pass(&self) -> Result<(), Shut> {
        let mut changed = self.changed.subscribe();
        while !self.is_open() {
            if self.is_shut() || changed.changed().await.is_err() {
                return Err(Shut);
            }
        }
        Ok(())
    }

    /// Waits until nothing more is started.
    pub(super) async fn shut(&self) {
        let mut changed = self.changed.subscribe();
        while !self.is_shut() && changed.changed().await.is_ok() {}
    }
}
