//! Whatever happens in whatever order: never more memory than the budget, and nobody waits for ever.

use std::sync::Arc;
use std::time::Duration;

use podium_pit::pool::{
    Lease, LoadError, LookAhead, ModelId, ModelState, Pool, PoolError, Settings, Upcoming,
};
use proptest::prelude::*;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;

use crate::clock::Hands;
use crate::shelf::{Fault, Kind, Shelf};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const BUDGET: u64 = 100;

#[derive(Debug, Clone)]
enum Step {
    Acquire(usize),
    /// Of those that were asked for and had, or still wait.
    LetGo(usize),
    StopWaiting(usize),
    Break(usize, bool),
    Mend(usize),
    Retire(usize),
    Plan(Vec<(usize, u64)>),
    Begun(usize, u32),
    EndRun(usize),
    Pass(u64),
    Maintain,
    /// Lets tasks run for a while, but not to their end.
    Run(u8),
}

fn steps() -> impl Strategy<Value = Step> {
    let model = 0..NAMES.len();
    prop_oneof![
        6 => model.clone().prop_map(Step::Acquire),
        4 => (0..20_usize).prop_map(Step::LetGo),
        1 => (0..20_usize).prop_map(Step::StopWaiting),
        1 => (model.clone(), any::<bool>()).prop_map(|(model, panic)| Step::Break(model, panic)),
        1 => model.clone().prop_map(Step::Mend),
        1 => model.clone().prop_map(Step::Retire),
        2 => prop::collection::vec((model, 0_u64..9000), 1..8).prop_map(Step::Plan),
        3 => (0..4_usize, 0..8_u32).prop_map(|(run, node)| Step::Begun(run, node)),
        1 => (0..4_usize).prop_map(Step::EndRun),
        2 => (1_u64..100_000).prop_map(Step::Pass),
        1 => Just(Step::Maintain),
        3 => (0..6_u8).prop_map(Step::Run),
    ]
}

type Asked = JoinHandle<Result<Lease<Shelf>, PoolError>>;

struct World {
    shelf: Shelf,
    clock: Arc<Hands>,
    pool: Arc<Pool<Shelf>>,
    ids: Vec<ModelId>,
    asked: Vec<Asked>,
    held: Vec<Lease<Shelf>>,
    runs: Vec<LookAhead<Shelf>>,
}

impl World {
    fn new(sizes: &[u64]) -> Self {
        let book = |(name, bytes): (&'static str, &u64)| {
            // Some take less than they said.
            let kind = Kind { said: *bytes, real: bytes - bytes % 3, cost: Duration::from_millis(*bytes) };
            (name, kind)
        };
        let shelf = Shelf::of(NAMES.into_iter().zip(sizes).map(book));
        let clock = Hands::new();
        let settings = Settings { budget: BUDGET, warm_at_once: 2, ..Settings::default() };
        let pool = Pool::new(shelf.clone(), settings, clock.clone(), Handle::current());
        let ids = NAMES.iter().map(|name| pool.intern(name).unwrap()).collect();
        Self { shelf, clock, pool, ids, asked: Vec::new(), held: Vec::new(), runs: Vec::new() }
    }

    fn ask(&mut self, model: usize) {
        let (pool, id) = (self.pool.clone(), self.ids[model]);
        self.asked.push(tokio::spawn(async move { pool.acquire(id).await }));
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Acquire(model) => self.ask(model),
            Step::LetGo(index) if !self.held.is_empty() => {
                let lease = self.held.swap_remove(index % self.held.len());
                lease.check();
            }
            Step::StopWaiting(index) if !self.asked.is_empty() => {
                self.asked.swap_remove(index % self.asked.len()).abort();
            }
            Step::Break(model, panic) => {
                let fault = if panic { Fault::Panic } else { Fault::Error(LoadError::new("broken")) };
                self.shelf.break_down(NAMES[model], fault);
            }
            Step::Mend(model) => self.shelf.mend(NAMES[model]),
            Step::Retire(model) => _ = self.pool.retire(self.ids[model], "by hand"),
            Step::Plan(uses) if self.runs.len() < 4 => {
                let uses: Vec<_> = (0_u32..)
                    .zip(uses)
                    .map(|(node, (model, due))| Upcoming { node, model: self.ids[model], due })
                    .collect();
                self.runs.push(self.pool.look_ahead(&uses));
            }
            Step::Begun(run, node) => self.runs.get(run).into_iter().for_each(|run| run.begun(node)),
            Step::EndRun(run) if run < self.runs.len() => drop(self.runs.swap_remove(run)),
            Step::Pass(milliseconds) => self.clock.forward(milliseconds),
            Step::Maintain => self.pool.maintain(),
            Step::Run(turns) => self.run(turns.into()).await,
            _ => {}
        }
        self.collect().await;
    }

    async fn run(&mut self, turns: usize) {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    /// Takes over what was had meanwhile. Answers what could not be.
    async fn collect(&mut self) -> Vec<PoolError> {
        let (done, asked): (Vec<_>, Vec<_>) =
            self.asked.drain(..).partition(|asked: &Asked| asked.is_finished());
        self.asked = asked;
        let mut errors = Vec::new();
        for asked in done {
            match asked.await.unwrap() {
                Ok(lease) => self.held.push(lease),
                Err(error) => errors.push(error),
            }
        }
        self.held.iter().for_each(|lease| lease.check());
        errors
    }

    /// Lets go of everything until nobody waits.
    async fn wind_up(&mut self) {
        self.runs.clear();
        for _ in 0..200 {
            self.held.clear();
            self.run(50).await;
            self.collect().await;
            if self.asked.is_empty() && self.held.is_empty() {
                break;
            }
        }
        assert!(self.asked.is_empty(), "{} wait for ever: {:#?}", self.asked.len(), self.pool.view());
        self.run(100).await;
    }
}

async fn play(sizes: Vec<u64>, steps: Vec<Step>) {
    let mut world = World::new(&sizes);
    for step in steps {
        world.take(step).await;
        assert!(world.shelf.most() <= BUDGET, "{} bytes were there at once", world.shelf.most());
    }
    world.wind_up().await;
    let view = world.pool.view();
    assert_eq!(view.used, world.shelf.resident(), "what is counted is there: {view:#?}");
    assert_eq!(view.waiting_for_memory, 0);
    let resting = |state| matches!(state, ModelState::Unloaded | ModelState::Ready | ModelState::Failed);
    assert!(view.models.iter().all(|model| resting(model.state) && model.active == 0), "{view:#?}");
    // Nothing is broken for good.
    for (model, name) in NAMES.iter().enumerate() {
        world.shelf.mend(name);
        world.pool.forgive(world.ids[model]);
        world.pool.acquire(world.ids[model]).await.unwrap().check();
    }
    let metrics = world.pool.metrics();
    assert!(metrics.warmed_and_used + metrics.wasted <= metrics.warmed, "{metrics:?}");
    assert!(metrics.warmed <= metrics.loads && metrics.warm <= metrics.needed, "{metrics:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn memory_stays_within_the_budget_and_nobody_waits_for_ever(
        sizes in prop::collection::vec(1_u64..=BUDGET, NAMES.len()),
        steps in prop::collection::vec(steps(), 1..60),
    ) {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(play(sizes, steps));
    }
}
