//! The book's promises, on made-up lives of many nodes in made-up time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::book::{Book, Settings};
use super::decision::{Reason, Verdict};
use super::paths::WritePath;
use super::request::{Capacity, Needs, Request, Spent};

const PATIENCE: u64 = 2_000;
const LONGEST_HOLD: u64 = 1_000;

#[derive(Debug, Clone)]
struct Life {
    user: usize,
    run: usize,
    /// Hundredths of what there is.
    memory: u64,
    cpu: u64,
    tokens: u64,
    cost: u64,
    paths: Vec<usize>,
    /// After the one before, in milliseconds.
    comes: u64,
    holds: u64,
    /// Instead of waiting to the end.
    leaves_after: Option<u64>,
    /// Hundredths of its tokens and cost that it uses.
    uses: u64,
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let part = || prop_oneof![2 => Just(0_u64), 5 => 1_u64..40, 1 => 40_u64..=100];
    let paths = prop::collection::vec(0..PLACES.len(), 0..3);
    let holds = 1..LONGEST_HOLD;
    let leaves = prop_oneof![6 => Just(None), 1 => (0_u64..3_000).prop_map(Some)];
    let needs = (part(), part(), part(), part(), paths);
    let life = (0..4_usize, 0..3_usize, needs, 0_u64..400, holds, leaves, 0_u64..=100).prop_map(
        |(user, run, (memory, cpu, tokens, cost, paths), comes, holds, leaves_after, uses)| Life {
            user,
            run,
            memory,
            cpu,
            tokens,
            cost,
            paths,
            comes,
            holds,
            leaves_after,
            uses,
        },
    );
    prop::collection::vec(life, 1..80)
}

const PLACES: [&str; 6] = ["a", "a/b", "a/b/c", "a/bc", "d", "d/e"];

fn capacity() -> Capacity {
    Capacity { memory: 1_000, cpu: 8_000, tokens_per_minute: 60_000, cost: Some(500) }
}

fn request(index: usize, life: &Life, root: &Path) -> Request {
    let place = |path: &usize| WritePath::resolve(root, Path::new(PLACES[*path])).unwrap();
    let capacity = capacity();
    let needs = Needs {
        memory: capacity.memory * life.memory / 100,
        cpu: capacity.cpu * life.cpu / 100,
        tokens: capacity.tokens_per_minute * life.tokens / 100,
        cost: life.cost / 2,
        writes: life.paths.iter().map(place).collect(),
    };
    Request {
        user: format!("user-{}", life.user).into(),
        run: format!("run-{}", life.run).into(),
        node: format!("node-{index}").into(),
        weight: 1,
        needs,
    }
}

#[derive(Default)]
struct Seen {
    /// Who waits: since when, and how many older ones there were then.
    waiting: HashMap<u64, (usize, u64, u64)>,
    held: HashMap<u64, Request>,
    ended: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Comes(usize),
    Releases(u64, usize),
    Leaves(u64),
    Wakes,
}

