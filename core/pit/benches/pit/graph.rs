//! The graph that is walked: layers of nodes, each after two of the layer before.

use std::sync::Arc;

use podium_melody::{Limits, NodeKind};
use podium_pit::dag::{Conduct, NodeSpec, Op, Plan, PlanBuilder, Policy, Work};

pub(crate) const LAYERS: usize = 100;

/// The parents of a node, by number.
pub(crate) fn parents(node: usize, nodes: usize) -> impl Iterator<Item = usize> {
    let width = nodes / LAYERS;
    let (layer, place) = (node / width, node % width);
    let above = (layer > 0).then(|| [place, (place * 7 + layer) % width].map(|at| (layer - 1) * width + at));
    let [first, second] = above.unwrap_or([usize::MAX; 2]);
    let second = (second != first).then_some(second);
    [Some(first), second].into_iter().flatten().filter(|parent| *parent != usize::MAX)
}

pub(crate) fn plan(nodes: usize) -> Arc<Plan> {
    let work = Arc::new(Work {
        kind: NodeKind::Operator,
        uses: "noop".to_owned(),
        params: serde_json::Map::new(),
        limits: Limits::default(),
        timeout: None,
        conduct: Conduct::Pure,
        inlets: Arc::default(),
        outlets: Arc::default(),
    });
    let mut builder = PlanBuilder::new();
    for node in 0..nodes {
        let spec = NodeSpec {
            id: format!("n{node}"),
            op: Op::Noop,
            work: Arc::clone(&work),
            policy: Policy::default(),
        };
        builder.node(spec).unwrap();
    }
    let number = |node: usize| u32::try_from(node).unwrap();
    for node in 0..nodes {
        for (place, parent) in parents(node, nodes).enumerate() {
            // One value and one order, as most graphs have them.
            if place == 0 {
                builder.edge((number(parent), "out"), (number(node), "in"), None).unwrap();
            } else {
                builder.after(number(parent), number(node)).unwrap();
            }
        }
    }
    Arc::new(builder.build().unwrap())
}
