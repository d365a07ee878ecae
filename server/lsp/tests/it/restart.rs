//! The daemon dies, comes back, or is stopped by a person.

use serde_json::{Value, json};

use crate::client::{LspClient, plain, with_podium};
use crate::daemon::Daemon;

async fn said(client: &LspClient, part: &str) -> Value {
    client
        .take(part, |m| {
            m["method"] == "window/showMessage" && m["params"]["message"].as_str().unwrap().contains(part)
        })
        .await
}

#[tokio::test]
async fn a_restart_is_told_in_one_line_and_events_have_no_gap_and_no_repeat() {
    let mut daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, with_podium()).await;
    client.notified("podium/status").await;
    let subscribed = client.request("podium/events/subscribe", json!({ "fromSeq": 0 })).await.unwrap();
    daemon.with(|world| world.emit("other.thing"));
    assert_eq!(client.notified("podium/event").await["event"]["seq"], 1);
    daemon.kill().await;
    daemon.with(|world| world.emit("other.thing"));
    daemon.start();
    said(&client, "was restarted").await;
    daemon.with(|world| world.emit("other.thing"));
    for seq in [2, 3] {
        let note = client.notified("podium/event").await;
        assert_eq!(
            (&note["subscription"], &note["event"]["seq"]),
            (&subscribed["subscription"], &json!(seq))
        );
    }
    assert_eq!(
        client.command("podium.worktree.list", json!([{}])).await.unwrap()["worktrees"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    client.nothing("podium/event").await;
    client.nothing("window/showMessage").await;
    client.forget("podium/status");
    client.leave().await;
}

#[tokio::test]
async fn a_session_goes_on_behind_a_restart() {
    let mut daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, with_podium()).await;
    client.notified("podium/status").await;
    client.request("podium/session/start", json!({ "prompt": "x" })).await.unwrap();
    daemon.with(|world| world.say("s1", "one"));
    client.request("podium/session/attach", json!({ "id": "s1" })).await.unwrap();
    assert_eq!(client.notified("podium/session/update").await["items"][0]["seq"], 1);
    daemon.kill().await;
    daemon.with(|world| world.say("s1", "two"));
    daemon.start();
    said(&client, "was restarted").await;
    let update = client.notified("podium/session/update").await;
    assert_eq!((&update["items"][0]["seq"], update["items"].as_array().unwrap().len()), (&json!(2), 1));
    client.forget("podium/status");
    client.leave().await;
}

#[tokio::test]
async fn a_deliberate_stop_is_told_once_and_only_a_person_ends_it() {
    let mut daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    client.command("podium.status", json!([{}])).await.unwrap();
    client.did_open(&daemon.uri("feat-a/x.rs"), "x").await;
    while daemon.with(|world| world.called("worktree/locate").is_empty()) {
        tokio::task::yield_now().await;
    }
    daemon.stop().await;
    said(&client, "was stopped").await;
    daemon.start();
    // Reading, as a plugin does by itself, does not connect again.
    assert_eq!(
        client.request("podium/worktree/list", json!({})).await.unwrap_err()["data"]["kind"],
        "unavailable"
    );
    client.command("podium.worktree.list", json!([{}])).await.unwrap();
    client.nothing("window/showMessage").await;
    client.leave().await;
}

#[tokio::test]
async fn a_client_of_podium_s_own_is_told_of_a_stop_in_words_it_can_act_on() {
    let mut daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, with_podium()).await;
    assert_eq!(client.notified("podium/status").await["state"], "free");
    daemon.stop().await;
    assert_eq!(client.notified("podium/daemon/stopping").await["reason"], "deliberate");
    assert_eq!(client.notified("podium/status").await["state"], "off");
    said(&client, "was stopped").await;
    daemon.start();
    client.command("podium.status", json!([{}])).await.unwrap();
    assert_eq!(client.notified("podium/status").await["state"], "free");
    client.leave().await;
}

#[tokio::test]
async fn without_a_daemon_commands_say_so_and_one_line_is_logged() {
    let daemon = Daemon::absent();
    let mut client = LspClient::open(&daemon, plain()).await;
    let error = client.command("podium.worktree.list", json!([{}])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["kind"]), (&json!(-32006), &json!("unavailable")));
    client.notified("window/logMessage").await;
    client.leave().await;
}
