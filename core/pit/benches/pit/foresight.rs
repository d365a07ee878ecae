//! How often a node finds its model ready, on generated workflows: with the look-ahead into their graphs, and without.
//!
//! Workflows are layered graphs of 12 to 40 nodes, each node using one of 16 models whose popularity falls like 1/rank;
//! models of different sizes and load times share memory for about a third of them. Two workflows run at a time, two
//! nodes of each. What the pool is told of times is off by up to a half. All times are a fiftieth of what they stand for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use podium_pit::pool::{
    Footprint, LoadError, Loaded, Loader, ModelId, Pool, PoolMetrics, Settings, Upcoming,
};
use podium_pit::time::Monotonic;
use tokio::sync::Mutex;

use crate::Effort;
use crate::report::{Asked, Row};

const MODELS: u64 = 16;
const FASTER: u64 = 50;

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    /// Below `bound`.
    fn roll(&mut self, bound: u64) -> u64 {
        // splitmix64: Steele et al., 2014.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[derive(Clone)]
struct Node {
    model: u64,
    /// Milliseconds.
    takes: u64,
    expected: u64,
    after: Vec<usize>,
}

fn bytes(model: u64) -> u64 {
    50 + (model * 37) % 200
}

/// Milliseconds to load it.
fn cost(model: u64) -> u64 {
    bytes(model) * 3
}

fn workflow(dice: &mut Dice) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut before = 0..0;
    for _ in 0..6 + dice.roll(5) {
        let from = nodes.len();
        for _ in 0..1 + dice.roll(4) {
            let after = before.clone().filter(|_| dice.roll(3) > 0).collect::<Vec<_>>();
            let after = if after.is_empty() { before.clone().take(1).collect() } else { after };
            let takes = 200 + dice.roll(2_800);
            let expected = takes / 2 + dice.roll(takes);
            nodes.push(Node { model: popular(dice), takes, expected, after });
        }
        before = from..nodes.len();
    }
    nodes
}

fn popular(dice: &mut Dice) -> u64 {
    let weight = |rank: u64| 1_000 / (rank + 1);
    let mut left = dice.roll((0..MODELS).map(weight).sum());
    (0..MODELS)
        .find(|rank| {
            left < weight(*rank) || {
                left -= weight(*rank);
                false
            }
        })
        .unwrap_or(0)
}

struct Weights;

impl Loader for Weights {
    type Model = ();

    fn footprint(&self, name: &str) -> Result<Footprint, LoadError> {
        let model = name.parse().map_err(|_| LoadError::new("no such model"))?;
        Ok(Footprint { bytes: bytes(model), cost: Duration::from_millis(cost(model)) })
    }

    fn load(&self, name: &str) -> BoxFuture<'static, Result<Loaded<()>, LoadError>> {
        let model: u64 = name.parse().unwrap_or(0);
        let load = async move {
            tokio::time::sleep(Duration::from_millis(cost(model)) / FASTER as u32).await;
            Ok(Loaded { model: (), bytes: bytes(model) })
        };
        load.boxed()
    }
}

pub(crate) fn measure(effort: Effort) -> Vec<Row> {
    let ahead = trace(effort, 2);
    let none = trace(effort, 0);
    let percent = |share: Option<f64>| share.unwrap_or(0.0) * 100.0;
    let wasted = format!(
        "{} of {} loads, {} ahead; {} MB-loads wasted",
        ahead.loads, none.loads, ahead.warmed, ahead.wasted_bytes
    );
    vec![
        Row::new("coverage: needs that find their model ready", "%", percent(ahead.coverage()))
            .beside("without look-ahead", percent(none.coverage()))
            .asked(Asked::AtLeast(80.0))
            .note(format!("{} needs, {} of the rest already loading", ahead.needed, ahead.late)),
        Row::new("precision: loaded ahead and used", "%", percent(ahead.precision())).note(wasted),
        Row::new("waste: time of loads for nothing", "s", ahead.wasted_time.as_secs_f64() * FASTER as f64),
    ]
}

fn trace(effort: Effort, warm_at_once: usize) -> PoolMetrics {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        let budget = (0..MODELS).map(bytes).sum::<u64>() / 3;
        let settings = Settings { budget, warm_at_once, ..Settings::default() };
        let clock = Arc::new(Monotonic::new());
        let pool = Pool::new(Weights, settings, clock, tokio::runtime::Handle::current());
        let mut dice = Dice(2026);
        let workflows: VecDeque<_> = (0..effort.times(40)).map(|_| workflow(&mut dice)).collect();
        let workflows = Arc::new(Mutex::new(workflows));
        let lanes = (0..2).map(|_| {
            let (pool, workflows) = (pool.clone(), workflows.clone());
            tokio::spawn(async move {
                loop {
                    let next = workflows.lock().await.pop_front();
                    let Some(nodes) = next else { return };
                    run(&pool, nodes).await;
                }
            })
        });
        join_all(lanes).await.into_iter().for_each(|lane| lane.unwrap());
        pool.metrics()
    })
}

async fn run(pool: &Arc<Pool<Weights>>, nodes: Vec<Node>) {
    let ids: Vec<ModelId> = nodes.iter().map(|node| pool.intern(&node.model.to_string()).unwrap()).collect();
    let mut due: Vec<u64> = Vec::new();
    for node in &nodes {
        due.push(node.after.iter().map(|before| due[*before] + nodes[*before].expected).max().unwrap_or(0));
    }
    let uses: Vec<Upcoming> =
        (0..nodes.len()).map(|n| Upcoming { node: n as u32, model: ids[n], due: due[n] }).collect();
    let ahead = pool.look_ahead(&uses);
    // Something comes before the first model in every workflow: its input is read.
    tokio::time::sleep(Duration::from_millis(500) / FASTER as u32).await;
    let places = tokio::sync::Semaphore::new(2);
    let done: Vec<_> = nodes.iter().map(|_| tokio::sync::watch::channel(false)).collect();
    let all = nodes.iter().enumerate().map(|(index, node)| {
        let (ahead, places, done, id) = (&ahead, &places, &done, ids[index]);
        async move {
            for before in &node.after {
                done[*before].1.clone().wait_for(|done| *done).await.unwrap();
            }
            let place = places.acquire().await.unwrap();
            let lease = pool.acquire(id).await.unwrap();
            ahead.begun(index as u32);
            tokio::time::sleep(Duration::from_millis(node.takes) / FASTER as u32).await;
            drop((lease, place));
            done[index].0.send_replace(true);
        }
    });
    join_all(all).await;
}
