//! The pool as its users meet it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use podium_pit::pool::{LoadError, ModelId, ModelState, ModelView, Pool, PoolError, Settings, Upcoming};
use tokio::runtime::Handle;

use crate::clock::{Hands, until};
use crate::shelf::{Fault, Kind, Shelf, kind};

/// A pool whose loads ahead are off, unless asked for.
fn pool_of(shelf: &Shelf, budget: u64, ahead: usize) -> (Arc<Pool<Shelf>>, Arc<Hands>) {
    let clock = Hands::new();
    let settings = Settings { budget, warm_at_once: ahead, ..Settings::default() };
    (Pool::new(shelf.clone(), settings, clock.clone(), Handle::current()), clock)
}

fn view(pool: &Pool<Shelf>, id: ModelId) -> ModelView {
    pool.view().models.into_iter().find(|model| model.id == id).unwrap()
}

fn state(pool: &Pool<Shelf>, id: ModelId) -> ModelState {
    view(pool, id).state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_ask_at_once_share_one_load() {
    let shelf = Shelf::of([("a", kind(10))]);
    shelf.hold_loads();
    let (pool, _) = pool_of(&shelf, 100, 0);
    let a = pool.intern("a").unwrap();
    assert_eq!(pool.intern("a").unwrap(), a, "a name has one number");
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire(a).await.unwrap().check() })
        })
        .collect();
    until("all wait", || view(&pool, a).waiting == 100).await;
    assert_eq!((state(&pool, a), pool.try_acquire(a).is_none()), (ModelState::Loading, true));
    shelf.let_load(1);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(shelf.loads(), ["a"]);
    let held = pool.try_acquire(a).unwrap();
    assert_eq!((state(&pool, a), view(&pool, a).active), (ModelState::Active, 1));
    drop(held);
    assert_eq!(state(&pool, a), ModelState::Ready);
    let metrics = pool.metrics();
    assert_eq!((metrics.needed, metrics.warm, metrics.loads), (101, 1, 1));
}

#[tokio::test]
async fn a_failed_load_is_told_to_all_who_wait_and_waits_before_the_next_try() {
    let shelf = Shelf::of([("a", kind(10))]);
    shelf.hold_loads();
    shelf.break_down(
        "a",
        Fault::Error(LoadError::new("the file is damaged").with_hints(vec!["fetch it".into()])),
    );
    let (pool, clock) = pool_of(&shelf, 100, 0);
    let a = pool.intern("a").unwrap();
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire(a).await.map(|_| ()) })
        })
        .collect();
    until("all wait", || view(&pool, a).waiting == 5).await;
    shelf.let_load(1 << 19);
    for task in tasks {
        let error = task.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "model `a` could not be loaded: the file is damaged");
    }
    let seen = view(&pool, a);
    assert_eq!(
        (seen.state, seen.reason.as_str(), seen.bytes),
        (ModelState::Failed, "the file is damaged", 0)
    );
    assert_eq!(
        (seen.hints, seen.retry_after),
        (vec!["fetch it".to_owned()], Some(Duration::from_millis(500)))
    );
    clock.forward(499);
    let early = pool.acquire(a).await.unwrap_err();
    let PoolError::Failed { retry_after, .. } = early else { panic!("{early}") };
    assert_eq!((retry_after, shelf.loads().len()), (Duration::from_millis(1), 1));
    clock.forward(1);
    pool.acquire(a).await.unwrap_err();
    assert_eq!(shelf.loads().len(), 2);
    assert_eq!(view(&pool, a).retry_after, Some(Duration::from_secs(1)), "twice as long after two failures");
    shelf.mend("a");
    pool.acquire(a).await.unwrap_err();
    pool.forgive(a);
    pool.acquire(a).await.unwrap().check();
    assert_eq!(view(&pool, a).retry_after, None);
}

#[tokio::test]
async fn a_panic_of_the_loader_and_a_model_that_does_not_warm_fail_one_load_and_keep_no_memory() {
    let shelf = Shelf::of([("a", kind(10)), ("b", kind(10))]);
    let (pool, _) = pool_of(&shelf, 10, 0);
    let (a, b) = (pool.intern("a").unwrap(), pool.intern("b").unwrap());
    shelf.break_down("a", Fault::Panic);
    assert!(pool.acquire(a).await.unwrap_err().to_string().ends_with("loading it panicked"));
    shelf.break_down("b", Fault::Warm);
    assert!(pool.acquire(b).await.unwrap_err().to_string().ends_with("it does not get warm"));
    assert_eq!((pool.view().used, shelf.resident()), (0, 0));
    shelf.mend("a");
    pool.forgive(a);
    pool.acquire(a).await.unwrap().check();
    let unknown = pool.intern("nothing").unwrap();
    assert!(pool.acquire(unknown).await.unwrap_err().to_string().ends_with("there is no `nothing`"));
}

