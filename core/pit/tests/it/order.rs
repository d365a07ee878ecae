//! Random graphs: every node once, after all before it, with the values that a plain evaluation gives.

use std::collections::HashMap;
use std::sync::Arc;

use podium_melody::Condition;
use podium_pit::dag::{Conduct, NodePath, NodeState, Outcome, Plan, RunState};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bed::{Bed, Draft, ended, outcomes};

/// A graph as it is generated: `edges` lead from lower to higher numbers.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<(Kind, i64)>,
    pub(crate) edges: Vec<(usize, usize, Way)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Noop,
    Inline,
    Pure,
    Effect,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Way {
    Order,
    Value,
    /// Taken if the value is below.
    Below(i64),
}

pub(crate) fn graphs(most: usize) -> impl Strategy<Value = Graph> {
    let kind = prop_oneof![Just(Kind::Noop), Just(Kind::Inline), Just(Kind::Pure), Just(Kind::Effect)];
    let way =
        prop_oneof![3 => Just(Way::Order), 5 => Just(Way::Value), 2 => (0_i64..1000).prop_map(Way::Below)];
    prop::collection::vec((kind, 0_i64..1000), 1..most).prop_flat_map(move |nodes| {
        let count = nodes.len();
        let edge = (0..count, 0..count, way.clone());
        prop::collection::vec(edge, 0..count * 3).prop_map(move |edges| {
            let edges = edges.into_iter().filter(|(a, b, _)| a != b);
            let mut edges: Vec<_> = edges.map(|(a, b, way)| (a.min(b), a.max(b), way)).collect();
            let mut into_noop = vec![false; nodes.len()];
            for (_, to, way) in &mut edges {
                // A `noop` takes one value.
                if nodes[*to].0 == Kind::Noop
                    && *way != Way::Order
                    && std::mem::replace(&mut into_noop[*to], true)
                {
                    *way = Way::Order;
                }
            }
            Graph { nodes: nodes.clone(), edges }
        })
    })
}

impl Graph {
    pub(crate) fn plan(&self) -> Arc<Plan> {
        let mut draft = Draft::default();
        let ids: Vec<u32> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(index, (kind, own))| {
                let (uses, conduct) = match kind {
                    Kind::Noop => ("noop", Conduct::Inline),
                    Kind::Inline => ("sum", Conduct::Inline),
                    Kind::Pure => ("sum", Conduct::Pure),
                    Kind::Effect => ("sum", Conduct::Effect),
                };
                draft.node(&format!("n{index}"), uses, conduct, json!({ "own": own }))
            })
            .collect();
        for (place, (from, to, way)) in self.edges.iter().enumerate() {
            let port = if self.nodes[*to].0 == Kind::Noop { "in".to_owned() } else { format!("i{place}") };
            let when = if let Way::Below(limit) = way { Some(format!(". < {limit}")) } else { None };
            match way {
                Way::Order => draft.after(ids[*from], ids[*to]),
                _ => draft.edge(ids[*from], (ids[*to], &port), when.as_deref()),
            }
        }
        draft.plan()
    }

    /// What each node gives, evaluated one after the other; `None` if it is skipped.
    pub(crate) fn evaluate(&self) -> Vec<Option<Value>> {
        let mut values: Vec<Option<Value>> = Vec::new();
        for (index, (kind, own)) in self.nodes.iter().enumerate() {
            let into: Vec<_> = self.edges.iter().filter(|(_, to, _)| *to == index).collect();
            let taken = |(from, _, way): &&(usize, usize, Way)| match (&values[*from], way) {
                (None, _) => false,
                (Some(value), Way::Below(limit)) => {
                    format!(". < {limit}").parse::<Condition>().unwrap().holds(value)
                }
                _ => true,
            };
            let all_taken = into.iter().all(taken);
            let mut given = into.iter().filter(|edge| edge.2 != Way::Order);
            let value = if *kind == Kind::Noop {
                given.next_back().and_then(|edge| values[edge.0].clone()).unwrap_or_default()
            } else {
                let sum: i64 = given.filter_map(|edge| values[edge.0].as_ref()?.as_i64()).sum();
                json!((own + sum) % 1000)
            };
            values.push(all_taken.then_some(value));
        }
        values
    }

    /// Whether what the records say is what the evaluation says.
    pub(crate) fn check(&self, outcomes: &HashMap<NodePath, Outcome>) {
        for (index, expected) in self.evaluate().into_iter().enumerate() {
            let outcome = &outcomes[&NodePath::new(format!("n{index}"))];
            match (outcome, expected) {
                (Outcome::Skipped { .. }, None) => {}
                (Outcome::Completed { outputs, .. }, Some(value)) => {
                    assert_eq!(outputs.get("out").unwrap_or(&Value::Null), &value, "n{index}");
                }
                (outcome, expected) => panic!("n{index}: {outcome:?} instead of {expected:?}"),
            }
        }
    }
}

