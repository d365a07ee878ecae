//! Walks the graph: runs what runs on the spot, and hands over the rest.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_deque::{Injector, Steal, Stealer, Worker};
use serde_json::{Map, Value};

use super::run::{Lane, Run};
use crate::dag::inputs::gather;
use crate::dag::journal::{Durability, Ended, Outcome, Record};
use crate::dag::names::{IdempotencyKey, InputHash};
use crate::dag::plan::Op;
use crate::dag::runner::{NodeCall, NodeError};
use crate::dag::states::NodeState;
use crate::dag::tracker::{Given, Span};

/// How long a driver holds its thread.
const TURN: Duration = Duration::from_millis(2);
/// After so many nodes that do nothing, the clock is read again.
const TICK: u32 = 32;
/// A driver with so many nodes in stock has another one help.
const STOCK: usize = 64;
const RECORDS: usize = 512;

/// The nodes that are ready to be run on the spot, and who may take them.
pub(super) struct Deques {
    injector: Injector<u32>,
    stealers: Box<[Stealer<u32>]>,
    idle: Mutex<Vec<Worker<u32>>>,
}

impl Deques {
    pub(super) fn new(threads: usize) -> Self {
        let workers: Vec<Worker<u32>> = (0..threads).map(|_| Worker::new_lifo()).collect();
        let stealers = workers.iter().map(Worker::stealer).collect();
        Self { injector: Injector::new(), stealers, idle: Mutex::new(workers) }
    }

    fn take(&self) -> Option<Worker<u32>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put_back(&self, worker: Worker<u32>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    fn find(&self, worker: &Worker<u32>) -> Option<u32> {
        let steal = || -> Steal<u32> {
            let others = || self.stealers.iter().map(|stealer| stealer.steal_batch_and_pop(worker)).collect();
            self.injector.steal_batch_and_pop(worker).or_else(others)
        };
        worker.pop().or_else(|| std::iter::repeat_with(steal).find(|found| !found.is_retry())?.success())
    }

    fn is_empty(&self) -> bool {
        self.injector.is_empty() && self.stealers.iter().all(Stealer::is_empty)
    }
}

impl Run {
    /// Starts nodes that wait for nothing.
    pub(super) fn start_all(self: &Arc<Self>, nodes: Vec<u32>) {
        let mut on_the_spot = false;
        for node in nodes {
            if self.is_on_the_spot(node) {
                self.deques.injector.push(node);
                on_the_spot = true;
            } else {
                self.queue(node);
            }
        }
        if on_the_spot {
            self.spur();
        }
        self.fill_slots();
    }

    /// Has a driver look for nodes, unless all are at work.
    pub(super) fn spur(self: &Arc<Self>) {
        let Some(worker) = self.deques.take() else { return };
        let active = self.active();
        let run = Arc::clone(self);
        self.spawn(async move {
            let mut driver = Driver::new(&run, worker);
            while driver.turn() {
                let worker = driver.rest();
                tokio::task::yield_now().await;
                driver = Driver::new(&run, worker);
            }
            let worker = driver.rest();
            run.deques.put_back(worker);
            // What was put there while this one left: who put it found no idle driver.
            if run.gate.is_open() && !run.deques.is_empty() {
                run.spur();
            }
            drop(active);
        });
    }

    /// Nodes whose end is durable now: what waits for them goes on.
    pub(super) fn settle(self: &Arc<Self>, nodes: &[u32]) {
        let run = Arc::clone(self);
        if let Some(worker) = self.deques.take() {
            let mut driver = Driver::new(&run, worker);
            for &node in nodes {
                driver.settle(node);
            }
            while driver.turn() {}
            let worker = driver.rest();
            self.deques.put_back(worker);
        } else {
            let mut free = Vec::new();
            for &node in nodes {
                let (state, given) = self.state_stored(node);
                self.tracker.set(node, state, self.tracker.since(node));
                self.tracker.release(&self.plan, node, given, |node| free.push(node));
            }
            self.ended(nodes.len());
            self.start_all(free.into_iter().filter(|&node| !self.tracker.state(node).is_end()).collect());
        }
        if self.gate.is_open() && !self.deques.is_empty() {
            self.spur();
        }
        self.let_go(nodes.len());
    }

