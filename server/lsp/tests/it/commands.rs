//! Commands: arguments, defaults, questions, scratch documents, errors.

use podium_protocol::{ClaimOwner, WireError};
use serde_json::json;

use crate::client::{LspClient, plain};
use crate::daemon::Daemon;

#[tokio::test]
async fn a_command_answers_what_the_daemon_answers() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let list = client.command("podium.worktree.list", json!([{}])).await.unwrap();
    assert_eq!(list, daemon.with(|world| json!({ "worktrees": world.worktrees })));
    assert_eq!(daemon.with(|world| world.called("worktree/list"))[0], json!({ "uri": daemon.uri("feat-a") }));
    assert_eq!(client.command("podium.nonsense", json!([])).await.unwrap_err()["code"], -32602);
    assert_eq!(client.command("podium.worktree.list", json!([3])).await.unwrap_err()["code"], -32602);
    client.leave().await;
}

#[tokio::test]
async fn the_focused_document_says_which_repository_is_meant() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let (a, b) = (daemon.uri("feat-a/x.rs"), daemon.uri("feat-b/y.rs"));
    client.did_open(&b, "").await;
    client.did_open(&a, "").await;
    client.command("podium.worktree.list", json!([{}])).await.unwrap();
    client.notify("podium/didFocus", json!({ "uri": b })).await;
    client.command("podium.worktree.list", json!([{}])).await.unwrap();
    client.command("podium.worktree.list", json!([{ "repo": "/elsewhere" }])).await.unwrap();
    let asked = daemon.with(|world| world.called("worktree/list"));
    assert_eq!(asked, [json!({ "uri": a }), json!({ "uri": b }), json!({ "repo": "/elsewhere" })]);
    client.leave().await;
}

#[tokio::test]
async fn an_agent_s_window_speaks_in_its_name() {
    let daemon = Daemon::running();
    let mut client = LspClient::connect(&daemon, Some("claude-7"));
    client.initialize(&daemon, plain()).await;
    let claimed = client.command("podium.claim.acquire", json!([{ "worktree": "feat-a" }])).await.unwrap();
    assert_eq!(claimed["agentId"], "claude-7");
    client.leave().await;
}

#[tokio::test]
async fn an_error_carries_its_code_and_all_the_daemon_said() {
    let daemon = Daemon::running();
    let owner = ClaimOwner {
        agent_id: "claude-1".into(),
        host: "h".into(),
        pid: None,
        since: "2026-01-01T00:00:00Z".into(),
        alive: podium_protocol::Alive::Yes,
        session: None,
    };
    let error = WireError::conflict("feat-a is held by claude-1").hint("wait").owned_by(owner);
    daemon.with(|world| world.scripted.insert("claim/acquire".into(), Err(error.clone())));
    let mut client = LspClient::open(&daemon, plain()).await;
    let found = client.command("podium.claim.acquire", json!([{ "worktree": "feat-a" }])).await.unwrap_err();
    assert_eq!((&found["code"], &found["message"]), (&json!(-32003), &json!("feat-a is held by claude-1")));
    assert_eq!(serde_json::from_value::<WireError>(found["data"].clone()).unwrap(), error);
    // A person who started it is told as well.
    client
        .command("podium.claim.acquire", json!([{ "worktree": "feat-a", "interactive": true }]))
        .await
        .unwrap_err();
    let shown = client.notified("window/showMessage").await;
    assert_eq!(shown, json!({ "type": 1, "message": "feat-a is held by claude-1: wait" }));
    client.leave().await;
}

#[tokio::test]
async fn without_arguments_the_person_chooses() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let id = client.ask("workspace/executeCommand", json!({ "command": "podium.claim.acquire" })).await;
    let options = client.choose("feat-b").await;
    assert_eq!(options, ["feat-a: free", "feat-b: free"]);
    assert_eq!(client.answer_to(id).await.unwrap()["worktree"], "feat-b");
    assert!(
        client.notified("window/showMessage").await["message"]
            .as_str()
            .unwrap()
            .contains("feat-b is held by")
    );
    // Nothing chosen: nothing done.
    let id = client.ask("workspace/executeCommand", json!({ "command": "podium.worktree.remove" })).await;
    client.choose("nothing").await;
    assert_eq!(client.answer_to(id).await, Ok(json!(null)));
    assert!(daemon.with(|world| world.called("worktree/remove")).is_empty());
    client.leave().await;
}

