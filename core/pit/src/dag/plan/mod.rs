//! A melody's graph as arrays.

mod builder;
mod melody;
mod order;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use podium_melody::Condition;
use serde_json::Value;

use super::names::NodePath;
use super::runner::Work;

pub use builder::{NodeSpec, PlanBuilder, PlanError};

/// The most nodes and edges of a plan.
pub const MAX_NODES: usize = 1_000_000;
pub const MAX_EDGES: usize = 8_000_000;

/// No node, no port, no condition.
pub(crate) const NONE: u32 = u32::MAX;

/// A graph that can be run: without cycles, its nodes numbered, its edges in compressed rows.
#[derive(Debug)]
pub struct Plan {
    pub(crate) nodes: Box<[Node]>,
    /// One for each node: all that the executor looks at when nothing but order matters.
    pub(crate) hot: Box<[Hot]>,
    /// Where the edges of each node begin; one more than there are nodes.
    pub(crate) starts: Box<[u32]>,
    /// The node that each edge leads to. Of one node's edges, the most urgent comes last.
    pub(crate) targets: Box<[u32]>,
    pub(crate) edges: Box<[Edge]>,
    /// Edges into each node, in the order of the melody.
    pub(crate) in_starts: Box<[u32]>,
    pub(crate) in_edges: Box<[u32]>,
    /// Length of the longest way to an end, in nodes: who has the highest is started first.
    pub(crate) ranks: Box<[u32]>,
    pub(crate) ports: Box<[Arc<str>]>,
    pub(crate) conditions: Box<[Condition]>,
    /// Schemas that port types name.
    pub(crate) schemas: BTreeMap<String, Value>,
    pub(crate) border: melody::Border,
    index: OnceLock<HashMap<NodePath, u32>>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) path: NodePath,
    pub(crate) op: Op,
    pub(crate) work: Arc<Work>,
    pub(crate) policy: Policy,
}

/// What the executor itself does with a node.
#[derive(Debug, Clone)]
pub enum Op {
    /// Gives what it gets: the value of its input `in` on its output `out`.
    Noop,
    /// Left to the [`super::NodeRunner`].
    Run,
    /// Gives the melody input of this name on `out`.
    Input(String),
    /// Takes the melody output of this name on `in`.
    Output(String),
    /// Gives `in` on `then` if the condition holds, else on `else`.
    Branch(Condition),
    /// Gives the value of the first of its edges that was taken on `out`.
    Merge,
    /// Waits for all, and lists on `out` what came, in the order of the melody.
    Join,
    /// Runs something once for each element of `over`.
    Map(MapSpec),
    /// Runs something again and again, each time with what it gave before.
    Loop(LoopSpec),
}

#[derive(Debug, Clone)]
pub struct MapSpec {
    /// What runs. It gets `item`, `index`, and the inputs of the map.
    pub body: Arc<Work>,
    /// How many at once.
    pub concurrency: usize,
    /// Failed elements are left out of the results.
    pub skip_failed: bool,
}

#[derive(Debug, Clone)]
pub struct LoopSpec {
    /// What runs. It gets `in`, `index`, and the inputs of the loop.
    pub body: Arc<Work>,
    /// The most rounds.
    pub rounds: usize,
    /// Ends the loop once it holds for what a round gave.
    pub until: Option<Condition>,
}

/// What happens when an attempt fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Further attempts after the first.
    pub retries: u32,
    /// Before the first further attempt; doubled with each.
    pub backoff: Duration,
    pub then: Then,
}

/// What happens when no attempt succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Then {
    #[default]
    Halt,
    Skip,
    Fallback(u32),
    Compensate(u32),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    pub(crate) source: u32,
    /// Names in [`Plan::ports`]; [`NONE`] for an edge that only orders.
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) when: u32,
    /// The port that it leads to can do without.
    pub(crate) optional: bool,
    /// Which edge of the melody it is.
    pub(crate) place: u32,
}

impl Edge {
    pub(crate) fn is_control(&self) -> bool {
        self.to == NONE
    }
}

/// What is known of a node without looking at it closely.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hot(u8);

impl Hot {
    const NOOP: u8 = 1;
    /// Runs only when another node asks for it.
    const STANDBY: u8 = 2;
    /// Runs even if some of its edges were not taken.
    const TOLERANT: u8 = 4;
    /// Each of its edges is taken once it completed, whatever it gave: none has a condition, none comes from
    /// a port that it may leave out.
    const PLAIN_OUT: u8 = 8;

    pub(crate) fn is_noop(self) -> bool {
        self.0 & Self::NOOP != 0
    }

    pub(crate) fn is_standby(self) -> bool {
        self.0 & Self::STANDBY != 0
    }

    pub(crate) fn is_tolerant(self) -> bool {
        self.0 & Self::TOLERANT != 0
    }

    pub(crate) fn has_plain_out(self) -> bool {
        self.0 & Self::PLAIN_OUT != 0
    }
}

impl Plan {
    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The paths of all nodes, in the order of the melody.
    pub fn paths(&self) -> impl Iterator<Item = &NodePath> {
        self.nodes.iter().map(|node| &node.path)
    }

    /// What a node is to do.
    pub fn work(&self, node: &NodePath) -> Option<&Arc<Work>> {
        Some(&self.nodes.get(self.find(node)? as usize)?.work)
    }

    /// Whether a node runs only for another: a fallback or a compensation.
    pub fn is_standby(&self, node: &NodePath) -> bool {
        self.find(node).is_some_and(|index| self.hot[index as usize].is_standby())
    }

    /// The nodes that can only run after `node`, it included, in the order of the melody.
    pub(crate) fn with_descendants(&self, node: u32) -> Vec<u32> {
        let mut seen = vec![false; self.len()];
        seen[node as usize] = true;
        let mut left = vec![node];
        while let Some(at) = left.pop() {
            for &target in self.targets(at) {
                if !std::mem::replace(&mut seen[target as usize], true) {
                    left.push(target);
                }
            }
        }
        let indices = (0..).zip(seen);
        indices.filter_map(|(index, seen)| seen.then_some(index)).collect()
    }

    pub(crate) fn find(&self, node: &NodePath) -> Option<u32> {
        let index = self.index.get_or_init(|| {
            let indices = (0..).zip(self.nodes.iter());
            indices.map(|(index, node)| (node.path.clone(), index)).collect()
        });
        index.get(node).copied()
    }

    pub(crate) fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    pub(crate) fn targets(&self, node: u32) -> &[u32] {
        &self.targets[self.out(node)]
    }

    /// The edges out of a node, as a range of `targets` and `edges`.
    pub(crate) fn out(&self, node: u32) -> std::ops::Range<usize> {
        self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize
    }

    pub(crate) fn edges_into(&self, node: u32) -> impl ExactSizeIterator<Item = &Edge> {
        let range = self.in_starts[node as usize] as usize..self.in_starts[node as usize + 1] as usize;
        self.in_edges[range].iter().map(|&edge| &self.edges[edge as usize])
    }

    pub(crate) fn in_degree(&self, node: u32) -> u32 {
        self.in_starts[node as usize + 1] - self.in_starts[node as usize]
    }

    pub(crate) fn port(&self, port: u32) -> &str {
        &self.ports[port as usize]
    }

    pub(crate) fn condition(&self, edge: &Edge) -> Option<&Condition> {
        self.conditions.get(edge.when as usize)
    }
}