    /// What a node that was stored on the spot becomes. A skipped one kept nothing and missed what it needs.
    fn state_stored(&self, node: u32) -> (NodeState, Given) {
        if self.is_skipped(node) {
            (NodeState::Skipped, Given::Missed)
        } else {
            (NodeState::Completed, Given::Outputs)
        }
    }

    fn is_on_the_spot(&self, node: u32) -> bool {
        matches!(self.lanes[node as usize], Lane::Noop | Lane::Spot) || self.is_skipped(node)
    }

    /// Whether too few of the edges into a node were taken, all being decided.
    fn is_skipped(&self, node: u32) -> bool {
        let missed = self.tracker.tally(node).missed;
        let tolerant = self.plan.hot[node as usize].is_tolerant();
        missed > 0 && (!tolerant || missed == self.plan.in_degree(node))
    }

    fn queue(self: &Arc<Self>, node: u32) {
        let now = self.clock.now();
        self.tracker.set(node, NodeState::Ready, now);
        self.tracker.change_span(node, |span| span.ready = now);
        if self.lanes[node as usize] == Lane::Control {
            self.spawn_node(node, None);
        } else {
            self.slots.wait(self.plan.ranks[node as usize], super::slots::Next::Node(node));
        }
    }
}

/// One thread's walk.
struct Driver<'r> {
    run: &'r Arc<Run>,
    worker: Worker<u32>,
    now: u64,
    ticks: u32,
    ended: usize,
    records: Vec<Record>,
    /// Nodes that end once their records are durable.
    held: Vec<u32>,
}

impl<'r> Driver<'r> {
    fn new(run: &'r Arc<Run>, worker: Worker<u32>) -> Self {
        let now = run.clock.now();
        let (records, held) = (Vec::new(), Vec::new());
        Self { run, worker, now, ticks: 0, ended: 0, records, held }
    }

    /// Runs nodes until its turn is over, which gives true, or nothing is left.
    fn turn(&mut self) -> bool {
        let until = Instant::now() + TURN;
        let mut helped = false;
        let mut count = 0_u32;
        while self.run.gate.is_open() {
            let Some(node) = self.run.deques.find(&self.worker) else { return false };
            let mut next = Some(node);
            while let Some(node) = next.take() {
                next = self.visit(node);
                count += 1;
                // A chain may be as long as the graph.
                let stops = count.is_multiple_of(1024) || !self.run.gate.is_open();
                if let Some(later) = next.take_if(|_| stops) {
                    self.worker.push(later);
                }
            }
            if !helped && self.worker.len() > STOCK {
                helped = true;
                self.run.spur();
            }
            if count >= 1024 {
                count = 0;
                if Instant::now() >= until {
                    return true;
                }
            }
        }
        false
    }

    /// Hands over what it has noted.
    fn rest(mut self) -> Worker<u32> {
        self.flush();
        self.worker
    }

    fn flush(&mut self) {
        if !self.records.is_empty()
            && let Some(ledger) = &self.run.ledger
        {
            let strict = if self.held.is_empty() { Durability::Lax } else { Durability::Strict };
            let held = self.held.len();
            self.run.hold(held);
            if !ledger.append_all(&mut self.records, &mut self.held, strict) {
                self.run.let_go(held);
            }
        }
        self.run.ended(std::mem::take(&mut self.ended));
    }

