//! What is appended, by whom, and what is refused.

use podium_broker::{BrokerError, MAX_DATA, Publisher};
use podium_protocol::{ErrorKind, EventPublishParams, EventPublisher, WireError};
use serde_json::json;

use crate::{Bed, params, person};

fn agent() -> Publisher {
    Publisher::Agent { name: "claude 1".into(), session: "s-1".into() }
}

#[tokio::test]
async fn an_event_says_who_published_it_and_what_it_belongs_to() {
    let bed = Bed::new();
    let by_person = bed.publish("deploy.finished", json!({"version": "1.2"})).await.unwrap().event;
    assert!(by_person.source.ends_with("/person/ann@box"), "{}", by_person.source);
    assert_eq!((by_person.subject, by_person.data), (None, json!({"version": "1.2"})));

    let by_agent = bed.publish_as(&agent(), params("tests.passed", json!(null))).await.unwrap().event;
    assert!(by_agent.source.ends_with("/agent/claude%201"), "{}", by_agent.source);
    assert_eq!(by_agent.subject.as_deref(), Some("session/s-1"));
    assert_eq!(by_agent.correlation_id.as_deref(), Some("s-1"));
    assert_eq!(bed.log("tests.passed").await.len(), 1);
}

#[tokio::test]
async fn a_request_that_is_sent_twice_appends_once() {
    let bed = Bed::new();
    let id = "0197f3c2-5d7a-7000-8000-000000000001";
    let sent = |data| EventPublishParams { id: Some(id.into()), ..params("deploy.finished", data) };
    let first = bed.publish_as(&person(), sent(json!({"n": 1}))).await.unwrap();
    let second = bed.publish_as(&person(), sent(json!({"n": 1}))).await.unwrap();
    assert_eq!((first.duplicate, second.duplicate, first.event), (false, true, second.event));
    let other = bed.publish_as(&person(), sent(json!({"n": 2}))).await;
    assert!(matches!(other, Err(BrokerError::IdTaken(_))), "{other:?}");
    assert_eq!(bed.log("deploy.finished").await.len(), 1);
}

#[tokio::test]
async fn only_the_daemon_tells_of_what_it_does_and_only_a_person_assigns_tasks() {
    let bed = Bed::new();
    for kind in ["worktree.created", "session.ended", "task.accepted", "task.started"] {
        let refused = bed.publish(kind, json!({"id": "x", "task": "x"})).await;
        assert!(matches!(refused, Err(BrokerError::Reserved(_))), "{kind}: {refused:?}");
    }
    let task = json!({"id": "t-1", "task": "Write"});
    for kind in ["task.assigned", "task.completed", "task.failed"] {
        let refused = bed.publish_as(&agent(), params(kind, task.clone())).await;
        assert!(matches!(refused, Err(BrokerError::NotForAgents(_))), "{kind}: {refused:?}");
    }
    bed.publish("task.assigned", task).await.unwrap();
    assert_eq!(bed.store.head(), 1, "what was refused left nothing");
}

#[tokio::test]
async fn secrets_are_redacted_and_bounds_are_kept() {
    let bed = Bed::new();
    let data = json!({"deep": [{"said": "the token is tok-5f2a9c7710, keep it"}]});
    let event = bed.publish("deploy.finished", data).await.unwrap().event;
    let text = event.data.to_string();
    assert!(!text.contains("tok-5f2a9c7710") && text.contains("redacted"), "{text}");

    let usage = |error: BrokerError| WireError::from(error).usage;
    let large = json!({"text": "x".repeat(MAX_DATA)});
    assert!(usage(bed.publish("deploy.finished", large).await.unwrap_err()));
    let long = EventPublishParams { subject: Some("x".repeat(300)), ..params("deploy.finished", json!({})) };
    assert!(usage(bed.publish_as(&person(), long).await.unwrap_err()));
    let not_an_id = EventPublishParams { id: Some("7".into()), ..params("deploy.finished", json!({})) };
    assert!(usage(bed.publish_as(&person(), not_an_id).await.unwrap_err()));
    assert_eq!(bed.store.head(), 1);
}

#[tokio::test]
async fn a_task_of_the_same_id_is_the_same_task() {
    let bed = Bed::new();
    let task = json!({"id": "t-1", "task": "Write"});
    let first = bed.publish("task.assigned", task.clone()).await.unwrap();
    let second = bed.publish("task.assigned", task).await.unwrap();
    assert_eq!((second.duplicate, &second.event), (true, &first.event));
    assert_eq!(first.event.subject.as_deref(), Some("task/t-1"));
    let other = bed.publish("task.assigned", json!({"id": "t-1", "task": "Something else"})).await;
    assert_eq!(WireError::from(other.unwrap_err()).kind, ErrorKind::Conflict);
    assert_eq!(bed.log("task.assigned").await.len(), 1);
    let wrong = bed.publish("task.assigned", json!({"id": "t-2"})).await.unwrap_err().to_string();
    assert!(wrong.contains("task"), "{wrong}");
}

#[tokio::test]
async fn types_tell_who_publishes_them_and_how_many_there_are() {
    let bed = Bed::new();
    for n in 0..3 {
        bed.publish("deploy.finished", json!({"n": n})).await.unwrap();
    }
    let counted = bed.store.read(podium_store::count_types).await.unwrap();
    let types = podium_broker::types(counted);
    let of = |name: &str| types.iter().find(|kind| kind.kind == name).unwrap();
    let deploy = of("deploy.finished");
    assert_eq!((deploy.count, deploy.last_seq, deploy.publisher), (3, Some(3), EventPublisher::Anyone));
    let assigned = of("task.assigned");
    assert_eq!((assigned.count, assigned.publisher), (0, EventPublisher::Person));
    assert_eq!(assigned.schema.as_ref().unwrap()["required"], json!(["id", "task"]));
}
