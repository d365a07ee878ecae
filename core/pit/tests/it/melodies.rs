//! Melodies as people write them, compiled and run.

use podium_melody::{Catalogue, Melody};
use podium_pit::dag::{NodeState, Plan, PlanError, RunState};
use serde_json::json;

use crate::bed::{Bed, ended, melody};
use crate::order::on_threads;

const HEAD: &str = "id = \"m\"\nname = \"m\"\nversion = \"1.0.0\"\n";

#[test]
fn a_melody_maps_branches_merges_loops_and_joins() {
    on_threads(async {
        let bed = Bed::default();
        let plan = melody(include_str!("everything.melody.toml"));
        let handle = bed.start_with(&plan, json!({ "names": ["a", "b", "c"] }));
        let report = ended(&handle).await;
        assert_eq!(report.status, RunState::Completed, "{report:?}");
        assert_eq!(
            serde_json::Value::Object(report.outputs.clone()),
            json!({
                "greetings": ["hello a, number 0", "hello b, number 1", "hello c, number 2"],
                "way": "b was greeted",
                "grown": "gxxx",
                "rounds": 3,
                "all": ["b was greeted", "gxxx"],
            })
        );
        let state =
            |id: &str| handle.nodes().into_iter().find(|node| node.node.as_str() == id).unwrap().state;
        assert_eq!((state("yes"), state("no")), (NodeState::Completed, NodeState::Skipped));
        assert_eq!((report.nodes.completed, report.nodes.skipped), (8, 1));

        let bed = Bed::default();
        let report = ended(&bed.start_with(&plan, json!({ "names": [] }))).await;
        assert_eq!(report.outputs["greetings"], json!([]));
        assert_eq!(report.outputs["way"], json!("b was not greeted"));
    });
}

#[test]
fn inputs_have_defaults_and_types_and_unknown_ones_are_refused() {
    let head = format!(
        "{HEAD}[inputs.topic]\ntype = \"text\"\ndefault = \"sea\"\n[inputs.count]\ntype = \"json<integer>\"\n"
    );
    let plan = melody(&format!("{head}[[nodes]]\nid = \"n\"\nkind = \"operator\"\nuses = \"noop\"\n"));
    let inputs = |value: serde_json::Value| plan.inputs(value.as_object().cloned().unwrap());
    assert_eq!(
        serde_json::Value::from(inputs(json!({ "count": 1 })).unwrap()),
        json!({ "topic": "sea", "count": 1 })
    );
    for (wrong, message) in [
        (json!({}), "input `count` is missing"),
        (json!({ "count": "many" }), "input `count` is not of type json<integer>"),
        (json!({ "count": 1, "colour": "red" }), "the melody has no input `colour`"),
    ] {
        assert_eq!(inputs(wrong).unwrap_err().message, message);
    }
}

#[test]
fn what_validation_would_refuse_is_no_plan_either() {
    let plan = |nodes: serde_json::Value, edges: serde_json::Value| {
        let melody: Melody =
            serde_json::from_value(json!({ "id": "m", "nodes": nodes, "edges": edges })).unwrap();
        Plan::of(&melody, &Catalogue::builtin()).map(drop)
    };
    let noop = |id: &str| json!({ "id": id, "kind": "operator", "uses": "noop" });
    let edge = |from: &str, to: &str| json!({ "from": from, "to": to });
    assert_eq!(plan(json!([noop("a"), noop("a")]), json!([])), Err(PlanError::DuplicateNodeId("a".into())));
    assert_eq!(
        plan(json!([noop("a")]), json!([edge("a.out", "b.in")])),
        Err(PlanError::UnknownNode("b".into()))
    );
    assert_eq!(
        plan(json!([noop("a")]), json!([edge("a.out", "a.in")])),
        Err(PlanError::CycleDetected(vec!["a".into(), "a".into()]))
    );
    let cycle = plan(json!([noop("a"), noop("b")]), json!([edge("a.out", "b.in"), edge("b.out", "a.in")]));
    assert!(matches!(cycle, Err(PlanError::CycleDetected(path)) if path.len() == 3));
    let unknown = plan(json!([{ "id": "a", "kind": "operator", "uses": "nope" }]), json!([]));
    assert!(matches!(unknown, Err(PlanError::InvalidNode { .. })));
}
