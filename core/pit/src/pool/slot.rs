//! One model's place: the packed word, and the model itself while there is one.
//!
//! The word says who may touch the model. While it is ready and counted, whoever is counted may read it. Between the
//! change from unloaded to loading and the one to ready, only whoever made the first may write it; between the change
//! to cooling with nobody counted and the one to unloaded, only whoever made the first, or left last, may take it.

use super::sync::{AtomicU64, Ordering, Place};
use super::word::{Stage, Word};

/// On a pair of cache lines of its own: neighbours are not slowed down by a busy one, nor by the processor's prefetcher.
#[repr(align(128))]
pub(super) struct Slot<T> {
    word: AtomicU64,
    /// Times it was taken while warm. On the line that taking it has just made this processor's own.
    hits: AtomicU64,
    /// When it was last used, in milliseconds of the pool's coarse time; 0: never.
    last_use: AtomicU64,
    model: Place<Option<Box<T>>>,
}

// SAFETY: the model is shared with readers on any thread (Sync) and may be dropped on another thread than it was made on
// (Send); the word keeps writers apart from readers.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

/// What leaving a model has to be followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Quiet,
    /// Nobody holds it now, and somebody waits for that.
    Awaited,
    /// It was retired, and the last holder takes it out.
    Retired,
}

impl<T> Slot<T> {
    pub(super) fn new() -> Self {
        Self {
            word: AtomicU64::new(Word::new(Stage::Unloaded, 0).0),
            hits: AtomicU64::new(0),
            last_use: AtomicU64::new(0),
            model: Place::new(None),
        }
    }

    /// What it is at; only a hint to who does not hold it.
    pub(super) fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    /// Holds the model if it is ready: one compare-and-swap when nobody else is at it. Answers the word before or, if
    /// it cannot be held, the present one.
    #[inline]
    pub(super) fn acquire(&self) -> Result<Word, Word> {
        let mut seen = Word(self.word.load(Ordering::Relaxed));
        loop {
            if !seen.is_open() {
                return Err(seen);
            }
            let next = seen.with_one_more().0;
            match self.word.compare_exchange_weak(seen.0, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(seen),
                Err(now) => seen = Word(now),
            }
        }
    }

    /// Lets go of it.
    ///
    /// # Safety
    /// The caller holds it, and does not look at the model any more.
    #[inline]
    pub(super) unsafe fn release(&self) -> Left {
        let before = Word(self.word.fetch_sub(1, Ordering::Release));
        match before.active() {
            1 if before.stage() == Stage::Cooling => Left::Retired,
            1 if before.awaited() => Left::Awaited,
            _ => Left::Quiet,
        }
    }

    /// Looks at the model.
    ///
    /// # Safety
    /// The caller holds it for as long as it uses what `look` answers.
    #[inline]
    pub(super) unsafe fn with<R>(&self, look: impl FnOnce(*const Option<Box<T>>) -> R) -> R {
        self.model.with(look)
    }

    /// Begins to load: of all who try, one succeeds.
    pub(super) fn begin_load(&self) -> bool {
        let loadable = |word: Word| matches!(word.stage(), Stage::Unloaded | Stage::Failed);
        self.change(|word| loadable(word).then(|| word.at(Stage::Loading))).is_ok()
    }

    /// From loading on to another stage that is not ready.
    ///
    /// # Safety
    /// The caller began to load it and has not ended that.
    pub(super) unsafe fn go_on_loading(&self, stage: Stage) {
        let word = Word(self.word.load(Ordering::Relaxed));
        self.word.store(word.at(stage).0, Ordering::Release);
    }

