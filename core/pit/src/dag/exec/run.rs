//! One run: what its tasks share, its beginning and its end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::drive::Deques;
use super::gate::{self, Gate, Shut};
use super::handle::{Report, RunHandle};
use super::slots::{Next, Slots};
use super::{Executor, Job};
use crate::dag::clock::Clock;
use crate::dag::history::Past;
use crate::dag::journal::{Durability, Journal, Outcome, Record};
use crate::dag::ledger::{Ledger, Mark};
use crate::dag::names::{NodePath, RunId};
use crate::dag::plan::{Node, Op, Plan};
use crate::dag::runner::{Conduct, NodeError};
use crate::dag::states::{NodeState, RunState};
use crate::dag::tracker::{Given, Tracker};

/// A run while it is run.
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) plan: Arc<Plan>,
    pub(super) inputs: Arc<Map<String, Value>>,
    pub(super) with: Executor,
    pub(super) clock: Clock,
    pub(super) tracker: Tracker,
    pub(super) lanes: Box<[Lane]>,
    pub(super) deques: Deques,
    pub(super) slots: Slots,
    pub(super) gate: Gate,
    pub(super) ledger: Option<Ledger>,
    /// Told to everything that runs.
    pub(super) cancel: CancellationToken,
    /// Tasks that may still lead to something: while there is one, the run is not at rest.
    active: AtomicUsize,
    /// Nodes that have not ended.
    left: AtomicUsize,
    at_rest: Notify,
    state: watch::Sender<RunState>,
    /// What happened to nodes before, and to the elements, rounds and stand-ins of this process.
    past: Mutex<HashMap<NodePath, Past>>,
    failures: Mutex<Vec<(NodePath, NodeError)>>,
    runtime: Handle,
}

/// How a node is run in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Noop,
    /// By whoever finds it ready.
    Spot,
    /// By a task of its own, in a slot.
    Task,
    /// By a task of its own that takes slots for what it runs.
    Control,
}

/// Keeps the run from being at rest.
pub(super) struct Active(Arc<Run>);

/// A node may be executed.
pub(super) struct Slot(Arc<Run>);

pub(super) fn start(with: &Executor, job: Job) -> RunHandle {
    let Job { run: id, plan, inputs, history } = job;
    let standby = plan.hot.iter().filter(|hot| hot.is_standby()).count();
    let state = watch::Sender::new(RunState::Queued);
    let run = Arc::new(Run {
        id,
        inputs: Arc::new(inputs),
        clock: Clock::start(),
        tracker: Tracker::new(&plan),
        lanes: lanes(with, &plan),
        deques: Deques::new(with.settings.threads.max(1)),
        slots: Slots::new(with.settings.parallel),
        gate: Gate::new(),
        ledger: with.journal.as_ref().map(|_| Ledger::new()),
        cancel: CancellationToken::new(),
        active: AtomicUsize::new(0),
        left: AtomicUsize::new(plan.len() - standby),
        at_rest: Notify::new(),
        state: state.clone(),
        past: Mutex::new(history.into_nodes()),
        failures: Mutex::default(),
        runtime: Handle::current(),
        with: with.clone(),
        plan,
    });
    let (report, ended) = watch::channel(None);
    let task = Arc::clone(&run);
    run.runtime.spawn(async move { report.send_replace(Some(Arc::new(task.supervise().await))) });
    RunHandle::new(run, state.subscribe(), ended)
}

fn lanes(with: &Executor, plan: &Plan) -> Box<[Lane]> {
    let lane = |node: &Node| match node.op {
        Op::Noop => Lane::Noop,
        Op::Map(_) | Op::Loop(_) => Lane::Control,
        Op::Run if with.runner.conduct(&node.work) != Conduct::Inline => Lane::Task,
        _ => Lane::Spot,
    };
    plan.nodes.iter().map(lane).collect()
}

impl Run {
    /// Runs until nothing more can happen.
    async fn supervise(self: Arc<Self>) -> Report {
        let writer = self.with.journal.clone().map(|journal| {
            let run = Arc::clone(&self);
            self.runtime.spawn(async move { run.keep_records(&journal).await })
        });
        self.record(|| Record::Run { state: RunState::Executing, at: self.clock.wall_now(), error: None });
        self.state.send_replace(RunState::Executing);
        self.begin();
        while !self.is_over() {
            self.at_rest.notified().await;
        }
        let report = self.end().await;
        if let Some(writer) = writer {
            writer.abort();
        }
        report
    }