/// Plays all lives to their end, and checks what has to hold all the time.
fn play(lives: &[Life]) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { patience: Duration::from_millis(PATIENCE), ..Settings::default() };
    let mut book = Book::new(capacity(), settings, Duration::ZERO);
    let mut seen = Seen::default();
    let mut agenda: Vec<(u64, Event)> = Vec::new();
    let mut comes = 0;
    for (index, life) in lives.iter().enumerate() {
        comes += life.comes;
        agenda.push((comes, Event::Comes(index)));
    }
    while let Some(next) = agenda.iter().min().copied() {
        agenda.retain(|event| *event != next);
        let (ms, event) = next;
        let now = Duration::from_millis(ms);
        match event {
            Event::Comes(index) => {
                let request = request(index, &lives[index], folder.path());
                let Ok(id) = book.submit(now, request) else {
                    seen.ended += 1;
                    continue;
                };
                seen.waiting.insert(id, (index, ms, seen.waiting.len() as u64));
                agenda.extend(lives[index].leaves_after.map(|after| (ms + after, Event::Leaves(id))));
            }
            Event::Releases(id, index) => {
                let request = seen.held.remove(&id).unwrap();
                let used = |of: u64| of * lives[index].uses / 100;
                let spent = Spent { tokens: used(request.needs.tokens), cost: used(request.needs.cost) };
                book.release(now, id, Some(spent));
                seen.ended += 1;
            }
            Event::Leaves(id) => {
                if book.withdraw(now, id) {
                    seen.waiting.remove(&id).unwrap();
                    seen.ended += 1;
                }
            }
            Event::Wakes => {}
        }
        for (id, end) in book.pass(now) {
            let (index, since, older) = seen.waiting.remove(&id).unwrap();
            let bound = PATIENCE + (older + 1) * (LONGEST_HOLD + 60_000);
            assert!(ms - since <= bound, "waited {} ms behind {older}", ms - since);
            match end {
                Ok(()) => {
                    seen.held.insert(id, request(index, &lives[index], folder.path()));
                    agenda.push((ms + lives[index].holds, Event::Releases(id, index)));
                }
                Err(refusal) => {
                    assert_eq!(
                        refusal.reason,
                        Reason::CostExceeded,
                        "what was possible once only money ends"
                    );
                    seen.ended += 1;
                }
            }
        }
        check(&seen);
        agenda.extend(book.wake().map(|wake| (wake.as_millis() as u64, Event::Wakes)));
        agenda.sort();
        agenda.dedup();
    }
    assert_eq!(seen.waiting.len(), 0, "nobody waits for ever");
    assert_eq!(seen.ended, lives.len());
    let log = book.take_log();
    let granted = log.iter().filter(|decision| decision.verdict == Verdict::Granted).count();
    let released = log.iter().filter(|decision| decision.verdict == Verdict::Released).count();
    assert_eq!(granted, released);
}

fn check(seen: &Seen) {
    let capacity = capacity();
    let sum = |of: fn(&Needs) -> u64| seen.held.values().map(|request| of(&request.needs)).sum::<u64>();
    assert!(sum(|needs| needs.memory) <= capacity.memory);
    assert!(sum(|needs| needs.cpu) <= capacity.cpu);
    let places: Vec<(&u64, &WritePath)> = seen
        .held
        .iter()
        .flat_map(|(id, held)| held.needs.writes.iter().map(move |place| (id, place)))
        .collect();
    for (id, place) in &places {
        assert!(!places.iter().any(|(other, taken)| other != id && taken.overlaps(place)), "{places:?}");
    }
}

/// What one node of each user needs, in units of which there are `TOTAL`.
const TOTAL: [u64; 3] = [600, 600, 600];
/// Nodes of each user that wait.
const BACKLOG: u64 = 64;

fn grants_of(demands: &[[u64; 3]], weights: &[u32]) -> Vec<usize> {
    let capacity = Capacity { memory: TOTAL[0], cpu: TOTAL[1], tokens_per_minute: TOTAL[2], cost: None };
    let mut book = Book::new(capacity, Settings::default(), Duration::ZERO);
    let user = |user: usize| -> Arc<str> { format!("user-{user}").into() };
    let ask = |who: Arc<str>, node: String, [memory, cpu, tokens]: [u64; 3]| {
        let needs = Needs { memory, cpu, tokens, ..Needs::default() };
        Request { user: who, run: "run".into(), node: node.into(), weight: 1, needs }
    };
    for (index, weight) in weights.iter().enumerate() {
        book.set_weight(&user(index), *weight);
    }
    let mut whose = HashMap::new();
    for (index, demand) in demands.iter().enumerate() {
        for node in 0..BACKLOG {
            let id =
                book.submit(Duration::ZERO, ask(user(index), format!("{index}-{node}"), *demand)).unwrap();
            whose.insert(id, index);
        }
    }
    book.pass(Duration::ZERO).into_iter().map(|(id, _)| whose[&id]).collect()
}