    /// Ends loading: from here on it can be held. `fresh`: nobody asked for it yet.
    ///
    /// # Safety
    /// The caller began to load it and has not ended that.
    pub(super) unsafe fn publish(&self, model: Box<T>, fresh: bool) {
        // SAFETY: between `begin_load` and here nobody else touches the place, as the caller promises.
        self.model.with_mut(|place| unsafe { *place = Some(model) });
        let ready = Word(self.word.load(Ordering::Relaxed)).at(Stage::Ready);
        let ready = if fresh { ready.made_fresh() } else { ready };
        self.word.store(ready.0, Ordering::Release);
    }

    /// Takes a ready model out if nobody holds it. Answers it with the word before.
    pub(super) fn evict(&self) -> Option<(Word, Box<T>)> {
        let idle = |word: Word| word.stage() == Stage::Ready && word.active() == 0;
        let before = self.change(|word| idle(word).then(|| word.cooling())).ok()?;
        // SAFETY: nobody held it at the change to cooling, and nobody can hold it since.
        unsafe { self.take() }.map(|model| (before, model))
    }

    /// Lets nobody hold a ready model any more. Answers whether it was ready, and the model unless somebody still
    /// holds it: then whoever leaves last takes it by [`take_left`](Self::take_left).
    pub(super) fn retire(&self) -> (Option<Word>, Option<Box<T>>) {
        let ready = |word: Word| word.stage() == Stage::Ready;
        match self.change(|word| ready(word).then(|| word.cooling())) {
            Err(_) => (None, None),
            Ok(before) if before.active() > 0 => (Some(before), None),
            // SAFETY: nobody held it at the change to cooling, and nobody can hold it since.
            Ok(before) => (Some(before), unsafe { self.take() }),
        }
    }

    /// The retired model, for whoever left last.
    ///
    /// # Safety
    /// The caller's [`release`](Self::release) answered [`Left::Retired`], and this is the only call after it.
    pub(super) unsafe fn take_left(&self) -> Option<Box<T>> {
        // So that all that the others did with it has happened before it goes.
        let _ = self.word.load(Ordering::Acquire);
        // SAFETY: nobody holds a cooling model anew, so it has one last holder, and that is the caller.
        unsafe { self.take() }
    }

    /// Ends cooling: its memory is free.
    ///
    /// # Safety
    /// The caller took the model out and has dropped it.
    pub(super) unsafe fn end_cooling(&self) {
        let word = Word(self.word.load(Ordering::Relaxed));
        self.word.store(word.at(Stage::Unloaded).0, Ordering::Release);
    }

    /// Asks to be told when nobody holds it. Answers whether somebody does, and so will tell.
    pub(super) fn await_release(&self) -> bool {
        let held = |word: Word| word.stage() == Stage::Ready && word.active() > 0;
        self.change(|word| held(word).then(|| word.made_awaited())).is_ok()
    }

    /// Takes back [`await_release`](Self::await_release).
    pub(super) fn forget_awaited(&self) {
        let _ = self.change(|word| word.awaited().then(|| word.not_awaited()));
    }

    #[inline]
    pub(super) fn count_hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn last_use(&self) -> u64 {
        self.last_use.load(Ordering::Relaxed)
    }

    /// Answers the use before.
    pub(super) fn used_at(&self, now: u64) -> u64 {
        self.last_use.swap(now, Ordering::Relaxed)
    }

    /// # Safety
    /// Nobody else can reach the model: it is cooling, nobody holds it, and this is the only call since.
    unsafe fn take(&self) -> Option<Box<T>> {
        // SAFETY: as the caller promises.
        self.model.with_mut(|place| unsafe { &mut *place }.take())
    }

    /// Changes the word by `next` as long as that answers one. Answers the word before, or the one that was refused.
    fn change(&self, next: impl Fn(Word) -> Option<Word>) -> Result<Word, Word> {
        let mut seen = Word(self.word.load(Ordering::Relaxed));
        while let Some(wanted) = next(seen) {
            match self.word.compare_exchange_weak(seen.0, wanted.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Ok(seen),
                Err(now) => seen = Word(now),
            }
        }
        Err(seen)
    }
}
