//! Nodes and journals that misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use podium_melody::PortType;
use podium_pit::dag::{
    ActionCache, ActionKey, Admission, Conduct, FailureKind, History, Job, NodeError, NodePath, Op, Outlet,
    Permit, Policy, RunId, RunState, Then, Work,
};
use serde_json::{Map, json};
use tokio::sync::Semaphore;

use crate::bed::{Bed, Draft, Kept, Outputs, ended, work};
use crate::order::on_threads;

fn skip() -> Policy {
    Policy { then: Then::Skip, ..Policy::default() }
}

#[test]
fn a_node_that_panics_fails_alone() {
    on_threads(async {
        for conduct in [Conduct::Inline, Conduct::Pure, Conduct::Effect] {
            let bed = Bed::default();
            let mut draft = Draft::default();
            draft.with_policy("bad", "panic", conduct, json!({}), skip());
            draft.node("good", "sum", Conduct::Pure, json!({}));
            let report = bed.run(&draft.plan()).await;
            assert_eq!(
                (report.status, report.nodes.failed, report.nodes.completed),
                (RunState::Completed, 1, 1)
            );
            let past = bed.history().node(&NodePath::new("bad")).cloned().unwrap();
            let ended = format!("{:?}", past.ended.unwrap().outcome);
            assert!(ended.contains("Panicked") && ended.contains("as asked"), "{ended}");
        }
    });
}

#[test]
fn a_node_that_hangs_is_cut_off_by_its_timeout_even_if_it_blocks_its_thread() {
    for uses in ["hang", "block"] {
        on_threads(async {
            let bed = Bed::default();
            let mut draft = Draft::default();
            let timeout = Some(Duration::from_millis(20));
            draft.add("stuck", Op::Run, Work { timeout, ..work(uses, Conduct::Effect) }, Policy::default());
            let report = bed.run(&draft.plan()).await;
            assert_eq!(report.failures[0].1.kind, FailureKind::TimedOut, "{uses}");
            assert!(bed.script.calls()[0].cancel.is_cancelled(), "{uses}: it was told");
            bed.script.open();
        });
    }
}

#[test]
fn outputs_of_the_wrong_type_or_without_measure_fail_their_node() {
    on_threads(async {
        let give = |value: serde_json::Value| {
            let mut draft = Draft::default();
            let outlets =
                Arc::from([Outlet { name: "out".into(), port_type: PortType::list(PortType::Text) }]);
            let params = json!({ "give": value }).as_object().cloned().unwrap();
            draft.add(
                "node",
                Op::Run,
                Work { outlets, params, ..work("text", Conduct::Pure) },
                Policy::default(),
            );
            draft.plan()
        };
        let mut bed = Bed::default();
        bed.settings.largest_output = 1000;
        assert_eq!(bed.run(&give(json!(["fine"]))).await.status, RunState::Completed);
        for (wrong, message) in [
            (json!([1]), "its output `out` is not of type list<text>"),
            (json!(["x".repeat(2000)]), "its outputs hold more than 1000 bytes"),
        ] {
            let mut bed = Bed::default();
            bed.settings.largest_output = 1000;
            let report = bed.run(&give(wrong)).await;
            assert_eq!(report.failures[0].1, NodeError::new(FailureKind::BadOutput, message));
        }
    });
}

#[test]
fn a_run_whose_journal_fails_stops_and_goes_on_from_what_was_kept() {
    on_threads(async {
        let mut draft = Draft::default();
        let ids: Vec<u32> = (0..6)
            .map(|index| draft.node(&format!("n{index}"), "sum", Conduct::Effect, json!({ "own": index })))
            .collect();
        ids.windows(2).for_each(|pair| draft.edge(pair[0], (pair[1], "a"), None));
        let plan = draft.plan();
        for after in 0..12 {
            let kept = Kept::failing_after(after);
            let bed = Bed { kept: Arc::new(kept), ..Bed::default() };
            let report = bed.run(&plan).await;
            assert!(report.interrupted, "after {after}: {report:?}");
            assert_eq!(report.status, RunState::Failed);
            let before = bed.kept.records();
            let next = Bed { kept: Arc::new(Kept::default().with(&before)), ..Bed::default() };
            assert_eq!(next.run(&plan).await.status, RunState::Completed);
            let ended = History::of(before);
            for call in next.script.calls() {
                assert!(
                    ended.node(&call.node).is_none_or(|past| past.ended.is_none()),
                    "{} repeated",
                    call.node
                );
                // Its effect may have happened before the journal failed: it is told, under the same key.
                let earlier = bed.script.calls().into_iter().find(|earlier| earlier.node == call.node);
                if let Some(earlier) = earlier {
                    assert!(call.interrupted);
                    assert_eq!(call.key, earlier.key);
                }
            }
        }
    });
}

