//! What a run does when its process dies: it goes on from whatever its journal has.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use podium_pit::dag::{Conduct, History, NodePath, Policy, Record, RunState, Then};
use proptest::prelude::*;
use serde_json::json;

use crate::bed::{Bed, Draft, Kept, ended, melody, outcomes};
use crate::order::{graphs, on_threads};

/// A bed whose journal was cut after so many records.
fn cut(records: &[Record], after: usize) -> Bed {
    let kept = Kept::default();
    Bed { kept: Arc::new(kept.with(&records[..after])), ..Bed::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn from_every_prefix_of_its_journal_a_run_comes_to_the_same_end_and_repeats_nothing_that_ended(
        graph in graphs(14), strict in any::<bool>(),
    ) {
        on_threads(async {
            let plan = graph.plan();
            let mut first = Bed::default();
            first.settings.strict = strict;
            first.run(&plan).await;
            let records = first.kept.records();
            for after in 0..records.len() {
                let mut bed = cut(&records, after);
                bed.settings.strict = strict;
                let before: HashSet<NodePath> = outcomes(&records[..after]).into_keys().collect();
                let open = History::of(records[..after].to_vec());
                let report = bed.run(&plan).await;
                assert_eq!(report.status, RunState::Completed, "cut after {after}: {report:?}");
                graph.check(&outcomes(&bed.kept.records()));
                let calls = bed.script.calls();
                let called: HashSet<NodePath> = calls.iter().map(|call| call.node.clone()).collect();
                assert_eq!(called.len(), calls.len(), "cut after {after}: a node was run twice");
                for call in &calls {
                    assert!(!before.contains(&call.node), "cut after {after}: {} had ended", call.node);
                    let past = open.node(&call.node);
                    let cut_off = past.and_then(|past| past.open.as_ref());
                    assert_eq!(call.interrupted, cut_off.is_some(), "cut after {after}: {}", call.node);
                    assert_eq!(call.attempt, past.map_or(0, |past| past.attempts) + 1);
                    if let Some(cut_off) = cut_off {
                        assert_eq!(call.key, cut_off.key, "the same intent, the same key");
                    }
                }
            }
        });
    }
}

#[test]
fn a_melody_that_maps_loops_branches_and_joins_resumes_from_every_prefix() {
    on_threads(async {
        let plan = melody(include_str!("everything.melody.toml"));
        let first = Bed::default();
        let whole = ended(&first.start_with(&plan, json!({ "names": ["a", "b", "c"] }))).await;
        assert_eq!(whole.status, RunState::Completed, "{whole:?}");
        let records = first.kept.records();
        for after in 0..records.len() {
            let bed = cut(&records, after);
            let before = outcomes(&records[..after]);
            let report = ended(&bed.start_with(&plan, json!({ "names": ["a", "b", "c"] }))).await;
            assert_eq!(report.outputs, whole.outputs, "cut after {after}");
            assert_eq!(report.nodes, whole.nodes, "cut after {after}");
            for call in bed.script.calls() {
                assert!(!before.contains_key(&call.node), "cut after {after}: {} had ended", call.node);
            }
        }
    });
}

#[test]
fn an_attempt_that_keeps_killing_the_process_is_not_made_for_ever() {
    on_threads(async {
        let mut draft = Draft::default();
        draft.node("deadly", "sum", Conduct::Effect, json!({}));
        let plan = draft.plan();
        let first = Bed::default();
        first.run(&plan).await;
        let started =
            first.kept.records().into_iter().find(|record| matches!(record, Record::Started { .. })).unwrap();
        let mut records = Vec::new();
        for attempt in 1..=5 {
            let Record::Started { node, key, at, .. } = started.clone() else { unreachable!() };
            records.push(Record::Started { node, attempt, key, at });
        }
        let bed = cut(&records, 4);
        assert_eq!(bed.run(&plan).await.status, RunState::Completed);
        assert_eq!(bed.script.calls()[0].attempt, 5);
        let bed = cut(&records, 5);
        let report = bed.run(&plan).await;
        assert_eq!(report.status, RunState::Failed);
        assert!(report.error.as_ref().unwrap().contains("5 times in a row"), "{report:?}");
        assert!(bed.script.calls().is_empty());
    });
}

#[test]
fn retries_are_counted_on_and_a_node_that_gave_up_is_not_tried_again() {
    on_threads(async {
        let mut draft = Draft::default();
        let other = draft.node("other", "text", Conduct::Effect, json!({ "give": "other" }));
        let policy = Policy { retries: 2, backoff: Duration::from_millis(1), then: Then::Fallback(other) };
        draft.with_policy("weak", "fail", Conduct::Effect, json!({}), policy);
        let plan = draft.plan();
        let first = Bed::default();
        assert_eq!(first.run(&plan).await.status, RunState::Completed);
        let records = first.kept.records();
        let called =
            |bed: &Bed, node: &str| bed.script.called().iter().filter(|called| *called == node).count();
        assert_eq!((called(&first, "weak"), called(&first, "other[weak]")), (3, 1));
        for after in 0..records.len() {
            let bed = cut(&records, after);
            assert_eq!(bed.run(&plan).await.status, RunState::Completed);
            let failed = records[..after]
                .iter()
                .filter(|record| matches!(record, Record::Retrying { .. } | Record::GaveUp { .. }));
            assert_eq!(called(&bed, "weak"), 3 - failed.count().min(3), "cut after {after}");
        }
    });
}

#[test]
fn a_run_that_ended_is_told_again_and_nothing_runs() {
    on_threads(async {
        let mut draft = Draft::default();
        draft.node("one", "sum", Conduct::Effect, json!({ "own": 3 }));
        let plan = draft.plan();
        let bed = Bed::default();
        let first = bed.run(&plan).await;
        let again = bed.run(&plan).await;
        assert_eq!((again.status, again.nodes), (first.status, first.nodes));
        assert_eq!(bed.script.calls().len(), 1);
    });
}
