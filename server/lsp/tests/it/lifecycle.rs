//! `initialize` to `exit`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{LspClient, plain};
use crate::daemon::Daemon;

#[tokio::test]
async fn initialize_offers_what_there_is_and_needs_no_daemon() {
    let daemon = Daemon::absent();
    let mut client = LspClient::connect(&daemon, None);
    let begun = Instant::now();
    let params = json!({ "processId": null, "rootUri": daemon.uri("feat-a"), "capabilities": plain() });
    let answer = client.request("initialize", params).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2));
    let capabilities = &answer["capabilities"];
    let commands: Vec<&str> = capabilities["executeCommandProvider"]["commands"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| c.as_str())
        .collect();
    for name in [
        "podium.worktree.create",
        "podium.claim.acquire",
        "podium.session.start",
        "podium.status",
        "podium.ask",
    ] {
        assert!(commands.contains(&name), "{name}");
    }
    assert_eq!(capabilities["positionEncoding"], "utf-16");
    assert_eq!(capabilities["textDocumentSync"]["change"], 2);
    // Nothing is sent before `initialized`, whatever happens meanwhile.
    client.nothing("window/logMessage").await;
    client.leave().await;
}

#[tokio::test]
async fn the_position_encoding_is_negotiated() {
    for (offered, chosen) in
        [(json!(["utf-8", "utf-16"]), "utf-8"), (json!(["utf-32"]), "utf-32"), (json!(null), "utf-16")]
    {
        let daemon = Daemon::running();
        let mut client = LspClient::connect(&daemon, None);
        let answer = client.initialize(&daemon, json!({ "general": { "positionEncodings": offered } })).await;
        assert_eq!(answer["capabilities"]["positionEncoding"], chosen);
        client.leave().await;
    }
}

#[tokio::test]
async fn exit_without_shutdown_and_a_lost_client_are_no_clean_ends() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    client.notify("exit", json!(null)).await;
    assert!(!client.ended().await);
    let mut client = LspClient::open(&daemon, plain()).await;
    client.hang_up().await;
    assert!(!client.ended().await);
}

#[tokio::test]
async fn after_shutdown_requests_are_refused_and_the_end_of_input_is_clean() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    client.request("shutdown", json!(null)).await.unwrap();
    assert_eq!(client.command("podium.status", json!([])).await.unwrap_err()["code"], -32600);
    client.hang_up().await;
    assert!(client.ended().await);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_death_of_the_editor_s_process_ends_the_server() {
    let daemon = Daemon::running();
    let mut editor = tokio::process::Command::new("sleep").arg("100").spawn().unwrap();
    let mut client = LspClient::connect(&daemon, None);
    client.request("initialize", json!({ "processId": editor.id(), "capabilities": {} })).await.unwrap();
    editor.kill().await.unwrap();
    assert!(!client.ended().await);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_editor_s_process_that_cannot_be_seen_from_here_ends_nothing() {
    let daemon = Daemon::running();
    let mut elsewhere = tokio::process::Command::new("true").spawn().unwrap();
    let pid = elsewhere.id();
    elsewhere.wait().await.unwrap();
    let mut client = LspClient::connect(&daemon, None);
    client.request("initialize", json!({ "processId": pid, "capabilities": {} })).await.unwrap();
    client.notify("initialized", json!({})).await;
    client.command("podium.worktree.list", json!([{}])).await.unwrap();
    client.leave().await;
}
