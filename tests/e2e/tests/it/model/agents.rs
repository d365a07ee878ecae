//! Agents are not the user: what a session's capability socket may and may not do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use podium_client::{Client, ConnectOptions};
use podium_harness::TestEnvironment;
use podium_protocol::{ErrorKind, METHODS, WireError};
use serde_json::{Value, json};

use super::transcript::{Transcript, read_to_end};
use crate::connections::{block_on, options};

/// A session of `claude-1` in `feat-mine`; `feat-other` is held by somebody else.
fn agent(environment: &TestEnvironment) -> (PathBuf, ConnectOptions, Value) {
    let repo = environment.repo();
    for name in ["mine", "other"] {
        environment.imi(["feat", name]).within(&repo).ok();
    }
    environment.imi(["claim", "feat-other", "--agent-id", "claude-2"]).within(&repo).ok();
    let ask = [
        "start",
        "local",
        "--prompt",
        "Say hello.",
        "--max-tokens",
        "8",
        "--worktree",
        "feat-mine",
        "--agent-id",
        "claude-1",
    ];
    let mut lines = environment.jelmore(ask).within(&repo).lines();
    let id = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    read_to_end(&mut lines, Transcript::default());
    let capability = environment.jelmore(["sessions", "capability", &id]).data();
    let socket = PathBuf::from(capability["socket"].as_str().unwrap());
    let mode = fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "{}", socket.display());
    let connect = ConnectOptions { socket: Some(socket), ..options(environment) };
    (repo.path().to_owned(), connect, capability)
}

fn denied(outcome: Result<Value, WireError>, what: &str) {
    match outcome {
        Ok(answer) => panic!("an agent may not {what}, but: {answer:#}"),
        Err(error) => {
            assert!(matches!(error.kind, ErrorKind::User | ErrorKind::Conflict), "{what}: {error:?}")
        }
    }
}

#[test]
fn an_agent_cannot_approve_force_configure_stop_or_act_for_others() {
    let environment = TestEnvironment::with_model();
    let (repo, connect, _) = agent(&environment);
    let pid = environment.daemon_pid();
    let person = environment.imi(["status", "feat-other"]).within(&repo).data();
    let token = person["worktree"]["claim"]["token"].clone();
    block_on(async {
        let agent = Client::connect(connect).await.unwrap();
        let at = |more: Value| {
            let mut params = json!({"repo": repo});
            params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            params
        };
        let asked = agent.call_value("inbox/ask", json!({"question": "May I push?"})).await.unwrap();
        assert_eq!(asked["item"]["agentId"], "claude-1", "{asked:#}");
        let id = asked["item"]["id"].clone();

        let forbidden = [
            ("approve its own question", "inbox/answer", json!({"id": id, "decision": "allow"})),
            (
                "approve it for good",
                "inbox/answer",
                json!({"id": id, "decision": "allow", "scope": "project"}),
            ),
            (
                "write rules",
                "config/set",
                json!({"key": "permission", "value": [{"tool": "*", "decision": "allow"}]}),
            ),
            ("configure", "config/set", json!({"key": "claims.heartbeat_seconds", "value": 5})),
            ("stop the daemon", "stop", json!({})),
            ("force a claim", "claim/acquire", at(json!({"worktree": "feat-other", "force": true}))),
            (
                "claim in another's name",
                "claim/acquire",
                at(json!({"worktree": "feat-mine", "agentId": "claude-2"})),
            ),
            ("take a held worktree", "claim/acquire", at(json!({"worktree": "feat-other"}))),
            (
                "release without a token",
                "claim/release",
                at(json!({"worktree": "feat-other", "agentId": "claude-2"})),
            ),
            (
                "release with another's token",
                "claim/release",
                at(json!({"worktree": "feat-other", "agentId": "claude-2", "token": token})),
            ),
            ("force a release", "claim/release", at(json!({"worktree": "feat-other", "force": true}))),
            ("force a removal", "worktree/remove", at(json!({"name": "feat-other", "force": true}))),
            ("remove another's worktree", "worktree/remove", at(json!({"name": "feat-other"}))),
            (
                "start a session in another's name",
                "session/start",
                at(
                    json!({"provider": "local", "prompt": "x", "agentId": "claude-2", "worktree": "feat-other"}),
                ),
            ),
        ];
        for (what, method, params) in forbidden {
            denied(agent.call_value(method, params).await, what);
        }
        for method in METHODS.iter().filter(|m| m.access == podium_protocol::Access::Person) {
            let name = method.name;
            denied(
                agent
                    .call_value(name, at(json!({"id": "x", "key": "k", "value": 1, "decision": "allow"})))
                    .await,
                name,
            );
        }
        let open = agent.call_value("inbox/list", json!({})).await.unwrap();
        assert!(open["items"].to_string().contains("May I push?"), "still open: {open:#}");
    });
    let after = environment.imi(["status", "feat-other"]).within(&repo).data();
    assert_eq!(after["worktree"]["claim"]["agentId"], "claude-2", "{after:#}");
    assert_eq!(environment.daemon_pid(), pid);
}

#[test]
fn the_command_lines_of_an_agent_have_its_rights_only() {
    let environment = TestEnvironment::with_model();
    let (repo, _, capability) = agent(&environment);
    let vars = capability["env"].as_object().unwrap();
    let run = |program: &str, words: &[&str]| {
        let invocation = environment.program(program).args(words).within(&repo);
        vars.iter().fold(invocation, |run, (name, value)| run.var(name, value.as_str().unwrap()))
    };
    assert!(vars.contains_key("PODIUM_SOCKET"), "{capability:#}");
    run("imi", &["list"]).ok();
    run("jelmore", &["sessions", "list"]).ok();
    for (program, words) in [
        ("podium", &["daemon", "stop"][..]),
        ("imi", &["claim", "feat-other", "--force"]),
        ("imi", &["remove", "feat-other", "--force"]),
        ("podium", &["config", "set", "claims.heartbeat_seconds", "5"]),
    ] {
        let (code, envelope) = run(program, words).envelope();
        assert!(matches!(code, 1 | 3), "{program} {words:?}: exit {code}: {envelope:#}");
    }
    // The main socket does not help without the token, nor a token on the capability socket.
    let fresh =
        environment.jelmore(["inbox", "ask", "May I?", "--agent-id", "claude-1"]).within(&repo).data();
    let id = fresh["item"]["id"].as_str().unwrap();
    run("jelmore", &["inbox", "answer", id, "allow"]).fails(1);
}
