//! Pausing, resuming, cancelling, retrying, running again from a node.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use podium_pit::dag::{Conduct, ControlError, NodePath, NodeState, Policy, Record, RunState, Then};
use serde_json::json;

use crate::bed::{Bed, Draft, Script, ended};
use crate::order::on_threads;

fn path(node: &str) -> NodePath {
    NodePath::new(node)
}

#[test]
fn while_a_run_is_paused_what_runs_ends_and_nothing_new_starts() {
    on_threads(async {
        let bed = Bed::default();
        let mut draft = Draft::default();
        let slow = draft.node("slow", "wait", Conduct::Effect, json!({}));
        let (noop, next) = (
            draft.node("noop", "noop", Conduct::Inline, json!({})),
            draft.node("next", "sum", Conduct::Pure, json!({})),
        );
        draft.after(slow, noop);
        draft.after(noop, next);
        let handle = bed.start(&draft.plan());
        bed.script.until_called(1).await;
        handle.pause();
        bed.script.open();
        let state =
            |id: &str| handle.nodes().into_iter().find(|node| node.node.as_str() == id).unwrap().state;
        Script::until(&handle, "slow", NodeState::Completed).await;
        assert_eq!(handle.state(), RunState::Paused);
        // Whatever it would have started has had its turn on both threads.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            (state("noop"), state("next"), bed.script.calls().len()),
            (NodeState::Pending, NodeState::Pending, 1)
        );
        handle.resume();
        assert_eq!(ended(&handle).await.status, RunState::Completed);
        let states: Vec<RunState> = bed
            .kept
            .records()
            .into_iter()
            .filter_map(|record| match record {
                Record::Run { state, .. } => Some(state),
                _ => None,
            })
            .collect();
        assert_eq!(states, [RunState::Executing, RunState::Paused, RunState::Executing, RunState::Completed]);
    });
}

#[test]
fn a_cancelled_run_ends_within_two_seconds_whatever_its_nodes_do() {
    for uses in ["wait", "hang", "block"] {
        on_threads(async {
            let bed = Bed::default();
            let mut draft = Draft::default();
            let stuck = draft.node("stuck", uses, Conduct::Effect, json!({}));
            let later = draft.node("later", "sum", Conduct::Pure, json!({}));
            draft.after(stuck, later);
            let handle = bed.start(&draft.plan());
            bed.script.until_called(1).await;
            let asked = Instant::now();
            handle.cancel();
            let report = tokio::time::timeout(Duration::from_secs(2), handle.wait()).await;
            let report = report.unwrap_or_else(|_| panic!("{uses}: {:?}", asked.elapsed())).unwrap();
            assert_eq!(report.status, RunState::Cancelled, "{uses}");
            assert_eq!((report.nodes.cancelled, report.nodes.completed), (2, 0), "{uses}");
            // So that the runtime can go down.
            bed.script.open();
        });
    }
}

#[test]
fn a_paused_run_and_one_that_waits_for_a_retry_can_be_cancelled() {
    on_threads(async {
        let bed = Bed::default();
        let mut draft = Draft::default();
        let policy = Policy { retries: 3, backoff: Duration::from_secs(3600), then: Then::Halt };
        draft.with_policy("weak", "fail", Conduct::Effect, json!({}), policy);
        let handle = bed.start(&draft.plan());
        bed.script.until_called(1).await;
        handle.pause();
        handle.cancel();
        assert_eq!(ended(&handle).await.status, RunState::Cancelled);
        assert_eq!(bed.script.calls().len(), 1);
    });
}

#[test]
fn a_failed_node_is_retried_alone_and_the_run_goes_on() {
    on_threads(async {
        let bed = Bed::default();
        let mut draft = Draft::default();
        let first = draft.node("first", "sum", Conduct::Effect, json!({ "own": 1 }));
        let weak = draft.node("weak", "fail", Conduct::Effect, json!({ "times": 1 }));
        let last = draft.node("last", "echo", Conduct::Effect, json!({}));
        draft.edge(first, (weak, "a"), None);
        draft.edge(weak, (last, "a"), None);
        let plan = draft.plan();
        assert_eq!(bed.run(&plan).await.status, RunState::Failed);
        assert_eq!(bed.run(&plan).await.status, RunState::Failed, "it does not go on by itself");
        assert_eq!(
            bed.history().retry(&plan, &path("first"), 0).unwrap_err(),
            ControlError::NotFailed(path("first"))
        );
        let retry = bed.history().retry(&plan, &path("weak"), 0).unwrap();
        assert_eq!(bed.run_after(retry, &plan).await.status, RunState::Completed);
        assert_eq!(bed.script.called(), ["first", "weak", "weak", "last"]);
        let keys: HashSet<_> = bed.script.calls().into_iter().map(|call| call.key).collect();
        assert_eq!(keys.len(), 4, "a retry that a person asks for is an intent of its own");
    });
}

