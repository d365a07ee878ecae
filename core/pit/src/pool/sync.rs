//! What a slot is built of. A test puts loom's kinds in the place of these.

use std::cell::UnsafeCell;

pub(super) use std::sync::atomic::{AtomicU64, Ordering};

/// A place that a slot's word says who may touch.
#[derive(Debug)]
pub(super) struct Place<T>(UnsafeCell<T>);

impl<T> Place<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(super) fn with<R>(&self, look: impl FnOnce(*const T) -> R) -> R {
        look(self.0.get())
    }

    pub(super) fn with_mut<R>(&self, change: impl FnOnce(*mut T) -> R) -> R {
        change(self.0.get())
    }
}
