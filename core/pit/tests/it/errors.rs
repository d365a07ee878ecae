//! What happens when a node fails: each policy, and what it means for what comes after.

use std::sync::Arc;
use std::time::Duration;

use podium_pit::dag::{
    Conduct, FailureKind, Inlet, MapSpec, NodeState, Op, Outcome, Policy, Record, Report, RunState, Then,
    Work,
};
use serde_json::json;

use crate::bed::{Bed, Draft, Script, ended, outcomes, work};
use crate::order::on_threads;
use NodeState::{Completed, Failed, Pending, Skipped};

/// `weak`, then what needs its value, what can do without, and what only comes after it.
fn around(weak: &str, times: u64, retries: u32, then: impl FnOnce(&mut Draft) -> Then) -> Draft {
    let mut draft = Draft::default();
    let then = then(&mut draft);
    let policy = Policy { retries, backoff: Duration::from_millis(1), then };
    let weak = draft.with_policy("weak", weak, Conduct::Effect, json!({ "times": times }), policy);
    let needs = draft.node("needs", "echo", Conduct::Pure, json!({}));
    draft.edge(weak, (needs, "value"), None);
    let inlets = Arc::from([Inlet { name: "value".into(), default: Some(json!("default")) }]);
    let spare =
        draft.add("spare", Op::Run, Work { inlets, ..work("echo", Conduct::Pure) }, Policy::default());
    draft.edge(weak, (spare, "value"), None);
    let later = draft.node("later", "echo", Conduct::Pure, json!({}));
    draft.after(weak, later);
    draft
}

struct Seen {
    report: Arc<Report>,
    states: Vec<(String, NodeState)>,
    bed: Bed,
}

async fn seen(draft: Draft) -> Seen {
    let bed = Bed::default();
    let handle = bed.start(&draft.plan());
    let report = ended(&handle).await;
    let states = handle.nodes().into_iter().map(|node| (node.node.to_string(), node.state)).collect();
    Seen { report, states, bed }
}

impl Seen {
    fn state(&self, node: &str) -> NodeState {
        self.states.iter().find(|(name, _)| name == node).unwrap().1
    }

    fn given_to(&self, node: &str) -> serde_json::Value {
        let calls = self.bed.script.calls();
        calls.into_iter().find(|call| call.node.as_str() == node).unwrap().inputs.into()
    }

    fn calls_of(&self, node: &str) -> usize {
        self.bed.script.called().iter().filter(|called| *called == node).count()
    }
}

fn other(draft: &mut Draft) -> u32 {
    draft.node("other", "text", Conduct::Effect, json!({ "give": "instead" }))
}

#[test]
fn each_policy_does_what_it_says() {
    on_threads(async {
        let halt = seen(around("fail", 9, 0, |_| Then::Halt)).await;
        assert_eq!(halt.report.status, RunState::Failed);
        assert_eq!(halt.report.error.as_deref(), Some("node `weak`: attempt 1"));
        assert_eq!(
            (halt.state("weak"), halt.state("needs"), halt.state("later")),
            (Failed, Pending, Pending)
        );

        let skip = seen(around("fail", 9, 0, |_| Then::Skip)).await;
        assert_eq!(skip.report.status, RunState::Completed);
        assert_eq!(skip.state("weak"), Failed);
        assert_eq!(
            (skip.state("needs"), skip.state("spare"), skip.state("later")),
            (Skipped, Completed, Completed)
        );
        assert_eq!(skip.given_to("spare"), json!({ "value": "default" }));

        let fallback = seen(around("fail", 9, 0, |draft| Then::Fallback(other(draft)))).await;
        assert_eq!(fallback.report.status, RunState::Completed);
        assert_eq!((fallback.state("weak"), fallback.state("other")), (Failed, Completed));
        for node in ["needs", "spare"] {
            assert_eq!(fallback.given_to(node), json!({ "value": "instead" }));
        }
        assert_eq!(
            fallback.given_to("other[weak]")["error"],
            json!({ "kind": "failed", "message": "attempt 1" })
        );

        let compensate = seen(around("fail", 9, 0, |draft| Then::Compensate(other(draft)))).await;
        assert_eq!(compensate.report.status, RunState::Failed);
        assert_eq!((compensate.calls_of("other[weak]"), compensate.state("needs")), (1, Pending));
    });
}

#[test]
fn attempts_are_made_as_often_as_is_said_and_no_more() {
    on_threads(async {
        for (times, retries, calls, status) in [
            (0, 0, 1, RunState::Completed),
            (2, 2, 3, RunState::Completed),
            (3, 2, 3, RunState::Failed),
            (9, 0, 1, RunState::Failed),
        ] {
            let seen = seen(around("fail", times, retries, |_| Then::Halt)).await;
            assert_eq!((seen.calls_of("weak"), seen.report.status), (calls, status), "{times} {retries}");
        }
        let refused = seen(around("refuse", 0, 5, |_| Then::Halt)).await;
        assert_eq!((refused.calls_of("weak"), refused.report.status), (1, RunState::Failed), "not retryable");
        assert_eq!(refused.report.failures[0].1.kind, FailureKind::Denied);
    });
}

