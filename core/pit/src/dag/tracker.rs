//! What has become of each node of a run so far.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Map, Value};

use super::counter::{Counter, Tally};
use super::plan::{Edge, Plan};
use super::states::NodeState;

/// Of one node; boxed, so that a node without any takes little room.
type Outputs = Box<Map<String, Value>>;

/// One place for each node of a plan. What most nodes of a large graph need (how many edges are open, the
/// state, when it ended) lies in two words; the rest is kept for those that have it.
#[derive(Debug)]
pub(crate) struct Tracker {
    counters: Box<[Counter]>,
    /// State in the low 8 bits, nanoseconds since the run began above.
    words: Box<[AtomicU64]>,
    outputs: Box<[OnceLock<Outputs>]>,
    spans: Mutex<HashMap<u32, Span>>,
}

/// When a node that does not run on the spot did what, nanoseconds since the run began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) ready: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attempt: u32,
}

/// How an ended node counts for those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    /// It completed, or another node stands in for it.
    Outputs,
    /// It failed and may be left out.
    Nothing,
    /// It was skipped.
    Missed,
}

impl Tracker {
    pub(crate) fn new(plan: &Plan) -> Self {
        let nodes = || 0..u32::try_from(plan.len()).unwrap_or(u32::MAX);
        Self {
            counters: nodes().map(|node| Counter::new(plan.in_degree(node))).collect(),
            words: nodes().map(|_| AtomicU64::new(0)).collect(),
            outputs: nodes().map(|_| OnceLock::new()).collect(),
            spans: Mutex::default(),
        }
    }

    pub(crate) fn state(&self, node: u32) -> NodeState {
        NodeState::from_u8(self.words[node as usize].load(Ordering::Acquire).to_le_bytes()[0])
    }

    /// Nanoseconds since the run began at which the node came into its state.
    pub(crate) fn since(&self, node: u32) -> u64 {
        self.words[node as usize].load(Ordering::Relaxed) >> 8
    }

    pub(crate) fn set(&self, node: u32, state: NodeState, now: u64) {
        self.words[node as usize].store(now << 8 | u64::from(state as u8), Ordering::Release);
    }

    pub(crate) fn tally(&self, node: u32) -> Tally {
        self.counters[node as usize].tally()
    }

    pub(crate) fn span(&self, node: u32) -> Option<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).get(&node).copied()
    }

    pub(crate) fn change_span(&self, node: u32, change: impl FnOnce(&mut Span)) {
        change(self.spans.lock().unwrap_or_else(PoisonError::into_inner).entry(node).or_default());
    }

    pub(crate) fn outputs(&self, node: u32) -> Option<&Map<String, Value>> {
        self.outputs[node as usize].get().map(|outputs| &**outputs)
    }

    /// Keeps what a node gave. Nothing is kept of an empty map, which reads the same.
    pub(crate) fn give(&self, node: u32, outputs: Map<String, Value>) {
        if !outputs.is_empty() {
            // A node ends once; who is second has recomputed the same.
            let _ = self.outputs[node as usize].set(Box::new(outputs));
        }
    }

    /// The value that an edge carries, if its node gave one on that port.
    pub(crate) fn carried(&self, plan: &Plan, edge: &Edge) -> Option<&Value> {
        const NULL: &Value = &Value::Null;
        let value = self.outputs(edge.source).and_then(|outputs| outputs.get(plan.port(edge.from)));
        // A `noop` that got nothing gives null, and keeps nothing.
        let is_null = || plan.hot[edge.source as usize].is_noop() && plan.port(edge.from) == "out";
        value.or_else(|| is_null().then_some(NULL))
    }

    /// Whether an edge out of a node that ended is taken.
    pub(crate) fn is_taken(&self, plan: &Plan, edge: &Edge, given: Given) -> bool {
        match given {
            Given::Missed => false,
            Given::Nothing => edge.optional || (edge.is_control() && edge.from == super::plan::NONE),
            Given::Outputs if edge.from == super::plan::NONE => {
                // `done` carries true.
                plan.condition(edge).is_none_or(|condition| condition.holds(&Value::Bool(true)))
            }
            Given::Outputs => self
                .carried(plan, edge)
                .is_some_and(|value| plan.condition(edge).is_none_or(|condition| condition.holds(value))),
        }
    }

    /// Decides all edges out of a node that ended, and tells of each node that waits for nothing more. The
    /// most urgent comes last.
    pub(crate) fn release(&self, plan: &Plan, node: u32, given: Given, mut free: impl FnMut(u32)) {
        let out = plan.out(node);
        let valued = self.outputs[node as usize].get().is_some();
        if given == Given::Outputs && plan.hot[node as usize].has_plain_out() {
            for &target in &plan.targets[out] {
                if self.counters[target as usize].taken(valued) {
                    free(target);
                }
            }
            return;
        }
        for (&target, edge) in plan.targets[out.clone()].iter().zip(&plan.edges[out]) {
            let counter = &self.counters[target as usize];
            let last = if self.is_taken(plan, edge, given) {
                counter.taken(valued && given == Given::Outputs)
            } else {
                counter.missed()
            };
            if last {
                free(target);
            }
        }
    }
}
