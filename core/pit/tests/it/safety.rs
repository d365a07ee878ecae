//! Graphs that are too large, too deep or too wide.

use podium_melody::Limits;
use podium_pit::dag::{Conduct, MAX_NODES, NodeSpec, Op, PlanBuilder, PlanError, Policy, RunState};
use serde_json::json;
use std::sync::Arc;

use crate::bed::{Bed, Draft, work};
use crate::order::on_threads;

#[test]
fn one_node_more_than_a_million_is_refused() {
    let shared =
        Arc::new(podium_pit::dag::Work { limits: Limits::default(), ..work("noop", Conduct::Inline) });
    let mut builder = PlanBuilder::new();
    let mut node = |index: usize| {
        builder.node(NodeSpec {
            id: index.to_string(),
            op: Op::Noop,
            work: Arc::clone(&shared),
            policy: Policy::default(),
        })
    };
    assert!((0..MAX_NODES).all(|index| node(index).is_ok()));
    assert_eq!(node(MAX_NODES), Err(PlanError::TooLarge));
}

#[test]
fn a_chain_and_a_star_of_many_nodes_run_without_running_out_of_stack() {
    on_threads(async {
        for star in [false, true] {
            let mut draft = Draft::default();
            let ids: Vec<u32> = (0..20_000)
                .map(|index| draft.node(&format!("n{index}"), "noop", Conduct::Inline, json!({})))
                .collect();
            for pair in ids.windows(2) {
                draft.after(if star { ids[0] } else { pair[0] }, pair[1]);
            }
            let report = Bed::default().run(&draft.plan()).await;
            assert_eq!((report.status, report.nodes.completed), (RunState::Completed, 20_000));
        }
    });
}
