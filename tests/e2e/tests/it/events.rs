//! `bb`: events that are published, followed, shown and replayed.

use podium_harness::messages::{Block, Messages};
use podium_harness::{JsonLines, TestEnvironment, eventually};
use serde_json::{Value, json};

fn publish(environment: &TestEnvironment, kind: &str, data: &Value) -> Value {
    environment.bb(["publish", kind, "--data", &data.to_string()]).data()
}

fn stored(environment: &TestEnvironment, kind: &str) -> Vec<Value> {
    let mut tail = environment.bb(["tail", "--from-seq", "0", "--until-now", "--type", kind]).lines();
    assert_eq!(tail.finish(), Some(0), "{:#?}", tail.seen());
    tail.seen().iter().filter(|line| line["type"] == "event").map(|line| line["event"].clone()).collect()
}

/// The next events of a tail.
fn next(tail: &mut JsonLines, count: usize) -> Vec<Value> {
    (0..count).map(|_| tail.read_type("event")["event"].clone()).collect()
}

#[test]
fn a_tail_goes_on_without_gap_or_repeat_when_daemons_are_killed() {
    let environment = TestEnvironment::new();
    publish(&environment, "deploy.finished", &json!({"n": 0}));
    let mut tail = environment.bb(["tail", "--from-seq", "0", "--type", "deploy.*"]).lines();
    let mut seen = next(&mut tail, 1);
    let mut published = 1;
    for _ in 0..5 {
        environment.kill_daemon();
        for _ in 0..4 {
            publish(&environment, "deploy.finished", &json!({"n": published}));
            published += 1;
        }
        seen.extend(next(&mut tail, 2));
    }
    seen.extend(next(&mut tail, published - seen.len()));
    let numbers: Vec<u64> = seen.iter().filter_map(|event| event["data"]["n"].as_u64()).collect();
    assert_eq!(numbers, (0..published as u64).collect::<Vec<_>>());
    assert_eq!(seen, stored(&environment, "deploy.*"), "what was shown is what is stored");
    tail.kill();
}

#[test]
fn a_tail_waits_until_somebody_starts_the_daemon_that_a_person_stopped() {
    let environment = TestEnvironment::new();
    let first = publish(&environment, "deploy.finished", &json!({"n": 0}));
    let from = first["event"]["sequence"].to_string();
    let mut tail = environment.bb(["tail", "--from-seq", &from, "--type", "deploy.*"]).lines();
    publish(&environment, "deploy.finished", &json!({"n": 1}));
    assert_eq!(next(&mut tail, 1)[0]["data"]["n"], 1);
    environment.podium(["daemon", "stop"]).ok();
    eventually("the daemon has ended", || environment.daemons().is_empty());
    publish(&environment, "deploy.finished", &json!({"n": 2}));
    assert_eq!(next(&mut tail, 1)[0]["data"]["n"], 2);
    tail.kill();
}

#[test]
fn an_event_is_a_cloud_event_and_is_found_by_its_id_and_number() {
    let environment = TestEnvironment::new();
    let args =
        ["publish", "deploy.finished", "--subject", "service/shop", "--correlation", "c-1", "--data", "-"];
    let event = environment.bb(args).input("{\"version\": \"1.2\"}").data()["event"].clone();
    for (name, value) in [
        ("specversion", json!("1.0")),
        ("type", json!("deploy.finished")),
        ("subject", json!("service/shop")),
        ("correlationid", json!("c-1")),
        ("datacontenttype", json!("application/json")),
        ("data", json!({"version": "1.2"})),
    ] {
        assert_eq!(event[name], value, "{name} of {event:#}");
    }
    assert!(event["source"].as_str().unwrap().contains("/person/ann@"), "{event:#}");
    let (id, number) = (event["id"].as_str().unwrap(), event["sequence"].to_string());
    for key in [id, &number, &id[..30]] {
        assert_eq!(environment.bb(["show", key]).data()["event"], event, "{key}");
    }
    let again = environment.bb(["publish", "deploy.finished", "--id", id, "--data", "{\"version\":\"1.2\"}"]);
    assert_eq!(again.data()["duplicate"], true);
    environment.bb(["publish", "deploy.finished", "--id", id]).fails(3);
    environment.bb(["publish", "worktree.created"]).fails(1);
    assert_eq!(stored(&environment, "deploy.*").len(), 1);
    let types = environment.bb(["types", "deploy.finished"]).data();
    assert_eq!((&types["types"][0]["count"], &types["types"][0]["publisher"]), (&json!(1), &json!("anyone")));
    let text = environment.bb(["tail", "--until-now"]).run().success();
    assert!(text.contains("deploy.finished service/shop"), "{text}");
}

#[test]
fn a_replay_prints_a_range_and_publishes_again_only_what_was_published() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "x"]).within(&repo).ok();
    let deployed = publish(&environment, "deploy.finished", &json!({"n": 1}))["event"].clone();
    publish(&environment, "task.assigned", &json!({"id": "t-1", "task": "Write"}));
    publish(&environment, "deploy.finished", &json!({"n": 2}));
    let first = deployed["sequence"].to_string();

    let mut printed = environment.bb(["replay", "--from-seq", &first, "--to-seq", &first]).lines();
    assert_eq!(printed.finish(), Some(0));
    let lines = printed.seen();
    assert_eq!((&lines[0]["event"], &lines[1]["type"], lines.len()), (&deployed, &json!("end"), 2));
    assert_eq!(stored(&environment, "deploy.*").len(), 2, "printing changes nothing");

    let mut again = environment.bb(["replay", "--from-seq", "1", "--publish"]).lines();
    let end = again.read_type("end");
    let told = (&end["published"], &end["duplicates"], &end["refused"]);
    assert_eq!(told, (&json!(2), &json!(1), &json!(0)), "{end:#}");
    assert!(end["skipped"].as_u64().unwrap() >= 1, "the worktree is not made twice: {end:#}");
    let events = stored(&environment, "deploy.*");
    assert_eq!((events.len(), &events[2]["causationid"]), (4, &deployed["id"]));
    assert_eq!(stored(&environment, "worktree.created").len(), 1);
    assert_eq!(stored(&environment, "task.assigned").len(), 1);
}

#[test]
fn an_agent_tells_of_what_it_did_and_assigns_nothing() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "x"]).within(&repo).ok();
    let model = Messages::answering(vec![vec![Block::text("Done.")]]);
    let args = ["start", "anthropic", "--prompt", "x", "--worktree", "feat-x", "--agent-id", "claude-1"];
    let start = environment.jelmore(args).within(&repo).var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789");
    let mut lines = start.var("ANTHROPIC_BASE_URL", model.url()).lines();
    let session = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    assert_eq!(lines.finish(), Some(0));
    let capability = environment.jelmore(["sessions", "capability", &session]).within(&repo).data();
    let as_agent = |words: &[&str]| {
        let vars = capability["env"].as_object().unwrap().iter();
        vars.fold(environment.bb(words), |run, (name, value)| run.var(name, value.as_str().unwrap()))
    };
    let event = as_agent(&["publish", "tests.passed"]).data()["event"].clone();
    assert!(event["source"].as_str().unwrap().ends_with("/agent/claude-1"), "{event:#}");
    assert_eq!(event["correlationid"], session.as_str());
    let task = json!({"id": "t-1", "task": "Push everything"}).to_string();
    as_agent(&["publish", "task.assigned", "--data", &task]).fails(1);
    as_agent(&["publish", "session.ended"]).fails(1);
    as_agent(&["dlq", "retry", "t-1"]).fails(1);
    assert_eq!(stored(&environment, "task.assigned").len(), 0);
}