    async fn keep_records(self: Arc<Self>, journal: &Arc<dyn Journal>) {
        let Some(ledger) = &self.ledger else { return };
        let (error, in_vain) = ledger.write(&self.id, journal, |held| self.settle(held)).await;
        tracing::error!(run = %self.id, error = %error, cause = ?error.0, "the record of a run could not be kept");
        let active = self.active();
        self.gate.set(gate::BROKEN);
        self.cancel.cancel();
        self.slots.clear();
        self.let_go(in_vain);
        drop(active);
    }

    /// Takes over what the journal knows, and starts what is ready.
    fn begin(self: &Arc<Self>) {
        let active = self.active();
        let nodes = 0..u32::try_from(self.plan.len()).unwrap_or(u32::MAX);
        let known: Vec<(u32, Given)> = nodes.clone().filter_map(|node| self.take_over(node)).collect();
        self.left.fetch_sub(known.len(), Ordering::SeqCst);
        self.take_over_stand_ins();
        let free = nodes
            .filter(|&node| self.plan.in_degree(node) == 0 && !self.plan.hot[node as usize].is_standby());
        let mut ready: Vec<u32> = free.collect();
        for (node, given) in known {
            self.tracker.release(&self.plan, node, given, |node| ready.push(node));
        }
        ready.retain(|&node| !self.tracker.state(node).is_end());
        self.start_all(ready);
        drop(active);
    }

    /// What became of a node before this process, if it ended.
    fn take_over(&self, node: u32) -> Option<(u32, Given)> {
        let mut past = self.past();
        let ended = past.get_mut(&self.plan.node(node).path)?.ended.as_mut()?;
        let (state, given) = match &mut ended.outcome {
            Outcome::Completed { outputs, .. } => {
                self.tracker.give(node, std::mem::take(outputs));
                (NodeState::Completed, Given::Outputs)
            }
            Outcome::Failed { tolerated: true, instead, .. } => {
                let given = if instead.is_some() { Given::Outputs } else { Given::Nothing };
                self.tracker.give(node, instead.take().unwrap_or_default());
                (NodeState::Failed, given)
            }
            Outcome::Failed { error, .. } => {
                let failure = (self.plan.node(node).path.clone(), error.clone());
                self.tracker.set(node, NodeState::Failed, 0);
                drop(past);
                self.halt(failure);
                return None;
            }
            Outcome::Skipped { .. } => (NodeState::Skipped, Given::Missed),
            Outcome::Cancelled => return None,
        };
        self.tracker.set(node, state, 0);
        (!self.plan.hot[node as usize].is_standby()).then_some((node, given))
    }

    /// Nodes that ran for others before this process.
    fn take_over_stand_ins(&self) {
        for (path, past) in self.past().iter() {
            let Some(ended) = &past.ended else { continue };
            let id = NodePath::new(path.without_time());
            let standby = |node: &u32| self.plan.hot[*node as usize].is_standby();
            if id != *path
                && let Some(node) = self.plan.find(&id).filter(standby)
            {
                let state = if ended.is_completed() { NodeState::Completed } else { NodeState::Failed };
                self.tracker.set(node, state, 0);
            }
        }
    }

    fn is_over(&self) -> bool {
        // In this order: who resumes a run becomes active first.
        let paused = self.gate.is(gate::PAUSED) && !self.gate.is_shut();
        let at_rest = self.active.load(Ordering::SeqCst) == 0;
        at_rest && (!paused || self.left.load(Ordering::SeqCst) == 0)
    }

