//! Sessions: progress, cancel, transcript, whose worktree they work in.

use serde_json::{Value, json};

use crate::client::{LspClient, plain};
use crate::daemon::Daemon;

async fn progress(client: &LspClient, kind: &str) -> Value {
    client.take(kind, |m| m["method"] == "$/progress" && m["params"]["value"]["kind"] == kind).await["params"]
        .clone()
}

#[tokio::test]
async fn a_session_answers_at_once_and_shows_its_progress() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let started = client.command("podium.session.start", json!([{ "prompt": "Say hello" }])).await.unwrap();
    assert_eq!(started["id"], "s1");
    let token = client.answer("window/workDoneProgress/create", json!(null)).await["token"].clone();
    let begin = progress(&client, "begin").await;
    assert_eq!((&begin["token"], &begin["value"]["title"]), (&token, &json!("Podium: Say hello")));
    daemon.with(|world| world.say("s1", "Hello "));
    assert_eq!(progress(&client, "report").await["value"]["message"], "Hello");
    daemon.with(|world| {
        world.say("s1", "wide ");
        world.say("s1", "world");
        world.finish("s1", "completed");
    });
    assert_eq!(progress(&client, "report").await["value"]["message"], "Hello wide world");
    assert_eq!(progress(&client, "end").await["value"]["message"], "completed");
    assert_eq!(client.notified("window/showMessage").await["message"], "The session is done");
    client.leave().await;
}

#[tokio::test]
async fn a_session_without_a_word_reports_once_all_the_same() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    client.command("podium.session.start", json!([{ "prompt": "x" }])).await.unwrap();
    daemon.with(|world| world.finish("s1", "failed"));
    client.answer("window/workDoneProgress/create", json!(null)).await;
    progress(&client, "begin").await;
    progress(&client, "report").await;
    progress(&client, "end").await;
    assert_eq!(
        client.notified("window/showMessage").await,
        json!({ "type": 1, "message": "The session failed" })
    );
    client.leave().await;
}

#[tokio::test]
async fn cancelling_the_progress_cancels_the_session() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    client.command("podium.session.start", json!([{ "prompt": "x" }])).await.unwrap();
    let token = client.answer("window/workDoneProgress/create", json!(null)).await["token"].clone();
    progress(&client, "begin").await;
    client.notify("window/workDoneProgress/cancel", json!({ "token": token })).await;
    progress(&client, "end").await;
    assert_eq!(daemon.with(|world| world.called("session/cancel")), [json!({ "id": "s1" })]);
    client.notified("window/showMessage").await;
    client.forget("$/progress");
    client.leave().await;
}

#[tokio::test]
async fn a_client_without_progress_is_told_the_end_only() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, json!({})).await;
    client.command("podium.session.start", json!([{ "prompt": "x" }])).await.unwrap();
    daemon.with(|world| {
        world.say("s1", "Hello");
        world.finish("s1", "completed");
    });
    client.notified("window/showMessage").await;
    client.leave().await;
}

#[tokio::test]
async fn a_transcript_is_a_read_only_file() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, json!({})).await;
    client.request("podium/session/start", json!({ "prompt": "x" })).await.unwrap();
    daemon.with(|world| world.say("s1", "Hello"));
    let shown = client.command("podium.session.show", json!(["s1"])).await.unwrap();
    let path = shown["path"].as_str().unwrap();
    assert!(std::fs::read_to_string(path).unwrap().contains("## Answer\n\nHello"));
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777,
        0o400
    );
    // It cannot be opened in this editor, so that its place is told.
    assert!(client.notified("window/showMessage").await["message"].as_str().unwrap().contains(path));
    // Once more, over the read-only file.
    client.command("podium.session.show", json!([{ "id": "s1", "open": false }])).await.unwrap();
    client.command("podium.session.show", json!(["s1"])).await.unwrap();
    client.notified("window/showMessage").await;
    client.leave().await;
}

#[tokio::test]
async fn a_writing_session_asks_before_it_goes_where_somebody_else_works() {
    let daemon = Daemon::running();
    daemon.with(|world| world.claim("feat-a", "claude-1", json!(true)));
    let mut client = LspClient::open(&daemon, json!({})).await;
    let uri = daemon.uri("feat-a/x.rs");
    let start = json!({ "command": "podium.session.start", "arguments": [{ "prompt": "x", "uri": uri, "worktree": "feat-a", "interactive": true }] });
    let id = client.ask("workspace/executeCommand", start.clone()).await;
    client.choose("nothing").await;
    assert_eq!(client.answer_to(id).await, Ok(json!(null)));
    assert!(daemon.with(|world| world.called("session/start")).is_empty());
    let id = client.ask("workspace/executeCommand", start).await;
    client.choose("In a new worktree").await;
    let worktree = client.answer_to(id).await.unwrap()["worktree"].clone();
    assert!(worktree.as_str().unwrap().starts_with("feat-session-"));
    daemon.with(|world| world.finish("s1", "completed"));
    client.notified("window/showMessage").await;
    client.leave().await;
}