pub(crate) fn on_threads(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_node_runs_once_after_all_before_it_and_gives_what_a_plain_evaluation_gives(
        graph in graphs(40), strict in any::<bool>(), parallel in 1_usize..5,
    ) {
        on_threads(async {
            let mut bed = Bed::default();
            (bed.settings.strict, bed.settings.parallel) = (strict, parallel);
            let report = bed.run(&graph.plan()).await;
            assert_eq!(report.status, RunState::Completed, "{report:?}");
            graph.check(&outcomes(&bed.kept.records()));

            let log = bed.script.log.lock().unwrap().clone();
            let place = |what: &str, node: usize| {
                let name = format!("n{node}");
                let mut found = log.iter().enumerate().filter(|(_, entry)| entry.0 == what && entry.1 == name);
                let first = found.next().map(|(at, _)| at);
                assert!(found.next().is_none(), "{name} {what} twice");
                first
            };
            for (from, to, _) in &graph.edges {
                if let (Some(first), Some(then)) = (place("ended", *from), place("began", *to)) {
                    assert!(first < then, "n{to} began before n{from} ended");
                }
            }
            let ran = graph.evaluate().iter().zip(&graph.nodes).filter(|(value, (kind, _))| {
                value.is_some() && *kind != Kind::Noop
            }).count();
            assert_eq!(bed.script.calls().len(), ran);
        });
    }
}

#[test]
fn the_most_urgent_node_is_run_first() {
    on_threads(async {
        let mut bed = Bed::default();
        bed.settings.parallel = 1;
        let mut draft = Draft::default();
        let short = draft.node("short", "sum", Conduct::Pure, json!({}));
        let long = draft.node("long", "sum", Conduct::Pure, json!({}));
        let middle = draft.node("middle", "sum", Conduct::Pure, json!({}));
        let end = draft.node("end", "sum", Conduct::Pure, json!({}));
        draft.edge(long, (middle, "a"), None);
        draft.edge(middle, (end, "a"), None);
        draft.edge(short, (end, "b"), None);
        bed.run(&draft.plan()).await;
        assert_eq!(bed.script.called(), ["long", "short", "middle", "end"].map(str::to_owned));
    });
}

#[test]
fn no_more_nodes_run_at_once_than_are_allowed() {
    on_threads(async {
        let mut bed = Bed::default();
        bed.settings.parallel = 3;
        let mut draft = Draft::default();
        (0..20).for_each(|index| _ = draft.node(&format!("n{index}"), "wait", Conduct::Pure, json!({})));
        let handle = bed.start(&draft.plan());
        bed.script.until_called(3).await;
        let executing = handle.nodes().iter().filter(|node| node.state == NodeState::Executing).count();
        assert!(executing <= 3, "{executing}");
        assert_eq!(bed.script.calls().len(), 3);
        bed.script.open();
        assert_eq!(ended(&handle).await.nodes.completed, 20);
    });
}
