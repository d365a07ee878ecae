//! All that a slot's users agree on, in one 64-bit word: `state 8 | generation 24 | active 32`.
//!
//! Of the state's eight bits the lower three are the state, the upper two are flags. They share the word with the
//! counter so that whoever takes or leaves a model learns of them by the very operation that counts it.

use std::fmt;

const ACTIVE: u64 = 0xffff_ffff;
const GENERATION_SHIFT: u32 = 32;
const GENERATION: u64 = 0x00ff_ffff << GENERATION_SHIFT;
const STATE_SHIFT: u32 = 56;
const STATE: u64 = 0b111 << STATE_SHIFT;
const FRESH: u64 = 0x40 << STATE_SHIFT;
const AWAITED: u64 = 0x80 << STATE_SHIFT;

/// What a slot is at. That a ready model is in use shows in the counter, not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    Unloaded = 0,
    Loading = 1,
    Warming = 2,
    Ready = 3,
    Cooling = 4,
    Failed = 5,
}

/// One value of a slot's word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    pub(super) const fn new(stage: Stage, generation: u32) -> Self {
        Self(((stage as u64) << STATE_SHIFT) | (((generation as u64) << GENERATION_SHIFT) & GENERATION))
    }

    pub(super) fn stage(self) -> Stage {
        match (self.0 & STATE) >> STATE_SHIFT {
            0 => Stage::Unloaded,
            1 => Stage::Loading,
            2 => Stage::Warming,
            3 => Stage::Ready,
            4 => Stage::Cooling,
            _ => Stage::Failed,
        }
    }

    /// Rises with each unloading, modulo 2^24.
    pub(super) const fn generation(self) -> u32 {
        ((self.0 & GENERATION) >> GENERATION_SHIFT) as u32
    }

    /// How many hold it.
    pub(super) const fn active(self) -> u32 {
        (self.0 & ACTIVE) as u32
    }

    /// Loaded before anybody asked, and not used since.
    pub(super) const fn fresh(self) -> bool {
        self.0 & FRESH != 0
    }

    /// Somebody waits until nobody holds it.
    pub(super) const fn awaited(self) -> bool {
        self.0 & AWAITED != 0
    }

    /// Whether one more may hold it.
    pub(super) const fn is_open(self) -> bool {
        self.0 & STATE == (Stage::Ready as u64) << STATE_SHIFT && self.active() != u32::MAX
    }

    /// One more holds it, so it is not fresh any more.
    pub(super) const fn with_one_more(self) -> Self {
        Self((self.0 & !FRESH) + 1)
    }

    /// In another stage, without flags, held by as many.
    pub(super) const fn at(self, stage: Stage) -> Self {
        Self(Self::new(stage, self.generation()).0 | self.active() as u64)
    }

    /// On its way out, as the next generation.
    pub(super) const fn cooling(self) -> Self {
        Self(Self::new(Stage::Cooling, self.generation().wrapping_add(1)).0 | self.active() as u64)
    }

    pub(super) const fn made_fresh(self) -> Self {
        Self(self.0 | FRESH)
    }

    pub(super) const fn made_awaited(self) -> Self {
        Self(self.0 | AWAITED)
    }

    pub(super) const fn not_awaited(self) -> Self {
        Self(self.0 & !AWAITED)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Word")
            .field("stage", &self.stage())
            .field("generation", &self.generation())
            .field("active", &self.active())
            .field("fresh", &self.fresh())
            .field("awaited", &self.awaited())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stages() -> impl Strategy<Value = Stage> {
        use Stage::*;
        prop::sample::select(vec![Unloaded, Loading, Warming, Ready, Cooling, Failed])
    }

    proptest! {
        #[test]
        fn no_part_of_a_word_touches_another(
            stage in stages(),
            next in stages(),
            generation in 0..1_u32 << 24,
            holders in 0_u32..1000,
        ) {
            let mut word = Word::new(stage, generation).made_fresh().made_awaited();
            for _ in 0..holders {
                word = word.with_one_more();
            }
            prop_assert_eq!((word.stage(), word.generation(), word.active()), (stage, generation, holders));
            prop_assert_eq!((word.fresh(), word.awaited()), (holders == 0, true));
            let moved = word.at(next);
            prop_assert_eq!((moved.stage(), moved.generation(), moved.active()), (next, generation, holders));
            prop_assert!(!moved.fresh() && !moved.awaited());
            let leaving = word.cooling();
            prop_assert_eq!(leaving.generation(), (generation + 1) % (1 << 24));
            prop_assert_eq!((leaving.stage(), leaving.active()), (Stage::Cooling, holders));
        }
    }

    #[test]
    fn a_full_counter_takes_nobody_more() {
        let full = Word(Word::new(Stage::Ready, 0).0 | u64::from(u32::MAX));
        assert!(!full.is_open());
        assert!(Word(full.0 - 1).is_open());
    }
}