#[test]
fn a_node_that_was_left_out_is_retried_with_all_that_was_skipped_because_of_it() {
    on_threads(async {
        let bed = Bed::default();
        let mut draft = Draft::default();
        let policy = Policy { then: Then::Skip, ..Policy::default() };
        let weak = draft.with_policy("weak", "fail", Conduct::Effect, json!({ "times": 1 }), policy);
        let needs = draft.node("needs", "echo", Conduct::Effect, json!({}));
        draft.node("apart", "sum", Conduct::Effect, json!({}));
        draft.edge(weak, (needs, "a"), None);
        let plan = draft.plan();
        let report = bed.run(&plan).await;
        assert_eq!((report.status, report.nodes.failed, report.nodes.skipped), (RunState::Completed, 1, 1));
        let retry = bed.history().retry(&plan, &path("weak"), 0).unwrap();
        let report = bed.run_after(retry, &plan).await;
        assert_eq!((report.status, report.nodes.completed), (RunState::Completed, 3));
        let called = bed.script.called();
        assert_eq!(called.iter().filter(|node| *node == "apart").count(), 1);
        assert_eq!(bed.script.calls().last().unwrap().inputs["a"], json!("at last"));
    });
}

#[test]
fn from_a_node_on_everything_runs_again_and_nothing_else_does() {
    on_threads(async {
        let bed = Bed::default();
        let mut draft = Draft::default();
        let ids =
            ["a", "b", "c", "d", "e"].map(|id| draft.node(id, "sum", Conduct::Effect, json!({ "own": 1 })));
        let [a, b, c, d, e] = ids;
        for (from, to) in [(a, b), (b, c), (a, d), (d, e)] {
            draft.edge(from, (to, "x"), None);
        }
        let plan = draft.plan();
        bed.run(&plan).await;
        let unknown = bed.history().rerun_from(&plan, &path("z"), 0).unwrap_err();
        assert_eq!(unknown, ControlError::UnknownNode(path("z")));
        let again = bed.history().rerun_from(&plan, &path("b"), 0).unwrap();
        assert_eq!(bed.run_after(again, &plan).await.nodes.completed, 5);
        assert_eq!(bed.script.called()[5..], ["b", "c"]);
        let calls = bed.script.calls();
        assert_eq!(calls[5].attempt, 2);
        assert!(calls[..5].iter().all(|call| call.key != calls[5].key));
    });
}

#[test]
fn the_end_of_a_node_with_effects_is_durable_before_anything_after_it_starts() {
    on_threads(async {
        let bed = Bed::default();
        let mut draft = Draft::default();
        let first = draft.node("first", "sum", Conduct::Effect, json!({}));
        let second = draft.node("second", "sum", Conduct::Effect, json!({}));
        draft.after(first, second);
        bed.run(&draft.plan()).await;
        let durable = bed.kept.durabilities();
        let records = bed.kept.records();
        let batch_of = |wanted: &dyn Fn(&Record) -> bool| {
            let at = records.iter().position(wanted).unwrap();
            let mut end = 0;
            durable
                .iter()
                .position(|(count, _)| {
                    end += count;
                    at < end
                })
                .unwrap()
        };
        let started = |node: &'static str| move |record: &Record| matches!(record, Record::Started { node: n, .. } if n.as_str() == node);
        let over = |node: &'static str| move |record: &Record| matches!(record, Record::Ended(ended) if ended.node.as_str() == node);
        let order = [
            batch_of(&started("first")),
            batch_of(&over("first")),
            batch_of(&started("second")),
            batch_of(&over("second")),
        ];
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "{order:?}");
        for batch in order {
            assert_eq!(durable[batch].1, podium_pit::dag::Durability::Strict);
        }
    });
}
