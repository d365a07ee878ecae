//! Control nodes: what the executor itself does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::gate::Shut;
use super::run::Run;
use super::unit::{Done, Unit};
use crate::dag::plan::{LoopSpec, MapSpec, Op, Policy};
use crate::dag::runner::{FailureKind, NodeError, Work};

/// The most elements of one `map`.
const MAX_ELEMENTS: usize = 100_000;

type Outputs = Map<String, Value>;

impl Run {
    /// What follows from the inputs of a control node at once.
    pub(super) fn compute_control(
        &self,
        op: &Op,
        work: &Work,
        mut inputs: Outputs,
    ) -> Result<Outputs, NodeError> {
        let mut given = |port: &str| inputs.remove(port).or_else(|| work.params.get(port).cloned());
        let missing = || NodeError::new(FailureKind::BadInput, "its input `in` has no value");
        let (port, value) = match op {
            Op::Input(name) => {
                let value = self.inputs.get(name).cloned();
                let unknown =
                    || NodeError::new(FailureKind::BadInput, format!("the run has no input `{name}`"));
                ("out", value.ok_or_else(unknown)?)
            }
            Op::Branch(condition) => {
                let value = given("in").ok_or_else(missing)?;
                (if condition.holds(&value) { "then" } else { "else" }, value)
            }
            Op::Output(_) | Op::Merge | Op::Join => ("out", given("in").ok_or_else(missing)?),
            Op::Noop => ("out", given("in").unwrap_or_default()),
            Op::Run | Op::Map(_) | Op::Loop(_) => {
                return Err(NodeError::new(FailureKind::Internal, "it is no control node"));
            }
        };
        Ok(Outputs::from_iter([(port.to_owned(), value)]))
    }

    /// Runs the body once for each element. After a failure nothing new is started; what runs ends.
    pub(super) async fn run_map(
        self: &Arc<Self>,
        unit: &Unit,
        spec: &MapSpec,
    ) -> Result<Result<Outputs, NodeError>, Shut> {
        let mut inputs = unit.inputs.clone();
        let over = inputs.remove("over").or_else(|| unit.work.params.get("over").cloned());
        let items = match over {
            Some(Value::Array(items)) if items.len() <= MAX_ELEMENTS => items,
            Some(Value::Array(items)) => {
                return Ok(Err(bad(format!("{} elements are more than {MAX_ELEMENTS}", items.len()))));
            }
            _ => return Ok(Err(bad("its input `over` is no list".to_owned()))),
        };
        let failed = AtomicBool::new(false);
        let elements = items.into_iter().enumerate().map(|(index, item)| {
            let mut inputs = inputs.clone();
            inputs.insert("item".to_owned(), item);
            inputs.insert("index".to_owned(), json!(index));
            let (time, failed) = (time_of(unit, &spec.body, index, inputs), &failed);
            async move {
                if failed.load(Ordering::Relaxed) {
                    return (index, None);
                }
                let done = self.perform(&time, None, None).await;
                let ends_it = !matches!(done, Done::Completed(_)) && !spec.skip_failed;
                failed.fetch_or(ends_it, Ordering::Relaxed);
                (index, Some(done))
            }
        });
        let mut done: Vec<(usize, Option<Done>)> =
            stream::iter(elements).buffer_unordered(spec.concurrency.max(1)).collect().await;
        done.sort_unstable_by_key(|(index, _)| *index);
        results(&spec.body, spec.skip_failed, done)
    }

    /// Runs the body until its condition holds or its rounds are over.
    pub(super) async fn run_loop(
        self: &Arc<Self>,
        unit: &Unit,
        spec: &LoopSpec,
    ) -> Result<Result<Outputs, NodeError>, Shut> {
        let mut inputs = unit.inputs.clone();
        let mut value =
            inputs.remove("in").or_else(|| unit.work.params.get("in").cloned()).unwrap_or_default();
        let mut rounds = 0;
        while rounds < spec.rounds {
            let mut inputs = inputs.clone();
            inputs.insert("in".to_owned(), value);
            inputs.insert("index".to_owned(), json!(rounds));
            let time = time_of(unit, &spec.body, rounds, inputs);
            rounds += 1;
            value = match self.perform(&time, None, None).await {
                Done::Completed(outputs) => main_of(&spec.body, outputs),
                Done::Failed { error, .. } => return Ok(Err(within("round", rounds - 1, error))),
                Done::Cancelled | Done::Left => return Err(Shut),
            };
            if spec.until.as_ref().is_some_and(|until| until.holds(&value)) {
                break;
            }
        }
        Ok(Ok(Outputs::from_iter([("out".to_owned(), value), ("rounds".to_owned(), json!(rounds))])))
    }
}

fn results(
    body: &Work,
    skip_failed: bool,
    done: Vec<(usize, Option<Done>)>,
) -> Result<Result<Outputs, NodeError>, Shut> {
    let mut results = Vec::with_capacity(done.len());
    let mut failure = None;
    for (index, done) in done {
        match done {
            Some(Done::Completed(outputs)) => results.push(main_of(body, outputs)),
            Some(Done::Failed { .. }) if skip_failed => {}
            Some(Done::Failed { error, .. }) => failure = failure.or(Some(within("element", index, error))),
            Some(Done::Cancelled | Done::Left) => return Err(Shut),
            None => {}
        }
    }
    Ok(failure.map_or_else(|| Ok(Outputs::from_iter([("results".to_owned(), Value::Array(results))])), Err))
}

/// One time of a control's body. What happens on an error is the control's to say, so it has no policy of its
/// own.
fn time_of(unit: &Unit, body: &Arc<Work>, index: usize, inputs: Outputs) -> Unit {
    Unit {
        path: unit.path.nth(index),
        op: Op::Run,
        work: Arc::clone(body),
        policy: Policy::default(),
        rank: unit.rank,
        node: None,
        inputs,
    }
}

/// The value of the body's main output.
fn main_of(body: &Work, mut outputs: Outputs) -> Value {
    match body.outlets.first() {
        Some(main) => outputs.remove(&main.name).unwrap_or_default(),
        None => Value::Object(outputs),
    }
}

fn within(what: &str, index: usize, mut error: NodeError) -> NodeError {
    error.message = format!("{what} {index}: {}", error.message);
    error
}

fn bad(message: String) -> NodeError {
    NodeError::new(FailureKind::BadInput, message)
}