    /// Runs one node on the spot; gives the most urgent one that it set free.
    fn visit(&mut self, node: u32) -> Option<u32> {
        let run = self.run;
        if run.is_skipped(node) {
            let reason = || Outcome::Skipped { reason: "what leads to it was not taken".to_owned() };
            return self.end(node, NodeState::Skipped, Given::Missed, 0, reason);
        }
        if run.lanes[node as usize] == Lane::Noop && !run.tracker.tally(node).valued {
            self.tick();
            return self.end(node, NodeState::Completed, Given::Outputs, 0, || completed(Map::new()));
        }
        let start = self.read_clock();
        match self.compute(node) {
            Ok(outputs) => {
                let took = self.read_clock() - start;
                let span = Span { ready: start, start, end: self.now, attempt: 1 };
                run.tracker.change_span(node, |kept| *kept = span);
                let kept = if run.ledger.is_some() { outputs.clone() } else { Map::new() };
                run.tracker.give(node, outputs);
                self.end(node, NodeState::Completed, Given::Outputs, took, || completed(kept))
            }
            Err(error) => {
                self.flush();
                run.spawn_failed(node, error);
                None
            }
        }
    }

    fn compute(&self, node: u32) -> Result<Map<String, Value>, NodeError> {
        let run = self.run;
        let inputs = gather(&run.plan, &run.tracker, node);
        let spec = run.plan.node(node);
        let Op::Run = spec.op else { return run.compute_control(&spec.op, &spec.work, inputs) };
        let hash = InputHash::of(&inputs, &spec.work.params);
        let attempt = run.past().get(&spec.path).map_or(0, |past| past.attempts) + 1;
        let call = NodeCall {
            run: run.id.clone(),
            node: spec.path.clone(),
            work: Arc::clone(&spec.work),
            inputs,
            run_inputs: Arc::clone(&run.inputs),
            attempt,
            interrupted: false,
            key: IdempotencyKey::of(&run.id, &spec.path, attempt, &hash),
            cancel: run.cancel.clone(),
        };
        let computed = std::panic::catch_unwind(AssertUnwindSafe(|| run.with.runner.compute(call)));
        let outputs = computed.unwrap_or_else(|panic| Err(super::attempt::panicked(panic.as_ref())))?;
        run.check(&spec.work, outputs)
    }

    fn end(
        &mut self,
        node: u32,
        state: NodeState,
        given: Given,
        took: u64,
        outcome: impl FnOnce() -> Outcome,
    ) -> Option<u32> {
        let run = self.run;
        if run.ledger.is_some() {
            let at = run.clock.wall(self.now);
            let path = run.plan.node(node).path.clone();
            let attempt = u32::from(state == NodeState::Completed);
            let ended =
                Ended { node: path, attempt, outcome: outcome(), ready: at, start: at, end: at, took };
            self.records.push(Record::Ended(Box::new(ended)));
            if run.with.settings.strict {
                run.tracker.set(node, NodeState::Storing, self.now);
                self.held.push(node);
                return None;
            }
        }
        run.tracker.set(node, state, self.now);
        self.release(node, given)
    }

    fn settle(&mut self, node: u32) {
        let (state, given) = self.run.state_stored(node);
        self.run.tracker.set(node, state, self.now);
        if let Some(next) = self.release(node, given) {
            self.worker.push(next);
        }
    }

    fn release(&mut self, node: u32, given: Given) -> Option<u32> {
        let run = self.run;
        self.ended += 1;
        let mut next = None;
        let mut queued = Vec::new();
        run.tracker.release(&run.plan, node, given, |free| {
            // Ended in an earlier process.
            if run.tracker.state(free).is_end() {
                return;
            }
            if run.is_on_the_spot(free) {
                if let Some(less_urgent) = next.replace(free) {
                    self.worker.push(less_urgent);
                }
            } else {
                queued.push(free);
            }
        });
        if !queued.is_empty() || self.records.len() >= RECORDS {
            // What led to a node is recorded before what it does.
            self.flush();
        }
        if !queued.is_empty() {
            queued.into_iter().for_each(|node| run.queue(node));
            run.fill_slots();
        }
        next
    }

    /// Nodes that do nothing share a reading of the clock.
    fn tick(&mut self) {
        self.ticks += 1;
        if self.ticks >= TICK {
            self.read_clock();
        }
    }

    fn read_clock(&mut self) -> u64 {
        self.ticks = 0;
        self.now = self.run.clock.now();
        self.now
    }
}

fn completed(outputs: Map<String, Value>) -> Outcome {
    Outcome::Completed { outputs, cached: false }
}
