//! Holding a model.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::ModelId;
use super::loader::Loader;
use super::manager::Pool;
use super::slot::Left;
use super::slots::Seat;

/// Holds a ready model until it is dropped. While anybody holds it, it is not unloaded.
#[must_use = "the model may be unloaded as soon as nobody holds it"]
pub struct Guard<'a, L: Loader> {
    pool: &'a Pool<L>,
    seat: &'a Seat<L::Model>,
    id: ModelId,
    generation: u32,
}

impl<'a, L: Loader> Guard<'a, L> {
    /// # Safety
    /// The caller holds the slot of `seat`, which is that of `id`, and leaves letting go to this.
    #[inline]
    pub(super) unsafe fn new(
        pool: &'a Pool<L>,
        seat: &'a Seat<L::Model>,
        id: ModelId,
        generation: u32,
    ) -> Self {
        Self { pool, seat, id, generation }
    }

    pub fn id(&self) -> ModelId {
        self.id
    }

    /// Rises with each unloading (modulo 2^24): equal generations are the same load.
    pub fn generation(&self) -> u32 {
        self.generation
    }
}

impl<L: Loader> Deref for Guard<'_, L> {
    type Target = L::Model;

    #[inline]
    fn deref(&self) -> &L::Model {
        // SAFETY: held since `new`, and what is borrowed of this ends before it does.
        unsafe { model(self.seat) }
    }
}

impl<L: Loader> Drop for Guard<'_, L> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: held since `new`, and nobody looks any more.
        match unsafe { self.seat.slot.release() } {
            Left::Quiet => {}
            // SAFETY: `release` has just answered this.
            left => unsafe { self.pool.left(self.id, self.seat, left) },
        }
    }
}

/// A [`Guard`] that may go anywhere, since it keeps the pool.
#[must_use = "the model may be unloaded as soon as nobody holds it"]
pub struct Lease<L: Loader> {
    pool: Arc<Pool<L>>,
    id: ModelId,
    generation: u32,
}

impl<L: Loader> Lease<L> {
    /// # Safety
    /// The caller holds the slot of `id`, which there is, and leaves letting go to this.
    pub(super) unsafe fn new(pool: Arc<Pool<L>>, id: ModelId, generation: u32) -> Self {
        Self { pool, id, generation }
    }

    pub fn id(&self) -> ModelId {
        self.id
    }

    /// See [`Guard::generation`].
    pub fn generation(&self) -> u32 {
        self.generation
    }

    fn seat(&self) -> &Seat<L::Model> {
        self.pool.seat(self.id).unwrap_or_else(|| unreachable!("a seat stays where it is"))
    }
}

impl<L: Loader> Deref for Lease<L> {
    type Target = L::Model;

    fn deref(&self) -> &L::Model {
        // SAFETY: held since `new`, and what is borrowed of this ends before it does.
        unsafe { model(self.seat()) }
    }
}

impl<L: Loader> Drop for Lease<L> {
    fn drop(&mut self) {
        let seat = self.seat();
        // SAFETY: held since `new`, and nobody looks any more.
        match unsafe { seat.slot.release() } {
            Left::Quiet => {}
            // SAFETY: `release` has just answered this.
            left => unsafe { self.pool.left(self.id, seat, left) },
        }
    }
}

/// # Safety
/// The caller holds the slot for as long as it uses the answer.
#[inline]
unsafe fn model<M>(seat: &Seat<M>) -> &M {
    // SAFETY: nobody writes the place while it is held.
    let held = unsafe { seat.slot.with(|place| (&*place).as_deref()) };
    held.unwrap_or_else(|| unreachable!("what was ready when it was taken has a model"))
}

impl<L: Loader> fmt::Debug for Guard<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("id", &self.id).field("generation", &self.generation).finish()
    }
}

impl<L: Loader> fmt::Debug for Lease<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("id", &self.id).field("generation", &self.generation).finish()
    }
}