#[tokio::test]
async fn what_is_held_stays_and_a_load_that_needs_its_room_waits_for_it() {
    let shelf = Shelf::of([("a", kind(60)), ("b", kind(60)), ("c", kind(101))]);
    let (pool, _) = pool_of(&shelf, 100, 0);
    let [a, b, c] = ["a", "b", "c"].map(|name| pool.intern(name).unwrap());
    let held = pool.acquire(a).await.unwrap();
    let next = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(b).await.unwrap() }
    });
    until("b waits for memory", || pool.view().waiting_for_memory == 1).await;
    held.check();
    assert_eq!(
        (state(&pool, a), state(&pool, b), shelf.resident()),
        (ModelState::Active, ModelState::Loading, 60)
    );
    drop(held);
    next.await.unwrap().check();
    let gone = view(&pool, a);
    assert_eq!((gone.state, gone.generation), (ModelState::Unloaded, 1));
    assert_eq!(gone.reason, "made room for b: no live run will use it");
    let error = pool.acquire(c).await.unwrap_err().to_string();
    assert!(error.contains("it takes 101 bytes, all models together may take 100"), "{error}");
    assert_eq!((shelf.most(), pool.metrics().evictions), (60, 1));
}

#[tokio::test]
async fn a_retired_model_lives_until_its_last_user_goes_and_others_get_a_new_one() {
    let shelf = Shelf::of([("a", kind(10))]);
    let (pool, _) = pool_of(&shelf, 100, 0);
    let a = pool.intern("a").unwrap();
    let (first, second) = (pool.acquire(a).await.unwrap(), pool.acquire(a).await.unwrap());
    assert!(pool.retire(a, "its file was replaced"));
    assert!(!pool.retire(a, "again"));
    assert_eq!(
        (state(&pool, a), view(&pool, a).reason.as_str()),
        (ModelState::Cooling, "its file was replaced")
    );
    let later = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(a).await.unwrap() }
    });
    drop(first);
    second.check();
    assert_eq!((pool.try_acquire(a).is_none(), shelf.resident()), (true, 10));
    let old = second.generation();
    drop(second);
    let later = later.await.unwrap();
    later.check();
    assert_ne!(later.generation(), old);
    assert_eq!((shelf.loads().len(), shelf.resident()), (2, 10));
}

#[tokio::test]
async fn the_model_whose_next_use_is_farthest_goes_first() {
    let names = ["soon", "later", "never", "new"];
    let shelf = Shelf::of(names.map(|name| (name, kind(30))));
    let (pool, _) = pool_of(&shelf, 100, 0);
    let [soon, later, never, new] = names.map(|name| pool.intern(name).unwrap());
    for id in [soon, later, never] {
        drop(pool.acquire(id).await.unwrap());
    }
    // Much used, but by no run: that alone does not keep it.
    (0..100).for_each(|_| drop(pool.try_acquire(never).unwrap()));
    let due = |node, model, due| Upcoming { node, model, due };
    let run = pool.look_ahead(&[due(0, soon, 1000), due(1, later, 9000), due(2, soon, 20_000)]);
    drop(pool.acquire(new).await.unwrap());
    assert_eq!(
        [never, later, soon].map(|id| state(&pool, id)),
        [ModelState::Unloaded, ModelState::Ready, ModelState::Ready]
    );
    drop(pool.acquire(never).await.unwrap());
    assert_eq!(state(&pool, new), ModelState::Unloaded, "what no run uses goes before what one does");
    let new = [pool.acquire(new).await.unwrap(), pool.acquire(never).await.unwrap()];
    assert_eq!([soon, later].map(|id| state(&pool, id)), [ModelState::Ready, ModelState::Unloaded]);
    assert_eq!(view(&pool, later).reason, "made room for never: its next use, in 9000 ms, is the farthest");
    drop(new);
    drop(run);
    assert_eq!(view(&pool, soon).next_use, None);
}

#[tokio::test]
async fn without_runs_the_one_of_least_worth_goes_first() {
    let mebibytes = |count: u64| kind(count << 20);
    let books =
        [("rare", mebibytes(30)), ("dear", mebibytes(30)), ("large", mebibytes(60)), ("x", mebibytes(30))];
    let shelf = Shelf::of(books);
    let (pool, _) = pool_of(&shelf, 120 << 20, 0);
    let [rare, dear, large, x] = ["rare", "dear", "large", "x"].map(|name| pool.intern(name).unwrap());
    for id in [rare, dear, large] {
        drop(pool.acquire(id).await.unwrap());
        (0..3).for_each(|_| drop(pool.try_acquire(id).unwrap()));
    }
    // All loads took the same time and all were used as often: the large one is worth least for its bytes.
    drop(pool.acquire(x).await.unwrap());
    assert_eq!(
        [rare, dear, large].map(|id| state(&pool, id)),
        [ModelState::Ready, ModelState::Ready, ModelState::Unloaded]
    );
    (0..50).for_each(|_| drop(pool.try_acquire(dear).unwrap()));
    drop(pool.acquire(large).await.unwrap());
    assert_eq!(state(&pool, dear), ModelState::Ready, "the most used stays");
}

