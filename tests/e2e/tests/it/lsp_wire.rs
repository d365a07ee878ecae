//! The language server's base protocol: whatever arrives on standard input.

use std::time::Duration;

use podium_harness::{Capabilities, LspClient, TestEnvironment};
use serde_json::{Value, json};

fn silent(environment: &TestEnvironment) -> LspClient {
    environment.lsp(environment.root()).start_silent()
}

fn framed(body: &str) -> Vec<u8> {
    format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn code(error: &Value) -> i64 {
    error["code"].as_i64().unwrap_or_else(|| error["error"]["code"].as_i64().unwrap())
}

#[test]
fn exit_without_shutdown_is_a_failure_and_the_end_of_input_too() {
    let environment = TestEnvironment::new();
    let mut client = environment.lsp(environment.root()).start();
    client.notify("exit", Value::Null);
    assert_eq!(client.wait_exit(), Some(1));
    let mut client = environment.lsp(environment.root()).start();
    client.close_input();
    assert_eq!(client.wait_exit(), Some(1));
    let mut client = silent(&environment);
    client.notify("exit", Value::Null);
    assert_eq!(client.wait_exit(), Some(1));
}

#[test]
fn after_shutdown_requests_are_refused() {
    let environment = TestEnvironment::new();
    let mut client = environment.lsp(environment.root()).start();
    client.request("shutdown", Value::Null);
    let error = client.try_request("workspace/symbol", json!({"query": "#x"})).unwrap_err();
    assert_eq!(code(&error), -32600, "{error:#}");
    client.notify("exit", Value::Null);
    assert_eq!(client.wait_exit(), Some(0));
}

#[test]
fn before_initialize_nothing_is_answered_but_that() {
    let environment = TestEnvironment::new();
    let mut client = silent(&environment);
    for (method, params) in [
        ("workspace/executeCommand", json!({"command": "podium.status", "arguments": []})),
        ("podium/worktree/list", json!({})),
        ("shutdown", Value::Null),
    ] {
        let error = client.try_request(method, params).unwrap_err();
        assert_eq!(code(&error), -32002, "{method}: {error:#}");
    }
    client.notify("textDocument/didOpen", json!({}));
    client.request("initialize", json!({"capabilities": {}}));
    assert!(environment.daemons().is_empty(), "nothing of this needed a daemon");
    let again = client.try_request("initialize", json!({"capabilities": {}})).unwrap_err();
    assert_eq!(code(&again), -32600, "{again:#}");
    client.notify("initialized", json!({}));
    client.shutdown();
}

#[test]
fn unknown_methods_are_answered_and_unknown_notifications_ignored() {
    let environment = TestEnvironment::new();
    let mut client = environment.lsp(environment.root()).start();
    for method in ["no/such", "podium/no/such", "$/unheardOf", "podium/stop", "podium/ping"] {
        let error = client.try_request(method, json!({})).unwrap_err();
        assert_eq!(code(&error), -32601, "{method}: {error:#}");
    }
    client.notify("no/such", json!({}));
    client.notify("$/unheardOf", json!([1]));
    let params = json!({"command": "podium.no.such", "arguments": []});
    let error = client.try_request("workspace/executeCommand", params).unwrap_err();
    assert!(error["message"].as_str().is_some_and(|m| m.contains("podium.no.such")), "{error:#}");
    client.shutdown();
}

#[test]
fn malformed_messages_are_answered_and_the_next_one_is_read() {
    let environment = TestEnvironment::new();
    let mut client = environment.lsp(environment.root()).start();
    let broken: [(&str, Vec<u8>, i64); 8] = [
        ("not JSON", framed("{\"jsonrpc\":"), -32700),
        ("not UTF-8", [&b"Content-Length: 2\r\n\r\n"[..], b"\xff\xfe"].concat(), -32700),
        ("no object", framed("7"), -32600),
        ("a batch", framed("[]"), -32600),
        ("another version", framed("{\"jsonrpc\":\"1.0\",\"id\":null,\"method\":\"x\"}"), -32600),
        ("no length", b"Content-Type: text/plain\r\nX: y\r\n\r\n".to_vec(), -32700),
        ("a length that is no number", b"Content-Length: many\r\n\r\n".to_vec(), -32700),
        ("garbage", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), -32700),
    ];
    for (what, bytes, expected) in broken {
        client.send_bytes(&bytes);
        if what == "no length" {
            // Without a word about a length there is nothing to refuse, or it is refused: both are fine.
        } else {
            let answer = client.stray_answer();
            assert_eq!(code(&answer), expected, "{what}: {answer:#}");
        }
        assert!(client.request("workspace/symbol", json!({"query": "x"})).is_array(), "after {what}");
    }
    client.discard_stray();
    client.shutdown();
}

