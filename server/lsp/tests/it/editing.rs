//! Documents: synchronisation, code actions, code lenses, hints, symbols.

use serde_json::{Value, json};

use crate::client::{LspClient, plain};
use crate::daemon::Daemon;

fn range(a: (u32, u32), b: (u32, u32)) -> Value {
    json!({ "start": { "line": a.0, "character": a.1 }, "end": { "line": b.0, "character": b.1 } })
}

async fn actions(client: &mut LspClient, uri: &str, range: Value, diagnostics: Value) -> Vec<Value> {
    let params =
        json!({ "textDocument": { "uri": uri }, "range": range, "context": { "diagnostics": diagnostics } });
    client.request("textDocument/codeAction", params).await.unwrap().as_array().unwrap().clone()
}

fn titled<'a>(actions: &'a [Value], what: &str) -> &'a Value {
    actions
        .iter()
        .find(|a| a["title"].as_str().unwrap().contains(what))
        .unwrap_or_else(|| panic!("{what} in {actions:#?}"))
}

#[tokio::test]
async fn a_todo_line_can_be_implemented_with_the_text_the_editor_has() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let uri = daemon.uri("feat-a/src.rs");
    client.did_open(&uri, "// 😀 nothing\nfn main() {}\n").await;
    let change = json!({ "range": range((0, 3), (0, 13)), "text": "TODO: greet" });
    let document = json!({ "uri": uri, "version": 2 });
    client
        .notify("textDocument/didChange", json!({ "textDocument": document, "contentChanges": [change] }))
        .await;
    let found = actions(&mut client, &uri, range((0, 0), (0, 10)), json!([])).await;
    // Without literal support the answers are plain commands.
    let action = titled(&found, "Implement this TODO");
    assert_eq!(action["command"], "podium.session.start");
    let argument = &action["arguments"][0];
    assert!(
        argument["prompt"]
            .as_str()
            .unwrap()
            .starts_with("Implement the TODO on line 1 of `src.rs`: \"greet\".")
    );
    assert_eq!(argument["context"]["text"], "// TODO: greet\nfn main() {}\n");
    assert_eq!(argument["context"]["language"], "rust");
    assert_eq!((&argument["worktree"], &argument["uri"]), (&json!("feat-a"), &json!(uri)));
    assert!(found.len() >= 2);
    client.leave().await;
}

#[tokio::test]
async fn diagnostics_travel_with_the_action_that_fixes_them() {
    let daemon = Daemon::running();
    let literals = json!({ "textDocument": { "codeAction": { "codeActionLiteralSupport": { "codeActionKind": { "valueSet": [] } } } } });
    let mut client = LspClient::open(&daemon, literals).await;
    let uri = daemon.uri("feat-a/src.rs");
    client.did_open(&uri, "let x = 1;\n").await;
    let unused =
        json!({ "range": range((0, 4), (0, 5)), "message": "unused variable: `x`", "source": "rustc" });
    let ours = json!({ "range": range((0, 0), (0, 0)), "message": "claimed", "source": "podium" });
    let found = actions(&mut client, &uri, range((0, 4), (0, 4)), json!([unused, ours])).await;
    let fix = titled(&found, "Fix this diagnostic");
    assert_eq!((&fix["kind"], &fix["diagnostics"]), (&json!("quickfix"), &json!([unused])));
    let argument = &fix["command"]["arguments"][0];
    assert!(argument["prompt"].as_str().unwrap().contains("line 1 of `src.rs`"));
    assert_eq!(argument["context"]["diagnostics"], json!([unused]));
    client.leave().await;
}

#[tokio::test]
async fn a_worktree_of_somebody_else_is_told_by_hint_and_title_until_it_is_free() {
    let daemon = Daemon::running();
    daemon.with(|world| world.claim("feat-a", "claude-1", json!(true)));
    let mut client = LspClient::open(&daemon, plain()).await;
    let uri = daemon.uri("feat-a/[x] y.rs").replace(' ', "%20");
    client.did_open(&uri, "fn main() {}\n").await;
    let hint = client.notified("textDocument/publishDiagnostics").await;
    assert_eq!(hint["uri"].as_str().unwrap().replace("%5B", "[").replace("%5D", "]"), uri);
    assert_eq!(hint["diagnostics"][0]["source"], "podium");
    assert!(hint["diagnostics"][0]["message"].as_str().unwrap().contains("claimed by claude-1"));
    let found = actions(&mut client, &uri, range((0, 0), (0, 5)), json!([])).await;
    titled(&found, "Write tests (feat-a is held by claude-1)");
    titled(&found, "Explain");
    daemon.with(|world| world.claim("feat-a", "claude-1", json!(false)));
    let hint = client.notified("textDocument/publishDiagnostics").await;
    assert!(hint["diagnostics"][0]["message"].as_str().unwrap().contains("gone"));
    daemon.with(|world| world.release("feat-a"));
    assert_eq!(client.notified("textDocument/publishDiagnostics").await["diagnostics"], json!([]));
    client.leave().await;
}

#[tokio::test]
async fn a_worktree_that_this_window_claimed_has_no_hint() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let uri = daemon.uri("feat-a/src.rs");
    client.did_open(&uri, "x\n").await;
    client
        .command("podium.claim.acquire", json!([{ "worktree": "feat-a", "agentId": "me-1" }]))
        .await
        .unwrap();
    let found = actions(&mut client, &uri, range((0, 0), (0, 1)), json!([])).await;
    assert!(found.iter().all(|a| !a["title"].as_str().unwrap().contains("held")));
    client.nothing("textDocument/publishDiagnostics").await;
    client.leave().await;
}

#[tokio::test]
async fn a_lens_stands_on_each_todo_and_gets_its_command_when_it_is_shown() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let uri = daemon.uri("feat-a/src.rs");
    client.did_open(&uri, "a\n// TODO: one\nb\n// FIXME two\n").await;
    let lenses =
        client.request("textDocument/codeLens", json!({ "textDocument": { "uri": uri } })).await.unwrap();
    let lines: Vec<u64> =
        lenses.as_array().unwrap().iter().map(|l| l["range"]["start"]["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [1, 3]);
    assert!(lenses[1]["command"].is_null());
    let lens = client.request("codeLens/resolve", lenses[1].clone()).await.unwrap();
    assert!(lens["command"]["arguments"][0]["prompt"].as_str().unwrap().contains("\"two\""));
    client.leave().await;
}

#[tokio::test]
async fn artifacts_are_symbols_whose_names_begin_with_the_query() {
    let daemon = Daemon::running();
    daemon.with(|world| {
        world.artifacts = vec![json!({
            "id": "a1", "hash": "h", "title": "Greeting", "kind": "docs", "mediaType": "text/markdown", "bytes": 1,
            "session": null, "worktree": "feat-a", "createdAt": "", "score": 1.0, "snippet": "hello",
        })];
    });
    let mut client = LspClient::open(&daemon, plain()).await;
    let found = client.request("workspace/symbol", json!({ "query": "#hello" })).await.unwrap();
    assert_eq!(found[0]["name"], "#hello · Greeting");
    assert_eq!(found[0]["location"]["uri"], "file:///artifacts/a1");
    assert_eq!(daemon.with(|world| world.called("artifact/search"))[0]["query"], "hello");
    assert_eq!(client.request("workspace/symbol", json!({ "query": "hello" })).await, Ok(json!([])));
    client.leave().await;
}
