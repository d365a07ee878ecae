//! `podium mcp` with real clients: the official Python SDK, and the Rust one.

use std::process::{Child, Stdio};
use std::time::Duration;

use podium_harness::{TestEnvironment, ToolPaths, eventually, process};
use rmcp::model::{CallToolRequestParams, ReadResourceRequestParams};
use rmcp::service::RunningService;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};

const CLIENT: &str = include_str!("mcp_client.py");
const PATIENCE: Duration = Duration::from_secs(30);

/// An agent's client, with the server that it started.
struct Agent {
    service: RunningService<RoleClient, ()>,
    server: Child,
}

impl Agent {
    async fn start(environment: &TestEnvironment, folder: &std::path::Path, args: &[&str]) -> Self {
        let command = environment.podium([&["mcp"], args].concat()).within(folder);
        let mut server = command.spawn(|command| {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        });
        let input = tokio::process::ChildStdin::from_std(server.stdin.take().unwrap()).unwrap();
        let output = tokio::process::ChildStdout::from_std(server.stdout.take().unwrap()).unwrap();
        let service = tokio::time::timeout(PATIENCE, ().serve((output, input))).await.unwrap().unwrap();
        Self { service, server }
    }

    /// Whether it failed, and what it answered: structured, or the text of the error.
    async fn call(&self, tool: &str, input: Value) -> (bool, Value) {
        let input = input.as_object().cloned().unwrap_or_default();
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(input);
        let result = tokio::time::timeout(PATIENCE, self.service.call_tool(params)).await.unwrap().unwrap();
        let value = serde_json::to_value(&result).unwrap();
        match value.get("structuredContent") {
            Some(answer) => (result.is_error == Some(true), answer.clone()),
            None => (true, value["content"][0]["text"].clone()),
        }
    }

    async fn done(&self, tool: &str, input: Value) -> Value {
        let (failed, answer) = self.call(tool, input).await;
        assert!(!failed, "{tool}: {answer:#}");
        answer
    }

    async fn refused(&self, tool: &str, input: Value) -> String {
        let (failed, answer) = self.call(tool, input).await;
        assert!(failed, "{tool}: {answer:#}");
        answer.as_str().unwrap_or_default().to_owned()
    }

    async fn read(&self, uri: &str) -> Value {
        let result = self.service.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
        let text = serde_json::to_value(result).unwrap()["contents"][0]["text"].as_str().unwrap().to_owned();
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    /// Ends as an agent's program does: its end of the pipe is closed.
    async fn end(mut self) {
        let _ = self.service.cancel().await;
        let ended = tokio::task::spawn_blocking(move || self.server.wait().unwrap());
        let status = tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }
}

#[tokio::test]
async fn an_agent_makes_claims_and_releases_a_worktree_and_nobody_elses() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let one = Agent::start(&environment, repo.path(), &["--agent-id", "one"]).await;
    let two = Agent::start(&environment, repo.path(), &["--agent-id", "two"]).await;
    let made = one.done("worktree_create", json!({ "type": "feat", "name": "x" })).await;
    assert_eq!(made["worktree"]["claim"]["agentId"], "one", "{made:#}");
    let why = two.refused("claim", json!({ "worktree": "feat-x" })).await;
    assert!(why.contains("claimed by one") && why.contains("hint:"), "{why}");
    assert!(two.refused("release", json!({ "worktree": "feat-x" })).await.contains("not claimed"));
    // What it cannot do has no tool, and no argument either.
    let tools = one.service.list_all_tools().await.unwrap();
    assert!(tools.iter().all(|tool| !tool.name.contains("answer") && !tool.name.contains("config")));
    let why = two.refused("claim", json!({ "worktree": "feat-x", "force": true })).await;
    assert!(why.contains("force"), "{why}");
    let why = two.refused("claim", json!({ "worktree": "feat-x", "agentId": "one" })).await;
    assert!(why.contains("agentId"), "{why}");
    let standing = two.done("verify", json!({ "worktree": "feat-x" })).await;
    assert_eq!(standing["standing"], "other", "{standing:#}");
    let context = one.read("podium://context").await;
    assert_eq!(context["agentId"], "one");
    assert_eq!(context["claims"][0]["worktree"], "feat-x", "{context:#}");
    let claims = two.read("podium://claims").await;
    assert_eq!(
        (&claims["claims"][0]["agentId"], &claims["claims"][0]["mine"]),
        (&json!("one"), &json!(false))
    );
    one.done("release", json!({ "worktree": "feat-x" })).await;
    two.done("claim", json!({ "worktree": "feat-x", "wait": 5 })).await;
    // Its claim lives as long as the agent's program does.
    two.end().await;
    let claim = || environment.imi(["claim", "feat-x", "--agent-id", "three"]).within(&repo).envelope().0;
    eventually("the claim of the dead is free", || claim() == 0);
    one.end().await;
}

