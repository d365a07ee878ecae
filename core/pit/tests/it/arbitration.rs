//! The arbiter as nodes meet it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use podium_pit::arbitration::{
    Arbiter, Capacity, Decision, DecisionSink, Grant, Needs, Reason, Refusal, Request, Settings, Spent,
    Verdict, WritePath,
};
use podium_pit::time::Monotonic;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::clock::{Hands, until};

#[derive(Default)]
struct Log(Mutex<Vec<Decision>>);

impl DecisionSink for Log {
    fn decided(&self, decision: &Decision) {
        self.0.lock().unwrap().push(decision.clone());
    }
}

impl Log {
    /// What was decided about a node, in order.
    fn of(&self, node: &str) -> Vec<String> {
        let told = self.0.lock().unwrap();
        let mut told: Vec<_> = told.iter().filter(|decision| &*decision.node == node).collect();
        told.sort_by_key(|decision| decision.seq);
        let tell = |verdict: &Verdict| match verdict {
            Verdict::Granted => "granted".to_owned(),
            Verdict::Deferred(refusal) => format!("deferred, {refusal}"),
            Verdict::Refused(refusal) => format!("refused, {refusal}"),
            Verdict::Withdrawn => "withdrawn".to_owned(),
            Verdict::Released => "released".to_owned(),
        };
        told.into_iter().map(|decision| tell(&decision.verdict)).collect()
    }
}

struct World {
    arbiter: Arbiter,
    log: Arc<Log>,
    clock: Arc<Hands>,
}

fn world() -> World {
    let (clock, log) = (Hands::new(), Arc::new(Log::default()));
    let capacity = Capacity { memory: 100, cpu: 4000, tokens_per_minute: 600, cost: Some(1000) };
    let arbiter = Arbiter::new(capacity, Settings::default(), clock.clone(), log.clone(), Handle::current());
    World { arbiter, log, clock }
}

fn request(user: &str, node: &str, needs: Needs) -> Request {
    Request { user: user.into(), run: "run".into(), node: node.into(), weight: 1, needs }
}

fn memory(bytes: u64) -> Needs {
    Needs { memory: bytes, ..Needs::default() }
}

type Asked = JoinHandle<Result<Grant, Refusal>>;

impl World {
    /// Asks, and goes on as soon as that is decided.
    async fn ask(&self, user: &str, node: &str, needs: Needs) -> Asked {
        let (arbiter, request) = (self.arbiter.clone(), request(user, node, needs));
        let before = self.log.of(node).len();
        let asked = tokio::spawn(async move { arbiter.acquire(request).await });
        until("it is decided", || self.log.of(node).len() > before).await;
        asked
    }

