//! Builds a plan node by node.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use podium_melody::Condition;
use serde_json::Value;

use super::melody::Border;
use super::order::{self, Rows};
use super::{Edge, Hot, MAX_EDGES, MAX_NODES, NONE, Node, Op, Plan, Policy, Then};
use crate::dag::names::NodePath;
use crate::dag::runner::Work;

/// Why a graph cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("more than {MAX_NODES} nodes or {MAX_EDGES} edges")]
    TooLarge,
    #[error("two nodes have the id `{0}`")]
    DuplicateNodeId(String),
    #[error("an edge or `on_error` names node `{0}`, which is not there")]
    UnknownNode(String),
    #[error("the nodes {} wait for each other", .0.join(" -> "))]
    CycleDetected(Vec<String>),
    #[error("node `{0}` runs only when another node asks for it, so it has no edges")]
    StandbyWithEdges(String),
    #[error("node `{0}` would run itself")]
    RunsItself(String),
    #[error("node `{node}`: {why}")]
    InvalidNode { node: String, why: String },
}

/// A node before it has its place in the plan.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    pub id: String,
    pub op: Op,
    pub work: Arc<Work>,
    pub policy: Policy,
}

/// Collects nodes and edges. Nodes are numbered from 0 as they come.
#[derive(Debug, Default)]
pub struct PlanBuilder {
    nodes: Vec<Node>,
    edges: Vec<(u32, Edge)>,
    ports: Vec<Arc<str>>,
    port_index: HashMap<Arc<str>, u32>,
    conditions: Vec<Condition>,
    schemas: BTreeMap<String, Value>,
}