fn times(bundle: [u64; 3], demand: [u64; 3]) -> u64 {
    bundle
        .iter()
        .zip(demand)
        .filter(|(_, demand)| *demand > 0)
        .map(|(has, demand)| has / demand)
        .min()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nobody_starves_nothing_deadlocks_and_no_more_is_given_than_there_is(lives in lives()) {
        play(&lives);
    }

    /// Dominant resource fairness with whole nodes: until something runs out, nobody could run more with what another
    /// has, less one node of that other's.
    #[test]
    fn nobody_envies_another(demands in prop::collection::vec([1_u64..40, 1_u64..40, 1_u64..40], 2..5)) {
        let mut has = vec![0_u64; demands.len()];
        let bundle = |user: usize, nodes: u64| demands[user].map(|part| part * nodes);
        for user in grants_of(&demands, &[]) {
            let taken = |resource: usize| (0..demands.len()).map(|u| bundle(u, has[u])[resource]).sum::<u64>();
            let fits = |demand: &[u64; 3]| (0..3).all(|r| taken(r) + demand[r] <= TOTAL[r]);
            prop_assert!(fits(&demands[user]));
            // From here on somebody may have less because there is not enough for one more, or because it wants no more.
            if !demands.iter().all(fits) || has.contains(&BACKLOG) {
                break;
            }
            has[user] += 1;
            for (mine, demand) in demands.iter().enumerate() {
                for other in 0..demands.len() {
                    let theirs = bundle(other, has[other].saturating_sub(1));
                    prop_assert!(times(theirs, *demand) <= has[mine], "{mine} envies {other}: {has:?}");
                }
            }
        }
    }

    #[test]
    fn users_share_by_weight(weights in prop::collection::vec(1_u32..5, 2..4)) {
        let demands = vec![[20, 1, 1]; weights.len()];
        let mut has = vec![0_u32; weights.len()];
        for user in grants_of(&demands, &weights) {
            has[user] += 1;
            for (a, b) in (0..has.len()).flat_map(|a| (0..has.len()).map(move |b| (a, b))) {
                let (less, more) = (f64::from(has[a]) / f64::from(weights[a]), f64::from(has[b].saturating_sub(1)) / f64::from(weights[b]));
                prop_assert!(more <= less + 1e-9, "{has:?} of {weights:?}");
            }
        }
    }

    /// Weighted fair queueing: at any time, runs that always have something waiting were served by weight, to within
    /// one node each.
    #[test]
    fn runs_of_one_user_share_by_weight(weights in prop::collection::vec(1_u32..6, 2..5), parts in 1_u64..=6) {
        let capacity = Capacity { memory: 6, cpu: 1, tokens_per_minute: 1, cost: None };
        let patience = Duration::from_secs(1_000_000);
        let mut book = Book::new(capacity, Settings { patience, ..Settings::default() }, Duration::ZERO);
        let mut whose = HashMap::new();
        for (run, weight) in weights.iter().enumerate() {
            for node in 0..60 {
                let needs = Needs { memory: parts, ..Needs::default() };
                let (name, node) = (format!("run-{run}").into(), format!("{run}-{node}").into());
                let request = Request { user: "ann".into(), run: name, node, weight: *weight, needs };
                whose.insert(book.submit(Duration::ZERO, request).unwrap(), run);
            }
        }
        let mut served = vec![0_u32; weights.len()];
        for _ in 0..40 {
            for (id, _) in book.pass(Duration::ZERO) {
                served[whose[&id]] += 1;
                book.release(Duration::ZERO, id, None);
            }
            let share = |run: usize| f64::from(served[run]) / f64::from(weights[run]);
            let one = |run: usize| 1.0 / f64::from(weights[run]);
            if served.contains(&60) {
                break;
            }
            for (a, b) in (0..served.len()).flat_map(|a| (0..served.len()).map(move |b| (a, b))) {
                prop_assert!(share(a) - share(b) <= one(a) + one(b) + 1e-9, "{served:?} by {weights:?}");
            }
        }
    }
}