#[tokio::test]
async fn a_person_s_choice_holds_nothing_else_up() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let open = client.ask("workspace/executeCommand", json!({ "command": "podium.claim.acquire" })).await;
    let question = client.take("a question", |m| m["method"] == "window/showMessageRequest").await;
    client.command("podium.worktree.list", json!([{}])).await.unwrap();
    // A cancelled request is answered at once.
    client.notify("$/cancelRequest", json!({ "id": open })).await;
    assert_eq!(client.answer_to(open).await.unwrap_err()["code"], -32800);
    client.send(json!({ "jsonrpc": "2.0", "id": question["id"], "result": null })).await;
    client.leave().await;
}

#[tokio::test]
async fn switching_opens_the_same_file_in_the_other_worktree() {
    let daemon = Daemon::running();
    std::fs::write(daemon.folder.path().join("feat-b/x.rs"), "").unwrap();
    let mut client = LspClient::open(&daemon, plain()).await;
    client.did_open(&daemon.uri("feat-a/x.rs"), "").await;
    let id = client
        .ask(
            "workspace/executeCommand",
            json!({ "command": "podium.worktree.switch", "arguments": [{ "name": "feat-b" }] }),
        )
        .await;
    let shown = client.answer("window/showDocument", json!({ "success": true })).await;
    assert_eq!(shown["uri"], daemon.uri("feat-b/x.rs"));
    assert_eq!(client.answer_to(id).await.unwrap()["worktree"]["name"], "feat-b");
    client.leave().await;
}

#[tokio::test]
async fn a_prompt_is_written_into_a_scratch_document_and_sent_once() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let id = client.ask("workspace/executeCommand", json!({ "command": "podium.session.start" })).await;
    let uri = client.answer("window/showDocument", json!({ "success": true })).await["uri"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(client.answer_to(id).await, Ok(json!({ "scratch": uri })));
    let path = uri.strip_prefix("file://").unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    client.did_open(&uri, &(text.replace("worktree:", "worktree: feat-b") + "Say hello")).await;
    let params = json!({ "textDocument": { "uri": uri }, "range": { "start": { "line": 0, "character": 0 }, "end": { "line": 0, "character": 0 } }, "context": { "diagnostics": [] } });
    let actions = client.request("textDocument/codeAction", params).await.unwrap();
    assert_eq!(actions[0]["title"], "Send to Podium");
    let (command, arguments) = (actions[0]["command"].as_str().unwrap(), actions[0]["arguments"].clone());
    let started = client.command(command, arguments.clone()).await.unwrap();
    let sent = daemon.with(|world| world.called("session/start"));
    assert_eq!((&sent[0]["prompt"], &sent[0]["worktree"]), (&json!("Say hello"), &json!("feat-b")));
    assert_eq!(sent[0]["uri"], daemon.uri("feat-a"));
    let again = client.command(command, arguments).await.unwrap_err();
    assert!(again["message"].as_str().unwrap().contains("sent already"));
    client.answer("window/workDoneProgress/create", json!(null)).await;
    daemon.with(|world| world.finish(started["id"].as_str().unwrap(), "completed"));
    client.take("the end", |m| m["params"]["value"]["kind"] == "end").await;
    client.take("the outcome", |m| m["params"]["message"] == "The session is done").await;
    client.forget("window/showMessage");
    client.forget("$/progress");
    client.leave().await;
}

#[tokio::test]
async fn only_scratch_documents_are_sent() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    for uri in
        [daemon.uri("feat-a/x.md"), format!("file://{}/scratch/../token", daemon.home().root().display())]
    {
        let refused = client.command("podium.scratch.send", json!([{ "uri": uri }])).await.unwrap_err();
        assert!(refused["message"].as_str().unwrap().contains("no scratch document"), "{refused}");
    }
    client.leave().await;
}

#[tokio::test]
async fn a_bare_name_makes_a_worktree_after_one_question() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let id = client
        .ask(
            "workspace/executeCommand",
            json!({ "command": "podium.worktree.create", "arguments": ["login"] }),
        )
        .await;
    assert_eq!(client.choose("feat").await, ["feat", "fix", "aiops", "devops"]);
    assert_eq!(client.answer_to(id).await.unwrap()["worktree"]["name"], "feat-login");
    assert_eq!(
        client.notified("window/showMessage").await["message"],
        "feat-login is made: /made/feat-login"
    );
    client.leave().await;
}