impl PlanBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Schemas that the port types of outlets name.
    pub fn schemas(&mut self, schemas: BTreeMap<String, Value>) -> &mut Self {
        self.schemas = schemas;
        self
    }

    /// # Errors
    /// [`PlanError::TooLarge`] beyond [`MAX_NODES`].
    pub fn node(&mut self, spec: NodeSpec) -> Result<u32, PlanError> {
        if self.nodes.len() >= MAX_NODES {
            return Err(PlanError::TooLarge);
        }
        let number = number(self.nodes.len());
        let NodeSpec { id, op, work, policy } = spec;
        self.nodes.push(Node { path: NodePath::new(id), op, work, policy });
        Ok(number)
    }

    /// An edge that only orders.
    ///
    /// # Errors
    /// [`PlanError::TooLarge`] beyond [`MAX_EDGES`].
    pub fn after(&mut self, first: u32, then: u32) -> Result<(), PlanError> {
        self.push(then, Edge { source: first, from: NONE, to: NONE, when: NONE, optional: false, place: 0 })
    }

    /// An edge along which a value travels from one port to another, if it meets the condition. Where `to` is
    /// `after`, it orders and nothing arrives.
    ///
    /// # Errors
    /// [`PlanError::TooLarge`] beyond [`MAX_EDGES`].
    pub fn edge(
        &mut self,
        (source, from): (u32, &str),
        (target, to): (u32, &str),
        when: Option<Condition>,
    ) -> Result<(), PlanError> {
        let from = if from == podium_melody::DONE { NONE } else { self.port(from) };
        let to = if to == podium_melody::AFTER { NONE } else { self.port(to) };
        let when = when.map_or(NONE, |when| {
            self.conditions.push(when);
            number(self.conditions.len() - 1)
        });
        self.push(target, Edge { source, from, to, when, optional: false, place: 0 })
    }

    fn push(&mut self, target: u32, mut edge: Edge) -> Result<(), PlanError> {
        if self.edges.len() >= MAX_EDGES {
            return Err(PlanError::TooLarge);
        }
        edge.place = number(self.edges.len());
        self.edges.push((target, edge));
        Ok(())
    }

    fn port(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.port_index.get(name) {
            return known;
        }
        let (name, index) = (Arc::<str>::from(name), number(self.ports.len()));
        self.ports.push(Arc::clone(&name));
        self.port_index.insert(name, index);
        index
    }

    /// # Errors
    /// Whatever keeps the graph from being run.
    pub fn build(mut self) -> Result<Plan, PlanError> {
        self.check_ids()?;
        let standby = self.standby()?;
        self.mark_optional();
        let (starts, targets) = self.rows();
        let degrees = self.in_degrees();
        let rows = Rows { starts: &starts, targets: &targets };
        let order = order::topological(&rows, &degrees).map_err(|cycle| self.cycle(&cycle))?;
        let ranks = order::ranks(&rows, &order);
        self.edges.sort_by_key(|(target, edge)| (edge.source, ranks[*target as usize]));
        let (starts, targets) = self.rows();
        let (in_starts, in_edges) = self.rows_into(&degrees);
        let hot = self.hot(&standby, &starts);
        Ok(Plan {
            hot,
            starts: starts.into(),
            targets: targets.into(),
            edges: self.edges.into_iter().map(|(_, edge)| edge).collect(),
            in_starts: in_starts.into(),
            in_edges: in_edges.into(),
            ranks: ranks.into(),
            nodes: self.nodes.into(),
            ports: self.ports.into(),
            conditions: self.conditions.into(),
            schemas: self.schemas,
            border: Border::default(),
            index: OnceLock::new(),
        })
    }

    fn check_ids(&self) -> Result<(), PlanError> {
        let mut ids: Vec<&NodePath> = self.nodes.iter().map(|node| &node.path).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(PlanError::DuplicateNodeId(pair[0].to_string()));
        }
        let ends = self.edges.iter().flat_map(|(target, edge)| [*target, edge.source]);
        self.all_known(ends)
    }

    fn all_known(&self, mut nodes: impl Iterator<Item = u32>) -> Result<(), PlanError> {
        let unknown = nodes.find(|node| *node as usize >= self.nodes.len());
        unknown.map_or(Ok(()), |node| Err(PlanError::UnknownNode(format!("#{node}"))))
    }

    /// Which nodes run only for another one.
    fn standby(&self) -> Result<Vec<bool>, PlanError> {
        let mut standby = vec![false; self.nodes.len()];
        for (index, node) in (0..).zip(&self.nodes) {
            if let Some(asked) = asked_by(node) {
                self.all_known(std::iter::once(asked))?;
                if asked == index {
                    return Err(PlanError::RunsItself(node.path.to_string()));
                }
                standby[asked as usize] = true;
            }
        }
        let touched = self.edges.iter().flat_map(|(target, edge)| [*target, edge.source]);
        if let Some(node) = touched.into_iter().find(|node| standby[*node as usize]) {
            return Err(PlanError::StandbyWithEdges(self.nodes[node as usize].path.to_string()));
        }
        self.check_asking()?;
        Ok(standby)
    }

    /// A node that asks for one that asks for it would never end.
    fn check_asking(&self) -> Result<(), PlanError> {
        let asked: Vec<Option<u32>> = self.nodes.iter().map(asked_by).collect();
        let mut starts = vec![0];
        let mut degrees = vec![0; asked.len()];
        for row in &asked {
            starts.push(starts.last().copied().unwrap_or_default() + u32::from(row.is_some()));
            row.iter().for_each(|node| degrees[*node as usize] += 1);
        }
        let targets: Vec<u32> = asked.into_iter().flatten().collect();
        let rows = Rows { starts: &starts, targets: &targets };
        order::topological(&rows, &degrees).map(drop).map_err(|cycle| self.cycle(&cycle))
    }

    fn mark_optional(&mut self) {
        for (target, edge) in &mut self.edges {
            let Some(port) = self.ports.get(edge.to as usize) else { continue };
            let inlets = &self.nodes[*target as usize].work.inlets;
            edge.optional = inlets.iter().any(|inlet| *inlet.name == **port);
        }
    }

    /// The edges in compressed rows; sorts them by source.
    fn rows(&mut self) -> (Vec<u32>, Vec<u32>) {
        self.edges.sort_by_key(|(_, edge)| edge.source);
        let mut starts = vec![0; self.nodes.len() + 1];
        self.edges.iter().for_each(|(_, edge)| starts[edge.source as usize + 1] += 1);
        sum_up(&mut starts);
        (starts, self.edges.iter().map(|(target, _)| *target).collect())
    }

    fn rows_into(&self, degrees: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0];
        starts.extend_from_slice(degrees);
        sum_up(&mut starts);
        let mut next = starts.clone();
        let mut edges = vec![0; self.edges.len()];
        for (index, (target, _)) in (0..).zip(&self.edges) {
            let place = &mut next[*target as usize];
            edges[*place as usize] = index;
            *place += 1;
        }
        for range in starts.windows(2) {
            let own = &mut edges[range[0] as usize..range[1] as usize];
            own.sort_unstable_by_key(|edge: &u32| self.edges[*edge as usize].1.place);
        }
        (starts, edges)
    }

    fn in_degrees(&self) -> Vec<u32> {
        let mut degrees = vec![0; self.nodes.len()];
        self.edges.iter().for_each(|(target, _)| degrees[*target as usize] += 1);
        degrees
    }

    fn hot(&self, standby: &[bool], starts: &[u32]) -> Box<[Hot]> {
        let hot = |(index, node): (usize, &Node)| {
            let own = &self.edges[starts[index] as usize..starts[index + 1] as usize];
            let always = |edge: &Edge| {
                let sure = matches!(node.op, Op::Noop)
                    && self.ports.get(edge.from as usize).is_some_and(|port| &**port == "out");
                edge.when == NONE && (edge.from == NONE || sure)
            };
            let mut bits = 0;
            for (bit, holds) in [
                (Hot::NOOP, matches!(node.op, Op::Noop)),
                (Hot::STANDBY, standby[index]),
                (Hot::TOLERANT, matches!(node.op, Op::Merge)),
                (Hot::PLAIN_OUT, own.iter().all(|(_, edge)| always(edge))),
            ] {
                bits |= if holds { bit } else { 0 };
            }
            Hot(bits)
        };
        self.nodes.iter().enumerate().map(hot).collect()
    }

    fn cycle(&self, nodes: &[u32]) -> PlanError {
        let ids = nodes.iter().map(|node| self.nodes[*node as usize].path.to_string());
        PlanError::CycleDetected(ids.collect())
    }
}

/// The node that a node has run when it fails.
fn asked_by(node: &Node) -> Option<u32> {
    match node.policy.then {
        Then::Fallback(node) | Then::Compensate(node) => Some(node),
        Then::Halt | Then::Skip => None,
    }
}

fn sum_up(counts: &mut [u32]) {
    let mut sum = 0;
    for count in counts {
        sum += *count;
        *count = sum;
    }
}

/// Bounded by [`MAX_NODES`] and [`MAX_EDGES`].
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}