#[test]
fn a_run_in_which_everything_waits_for_the_journal_stops_with_it_too() {
    on_threads(async {
        let mut draft = Draft::default();
        let ids: Vec<u32> =
            (0..6).map(|index| draft.node(&format!("n{index}"), "sum", Conduct::Inline, json!({}))).collect();
        ids.windows(2).for_each(|pair| draft.after(pair[0], pair[1]));
        let plan = draft.plan();
        for after in 0..7 {
            let mut bed = Bed { kept: Arc::new(Kept::failing_after(after)), ..Bed::default() };
            bed.settings.strict = true;
            assert!(bed.run(&plan).await.interrupted, "after {after}");
            assert!(bed.script.calls().len() <= after.max(1), "after {after}: it went on without its record");
        }
    });
}

#[derive(Default)]
struct Cache(Mutex<HashMap<ActionKey, Outputs>>);

impl ActionCache for Cache {
    fn find(&self, key: ActionKey) -> BoxFuture<'static, Option<Outputs>> {
        let found = self.0.lock().unwrap().get(&key).cloned();
        async move { found }.boxed()
    }

    fn keep(&self, key: ActionKey, outputs: &Outputs) {
        self.0.lock().unwrap().insert(key, outputs.clone());
    }
}

#[test]
fn equal_pure_nodes_are_run_once_and_effects_each_time() {
    on_threads(async {
        let cache = Arc::new(Cache::default());
        let mut draft = Draft::default();
        draft.node("pure", "sum", Conduct::Pure, json!({ "own": 1 }));
        draft.node("reading", "sum", Conduct::Reading, json!({ "own": 1 }));
        draft.node("effect", "sum", Conduct::Effect, json!({ "own": 1 }));
        let plan = draft.plan();
        let run = async |id: &str| {
            let bed = Bed::default();
            let executor = bed.executor().with_cache(Arc::clone(&cache) as Arc<dyn ActionCache>);
            let job = Job {
                run: RunId::new(id),
                plan: Arc::clone(&plan),
                inputs: Map::new(),
                history: History::default(),
            };
            ended(&executor.start(job).unwrap()).await;
            let mut called = bed.script.called();
            called.sort();
            called
        };
        assert_eq!(run("first").await, ["effect", "pure", "reading"]);
        assert_eq!(run("second").await, ["effect", "reading"]);
    });
}

/// Lets one node after the other in.
struct OneByOne(Arc<Semaphore>);

impl Admission for OneByOne {
    fn admit(
        &self,
        _: &RunId,
        node: &NodePath,
        _: &Arc<Work>,
    ) -> BoxFuture<'static, Result<Permit, NodeError>> {
        let (one, refused) = (Arc::clone(&self.0), node.as_str() == "n3");
        async move {
            if refused {
                return Err(NodeError::new(FailureKind::LimitExceeded, "it would cost too much"));
            }
            Ok(Permit::of(one.acquire_owned().await.unwrap()))
        }
        .boxed()
    }
}

#[test]
fn nodes_run_only_while_they_are_admitted_and_give_back_what_they_had() {
    on_threads(async {
        let bed = Bed::default();
        let one = Arc::new(Semaphore::new(1));
        let mut draft = Draft::default();
        (0..6).for_each(|index| {
            _ = draft.with_policy(&format!("n{index}"), "sum", Conduct::Effect, json!({}), skip());
        });
        let job = Job {
            run: RunId::new("run"),
            plan: draft.plan(),
            inputs: Map::new(),
            history: History::default(),
        };
        let executor = bed.executor().with_admission(Arc::new(OneByOne(Arc::clone(&one))));
        let report = ended(&executor.start(job).unwrap()).await;
        assert_eq!((report.nodes.completed, report.nodes.failed), (5, 1));
        assert_eq!(one.available_permits(), 1);
        let log = bed.script.log.lock().unwrap().clone();
        assert!(log.chunks(2).all(|pair| pair[0].1 == pair[1].1), "one at a time: {log:?}");
    });
}
