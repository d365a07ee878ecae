//! What the journal says about a run, and how a run goes on from there.

use std::collections::HashMap;
use std::time::Duration;

use super::journal::{Ended, Outcome, Record};
use super::names::{IdempotencyKey, NodePath};
use super::plan::Plan;
use super::runner::NodeError;
use super::states::RunState;

/// A run as its journal tells it.
#[derive(Debug, Clone, Default)]
pub struct History {
    state: Option<RunState>,
    nodes: HashMap<NodePath, Past>,
}

/// A node as the journal tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// How many attempts were begun.
    pub attempts: u32,
    /// How many of them failed since the node was last forgotten.
    pub failures: u32,
    /// An attempt was begun and never ended.
    pub open: Option<Open>,
    /// It waits for its next attempt until then, milliseconds since 1970.
    pub next_at: Option<u64>,
    /// No attempt succeeded; what follows is the node that stands in for it.
    pub gave_up: Option<NodeError>,
    pub ended: Option<Ended>,
}

/// An attempt whose end nobody recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    pub key: IdempotencyKey,
    /// How many attempts in a row were cut off like this one.
    pub times: u32,
}

/// Why a run cannot go on from where somebody wants it to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("the melody has no node `{0}`")]
    UnknownNode(NodePath),
    #[error("node `{0}` has not failed")]
    NotFailed(NodePath),
    #[error("node `{0}` has not run")]
    NotRun(NodePath),
    #[error("node `{0}` runs only when another node asks for it")]
    Standby(NodePath),
}

impl History {
    /// Reads records in the order in which they were appended.
    pub fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let mut history = Self::default();
        records.into_iter().for_each(|record| history.push(record));
        history
    }

    pub fn push(&mut self, record: Record) {
        match record {
            Record::Run { state, .. } => self.state = Some(state),
            Record::Started { node, attempt, key, .. } => self.past(node).start(attempt, key),
            Record::Retrying { node, attempt, at, wait, .. } => self.past(node).retry(attempt, at, wait),
            Record::GaveUp { node, attempt, error, .. } => self.past(node).give_up(attempt, error),
            Record::Ended(ended) => self.past(ended.node.clone()).end(*ended),
            Record::Forgotten { nodes, .. } => {
                self.state = Some(RunState::Ready);
                nodes.iter().for_each(|node| self.forget(node));
            }
        }
    }

    /// The last recorded state of the run.
    pub fn state(&self) -> Option<RunState> {
        self.state
    }

    pub fn node(&self, node: &NodePath) -> Option<&Past> {
        self.nodes.get(node)
    }

    pub fn nodes(&self) -> impl Iterator<Item = (&NodePath, &Past)> {
        self.nodes.iter()
    }

    /// The record after which one failed node runs again, and what was skipped because of it. Elements of a
    /// `map` and rounds of a `loop` that completed keep what they gave.
    ///
    /// # Errors
    /// The node is not there or has not failed.
    pub fn retry(&self, plan: &Plan, node: &NodePath, at: u64) -> Result<Record, ControlError> {
        let index = index_of(plan, node)?;
        let past = self.nodes.get(node).and_then(|past| past.ended.as_ref());
        let failed = past.is_some_and(|ended| matches!(ended.outcome, Outcome::Failed { .. }));
        if !failed {
            return Err(ControlError::NotFailed(node.clone()));
        }
        let mut nodes = self.ended_from(plan, index);
        let times = self.nodes.iter().filter(|(path, past)| {
            let completed = past.ended.as_ref().is_some_and(Ended::is_completed);
            !(completed && path.is_within(node.as_str())) && is_of(path, node.as_str())
        });
        nodes.extend(times.map(|(path, _)| path.clone()));
        nodes.dedup();
        Ok(Record::Forgotten { nodes, at })
    }

    /// The record after which a node and everything after it run again.
    ///
    /// # Errors
    /// The node is not there or has not run.
    pub fn rerun_from(&self, plan: &Plan, node: &NodePath, at: u64) -> Result<Record, ControlError> {
        let index = index_of(plan, node)?;
        if !self.nodes.contains_key(node) {
            return Err(ControlError::NotRun(node.clone()));
        }
        let mut nodes = self.ended_from(plan, index);
        let forgotten: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        let times = self.nodes.keys().filter(|path| forgotten.iter().any(|node| is_of(path, node)));
        nodes.extend(times.cloned());
        Ok(Record::Forgotten { nodes, at })
    }

    /// The nodes from one on that the journal knows.
    fn ended_from(&self, plan: &Plan, node: u32) -> Vec<NodePath> {
        let paths = plan.with_descendants(node).into_iter().map(|node| &plan.node(node).path);
        paths.filter(|path| self.nodes.contains_key(path)).cloned().collect()
    }

    fn past(&mut self, node: NodePath) -> &mut Past {
        self.nodes.entry(node).or_default()
    }

    fn forget(&mut self, node: &NodePath) {
        if let Some(past) = self.nodes.get_mut(node) {
            // Attempts are counted on, so that no key is ever used for two intents.
            *past = Past { attempts: past.attempts, ..Past::default() };
        }
    }

    pub(crate) fn into_nodes(self) -> HashMap<NodePath, Past> {
        self.nodes
    }
}

/// Whether a path is one time of `node`, or a node that stood in for it: `node[3]`, `other[node]`.
fn is_of(path: &NodePath, node: &str) -> bool {
    let stands_in = path.as_str().strip_suffix(']').and_then(|path| path.split_once('['));
    path.is_within(node) || stands_in.is_some_and(|(_, of)| of == node)
}

fn index_of(plan: &Plan, node: &NodePath) -> Result<u32, ControlError> {
    let index = plan.find(node).ok_or_else(|| ControlError::UnknownNode(node.clone()))?;
    if plan.hot[index as usize].is_standby() {
        return Err(ControlError::Standby(node.clone()));
    }
    Ok(index)
}

impl Past {
    pub(crate) fn start(&mut self, attempt: u32, key: IdempotencyKey) {
        let times = self.open.as_ref().filter(|open| open.key == key).map_or(0, |open| open.times);
        self.attempts = attempt;
        self.open = Some(Open { key, times: times + 1 });
        self.next_at = None;
        self.ended = None;
    }

    pub(crate) fn retry(&mut self, attempt: u32, at: u64, wait: Duration) {
        self.attempts = attempt;
        self.failures += 1;
        self.open = None;
        self.next_at = Some(at.saturating_add(super::clock::millis(wait)));
    }

    pub(crate) fn give_up(&mut self, attempt: u32, error: NodeError) {
        self.attempts = attempt;
        self.open = None;
        self.gave_up = Some(error);
    }

    pub(crate) fn end(&mut self, ended: Ended) {
        self.attempts = ended.attempt;
        self.open = None;
        self.next_at = None;
        self.gave_up = None;
        self.ended = Some(ended);
    }
}

impl Ended {
    pub fn is_completed(&self) -> bool {
        matches!(self.outcome, Outcome::Completed { .. })
    }
}