#[tokio::test]
async fn what_one_stores_another_finds_and_reads_in_parts() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let one = Agent::start(&environment, repo.path(), &["--agent-id", "one"]).await;
    let text = format!("The lighthouse stands.\n{}", "line of text\n".repeat(8_000));
    let stored = one.done("artifact_put", json!({ "title": "Notes", "kind": "report", "text": text })).await;
    let id = stored["id"].as_str().unwrap();
    let hits = one.done("artifact_search", json!({ "query": "lighthouse" })).await;
    assert_eq!(hits["hits"][0]["id"], id, "{hits:#}");
    let (mut whole, mut offset) = (String::new(), Some(0));
    while let Some(from) = offset {
        let part = one.done("artifact_get", json!({ "id": id, "offset": from })).await;
        let piece = part["text"].as_str().unwrap();
        assert!(piece.len() <= 64 * 1024);
        whole.push_str(piece);
        offset = part["next"].as_u64();
    }
    assert_eq!(whole, text);
    let resource = one.read(&format!("podium://artifact/{id}")).await;
    assert!(resource.as_str().unwrap().starts_with("The lighthouse stands."));
    assert!(one.refused("artifact_get", json!({ "id": "none-such" })).await.contains("none-such"));
    one.end().await;
}

#[tokio::test]
async fn a_question_goes_to_the_person_and_the_answer_comes_back() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let one = Agent::start(&environment, repo.path(), &["--agent-id", "one"]).await;
    let asking = one.done("ask_person", json!({ "question": "May I push?", "wait": 30 }));
    let answering = async {
        let open = || environment.jelmore(["inbox"]).data()["items"][0]["id"].as_str().map(str::to_owned);
        let mut id = open();
        while id.is_none() {
            // tidy-allow(sleep): a bounded poll of a command line, which cannot tell.
            tokio::time::sleep(Duration::from_millis(20)).await;
            id = open();
        }
        environment.jelmore(["inbox", "answer", &id.unwrap(), "allow"]).ok();
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer["item"]["decision"], "allow", "{answer:#}");
    one.end().await;
}

#[test]
fn an_mcp_client_says_who_it_is() {
    let environment = TestEnvironment::new();
    let error = environment.podium(["mcp"]).fails(2);
    assert!(error["hints"][0].as_str().unwrap().contains("--agent-id"), "{error:#}");
    let help = environment.podium(["mcp", "--help"]).run().success();
    for client in ["claude mcp add", "codex mcp add", ".vscode/mcp.json", "context_servers"] {
        assert!(help.contains(client), "{help}");
    }
}

#[test]
fn the_official_client_finds_valid_schemas_progress_changes_and_cancels() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "x"]).within(&repo).ok();
    environment.imi(["claim", "feat-x", "--agent-id", "other"]).within(&repo).ok();
    let script = environment.root().join("client.py");
    std::fs::write(&script, CLIENT).unwrap();
    let python = environment.program("python3").args([script.as_os_str()]).within(&repo);
    let done = python.var("PYTHONPATH", ToolPaths::load().get("mcp_sdk")).run();
    assert_eq!(done.code, Some(0), "{done:#?}\n{}", environment.log());
    let told: Value = serde_json::from_str(done.stdout.trim()).unwrap();
    assert_eq!(told["validated"], json!(true), "{told:#}");
    assert!(told["tools"].as_u64().unwrap() >= 12, "{told:#}");
    assert!(told["progress"].as_u64().unwrap() >= 1, "{told:#}");
    assert!(told["updated"].as_array().unwrap().contains(&json!("podium://worktrees")), "{told:#}");
    assert_eq!(told["cancelled"], json!(true), "{told:#}");
    assert_eq!(told["claimed"], json!("feat-y"), "{told:#}");
    eventually("its server ended with it", || {
        environment.processes().into_iter().all(|pid| !process::command_line(pid).contains(" mcp "))
    });
}
