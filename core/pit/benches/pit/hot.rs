//! Acquiring and releasing one hot model from two threads, beside other ways to share it. Each operation is timed alone.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use podium_pit::pool::{Footprint, LoadError, Loaded, Loader, Pool, Settings};
use podium_pit::time::Monotonic;

use crate::Effort;
use crate::report::{Asked, Row};
use crate::ticks::{Ticks, measure as time};

const THREADS: usize = 2;
/// Models beside the hot one.
const MODELS: u32 = 32;

struct Plain;

impl Loader for Plain {
    type Model = u64;

    fn footprint(&self, _: &str) -> Result<Footprint, LoadError> {
        Ok(Footprint { bytes: 1, cost: Duration::from_millis(1) })
    }

    fn load(&self, name: &str) -> BoxFuture<'static, Result<Loaded<u64>, LoadError>> {
        let model = name.len() as u64;
        async move { Ok(Loaded { model, bytes: 1 }) }.boxed()
    }
}

/// What a peer shares: a model, and how many have it.
struct Shared {
    model: Arc<u64>,
    active: u32,
}

pub(crate) fn measure(effort: Effort) -> Vec<Row> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let pool = Pool::new(Plain, Settings::default(), Arc::new(Monotonic::new()), runtime.handle().clone());
    let ids: Vec<_> = (0..MODELS).map(|n| pool.intern(&format!("model-{n}")).unwrap()).collect();
    for id in &ids {
        drop(runtime.block_on(pool.acquire(*id)).unwrap());
    }
    let hot = ids[7];
    let lease = runtime.block_on(pool.acquire(hot)).unwrap();
    drop(lease);
    let ticks = Ticks::calibrate();
    let count = effort.times(1_000_000);

    let shared = || (0..MODELS).map(|n| (n, Shared { model: Arc::new(u64::from(n)), active: 0 }));
    let mutex = Mutex::new(shared().collect::<HashMap<_, _>>());
    let dash: DashMap<u32, Shared> = shared().collect();
    let swap =
        ArcSwap::from_pointee(shared().map(|(n, shared)| (n, shared.model)).collect::<HashMap<_, _>>());

    let ours = run(&ticks, count, || {
        let guard = pool.try_acquire(hot).expect("it stays loaded");
        black_box(*guard);
    });
    let by_mutex = run(&ticks, count, || {
        let model = {
            let mut map = mutex.lock().unwrap();
            let entry = map.get_mut(&7).unwrap();
            entry.active += 1;
            entry.model.clone()
        };
        black_box(*model);
        drop(model);
        mutex.lock().unwrap().get_mut(&7).unwrap().active -= 1;
    });
    let by_dash = run(&ticks, count, || {
        let model = {
            let mut entry = dash.get_mut(&7).unwrap();
            entry.active += 1;
            entry.model.clone()
        };
        black_box(*model);
        drop(model);
        dash.get_mut(&7).unwrap().active -= 1;
    });
    let by_swap = run(&ticks, count, || {
        let model = swap.load().get(&7).unwrap().clone();
        black_box(*model);
    });
    let row = |peer: &str, theirs: Times| {
        let note =
            format!("p99 {:.0}; alone {:.0}, a pair on average {:.0}", theirs.p99, theirs.alone, theirs.mean);
        Row::new(format!("acquire + release, beside {peer}"), "ns", ours.p50)
            .p99(ours.p99)
            .beside(peer, theirs.p50)
            .note(note)
    };
    vec![
        Row::new("acquire + release, 2 threads, 1 hot model", "ns", ours.p50)
            .p99(ours.p99)
            .asked(Asked::BothAtMost(50.0, 100.0))
            .note(format!("alone {:.0}, a pair on average {:.0}", ours.alone, ours.mean)),
        row("Mutex map", by_mutex),
        row("DashMap", by_dash),
        row("ArcSwap map", by_swap),
    ]
}

/// Nanoseconds of one operation.
#[derive(Clone, Copy)]
struct Times {
    p50: f64,
    p99: f64,
    /// The median with one thread.
    alone: f64,
    /// Wall time over operations of one thread while both run, without timing each.
    mean: f64,
}

fn run(ticks: &Ticks, count: usize, work: impl Fn() + Sync) -> Times {
    let mut alone: Vec<u64> = (0..count).map(|_| time(&work)).collect();
    let mut both = at_once(|| (0..count).map(|_| time(&work)).collect::<Vec<u64>>()).concat();
    let mean = at_once(|| {
        let start = Instant::now();
        (0..count).for_each(|_| work());
        start.elapsed().as_nanos() as f64 / count as f64
    });
    let quantile = |of: &mut Vec<u64>, q: f64| {
        of.sort_unstable();
        ticks.ns(of[((of.len() - 1) as f64 * q) as usize])
    };
    Times {
        p50: quantile(&mut both, 0.5),
        p99: quantile(&mut both, 0.99),
        alone: quantile(&mut alone, 0.5),
        mean: mean.iter().sum::<f64>() / mean.len() as f64,
    }
}

fn at_once<T: Send>(work: impl Fn() -> T + Sync) -> Vec<T> {
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    work()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
