//! The slot under loom: the same source, with loom's atomics and cells, in every order that two or three threads allow.

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};

    pub(super) struct Place<T>(loom::cell::UnsafeCell<T>);

    impl<T> Place<T> {
        pub(super) fn new(value: T) -> Self {
            Self(loom::cell::UnsafeCell::new(value))
        }

        pub(super) fn with<R>(&self, look: impl FnOnce(*const T) -> R) -> R {
            self.0.with(look)
        }

        pub(super) fn with_mut<R>(&self, change: impl FnOnce(*mut T) -> R) -> R {
            self.0.with_mut(change)
        }
    }
}

#[expect(dead_code, reason = "counting uses and waiting for loads is not the lock-free part")]
#[expect(clippy::duplicate_mod, reason = "the very source is tested, with other kinds below it")]
#[path = "slot.rs"]
mod slot;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use self::slot::{Left, Slot};
use super::word;
use super::word::Stage;

/// A model that tells of its end.
struct Model {
    alive: Arc<AtomicUsize>,
}

impl Model {
    fn made(alive: &Arc<AtomicUsize>) -> Box<Self> {
        alive.fetch_add(1, Ordering::SeqCst);
        Box::new(Self { alive: alive.clone() })
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

fn load(slot: &Slot<Model>, alive: &Arc<AtomicUsize>) -> bool {
    let first = slot.begin_load();
    if first {
        // SAFETY: this thread began to load it.
        unsafe { slot.publish(Model::made(alive), false) };
    }
    first
}

/// Holds the model if it is ready, looks at it, and leaves it the way a guard does. Answers whether it was ready.
fn visit(slot: &Slot<Model>) -> bool {
    if slot.acquire().is_err() {
        return false;
    }
    // SAFETY: held since the line above.
    unsafe {
        slot.with(|place| {
            let place: &Option<Box<Model>> = &*place;
            let model = place.as_ref().expect("a model that is held is there");
            assert!(model.alive.load(Ordering::SeqCst) > 0, "a model that is held lives");
        });
        if slot.release() == Left::Retired {
            drop(slot.take_left().expect("the last holder takes it out"));
            slot.end_cooling();
        }
    }
    true
}

fn evict(slot: &Slot<Model>) -> bool {
    let Some((_, model)) = slot.evict() else { return false };
    drop(model);
    // SAFETY: this thread took the model out and dropped it.
    unsafe { slot.end_cooling() };
    true
}

fn setting() -> (Arc<Slot<Model>>, Arc<AtomicUsize>) {
    (Arc::new(Slot::new()), Arc::new(AtomicUsize::new(0)))
}

#[test]
fn of_two_who_load_one_does_and_the_other_sees_the_whole_model() {
    loom::model(|| {
        let (slot, alive) = setting();
        let other = thread::spawn({
            let (slot, alive) = (slot.clone(), alive.clone());
            move || {
                let loaded = load(&slot, &alive);
                visit(&slot);
                loaded
            }
        });
        let loaded = load(&slot, &alive);
        visit(&slot);
        assert!(loaded ^ other.join().unwrap(), "exactly one loads it");
        assert_eq!(alive.load(Ordering::SeqCst), 1);
        assert_eq!(slot.word().active(), 0);
    });
}

#[test]
fn an_eviction_never_takes_a_model_that_is_held() {
    loom::model(|| {
        let (slot, alive) = setting();
        load(&slot, &alive);
        let before = slot.word().generation();
        let visitor = thread::spawn({
            let slot = slot.clone();
            move || visit(&slot)
        });
        let evicted = evict(&slot);
        visitor.join().unwrap();
        let word = slot.word();
        assert_eq!(alive.load(Ordering::SeqCst), usize::from(!evicted));
        assert_eq!(word.generation(), before + u32::from(evicted));
        assert_eq!(word.stage(), if evicted { Stage::Unloaded } else { Stage::Ready });
    });
}

#[test]
fn a_retired_model_goes_with_the_last_who_holds_it() {
    loom::model(|| {
        let (slot, alive) = setting();
        load(&slot, &alive);
        let visitors = [(); 2].map(|()| {
            let slot = slot.clone();
            thread::spawn(move || visit(&slot))
        });
        slot.await_release();
        let (ready, idle) = slot.retire();
        assert!(ready.is_some());
        if let Some(model) = idle {
            drop(model);
            // SAFETY: this thread took the model out and dropped it.
            unsafe { slot.end_cooling() };
        }
        for visitor in visitors {
            visitor.join().unwrap();
        }
        assert_eq!(alive.load(Ordering::SeqCst), 0, "it is gone, once");
        assert_eq!((slot.word().stage(), slot.word().active()), (Stage::Unloaded, 0));
    });
}

#[test]
fn who_waits_for_a_release_is_told_of_it() {
    loom::model(|| {
        let (slot, alive) = setting();
        load(&slot, &alive);
        slot.acquire().unwrap();
        let holder = thread::spawn({
            let slot = slot.clone();
            // SAFETY: held since before the thread began.
            move || unsafe { slot.release() }
        });
        let promised = slot.await_release();
        let told = holder.join().unwrap();
        assert_eq!(promised, told == Left::Awaited, "either it was free already, or the holder tells");
        assert!(evict(&slot));
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_model_evicted_and_loaded_again_is_the_new_one_for_all() {
    loom::model(|| {
        let (slot, alive) = setting();
        load(&slot, &alive);
        let visitor = thread::spawn({
            let slot = slot.clone();
            move || {
                visit(&slot);
                visit(&slot);
            }
        });
        if evict(&slot) {
            assert!(load(&slot, &alive));
        }
        visitor.join().unwrap();
        assert_eq!(alive.load(Ordering::SeqCst), 1);
        assert_eq!((slot.word().stage(), slot.word().active()), (Stage::Ready, 0));
    });
}
