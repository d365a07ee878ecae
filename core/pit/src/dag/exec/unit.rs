//! A node from being ready to its end: attempts, and what follows when none succeeds.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::gate::{CANCELLED, Shut};
use super::run::{Run, Slot};
use crate::dag::history::Past;
use crate::dag::inputs::gather;
use crate::dag::journal::{Durability, Ended, Outcome, Record};
use crate::dag::names::{IdempotencyKey, InputHash, NodePath};
use crate::dag::plan::{Op, Policy, Then};
use crate::dag::runner::{ActionKey, Conduct, FailureKind, NodeCall, NodeError, Permit, Work};
use crate::dag::states::NodeState;
use crate::dag::tracker::Given;

const LONGEST_BACKOFF: Duration = Duration::from_secs(3600);

/// Something that is run and recorded under a path of its own: a node, or one time of it.
pub(super) struct Unit {
    pub(super) path: NodePath,
    pub(super) op: Op,
    pub(super) work: Arc<Work>,
    pub(super) policy: Policy,
    pub(super) rank: u32,
    /// The node of the plan, if this is the node itself.
    pub(super) node: Option<u32>,
    pub(super) inputs: Map<String, Value>,
}

/// What became of a unit.
pub(super) enum Done {
    Completed(Map<String, Value>),
    /// It failed for good. `tolerated` if the run goes on; `instead` if its fallback gave something.
    Failed {
        error: NodeError,
        tolerated: bool,
        instead: Option<Map<String, Value>>,
    },
    Cancelled,
    /// It was not run, or cut off without a record: another process, or a retry, goes on with it.
    Left,
}

/// The last attempt, as it is recorded.
struct Trial {
    number: u32,
    ready: u64,
    start: u64,
    end: u64,
}

impl Run {
    /// Runs a node in a task of its own.
    pub(super) fn spawn_node(self: &Arc<Self>, node: u32, slot: Option<Slot>) {
        self.spawn_unit(node, slot, None);
    }

    /// Goes on with a node whose first attempt was made on the spot and failed.
    pub(super) fn spawn_failed(self: &Arc<Self>, node: u32, error: NodeError) {
        self.spawn_unit(node, None, Some(error));
    }

    fn spawn_unit(self: &Arc<Self>, node: u32, slot: Option<Slot>, failed: Option<NodeError>) {
        let (run, active) = (Arc::clone(self), self.active());
        self.spawn(async move {
            let spec = run.plan.node(node);
            let unit = Unit {
                path: spec.path.clone(),
                op: spec.op.clone(),
                work: Arc::clone(&spec.work),
                policy: spec.policy,
                rank: run.plan.ranks[node as usize],
                node: Some(node),
                inputs: gather(&run.plan, &run.tracker, node),
            };
            let done = run.perform(&unit, slot, failed).await;
            run.close(node, done);
            drop(active);
        });
    }

    /// Sets free what waited for a node.
    fn close(self: &Arc<Self>, node: u32, done: Done) {
        let now = self.clock.now();
        let (state, given) = match done {
            Done::Completed(outputs) => {
                self.tracker.give(node, outputs);
                (NodeState::Completed, Given::Outputs)
            }
            Done::Failed { tolerated: true, instead, .. } => {
                let given = if instead.is_some() { Given::Outputs } else { Given::Nothing };
                self.tracker.give(node, instead.unwrap_or_default());
                (NodeState::Failed, given)
            }
            Done::Failed { error, .. } => {
                self.halt((self.plan.node(node).path.clone(), error));
                self.tracker.set(node, NodeState::Failed, now);
                self.ended(1);
                return;
            }
            Done::Cancelled => return self.tracker.set(node, NodeState::Cancelled, now),
            Done::Left if self.gate.is(CANCELLED) => {
                return self.tracker.set(node, NodeState::Cancelled, now);
            }
            Done::Left => return self.tracker.set(node, NodeState::Ready, now),
        };
        self.tracker.set(node, state, now);
        let mut free = Vec::new();
        self.tracker.release(&self.plan, node, given, |node| free.push(node));
        free.retain(|&node| !self.tracker.state(node).is_end());
        self.start_all(free);
        self.ended(1);
    }