    async fn have(&self, user: &str, node: &str, needs: Needs) -> Grant {
        self.ask(user, node, needs).await.await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn everything_is_had_at_once_or_not_at_all_and_each_decision_says_why() {
    let world = world();
    let first = world.have("ann", "first", Needs { memory: 60, cpu: 1000, ..Needs::default() }).await;
    let second = world.ask("ann", "second", Needs { memory: 60, cpu: 3000, ..Needs::default() }).await;
    // The processors that the second waits for were not taken from the third.
    drop(world.have("bob", "third", Needs { cpu: 3000, ..Needs::default() }).await);
    drop(first);
    drop(second.await.unwrap().unwrap());
    assert_eq!(world.log.of("first"), ["granted", "released"]);
    let why = "deferred, resource unavailable: 60 bytes of memory, 40 are free";
    assert_eq!(world.log.of("second"), [why, "granted", "released"]);
    let huge = world.ask("ann", "huge", memory(101)).await.await.unwrap().unwrap_err();
    assert_eq!(huge.to_string(), "resource unavailable: 101 bytes of memory, there are 100 in all");
}

#[tokio::test]
async fn places_that_contain_one_another_are_not_written_at_once() {
    let world = world();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("src/ui")).unwrap();
    let place = |path: &str| WritePath::resolve(folder.path(), Path::new(path)).unwrap();
    let writes =
        |paths: &[&str]| Needs { writes: paths.iter().map(|p| place(p)).collect(), ..Needs::default() };
    let ui = world.have("ann", "ui", writes(&["src/ui"])).await;
    let docs = world.have("bob", "docs", writes(&["docs", "src/ui2"])).await;
    let all = world.ask("bob", "all", writes(&["src", "src/a", "src/ui/x"])).await;
    assert!(
        world.log.of("all")[0].starts_with("deferred, resource unavailable: `"),
        "{:?}",
        world.log.of("all")
    );
    drop(docs);
    assert!(!all.is_finished());
    drop(ui);
    let all = all.await.unwrap().unwrap();
    let file = world.ask("ann", "file", writes(&["src/ui/new.rs"])).await;
    assert!(world.log.of("file")[0].contains("`all` writes"), "{:?}", world.log.of("file"));
    drop(all);
    drop(file.await.unwrap().unwrap());

    let outside = WritePath::resolve(folder.path(), Path::new("../elsewhere")).unwrap_err();
    let refusal = world.arbiter.refuse_path(&request("ann", "outside", Needs::default()), &outside);
    assert_eq!(refusal.reason, Reason::PolicyViolation);
    assert!(
        world.log.of("outside")[0].starts_with("refused, policy violation: `../elsewhere` is outside of")
    );
}

#[tokio::test]
async fn tokens_come_back_with_time_and_what_was_not_used_at_once() {
    let world = world();
    let tokens = |tokens| Needs { tokens, ..Needs::default() };
    let mut first = world.have("ann", "first", tokens(500)).await;
    let second = world.ask("ann", "second", tokens(200)).await;
    assert_eq!(world.log.of("second"), ["deferred, rate limited: 200 tokens, 100 are left now"]);
    world.clock.forward(9_999);
    world.arbiter.tick();
    assert_eq!(world.log.of("second").len(), 1);
    world.clock.forward(1);
    world.arbiter.tick();
    drop(second.await.unwrap().unwrap());
    let third = world.ask("ann", "third", tokens(300)).await;
    first.spend(Spent { tokens: 100, cost: 0 });
    drop(first);
    drop(third.await.unwrap().unwrap());
    let never = world.ask("ann", "never", tokens(601)).await.await.unwrap().unwrap_err();
    assert_eq!((never.reason, never.detail.as_str()), (Reason::RateLimited, "601 tokens, a minute has 600"));
}

#[tokio::test]
async fn what_only_waits_for_time_is_granted_by_a_timer() {
    let world = world();
    drop(world.have("ann", "first", Needs { tokens: 600, ..Needs::default() }).await);
    let second = world.ask("ann", "second", Needs { tokens: 60, ..Needs::default() }).await;
    world.clock.forward(6_000);
    drop(second.await.unwrap().unwrap());
    assert_eq!(world.log.of("second")[1], "granted");
}

#[tokio::test]
async fn who_has_spent_what_is_allowed_gets_nothing_more_that_costs() {
    let world = world();
    let cost = |cost| Needs { cost, ..Needs::default() };
    world.arbiter.add_spent(&"ann".into(), 300);
    let mut first = world.have("ann", "first", cost(500)).await;
    let second = world.ask("ann", "second", cost(400)).await;
    let third = world.ask("ann", "third", cost(700)).await;
    assert!(
        world.log.of("second")[0].starts_with("deferred, cost exceeded: 400"),
        "{:?}",
        world.log.of("second")
    );
    let other = world.have("bob", "other", cost(1000)).await;
    first.spend(Spent { tokens: 0, cost: 100 });
    drop(first);
    let second = second.await.unwrap().unwrap();
    drop(second);
    let refusal = third.await.unwrap().unwrap_err();
    assert_eq!(refusal.reason, Reason::CostExceeded);
    drop(other);
    let more = world.ask("bob", "more", cost(1)).await.await.unwrap().unwrap_err();
    assert_eq!(
        more.to_string(),
        "cost exceeded: 1000 of 1000 millionths of a dollar are spent, 1 more asked for"
    );
    drop(world.have("bob", "free", memory(10)).await);
}

#[tokio::test]
async fn who_stops_waiting_leaves_nothing_behind_whenever_that_is() {
    let world = world();
    let held = world.have("ann", "held", memory(100)).await;
    let waiting = world.ask("bob", "waiting", memory(100)).await;
    waiting.abort();
    until("it is taken back", || world.log.of("waiting").len() == 2).await;
    assert_eq!(world.log.of("waiting")[1], "withdrawn");
    // Granted, and dropped before it was looked at.
    let mut unseen = Box::pin(world.arbiter.acquire(request("bob", "unseen", memory(100))));
    assert!((&mut unseen).now_or_never().is_none());
    drop(held);
    assert_eq!(world.log.of("unseen").last().unwrap(), "granted");
    drop(unseen);
    assert_eq!(world.log.of("unseen").last().unwrap(), "released");
    drop(world.have("ann", "after", memory(100)).await);
}

#[tokio::test]
async fn a_node_that_holds_something_may_not_ask_for_more() {
    let world = world();
    let held = world.have("ann", "node", memory(10)).await;
    let again = world.arbiter.acquire(request("ann", "node", memory(10))).await.unwrap_err();
    assert_eq!(again.reason, Reason::PolicyViolation);
    drop(held);
    drop(world.have("ann", "node", memory(10)).await);
}

#[tokio::test]
async fn the_user_with_the_smaller_share_goes_first_and_the_old_before_all() {
    let world = world();
    let rich = world.have("rich", "rich-1", memory(70)).await;
    let last = world.have("rich", "rich-2", memory(30)).await;
    let more = world.ask("rich", "rich-3", memory(30)).await;
    let poor = world.ask("poor", "poor-1", memory(30)).await;
    drop(last);
    let poor = poor.await.unwrap().unwrap();
    assert_eq!(
        world.log.of("rich-3").last().unwrap(),
        "deferred, lower priority: another went first: 30 bytes of memory, 0 are free"
    );
    world.clock.forward(30_000);
    let another = world.ask("poor", "poor-2", memory(30)).await;
    assert!(
        world.log.of("poor-2")[0].starts_with("deferred, resource unavailable"),
        "{:?}",
        world.log.of("poor-2")
    );
    drop(poor);
    drop(more.await.unwrap().unwrap());
    drop(another.await.unwrap().unwrap());
    drop(rich);
}

#[tokio::test]
async fn what_an_old_request_waits_for_is_kept_for_it() {
    let world = world();
    let (first, second) =
        (world.have("ann", "a", memory(50)).await, world.have("ann", "b", memory(50)).await);
    let large = world.ask("bob", "large", memory(100)).await;
    world.clock.forward(30_000);
    world.arbiter.tick();
    drop(first);
    let small = world.ask("carl", "small", memory(10)).await;
    let why = "deferred, lower priority: kept for `large` of run run, which has waited longest";
    assert_eq!(world.log.of("small"), [why]);
    drop(world.have("carl", "elsewhere", Needs { cpu: 4000, ..Needs::default() }).await);
    drop(second);
    drop(large.await.unwrap().unwrap());
    drop(small.await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_nodes_with_overlapping_needs_all_end_and_never_have_more_than_there_is() {
    let log = Arc::new(Log::default());
    let capacity = Capacity { memory: 100, cpu: 4000, tokens_per_minute: 1 << 40, cost: None };
    let clock = Arc::new(Monotonic::new());
    let settings = Settings { patience: Duration::from_millis(5), ..Settings::default() };
    let arbiter = Arbiter::new(capacity, settings, clock, log.clone(), Handle::current());
    let folder = tempfile::tempdir().unwrap();
    let meter = Arc::new(Mutex::new((0_u64, 0_u64, Vec::<WritePath>::new())));
    let nodes: Vec<_> = (0..600_u64)
        .map(|n| {
            let (arbiter, meter) = (arbiter.clone(), meter.clone());
            let path = ["x", "x/y", "x/y/z", "w", "w/v"][(n % 5) as usize];
            let path = WritePath::resolve(folder.path(), Path::new(path)).unwrap();
            let needs = Needs {
                memory: (n * 37) % 101,
                cpu: (n * 911) % 4001,
                writes: if n % 3 == 0 { vec![path] } else { Vec::new() },
                ..Needs::default()
            };
            let request = request(["ann", "bob", "carl"][(n % 3) as usize], &format!("n{n}"), needs.clone());
            tokio::spawn(async move {
                let grant = arbiter.acquire(request).await.unwrap();
                {
                    let mut meter = meter.lock().unwrap();
                    meter.0 += needs.memory;
                    meter.1 += needs.cpu;
                    assert!(meter.0 <= 100 && meter.1 <= 4000, "{meter:?}");
                    for path in &needs.writes {
                        assert!(!meter.2.iter().any(|other| other.overlaps(path)), "{meter:?}");
                        meter.2.push(path.clone());
                    }
                }
                tokio::task::yield_now().await;
                let mut now = meter.lock().unwrap();
                now.0 -= needs.memory;
                now.1 -= needs.cpu;
                now.2.retain(|path| !needs.writes.contains(path));
                drop(now);
                drop(grant);
            })
        })
        .collect();
    for node in nodes {
        node.await.unwrap();
    }
    let told = log.0.lock().unwrap();
    assert_eq!(told.iter().filter(|decision| decision.verdict == Verdict::Granted).count(), 600);
    assert_eq!(told.iter().filter(|decision| decision.verdict == Verdict::Released).count(), 600);
}