#[test]
fn headers_are_read_whatever_their_case_and_company() {
    let environment = TestEnvironment::new();
    let mut client = environment.lsp(environment.root()).start();
    let body =
        "{\"jsonrpc\":\"2.0\",\"id\":900,\"method\":\"workspace/symbol\",\"params\":{\"query\":\"x\"}}";
    let length = body.len();
    for head in [
        format!("content-length: {length}\r\n\r\n"),
        format!(
            "Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: {length}\r\n\r\n"
        ),
        format!("Content-Length:{length}\r\n\r\n"),
    ] {
        client.send_bytes(head.as_bytes());
        // In two pieces, as pipes may deliver it.
        client.send_bytes(&body.as_bytes()[..10]);
        client.send_bytes(&body.as_bytes()[10..]);
        client.answer(900).unwrap();
    }
    assert!(client.request("workspace/symbol", json!({"query": "x"})).is_array());
    client.shutdown();
}

#[test]
fn a_huge_message_is_refused_without_being_kept() {
    let environment = TestEnvironment::new();
    let mut client = environment.lsp(environment.root()).start();
    let before = podium_harness::process::resident_bytes(client.pid());
    client.send_bytes(format!("Content-Length: {}\r\n\r\n", 100 << 20).as_bytes());
    let piece = vec![b' '; 1 << 20];
    for _ in 0..100 {
        client.send_bytes(&piece);
    }
    let answer = client.stray_answer();
    assert!(code(&answer) <= -32600, "{answer:#}");
    assert!(client.request("workspace/symbol", json!({"query": "x"})).is_array(), "and the next one is read");
    let after = podium_harness::process::resident_bytes(client.pid());
    assert!(after < before + (48 << 20), "from {before} to {after} bytes");
    client.shutdown();
}

#[test]
fn it_ends_with_its_editor() {
    let environment = TestEnvironment::new();
    let mut editor = environment.program("sleep").arg("600").within("/").spawn(|_| {});
    let mut client = silent(&environment);
    client.request("initialize", json!({"processId": editor.id(), "capabilities": {}}));
    client.notify("initialized", json!({}));
    // One that is gone before the server has looked for it counts as an editor of another container.
    client.request("workspace/symbol", json!({"query": "x"}));
    editor.kill().unwrap();
    editor.wait().unwrap();
    assert_eq!(client.wait_exit(), Some(1), "although its input stays open");
}

#[test]
fn a_cancelled_request_is_answered_all_the_same() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "x"]).within(&repo).ok();
    environment.imi(["claim", "feat-x", "--agent-id", "a"]).within(&repo).ok();
    let mut client = environment.lsp(&repo).capabilities(Capabilities::helix()).start();
    let wait = json!({"worktree": "feat-x", "agentId": "b", "wait": 600});
    let id = client.post("podium/claim/acquire", wait);
    client.notify("$/cancelRequest", json!({"id": id}));
    let error = client.answer(id).unwrap_err();
    assert_eq!(code(&error), -32800, "{error:#}");
    assert!(client.wait_within(Duration::ZERO, |_| false).is_none());
    client.shutdown();
}