    async fn end(self: &Arc<Self>) -> Report {
        let failures = std::mem::take(&mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner));
        let all_ended = self.left.load(Ordering::SeqCst) == 0;
        let (state, error) = if self.gate.is(gate::BROKEN) {
            (RunState::Failed, Some("the record of the run could not be kept".to_owned()))
        } else if let Some((node, error)) = failures.first() {
            (RunState::Failed, Some(format!("node `{node}`: {error}")))
        } else if all_ended {
            (RunState::Completed, None)
        } else if self.gate.is(gate::CANCELLED) {
            (RunState::Cancelled, None)
        } else {
            (RunState::Failed, Some("nodes are left that nothing leads to".to_owned()))
        };
        let record = Record::Run { state, at: self.clock.wall_now(), error: error.clone() };
        let recorded = match self.append(record, Durability::Strict) {
            Some(mark) => self.durable(mark).await.is_ok(),
            None => true,
        };
        let state = if recorded { state } else { RunState::Failed };
        self.state.send_replace(state);
        Report {
            run: self.id.clone(),
            status: state,
            interrupted: !recorded || self.gate.is(gate::BROKEN),
            error,
            failures,
            outputs: self.outputs(),
            nodes: self.counts(state),
            took: std::time::Duration::from_nanos(self.clock.now()),
        }
    }

    /// What the melody gives, as far as it came to be.
    fn outputs(&self) -> Map<String, Value> {
        let value = |node: u32, port: &str| {
            let null = || self.plan.hot[node as usize].is_noop() && port == "out";
            let completed = self.tracker.state(node) == NodeState::Completed;
            let value = self.tracker.outputs(node).and_then(|outputs| outputs.get(port)).cloned();
            value.or_else(|| (completed && null()).then_some(Value::Null))
        };
        let outputs = self.plan.border.outputs.iter();
        outputs.filter_map(|(name, node, port)| Some((name.clone(), value(*node, port)?))).collect()
    }

    pub(super) fn halt(&self, failure: (NodePath, NodeError)) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
        self.gate.set(gate::HALTED);
        self.slots.clear();
    }

    pub(super) fn pause(&self) {
        if !self.gate.is_shut() && self.gate.set(gate::PAUSED) {
            self.record(|| Record::Run { state: RunState::Paused, at: self.clock.wall_now(), error: None });
            self.change_state(RunState::Paused);
        }
    }

    pub(super) fn resume(self: &Arc<Self>) {
        let active = self.active();
        if self.gate.clear(gate::PAUSED) {
            self.record(|| Record::Run {
                state: RunState::Executing,
                at: self.clock.wall_now(),
                error: None,
            });
            self.change_state(RunState::Executing);
            self.spur();
            self.fill_slots();
        }
        drop(active);
    }

    pub(super) fn cancel(self: &Arc<Self>) {
        let active = self.active();
        self.gate.set(gate::CANCELLED);
        self.cancel.cancel();
        self.slots.clear();
        drop(active);
    }

    fn change_state(&self, to: RunState) {
        self.state.send_if_modified(|state| !state.is_end() && std::mem::replace(state, to) != to);
    }

    pub(super) fn active(self: &Arc<Self>) -> Active {
        self.active.fetch_add(1, Ordering::SeqCst);
        Active(Arc::clone(self))
    }

    /// As many times [`Run::active`], for nodes that wait until they are durable.
    pub(super) fn hold(&self, count: usize) {
        self.active.fetch_add(count, Ordering::SeqCst);
    }

    pub(super) fn let_go(&self, count: usize) {
        if self.active.fetch_sub(count, Ordering::SeqCst) == count {
            self.at_rest.notify_one();
        }
    }

    pub(super) fn ended(&self, count: usize) {
        self.left.fetch_sub(count, Ordering::SeqCst);
    }

    /// Gives slots to who waits for one.
    pub(super) fn fill_slots(self: &Arc<Self>) {
        while self.gate.is_open() {
            match self.slots.next() {
                None => return,
                Some(Next::Node(node)) => self.spawn_node(node, Some(Slot(Arc::clone(self)))),
                // Who does not take it any more, has it back.
                Some(Next::Other(waiting)) => {
                    if waiting.send(()).is_err() {
                        self.slots.give_back();
                    }
                }
            }
        }
    }

    pub(super) async fn slot(self: &Arc<Self>, rank: u32) -> Result<Slot, Shut> {
        let (sender, given) = oneshot::channel();
        self.slots.wait(rank, Next::Other(sender));
        self.fill_slots();
        tokio::select! {
            biased;
            given = given => given.map(|()| Slot(Arc::clone(self))).map_err(|_| Shut),
            () = self.gate.shut() => Err(Shut),
        }
    }

    pub(super) fn past(&self) -> MutexGuard<'_, HashMap<NodePath, Past>> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, record: impl FnOnce() -> Record) {
        if let Some(ledger) = &self.ledger {
            ledger.append(record(), Durability::Lax);
        }
    }

    pub(super) fn append(&self, record: Record, durability: Durability) -> Option<Mark> {
        self.ledger.as_ref().map(|ledger| ledger.append(record, durability))
    }

    pub(super) async fn durable(&self, mark: Mark) -> Result<(), Shut> {
        match &self.ledger {
            Some(ledger) => ledger.durable(mark).await.map_err(|_| Shut),
            None => Ok(()),
        }
    }

    pub(super) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.let_go(1);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.slots.give_back();
        self.0.fill_slots();
    }
}
