//! Questions of agents, in editors without a plugin.

use serde_json::{Value, json};

use crate::client::{LspClient, plain, with_podium};
use crate::daemon::Daemon;

const ASK: &str = "window/showMessageRequest";

fn question(id: &str, what: &str) -> Value {
    json!({
        "id": id, "agentId": "claude-1", "session": "s1", "question": what, "askedAt": "2026-01-01T00:00:00Z",
        "decision": null, "answeredAt": null, "tool": "run_command", "detail": "make test\nmake deploy",
        "options": ["once", "session", "project"],
    })
}

fn open(daemon: &Daemon, items: &[Value]) {
    daemon.with(|world| {
        world.scripted.insert("inbox/list".into(), Ok(json!({ "items": items })));
        world.scripted.insert("inbox/answer".into(), Ok(json!({ "item": question("q", "x") })));
        world.emit("inbox.asked");
    });
}

#[tokio::test]
async fn a_question_is_put_with_buttons_and_the_choice_is_the_answer() {
    let daemon = Daemon::running();
    open(&daemon, &[question("q1", "run `make`")]);
    let mut client = LspClient::open(&daemon, plain()).await;
    let asked = client.answer(ASK, json!({ "title": "Allow for session" })).await;
    assert_eq!(asked["message"], "claude-1 wants to run `make`\nmake test\nmake deploy");
    let titles: Vec<&str> =
        asked["actions"].as_array().unwrap().iter().filter_map(|a| a["title"].as_str()).collect();
    assert_eq!(titles, ["Allow once", "Allow for session", "Deny"]);
    // The next one comes when this is answered, and what was shown is not shown again.
    open(&daemon, &[question("q1", "run `make`"), question("q2", "run `ls`")]);
    let next = client.answer(ASK, json!({ "title": "Deny" })).await;
    assert!(next["message"].as_str().unwrap().starts_with("claude-1 wants to run `ls`"));
    let answers = loop {
        let answers = daemon.with(|world| world.called("inbox/answer"));
        if answers.len() == 2 {
            break answers;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(answers[0], json!({ "id": "q1", "decision": "allow", "scope": "session" }));
    assert_eq!(answers[1], json!({ "id": "q2", "decision": "deny", "scope": "once" }));
    client.leave().await;
}

#[tokio::test]
async fn a_question_that_was_answered_elsewhere_makes_room_for_the_next() {
    let daemon = Daemon::running();
    open(&daemon, &[question("q1", "run `make`")]);
    let mut client = LspClient::open(&daemon, plain()).await;
    let stale = client.take("a question", |m| m["method"] == ASK).await;
    open(&daemon, &[question("q2", "run `ls`")]);
    let next = client.answer(ASK, Value::Null).await;
    assert!(next["message"].as_str().unwrap().starts_with("claude-1 wants to run `ls`"));
    // A late click on the first one decides nothing.
    client.send(json!({ "jsonrpc": "2.0", "id": stale["id"], "result": { "title": "Allow once" } })).await;
    client.nothing(ASK).await;
    assert!(daemon.with(|world| world.called("inbox/answer")).is_empty());
    client.leave().await;
}

#[tokio::test]
async fn an_editor_with_a_plugin_shows_its_own_inbox() {
    let daemon = Daemon::running();
    open(&daemon, &[question("q1", "run `make`")]);
    let mut client = LspClient::open(&daemon, with_podium()).await;
    open(&daemon, &[question("q1", "run `make`"), question("q2", "run `ls`")]);
    client.nothing(ASK).await;
    client.forget("podium/status");
    client.leave().await;
}
