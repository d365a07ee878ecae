//! How fair the arbiter is, how long anybody waits, and what a decision costs.
//!
//! Four users ask for nodes of different shapes without end, in made-up time; what each got is its dominant share over
//! time. Jain's index of these is 1 if all got the same and 1/4 if one got everything.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use podium_pit::arbitration::{
    Arbiter, Capacity, Decision, DecisionSink, Grant, Needs, Refusal, Request, Settings,
};
use podium_pit::time::Clock;

use crate::Effort;
use crate::report::{Asked, Row};

#[derive(Debug, Default)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

struct Nowhere;

impl DecisionSink for Nowhere {
    fn decided(&self, _: &Decision) {}
}

const CAPACITY: Capacity = Capacity { memory: 16_000, cpu: 8_000, tokens_per_minute: 1 << 40, cost: None };

/// (memory, processors, milliseconds held) of each user's nodes.
const SHAPES: [(u64, u64, u64); 4] =
    [(4_000, 500, 900), (500, 2_000, 400), (1_000, 500, 2_000), (9_000, 4_000, 1_500)];

fn request(user: usize, node: usize) -> Request {
    let (memory, cpu, _) = SHAPES[user];
    Request {
        user: format!("user-{user}").into(),
        run: format!("run-{user}").into(),
        node: format!("{user}-{node}").into(),
        weight: 1,
        needs: Needs { memory, cpu, ..Needs::default() },
    }
}

type Waiting<'a> = (u64, BoxFuture<'a, Result<Grant, Refusal>>);

pub(crate) fn measure(effort: Effort) -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let (jain, longest, most_waiting) = fairness(&runtime, effort.times(60_000) as u64);
    let decision = decision_cost(&runtime, effort);
    vec![
        Row::new("Jain's index of 4 users' dominant shares", "", jain).asked(Asked::AtLeast(0.9)),
        Row::new("longest wait of any node", "s", longest)
            .asked(Asked::AtMost(Settings::default().patience.as_secs_f64() + 2.0 * (most_waiting as f64)))
            .note(format!("{most_waiting} waited at a time; held for 2 s at most; patience 30 s")),
        Row::new("ask + grant + release, nobody waits", "us", decision.0),
        Row::new("release + grant to one of 1,000 who wait", "us", decision.1),
    ]
}

/// Plays so many milliseconds.
fn fairness(runtime: &tokio::runtime::Runtime, until: u64) -> (f64, f64, usize) {
    const BACKLOG: usize = 8;
    let clock = Arc::new(Hands::default());
    let arbiter = Arbiter::new(
        CAPACITY,
        Settings::default(),
        clock.clone(),
        Arc::new(Nowhere),
        runtime.handle().clone(),
    );
    let arbiter = &arbiter;
    let mut asking: [VecDeque<Waiting<'_>>; 4] = Default::default();
    let mut held: BTreeMap<(u64, usize), (usize, Grant)> = BTreeMap::new();
    let (mut got, mut longest, mut nodes, mut now) = ([0.0_f64; 4], 0_u64, 0, 0);
    while now < until {
        for (user, line) in asking.iter_mut().enumerate() {
            while line.len() < BACKLOG {
                nodes += 1;
                let request = request(user, nodes);
                let mut asked = async move { arbiter.acquire(request).await }.boxed();
                // A grant at once is picked up below with the others.
                match (&mut asked).now_or_never() {
                    Some(grant) => line.push_back((now, std::future::ready(grant).boxed())),
                    None => line.push_back((now, asked)),
                }
            }
        }
        let mut granted = false;
        for (user, line) in asking.iter_mut().enumerate() {
            for _ in 0..line.len() {
                let Some((since, mut asked)) = line.pop_front() else { break };
                match (&mut asked).now_or_never() {
                    None => line.push_back((since, asked)),
                    Some(grant) => {
                        granted = true;
                        longest = longest.max(now - since);
                        let (memory, cpu, holds) = SHAPES[user];
                        let share =
                            (memory as f64 / CAPACITY.memory as f64).max(cpu as f64 / CAPACITY.cpu as f64);
                        got[user] += share * holds as f64;
                        nodes += 1;
                        held.insert((now + holds, nodes), (user, grant.unwrap()));
                    }
                }
            }
        }
        if granted {
            continue;
        }
        let Some(((next, _), _)) = held.first_key_value() else { break };
        now = *next;
        clock.0.store(now, Ordering::Relaxed);
        while held.first_key_value().is_some_and(|((at, _), _)| *at <= now) {
            drop(held.pop_first());
        }
    }
    let (sum, squares) = (got.iter().sum::<f64>(), got.iter().map(|x| x * x).sum::<f64>());
    let waiting = asking.iter().map(VecDeque::len).sum();
    (sum * sum / (got.len() as f64 * squares), longest as f64 / 1e3, waiting)
}

/// Microseconds, medians.
fn decision_cost(runtime: &tokio::runtime::Runtime, effort: Effort) -> (f64, f64) {
    let clock = Arc::new(Hands::default());
    let capacity = Capacity { memory: 1_000, ..CAPACITY };
    let arbiter =
        Arbiter::new(capacity, Settings::default(), clock, Arc::new(Nowhere), runtime.handle().clone());
    let ask = |user: usize, node: usize, memory: u64| {
        let needs = Needs { memory, ..Needs::default() };
        let arbiter = arbiter.clone();
        let request = Request { needs, ..request(user % 4, node) };
        async move { arbiter.acquire(request).await }
    };
    let median = |mut of: Vec<Duration>| {
        of.sort_unstable();
        of[of.len() / 2].as_secs_f64() * 1e6
    };
    let timed = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let free = (0..effort.times(10_000))
        .map(|node| timed(&mut || drop(ask(node, node, 10).now_or_never().expect("nobody waits").unwrap())));
    let free = median(free.collect());
    let mut held = ask(0, 1 << 30, 1_000).now_or_never().expect("nobody waits").ok();
    let mut waiting: VecDeque<_> = (0..1_000).map(|node| ask(node, node, 1_000).boxed()).collect();
    waiting.iter_mut().for_each(|asked| assert!(asked.now_or_never().is_none()));
    let mut times = Vec::new();
    for node in 0..effort.times(500) {
        times.push(timed(&mut || drop(held.take())));
        for _ in 0..waiting.len() {
            let Some(mut asked) = waiting.pop_front() else { break };
            match (&mut asked).now_or_never() {
                Some(grant) => {
                    held = grant.ok();
                    break;
                }
                None => waiting.push_back(asked),
            }
        }
        let mut another = ask(node, 10_000 + node, 1_000).boxed();
        assert!((&mut another).now_or_never().is_none());
        waiting.push_back(another);
    }
    drop(waiting);
    (free, median(times))
}
