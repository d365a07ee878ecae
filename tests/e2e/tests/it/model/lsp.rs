//! Sessions through the language server.

use std::path::Path;

use podium_harness::{Capabilities, TestEnvironment};
use serde_json::{Value, json};

use super::transcript::Transcript;

fn progress(message: &Value, kind: &str) -> bool {
    message["method"] == "$/progress" && message["params"]["value"]["kind"] == kind
}

#[test]
fn in_helix_a_session_streams_as_progress_and_nothing_unknown_is_sent() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let mut client = environment.lsp(&repo).capabilities(Capabilities::helix()).start();
    client.command("podium.worktree.create", json!({"type": "feat", "name": "x"}));
    let started = client.command("podium.session.start", json!({
        "provider": "local", "prompt": "Say hello in one sentence.", "worktree": "feat-x", "agentId": "claude-1",
        "maxTokens": 40,
    }));
    let id = started["id"].as_str().unwrap();
    client.wait_method("window/workDoneProgress/create");
    client.wait_for("the session begins", |m| progress(m, "begin"));
    client.wait_for("it streams", |m| progress(m, "report"));
    client.wait_for("it ends", |m| progress(m, "end"));
    client.wait_for("its end in one sentence", |m| m["method"] == "window/showMessage");
    let shown = client.command("podium.session.show", json!({"id": id}));
    let text = Transcript::of(&shown["items"]).text();
    assert!(text.len() > 5, "{text:?}");
    let opened = client.wait_method("window/showDocument");
    let path = opened["params"]["uri"].as_str().unwrap().strip_prefix("file://").unwrap().to_owned();
    assert!(std::fs::read_to_string(Path::new(&path)).unwrap().contains(text.trim()), "{path}");
    client.shutdown();
}

#[test]
fn a_session_goes_on_when_the_daemon_is_killed_and_the_subscriber_sees_each_item_once() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let mut client = environment.lsp(&repo).capabilities(Capabilities::vscode()).start();
    let started = client.command("podium.session.start", json!({
        "provider": "local", "prompt": "Write a long story about a lighthouse.", "seed": 4, "maxTokens": 120,
    }));
    let id = started["id"].as_str().unwrap().to_owned();
    let mut attached = client.request("podium/session/attach", json!({"id": id, "fromSeq": 0}));
    let mut items: Vec<Value> = Vec::new();
    let mut killed = false;
    loop {
        let subscription = attached["subscription"].clone();
        let update = client.wait_for("an update", |m| {
            m["method"] == "podium/session/update" && m["params"]["subscription"] == subscription
        });
        items.extend(update["params"]["items"].as_array().cloned().unwrap_or_default());
        let texts = items.iter().filter(|item| item["kind"] == "text").count();
        if texts > 20 && !killed {
            killed = true;
            environment.kill_daemon();
        }
        match update["params"]["end"]["status"].as_str() {
            None => {}
            Some("completed") => break,
            // The new daemon tells that it ended with the old one, unless somebody resumed it before: the window
            // does so itself, since it started it.
            Some("interrupted") if killed => {
                let _ = client.try_request("podium/session/resume", json!({"id": id}));
                let from = items.last().map_or(Value::from(0), |item| item["seq"].clone());
                attached = client.request("podium/session/attach", json!({"id": id, "fromSeq": from}));
            }
            Some(other) => panic!("the session is {other}: {update:#}"),
        }
    }
    assert!(killed, "the answer was long enough");
    Transcript::of(&json!(items)).equals_stored(&environment, &id);
    client.shutdown();
}

#[test]
fn a_code_action_starts_a_session_in_the_worktree_of_the_file() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let made = environment.imi(["feat", "x"]).within(&repo).data();
    let file = Path::new(made["worktree"]["path"].as_str().unwrap()).join("note.txt");
    std::fs::write(&file, "Lighthouses guide ships.\n").unwrap();
    let mut client = environment.lsp(&repo).capabilities(Capabilities::helix()).start();
    let uri = client.open(&file, "plaintext");
    let range = json!({"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 11}});
    let params = json!({"textDocument": {"uri": uri}, "range": range, "context": {"diagnostics": []}});
    let actions = client.request("textDocument/codeAction", params);
    let explain = actions.as_array().unwrap().iter().find(|a| a["title"] == "Podium: Explain").unwrap();
    let command = &explain["command"];
    let mut argument = command["arguments"][0].clone();
    argument["maxTokens"] = json!(20);
    let started = client.command(command["command"].as_str().unwrap(), argument);
    client.wait_for("it ends", |m| progress(m, "end"));
    let shown = environment.jelmore(["sessions", "show", started["id"].as_str().unwrap()]).data();
    assert_eq!(shown["worktree"], "feat-x", "{shown:#}");
    assert!(
        shown["items"][0].to_string().contains("Lighthouses"),
        "the selection goes along: {:#}",
        shown["items"][0]
    );
    client.shutdown();
}

#[test]
fn the_cancel_button_of_a_progress_cancels_the_session() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let mut client = environment.lsp(&repo).capabilities(Capabilities::vscode()).start();
    let started = client.command(
        "podium.session.start",
        json!({
            "provider": "local", "prompt": "Write a long story about a lighthouse.", "maxTokens": 400,
        }),
    );
    let begun = client.wait_for("it begins", |m| progress(m, "begin"));
    assert_eq!(begun["params"]["value"]["cancellable"], true);
    client.wait_for("it streams", |m| progress(m, "report"));
    client.notify("window/workDoneProgress/cancel", json!({"token": begun["params"]["token"]}));
    client.wait_for("it ends", |m| progress(m, "end"));
    let shown = environment.jelmore(["sessions", "show", started["id"].as_str().unwrap()]).data();
    assert_eq!(shown["status"], "cancelled");
    client.shutdown();
}
