//! What is no message, too large, too early or unknown.

use serde_json::{Value, json};

use crate::client::{LspClient, plain};
use crate::daemon::Daemon;

async fn error_without_id(client: &LspClient) -> Value {
    client.take("an error", |m| m["id"].is_null() && m["error"].is_object()).await["error"].clone()
}

#[tokio::test]
async fn broken_messages_are_answered_and_the_next_one_is_read() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    for (bytes, code) in [
        (&b"Content-Length: 5\r\n\r\n{\"a\":"[..], -32700),
        (b"Content-Length: 2\r\n\r\n\xff\xfe", -32700),
        (b"Content-Length: 2\r\n\r\n[]", -32600),
        (b"Content-Length: x\r\n\r\n", -32700),
        (b"\x16\x03\x01 what is this\r\n\r\n", -32700),
        (b"Content-Length: 17\r\n\r\n{\"jsonrpc\":\"2.0\"}", -32600),
    ] {
        client.write(bytes).await;
        assert_eq!(error_without_id(&client).await["code"], code, "{}", String::from_utf8_lossy(bytes));
        assert_eq!(client.request("workspace/symbol", json!({ "query": "x" })).await, Ok(json!([])));
    }
    client.leave().await;
}

#[tokio::test]
async fn a_message_of_100_megabytes_is_refused_and_not_kept() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let size = 100 * 1024 * 1024;
    client.write(format!("Content-Length: {size}\r\n\r\n").as_bytes()).await;
    let chunk = vec![b'x'; 1024 * 1024];
    for _ in 0..100 {
        client.write(&chunk).await;
    }
    let error = error_without_id(&client).await;
    assert!(error["message"].as_str().unwrap().contains("over the limit"), "{error}");
    assert_eq!(client.request("workspace/symbol", json!({ "query": "x" })).await, Ok(json!([])));
    client.leave().await;
}

#[tokio::test]
async fn requests_before_initialize_and_unknown_ones_get_errors() {
    let daemon = Daemon::running();
    let mut client = LspClient::connect(&daemon, None);
    assert_eq!(client.command("podium.status", json!([])).await.unwrap_err()["code"], -32002);
    client.notify("textDocument/didOpen", json!({ "nonsense": 1 })).await;
    client.initialize(&daemon, plain()).await;
    assert_eq!(client.request("textDocument/nonsense", json!({})).await.unwrap_err()["code"], -32601);
    assert_eq!(client.request("$/nonsense", json!({})).await.unwrap_err()["code"], -32601);
    client.notify("$/nonsense", json!({})).await;
    client.notify("podium/nonsense", json!({})).await;
    assert_eq!(
        client.request("initialize", json!({ "capabilities": {} })).await.unwrap_err()["code"],
        -32600
    );
    assert_eq!(
        client.request("textDocument/codeAction", json!({ "range": 3 })).await.unwrap_err()["code"],
        -32602
    );
    client.leave().await;
}

#[tokio::test]
async fn a_thousand_requests_at_once_are_all_answered() {
    let daemon = Daemon::running();
    let mut client = LspClient::open(&daemon, plain()).await;
    let mut ids = Vec::new();
    for n in 0..1000 {
        ids.push(
            client
                .ask(
                    "workspace/executeCommand",
                    json!({ "command": "podium.worktree.list", "arguments": [{}], "n": n }),
                )
                .await,
        );
    }
    for id in ids {
        match client.answer_to(id).await {
            Ok(answer) => assert_eq!(answer["worktrees"].as_array().unwrap().len(), 2),
            Err(error) => assert_eq!(error["data"]["kind"], "busy"),
        }
    }
    client.leave().await;
}
