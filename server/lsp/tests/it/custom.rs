//! Custom methods and notifications.

use serde_json::json;

use crate::client::{LspClient, plain, with_podium};
use crate::daemon::Daemon;

#[tokio::test]
async fn custom_methods_forward_with_and_without_parameters() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let list = client.request("podium/worktree/list", json!({})).await.unwrap();
    assert_eq!(list["worktrees"].as_array().unwrap().len(), 2);
    client.send(json!({ "jsonrpc": "2.0", "id": 100, "method": "podium/status" })).await;
    assert_eq!(client.answer_to(100).await.unwrap()["pid"], 1);
    assert_eq!(client.request("podium/session/attach", json!([1])).await.unwrap_err()["code"], -32602);
    // Internal methods are not reached.
    assert_eq!(client.request("podium/stop", json!({})).await.unwrap_err()["code"], -32601);
    let params = daemon.with(|world| world.called("status"));
    assert_eq!(params, [json!({})]);
    client.leave().await;
}

#[tokio::test]
async fn subscriptions_need_an_announcement() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let refused = client.request("podium/events/subscribe", json!({})).await.unwrap_err();
    assert!(refused["data"]["hints"][0].as_str().unwrap().contains("experimental.podium"));
    client.leave().await;
}

#[tokio::test]
async fn events_come_behind_the_answer_and_stop_with_the_subscription() {
    let daemon = Daemon::running();
    daemon.with(|world| (0..3).for_each(|_| world.emit("other.thing")));
    let mut client = LspClient::open(&daemon, with_podium()).await;
    client.notified("podium/status").await;
    let subscribed = client.request("podium/events/subscribe", json!({ "fromSeq": 1 })).await.unwrap();
    assert_eq!(subscribed["headSeq"], 3);
    for seq in [2, 3] {
        let note = client.notified("podium/event").await;
        assert_eq!(
            (&note["subscription"], &note["event"]["seq"]),
            (&subscribed["subscription"], &json!(seq))
        );
    }
    let ended =
        client.request("podium/unsubscribe", json!({ "subscription": subscribed["subscription"] })).await;
    assert_eq!(ended, Ok(json!({ "existed": true })));
    daemon.with(|world| world.emit("other.thing"));
    client.nothing("podium/event").await;
    client.leave().await;
}

#[tokio::test]
async fn a_session_is_attached_and_ends() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, with_podium()).await;
    client.notified("podium/status").await;
    client.request("podium/session/start", json!({ "prompt": "x" })).await.unwrap();
    daemon.with(|world| world.say("s1", "Hello"));
    let attached = client.request("podium/session/attach", json!({ "id": "s1" })).await.unwrap();
    assert_eq!(attached["session"]["id"], "s1");
    let update = client.notified("podium/session/update").await;
    assert_eq!(
        (&update["subscription"], &update["items"][0]["text"]),
        (&attached["subscription"], &json!("Hello"))
    );
    daemon.with(|world| world.finish("s1", "completed"));
    assert_eq!(client.notified("podium/session/update").await["end"]["status"], "completed");
    client.forget("podium/status");
    client.leave().await;
}

#[tokio::test]
async fn the_status_line_follows_claims_and_focus() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, with_podium()).await;
    let status = client.notified("podium/status").await;
    assert_eq!((&status["state"], &status["worktree"]), (&json!("free"), &json!("feat-a")));
    daemon.with(|world| world.claim("feat-a", "claude-1", json!("unknown")));
    let status = client.notified("podium/status").await;
    assert_eq!((&status["state"], &status["agentId"]), (&json!("other"), &json!("claude-1")));
    assert!(status["text"].as_str().unwrap().starts_with("feat-a: claude-1 ("));
    client.notify("podium/didFocus", json!({ "uri": daemon.uri("feat-b/x.rs") })).await;
    assert_eq!(client.notified("podium/status").await["worktree"], "feat-b");
    let asked =
        client.request("podium/statusLine", json!({ "uri": daemon.uri("feat-a/x.rs") })).await.unwrap();
    assert_eq!(asked["state"], "other");
    daemon.with(|world| world.claim("feat-b", "person:me@h", json!(true)));
    assert_eq!(client.notified("podium/status").await["state"], "mine");
    daemon.with(|world| world.claim("feat-b", "claude-1", json!(false)));
    assert_eq!(client.notified("podium/status").await["state"], "dead");
    assert_eq!(
        client.request("podium/statusLine", json!({ "uri": "file:///nowhere/x" })).await.unwrap()["state"],
        "off"
    );
    client.leave().await;
}

#[tokio::test]
async fn a_client_that_announces_nothing_is_sent_nothing_of_podium_s_own() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    client.did_open(&daemon.uri("feat-a/x.rs"), "").await;
    daemon.with(|world| world.claim("feat-a", "claude-1", json!(true)));
    client.notified("textDocument/publishDiagnostics").await;
    client.leave().await;
}