#[tokio::test]
async fn a_run_finds_what_it_needs_loaded_ahead() {
    let names = ["a", "b", "c", "d"];
    let shelf = Shelf::of(names.map(|name| (name, kind(40))));
    let (pool, clock) = pool_of(&shelf, 100, 1);
    let ids = names.map(|name| pool.intern(name).unwrap());
    let uses: Vec<Upcoming> =
        (0..4).map(|n| Upcoming { node: n, model: ids[n as usize], due: u64::from(n) * 1000 }).collect();
    let run = pool.look_ahead(&uses);
    for (node, id) in ids.into_iter().enumerate() {
        until("it is warm", || state(&pool, id) == ModelState::Ready).await;
        let held = pool.acquire(id).await.unwrap();
        run.begun(node as u32);
        clock.forward(1000);
        held.check();
    }
    let metrics = pool.metrics();
    assert_eq!((metrics.needed, metrics.warm, metrics.warmed, metrics.warmed_and_used), (4, 4, 4, 4));
    assert_eq!((metrics.coverage(), metrics.precision()), (Some(1.0), Some(1.0)));
    assert_eq!(shelf.loads(), names, "in the order of their use");
    assert!(shelf.most() <= 100);
}

#[tokio::test]
async fn what_was_loaded_ahead_for_nothing_counts_as_waste() {
    let shelf = Shelf::of([("a", kind(60)), ("b", kind(60))]);
    let (pool, _) = pool_of(&shelf, 100, 1);
    let (a, b) = (pool.intern("a").unwrap(), pool.intern("b").unwrap());
    let run = pool.look_ahead(&[Upcoming { node: 0, model: a, due: 10 }]);
    until("it is warm", || state(&pool, a) == ModelState::Ready).await;
    assert_eq!(view(&pool, a).reason, "a live run will use it in 10 ms");
    run.skipped(0);
    drop(pool.acquire(b).await.unwrap());
    let metrics = pool.metrics();
    assert_eq!((metrics.warmed, metrics.wasted, metrics.wasted_bytes), (1, 1, 60));
    assert_eq!((metrics.precision(), metrics.coverage()), (Some(0.0), Some(0.0)));
}

#[tokio::test]
async fn a_model_that_is_larger_than_it_said_gets_room_for_what_it_is_or_is_refused() {
    let grown = Kind { real: 80, ..kind(50) };
    let shelf = Shelf::of([("grown", grown), ("huge", Kind { real: 200, ..kind(50) }), ("a", kind(40))]);
    let (pool, _) = pool_of(&shelf, 100, 0);
    let [grown, huge, a] = ["grown", "huge", "a"].map(|name| pool.intern(name).unwrap());
    drop(pool.acquire(a).await.unwrap());
    pool.acquire(grown).await.unwrap().check();
    assert_eq!((pool.view().used, state(&pool, a), view(&pool, grown).bytes), (80, ModelState::Unloaded, 80));
    let error = pool.acquire(huge).await.unwrap_err().to_string();
    assert!(error.contains("it takes 200 bytes"), "{error}");
    until("only what is counted is there", || pool.view().used == shelf.resident()).await;
}

#[tokio::test]
async fn who_stops_waiting_ends_nothing_for_the_others_and_frees_its_turn() {
    let shelf = Shelf::of([("a", kind(60)), ("b", kind(60)), ("c", kind(30))]);
    let (pool, _) = pool_of(&shelf, 100, 0);
    let [a, b, c] = ["a", "b", "c"].map(|name| pool.intern(name).unwrap());
    let held = pool.acquire(a).await.unwrap();
    let ask = |id| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.acquire(id).await.unwrap() })
    };
    let (first, second) = (ask(b), ask(b));
    until("both wait", || view(&pool, b).waiting == 2).await;
    first.abort();
    until("one waits", || view(&pool, b).waiting == 1).await;
    ask(c).await.unwrap().check();
    second.abort();
    until("nobody waits", || state(&pool, b) == ModelState::Unloaded).await;
    assert_eq!(
        (view(&pool, b).reason.as_str(), pool.view().waiting_for_memory),
        ("nobody waits for it any more", 0)
    );
    held.check();
    drop(held);
    ask(b).await.unwrap().check();
}

