//! A bare model with tools, in a claimed worktree: it reads, writes, runs and commits there, and nowhere else.

use podium_harness::TestEnvironment;
use podium_harness::messages::{Block, Messages};
use serde_json::{Value, json};

const RULES: &str = r#"permission = [{ tool = "run_command", decision = "allow" }]"#;

/// Text of the results that the model was given, in the order of its calls.
fn results(asked: &[Value]) -> Vec<String> {
    let last = asked.last().map_or(&[][..], |body| body["messages"].as_array().map_or(&[], Vec::as_slice));
    let parts = last.iter().filter_map(|message| message["content"].as_array()).flatten();
    let results = parts.filter(|part| part["type"] == "tool_result");
    results.map(|part| part["content"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_model_writes_runs_and_commits_in_the_claimed_worktree_and_reaches_nothing_else() {
    let environment = TestEnvironment::builder().setting(RULES).build();
    let repo = environment.repo();
    for name in ["mine", "other"] {
        environment.imi(["feat", name]).within(&repo).ok();
    }
    let place = |name: &str| {
        let status = environment.imi(["status", name]).within(&repo).data();
        status["worktree"]["path"].as_str().unwrap().to_owned()
    };
    let (mine, other) = (place("feat-mine"), place("feat-other"));
    let main = repo.git(["rev-parse", "main"]);
    let spy = format!("cat hello.txt; touch '{other}/planted'; git update-ref refs/heads/main HEAD; ls -A ~");
    let model = Messages::answering(vec![
        vec![
            Block::text("I write it. "),
            Block::tool("t1", "write_file", json!({ "path": "hello.txt", "content": "hello from inside\n" })),
        ],
        vec![Block::tool("t2", "run_command", json!({ "command": spy }))],
        vec![Block::tool("t3", "commit", json!({ "message": "Say hello" }))],
        vec![Block::text("Done.")],
    ]);
    let mut lines = environment
        .jelmore([
            "start",
            "anthropic",
            "--prompt",
            "Say hello.",
            "--worktree",
            "feat-mine",
            "--agent-id",
            "claude-1",
        ])
        .var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789")
        .var("ANTHROPIC_BASE_URL", model.url())
        .within(&repo)
        .lines();
    let end = lines.read_type("end");
    let told = results(&model.asked());
    assert_eq!(end["status"], "completed", "{end:#}\n{told:#?}\n{}", environment.log());
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[1].contains("hello from inside"), "{told:#?}");
    assert!(end["filesChanged"].as_array().unwrap().contains(&json!("hello.txt")), "{end:#}");
    let log = environment.git(mine.as_ref(), ["log", "-1", "--format=%s"]);
    assert_eq!(log.trim(), "Say hello", "{told:#?}");
    assert_eq!(environment.git(mine.as_ref(), ["status", "--porcelain"]).trim(), "");
    assert_eq!(repo.git(["rev-parse", "main"]), main, "{told:#?}");
    assert!(!std::path::Path::new(&other).join("planted").exists(), "{told:#?}");
}

#[test]
fn a_session_of_a_person_runs_commands_in_the_worktree_that_the_person_holds() {
    let environment = TestEnvironment::builder().setting(RULES).build();
    let repo = environment.repo();
    environment.imi(["feat", "mine"]).within(&repo).ok();
    environment.imi(["claim", "feat-mine"]).within(&repo).ok();
    let model = Messages::answering(vec![
        vec![Block::tool("t1", "run_command", json!({ "command": "true" }))],
        vec![Block::tool("t2", "run_command", json!({ "command": "echo hi > here.txt && cat here.txt" }))],
        vec![Block::text("Done.")],
    ]);
    let mut lines = environment
        .jelmore(["start", "anthropic", "--prompt", "Run it.", "--worktree", "feat-mine"])
        .var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789")
        .var("ANTHROPIC_BASE_URL", model.url())
        .within(&repo)
        .lines();
    let end = lines.read_type("end");
    let asked = model.asked();
    let told = results(&asked);
    assert_eq!(end["status"], "completed", "{end:#}\n{told:#?}\n{}", environment.log());
    assert!(
        !serde_json::to_string(asked.last().unwrap()).unwrap().contains("\"is_error\":true"),
        "{told:#?}"
    );
    assert!(told[1].contains("hi"), "{told:#?}");
}