#[test]
fn every_retry_is_another_intent_and_waits_longer() {
    on_threads(async {
        let seen = seen(around("fail", 3, 3, |_| Then::Halt)).await;
        let calls: Vec<_> =
            seen.bed.script.calls().into_iter().filter(|call| call.node.as_str() == "weak").collect();
        assert_eq!(calls.iter().map(|call| call.attempt).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(calls.windows(2).all(|pair| pair[0].key != pair[1].key));
        assert!(calls.iter().all(|call| !call.interrupted));
        let waits: Vec<Duration> = seen
            .bed
            .kept
            .records()
            .iter()
            .filter_map(|record| match record {
                Record::Retrying { wait, .. } => Some(*wait),
                _ => None,
            })
            .collect();
        assert_eq!(waits, [1, 2, 4].map(Duration::from_millis));
    });
}

#[test]
fn a_fallback_that_fails_halts_the_run_and_one_may_have_a_fallback_of_its_own() {
    on_threads(async {
        let fails =
            |draft: &mut Draft| Then::Fallback(draft.node("other", "refuse", Conduct::Effect, json!({})));
        assert_eq!(seen(around("fail", 9, 0, fails)).await.report.status, RunState::Failed);
        let chain = |draft: &mut Draft| {
            let last = draft.node("last", "text", Conduct::Pure, json!({ "give": "last" }));
            let policy = Policy { then: Then::Fallback(last), ..Policy::default() };
            Then::Fallback(draft.with_policy("other", "refuse", Conduct::Effect, json!({}), policy))
        };
        let seen = seen(around("fail", 9, 0, chain)).await;
        assert_eq!(seen.report.status, RunState::Completed);
        assert_eq!(seen.given_to("needs"), json!({ "value": "last" }));
    });
}

#[test]
fn what_runs_when_another_node_fails_ends_and_is_kept() {
    on_threads(async {
        let bed = Bed::default();
        let mut draft = Draft::default();
        let slow = draft.node("slow", "wait", Conduct::Effect, json!({}));
        let after = draft.node("after", "sum", Conduct::Pure, json!({}));
        draft.after(slow, after);
        draft.node("weak", "refuse", Conduct::Effect, json!({}));
        let handle = bed.start(&draft.plan());
        bed.script.until_called(2).await;
        Script::until(&handle, "weak", Failed).await;
        bed.script.open();
        let report = ended(&handle).await;
        assert_eq!(report.status, RunState::Failed);
        let kept = outcomes(&bed.kept.records());
        assert!(matches!(kept[&"slow".into_path()], Outcome::Completed { .. }), "{kept:?}");
        assert!(!kept.contains_key(&"after".into_path()));
    });
}

#[test]
fn a_failed_element_fails_its_map_or_is_left_out_and_a_retry_runs_only_what_failed() {
    on_threads(async {
        let map = |skip_failed: bool, retries: u32| {
            let mut draft = Draft::default();
            let body = Work {
                params: json!({ "item": 2 }).as_object().cloned().unwrap(),
                ..work("fail_at", Conduct::Effect)
            };
            let spec = MapSpec { body: Arc::new(body), concurrency: 1, skip_failed };
            let over = Work {
                params: json!({ "over": [1, 2, 3] }).as_object().cloned().unwrap(),
                ..work("map", Conduct::Effect)
            };
            let policy = Policy { retries, backoff: Duration::from_millis(1), then: Then::Halt };
            draft.add("each", Op::Map(spec), over, policy);
            draft
        };
        let failed = seen(map(false, 0)).await;
        assert_eq!(failed.report.error.as_deref(), Some("node `each`: element 1: not this one"));
        assert_eq!(failed.calls_of("each[2]"), 0, "nothing new after a failure");

        let skipped = seen(map(true, 0)).await;
        let Outcome::Completed { outputs, .. } = &outcomes(&skipped.bed.kept.records())[&"each".into_path()]
        else {
            panic!("{:?}", skipped.report)
        };
        assert_eq!(outputs["results"], json!([{ "out": "fine" }, { "out": "fine" }]));

        let retried = seen(map(false, 1)).await;
        assert_eq!(retried.report.status, RunState::Completed);
        let calls = ["each[0]", "each[1]", "each[2]"].map(|node| retried.calls_of(node));
        assert_eq!(calls, [1, 2, 1]);
    });
}

trait IntoPath {
    fn into_path(self) -> podium_pit::dag::NodePath;
}
impl IntoPath for &str {
    fn into_path(self) -> podium_pit::dag::NodePath {
        podium_pit::dag::NodePath::new(self)
    }
}