#[tokio::test]
async fn what_lies_idle_is_unloaded_unless_a_run_will_use_it() {
    let shelf = Shelf::of([("a", kind(10)), ("b", kind(10)), ("c", kind(10))]);
    let (pool, clock) = pool_of(&shelf, 100, 0);
    let [a, b, c] = ["a", "b", "c"].map(|name| pool.intern(name).unwrap());
    for id in [a, b] {
        drop(pool.acquire(id).await.unwrap());
    }
    let held = pool.acquire(c).await.unwrap();
    let run = pool.look_ahead(&[Upcoming { node: 0, model: b, due: 0 }]);
    clock.forward(299_999);
    pool.maintain();
    assert_eq!([a, b, c].map(|id| view(&pool, id).loads), [1, 1, 1]);
    assert_eq!(state(&pool, a), ModelState::Ready);
    clock.forward(1);
    pool.maintain();
    until("a is gone", || state(&pool, a) == ModelState::Unloaded).await;
    assert_eq!(view(&pool, a).reason, "not used for 300 s");
    assert_eq!([b, c].map(|id| state(&pool, id)), [ModelState::Ready, ModelState::Active]);
    drop((run, held));
    clock.forward(300_000);
    pool.maintain();
    until("all are gone", || shelf.resident() == 0).await;
}

#[tokio::test]
async fn what_is_usually_used_about_now_is_there() {
    let shelf = Shelf::of([("daily", kind(10))]);
    let (pool, clock) = pool_of(&shelf, 100, 1);
    let daily = pool.intern("daily").unwrap();
    for _ in 0..8 {
        drop(pool.acquire(daily).await.unwrap());
        clock.forward(400_000);
        pool.maintain();
        until("unloaded", || state(&pool, daily) == ModelState::Unloaded).await;
        clock.forward(600_000);
        if pool.metrics().needed < 8 {
            continue;
        }
        pool.maintain();
        until("loaded ahead", || state(&pool, daily) == ModelState::Ready).await;
        assert_eq!(view(&pool, daily).reason, "it is usually used about now");
    }
    assert!(pool.try_acquire(daily).is_some());
    let metrics = pool.metrics();
    assert_eq!((metrics.warmed, metrics.warmed_and_used, metrics.wasted), (1, 1, 0));
}

#[tokio::test]
async fn a_smaller_budget_takes_back_what_nobody_holds_and_the_rest_when_it_is_let_go() {
    let shelf = Shelf::of([("a", kind(40)), ("b", kind(40))]);
    let (pool, _) = pool_of(&shelf, 100, 0);
    let (a, b) = (pool.intern("a").unwrap(), pool.intern("b").unwrap());
    drop(pool.acquire(a).await.unwrap());
    let held = pool.acquire(b).await.unwrap();
    pool.set_budget(30);
    until("a is gone", || shelf.resident() == 40).await;
    held.check();
    drop(held);
    until("b is gone", || shelf.resident() == 0).await;
    assert!(pool.acquire(a).await.unwrap_err().to_string().contains("may take 30"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_threads_that_come_and_go_nothing_held_is_unloaded_and_nobody_is_left_behind() {
    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let shelf = Shelf::of(NAMES.map(|name| (name, kind(40))));
    let (pool, _) = pool_of(&shelf, 100, 1);
    let ids = NAMES.map(|name| pool.intern(name).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let hits = Arc::new(AtomicU64::new(0));
    let retiring = tokio::spawn({
        let (pool, stop) = (pool.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                pool.retire(ids[0], "by hand");
                drop(pool.look_ahead(&[Upcoming { node: 0, model: ids[5], due: 5 }]));
                tokio::task::yield_now().await;
            }
        }
    });
    let workers: Vec<_> = (0..8_u64)
        .map(|worker| {
            let (pool, hits) = (pool.clone(), hits.clone());
            tokio::spawn(async move {
                for step in 0..400_u64 {
                    let id = ids[((worker * 31 + step * 17) % 6) as usize];
                    let lease = pool.acquire(id).await.unwrap();
                    lease.check();
                    assert_eq!(lease.name, NAMES[ids.iter().position(|known| *known == id).unwrap()]);
                    if let Some(guard) = pool.try_acquire(id) {
                        guard.check();
                        hits.fetch_add(1, Ordering::Relaxed);
                    }
                    if step % 3 == 0 {
                        tokio::task::yield_now().await;
                    }
                    lease.check();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    retiring.await.unwrap();
    assert!(shelf.most() <= 100, "{} bytes were there at once", shelf.most());
    assert!(hits.load(Ordering::Relaxed) > 0);
    until("what is counted is there", || pool.view().used == shelf.resident()).await;
    let metrics = pool.metrics();
    assert_eq!(metrics.needed, 3200 + hits.load(Ordering::Relaxed));
}
