//! What a node is given.

use serde_json::{Map, Value};

use super::plan::{NONE, Op, Plan};
use super::states::NodeState;
use super::tracker::{Given, Tracker};

/// The values of a node's input ports: what taken edges carry, else the defaults of the ports.
pub(crate) fn gather(plan: &Plan, tracker: &Tracker, node: u32) -> Map<String, Value> {
    let spec = plan.node(node);
    let mut inputs = Map::new();
    for inlet in spec.work.inlets.iter() {
        if let Some(default) = &inlet.default {
            inputs.insert(inlet.name.clone(), default.clone());
        }
    }
    match spec.op {
        Op::Merge => {
            let first = ways(plan, tracker, node).flatten().next();
            inputs.insert("in".to_owned(), first.unwrap_or_default());
        }
        Op::Join => {
            let all = ways(plan, tracker, node).map(Option::unwrap_or_default).collect();
            inputs.insert("in".to_owned(), Value::Array(all));
        }
        _ => {
            let edges = plan.edges_into(node).filter(|edge| !edge.is_control());
            for edge in edges.filter(|edge| given(tracker, edge.source) == Given::Outputs) {
                let value =
                    if edge.from == NONE { Some(&Value::Bool(true)) } else { tracker.carried(plan, edge) };
                if let Some(value) = value {
                    inputs.insert(plan.port(edge.to).to_owned(), value.clone());
                }
            }
        }
    }
    inputs
}

/// What each edge with a value brings, in the order of the melody; `None` if it was not taken or its node
/// gave nothing.
fn ways(plan: &Plan, tracker: &Tracker, node: u32) -> impl Iterator<Item = Option<Value>> {
    plan.edges_into(node).filter(|edge| !edge.is_control()).map(|edge| {
        let given = given(tracker, edge.source);
        let taken = given == Given::Outputs && tracker.is_taken(plan, edge, given);
        if edge.from == NONE {
            return taken.then_some(Value::Bool(true));
        }
        tracker.carried(plan, edge).filter(|_| taken).cloned()
    })
}

/// How an ended node counts. A failed one that another stands in for has outputs.
fn given(tracker: &Tracker, node: u32) -> Given {
    match tracker.state(node) {
        NodeState::Completed => Given::Outputs,
        NodeState::Failed if tracker.outputs(node).is_some() => Given::Outputs,
        NodeState::Failed => Given::Nothing,
        _ => Given::Missed,
    }
}