    /// Runs a unit to its end and records it. What ended in an earlier process is told again.
    pub(super) fn perform<'a>(
        self: &'a Arc<Self>,
        unit: &'a Unit,
        slot: Option<Slot>,
        failed: Option<NodeError>,
    ) -> BoxFuture<'a, Done> {
        Box::pin(async move {
            if let Some(Outcome::Completed { outputs, .. }) =
                self.known(unit).ended.map(|ended| ended.outcome)
            {
                return Done::Completed(outputs);
            }
            match self.run_unit(unit, slot, failed).await {
                Ok(done) => done,
                Err(Shut) => Done::Left,
            }
        })
    }

    async fn run_unit(
        self: &Arc<Self>,
        unit: &Unit,
        slot: Option<Slot>,
        failed: Option<NodeError>,
    ) -> Result<Done, Shut> {
        let ready = self.clock.now();
        let mut trial = Trial { number: self.known(unit).attempts, ready, start: ready, end: ready };
        let outcome = match self.cached_outputs(unit).await {
            Some(outputs) => Ok((outputs, true)),
            None => self.try_often(unit, slot, failed, &mut trial).await?.map(|outputs| (outputs, false)),
        };
        match outcome {
            Ok((outputs, cached)) => {
                self.set_state(unit, NodeState::Storing);
                let kept = Outcome::Completed { outputs: outputs.clone(), cached };
                self.record_end(unit, &trial, kept).await?;
                self.keep_in_cache(unit, &outputs, cached);
                Ok(Done::Completed(outputs))
            }
            Err(error) if error.kind == FailureKind::Cancelled && self.gate.is_shut() => {
                self.record_end(unit, &trial, Outcome::Cancelled).await?;
                Ok(Done::Cancelled)
            }
            Err(error) => {
                let (tolerated, instead) = self.after_failure(unit, &trial, &error).await?;
                let kept = Outcome::Failed { error: error.clone(), tolerated, instead: instead.clone() };
                self.record_end(unit, &trial, kept).await?;
                Ok(Done::Failed { error, tolerated, instead })
            }
        }
    }

    /// Attempts until one succeeds or none is left.
    async fn try_often(
        self: &Arc<Self>,
        unit: &Unit,
        mut slot: Option<Slot>,
        mut failed: Option<NodeError>,
        trial: &mut Trial,
    ) -> Result<Result<Map<String, Value>, NodeError>, Shut> {
        let mut past = self.known(unit);
        if let Some(error) = past.gave_up.take() {
            return Ok(Err(error));
        }
        if let Some(open) = past.open.as_ref().filter(|open| open.times >= self.with.settings.cut_off) {
            let message = format!("the death of the process cut it off {} times in a row", open.times);
            return Ok(Err(NodeError::new(FailureKind::Internal, message)));
        }
        if let Some(next_at) = past.next_at {
            drop(slot.take());
            self.rest(unit, Duration::from_millis(next_at.saturating_sub(self.clock.wall_now()))).await?;
        }
        loop {
            self.gate.pass().await?;
            trial.number += 1;
            let result = match failed.take() {
                Some(error) => Err(error),
                None => self.try_once(unit, &mut slot, &past, trial).await?,
            };
            let error = match result {
                Ok(outputs) => return Ok(Ok(outputs)),
                Err(error) if !error.retryable || past.failures >= unit.policy.retries => {
                    return Ok(Err(error));
                }
                Err(error) => error,
            };
            drop(slot.take());
            let wait = backoff(unit.policy, past.failures).max(error.retry_after.unwrap_or_default());
            let at = self.clock.wall_now();
            past.retry(trial.number, at, wait);
            let (node, attempt) = (unit.path.clone(), trial.number);
            self.note(unit, Record::Retrying { node, attempt, at, error, wait }).await?;
            self.rest(unit, wait).await?;
        }
    }

    /// One attempt, from its slot to its result.
    async fn try_once(
        self: &Arc<Self>,
        unit: &Unit,
        slot: &mut Option<Slot>,
        past: &Past,
        trial: &mut Trial,
    ) -> Result<Result<Map<String, Value>, NodeError>, Shut> {
        let runs = matches!(unit.op, Op::Run);
        if runs && slot.is_none() {
            *slot = Some(self.slot(unit.rank).await?);
        }
        let permit = match self.admit(unit).await? {
            Ok(permit) => permit,
            Err(error) => return Ok(Err(error)),
        };
        let hash = InputHash::of(&unit.inputs, &unit.work.params);
        let open = past.open.as_ref().map(|open| open.key.clone());
        let interrupted = open.is_some();
        let key = open.unwrap_or_else(|| IdempotencyKey::of(&self.id, &unit.path, trial.number, &hash));
        let record = Record::Started {
            node: unit.path.clone(),
            attempt: trial.number,
            key: key.clone(),
            at: self.clock.wall_now(),
        };
        self.note(unit, record).await?;
        self.set_state(unit, NodeState::Executing);
        trial.start = self.clock.now();
        let result = match &unit.op {
            Op::Map(spec) => self.run_map(unit, spec).await,
            Op::Loop(spec) => self.run_loop(unit, spec).await,
            Op::Run => {
                let call = NodeCall {
                    run: self.id.clone(),
                    node: unit.path.clone(),
                    work: Arc::clone(&unit.work),
                    inputs: unit.inputs.clone(),
                    run_inputs: Arc::clone(&self.inputs),
                    attempt: trial.number,
                    interrupted,
                    key,
                    cancel: self.cancel.child_token(),
                };
                Ok(self.attempt_as(unit, call).await)
            }
            op => Ok(self.compute_control(op, &unit.work, unit.inputs.clone())),
        };
        trial.end = self.clock.now();
        drop(permit);
        result
    }

    async fn attempt_as(&self, unit: &Unit, call: NodeCall) -> Result<Map<String, Value>, NodeError> {
        if self.conduct(unit) != Conduct::Inline {
            return self.attempt(call).await;
        }
        let runner = &self.with.runner;
        let computed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runner.compute(call)));
        let outputs = computed.unwrap_or_else(|panic| Err(super::attempt::panicked(panic.as_ref())))?;
        self.check(&unit.work, outputs)
    }

    async fn admit(self: &Arc<Self>, unit: &Unit) -> Result<Result<Option<Permit>, NodeError>, Shut> {
        let Some(admission) = &self.with.admission else { return Ok(Ok(None)) };
        if !matches!(unit.op, Op::Run) || self.conduct(unit) == Conduct::Inline {
            return Ok(Ok(None));
        }
        let permit = tokio::select! {
            biased;
            () = self.gate.shut() => return Err(Shut),
            permit = admission.admit(&self.id, &unit.path, &unit.work) => permit,
        };
        self.set_state(unit, NodeState::Allocated);
        // It may have been paused meanwhile.
        self.gate.pass().await?;
        Ok(permit.map(Some))
    }

    /// What follows once no attempt is left: whether the run goes on, and with what.
    async fn after_failure(
        self: &Arc<Self>,
        unit: &Unit,
        trial: &Trial,
        error: &NodeError,
    ) -> Result<(bool, Option<Map<String, Value>>), Shut> {
        let other = match unit.policy.then {
            Then::Halt => return Ok((false, None)),
            Then::Skip => return Ok((true, None)),
            Then::Fallback(other) | Then::Compensate(other) => other,
        };
        let at = self.clock.wall_now();
        let record =
            Record::GaveUp { node: unit.path.clone(), attempt: trial.number, at, error: error.clone() };
        self.note(unit, record).await?;
        let spec = self.plan.node(other);
        let mut inputs = unit.inputs.clone();
        inputs.insert("error".to_owned(), json!({ "kind": error.kind, "message": error.message }));
        let stand_in = Unit {
            path: spec.path.on_behalf_of(&unit.path),
            op: spec.op.clone(),
            work: Arc::clone(&spec.work),
            policy: spec.policy,
            rank: unit.rank,
            node: None,
            inputs,
        };
        let done = self.perform(&stand_in, None, None).await;
        let state = if matches!(done, Done::Completed(_)) { NodeState::Completed } else { NodeState::Failed };
        self.tracker.set(other, state, self.clock.now());
        match (unit.policy.then, done) {
            (_, Done::Left | Done::Cancelled) => Err(Shut),
            (Then::Fallback(_), Done::Completed(outputs)) => Ok((true, Some(outputs))),
            (Then::Fallback(_), Done::Failed { tolerated, instead, .. }) => Ok((tolerated, instead)),
            _ => Ok((false, None)),
        }
    }

    /// Waits before the next attempt.
    async fn rest(&self, unit: &Unit, wait: Duration) -> Result<(), Shut> {
        self.set_state(unit, NodeState::Retrying);
        tokio::select! {
            biased;
            () = self.gate.shut() => Err(Shut),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// Records something about a unit. For one with effects, returns once it is durable.
    async fn note(&self, unit: &Unit, record: Record) -> Result<(), Shut> {
        let strict = self.is_strict(unit);
        let durability = if strict { Durability::Strict } else { Durability::Lax };
        match self.append(record, durability) {
            Some(mark) if strict => self.durable(mark).await,
            _ => Ok(()),
        }
    }

    async fn record_end(&self, unit: &Unit, trial: &Trial, outcome: Outcome) -> Result<(), Shut> {
        if let Some(node) = unit.node {
            let Trial { number, start, end, .. } = *trial;
            self.tracker
                .change_span(node, |span| (span.attempt, span.start, span.end) = (number, start, end));
        }
        let ended = Ended {
            node: unit.path.clone(),
            attempt: trial.number,
            outcome,
            ready: self.clock.wall(trial.ready),
            start: self.clock.wall(trial.start),
            end: self.clock.wall(trial.end),
            took: trial.end.saturating_sub(trial.start),
        };
        if unit.node.is_none() {
            // Another attempt of the node that had it run asks again.
            self.past().entry(unit.path.clone()).or_default().end(ended.clone());
        }
        self.note(unit, Record::Ended(Box::new(ended))).await
    }

    fn is_strict(&self, unit: &Unit) -> bool {
        self.with.settings.strict || (matches!(unit.op, Op::Run) && self.conduct(unit) == Conduct::Effect)
    }

    fn conduct(&self, unit: &Unit) -> Conduct {
        self.with.runner.conduct(&unit.work)
    }

    fn set_state(&self, unit: &Unit, state: NodeState) {
        if let Some(node) = unit.node {
            self.tracker.set(node, state, self.clock.now());
        }
    }

    fn known(&self, unit: &Unit) -> Past {
        self.past().get(&unit.path).cloned().unwrap_or_default()
    }

    async fn cached_outputs(&self, unit: &Unit) -> Option<Map<String, Value>> {
        let cache = self.with.cache.as_ref().filter(|_| self.is_cachable(unit))?;
        cache.find(action_key(unit)).await
    }

    fn keep_in_cache(&self, unit: &Unit, outputs: &Map<String, Value>, cached: bool) {
        if let Some(cache) = self.with.cache.as_ref().filter(|_| !cached && self.is_cachable(unit)) {
            cache.keep(action_key(unit), outputs);
        }
    }

    fn is_cachable(&self, unit: &Unit) -> bool {
        matches!(unit.op, Op::Run) && self.conduct(unit) == Conduct::Pure
    }
}

fn action_key(unit: &Unit) -> ActionKey {
    ActionKey::of(&unit.work.uses, &InputHash::of(&unit.inputs, &unit.work.params))
}

/// Doubles with each failure.
fn backoff(policy: Policy, failures: u32) -> Duration {
    policy.backoff.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_BACKOFF)
}
