//! Going back: a bare model changes files in a claimed worktree, and a person rewinds, forks, compares and exports.

use podium_harness::messages::{Block, Messages};
use podium_harness::{TestEnvironment, TestRepo};
use serde_json::{Value, json};

/// A session of two turns, each of which writes files; its id and its worktree.
fn two_turns(environment: &TestEnvironment, repo: &TestRepo<'_>) -> (String, std::path::PathBuf) {
    environment.imi(["feat", "mine"]).within(repo).ok();
    let status = environment.imi(["status", "feat-mine"]).within(repo).data();
    let mine = std::path::PathBuf::from(status["worktree"]["path"].as_str().unwrap());
    let write = |id: &str, path: &str, content: &str| {
        Block::tool(id, "write_file", json!({ "path": path, "content": content }))
    };
    let model = Messages::answering(vec![
        vec![write("t1", "one.txt", "1\n"), write("t2", "both.txt", "first\n")],
        vec![Block::text("One is done.")],
        vec![Block::tool("t3", "read_file", json!({ "path": "both.txt" }))],
        vec![write("t4", "two.txt", "2\n"), write("t5", "both.txt", "second\n")],
        vec![Block::text("Two is done.")],
    ]);
    let run = |args: &[&str]| {
        let mut lines = environment
            .jelmore(args.iter().copied())
            .var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789")
            .var("ANTHROPIC_BASE_URL", model.url())
            .within(repo)
            .lines();
        lines.read_type("end")
    };
    let id = "two-turns";
    let start = ["start", "anthropic", "--prompt", "Write one.", "--worktree", "feat-mine"];
    let end = run(&[&start[..], &["--agent-id", "claude-1", "--session-id", id]].concat());
    assert_eq!(end["filesChanged"], json!(["both.txt", "one.txt"]), "{end:#}\n{}", environment.log());
    let end = run(&["sessions", "resume", id, "--prompt", "Write two."]);
    assert_eq!(end["filesChanged"], json!(["both.txt", "two.txt"]), "{end:#}\n{}", environment.log());
    (id.to_owned(), mine)
}

fn checkpoint(environment: &TestEnvironment, id: &str, kind: &str, turn: u64) -> String {
    let data = environment.jelmore(["sessions", "checkpoints", id]).data();
    let all = data["checkpoints"].as_array().unwrap();
    let found = all.iter().find(|c| c["kind"] == kind && c["turn"] == turn);
    found.unwrap_or_else(|| panic!("no {kind} of turn {turn} in {data:#}"))["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_rewind_by_the_command_line_brings_files_back_and_is_taken_back() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let (id, mine) = two_turns(&environment, &repo);
    let read = |path: &str| std::fs::read_to_string(mine.join(path)).ok();
    let to = checkpoint(&environment, &id, "turn_end", 1);
    let rewound = environment.jelmore(["sessions", "rewind", &id, "--to", &to]).data();
    assert_eq!(rewound["filesChanged"], json!(["both.txt", "two.txt"]), "{rewound:#}");
    assert_eq!((read("both.txt").as_deref(), read("two.txt")), (Some("first\n"), None));
    let undo = rewound["undo"].as_str().unwrap();
    environment.jelmore(["sessions", "rewind", &id, "--to", undo]).ok();
    assert_eq!((read("both.txt").as_deref(), read("two.txt").as_deref()), (Some("second\n"), Some("2\n")));
    // Somebody else's worktree is left alone.
    environment.imi(["claim", "feat-mine", "--agent-id", "other", "--force"]).within(&repo).ok();
    let refused = environment.jelmore(["sessions", "rewind", &id, "--to", &to]).fails(3);
    assert_eq!(refused["owner"]["agentId"], "other", "{refused:#}");
    assert_eq!(read("both.txt").as_deref(), Some("second\n"));
}

#[test]
fn a_daemon_that_is_killed_keeps_checkpoints_and_files() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let (id, mine) = two_turns(&environment, &repo);
    let to = checkpoint(&environment, &id, "turn_start", 1);
    environment.kill_daemon();
    environment.jelmore(["sessions", "rewind", &id, "--to", &to]).ok();
    assert!(!mine.join("one.txt").exists() && !mine.join("both.txt").exists());
}

#[test]
fn a_fork_gets_a_worktree_with_the_files_of_then() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let (id, mine) = two_turns(&environment, &repo);
    let at = checkpoint(&environment, &id, "turn_end", 1);
    let forked = environment.jelmore(["sessions", "fork", &id, "--at", &at, "--worktree", "feat-try"]).data();
    assert_eq!(forked["worktree"], "feat-try", "{forked:#}");
    let other = std::path::PathBuf::from(forked["worktreePath"].as_str().unwrap());
    assert_eq!(std::fs::read_to_string(other.join("both.txt")).unwrap(), "first\n");
    assert!(!other.join("two.txt").exists() && mine.join("two.txt").exists());
    let shown = environment.jelmore(["sessions", "show", forked["id"].as_str().unwrap()]).data();
    assert_eq!(shown["lastSeq"], forked["lastSeq"]);
    let again = environment.jelmore(["sessions", "fork", &id, "--at", &at, "--worktree", "feat-try"]);
    again.fails(3);
}

#[test]
fn diff_revert_and_export_say_what_was_done() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let (id, mine) = two_turns(&environment, &repo);
    let lines = |diff: &Value, path: &str| {
        let files = diff["files"].as_array().unwrap().clone();
        let file = files.into_iter().find(|file| file["path"] == path).unwrap();
        file["hunks"][0]["lines"].clone()
    };
    let diff = environment.jelmore(["sessions", "diff", &id, "--turn", "2"]).data();
    assert_eq!(lines(&diff, "both.txt"), json!(["-first", "+second"]), "{diff:#}");
    assert!(diff["artifact"].is_string(), "{diff:#}");
    let diff = environment.jelmore(["sessions", "diff", &id]).data();
    assert_eq!(lines(&diff, "both.txt"), json!(["+second"]), "{diff:#}");
    environment.jelmore(["sessions", "revert", &id, "both.txt", "--turn", "2", "--hunk", "0"]).ok();
    assert_eq!(std::fs::read_to_string(mine.join("both.txt")).unwrap(), "first\n");
    std::fs::write(mine.join("two.txt"), "by a person\n").unwrap();
    environment.jelmore(["sessions", "revert", &id, "two.txt"]).fails(3);
    assert_eq!(std::fs::read_to_string(mine.join("two.txt")).unwrap(), "by a person\n");
    let file = environment.root().join("talk.md");
    let path = file.to_str().unwrap();
    environment.jelmore(["sessions", "export", &id, "--output", path]).ok();
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains("Write one.") && written.contains("Two is done."), "{written}");
    environment.jelmore(["sessions", "export", &id, "--output", path]).fails(3);
    let json = environment.jelmore(["sessions", "export", &id, "--format", "json"]).data();
    let read: Value = serde_json::from_str(json["content"].as_str().unwrap()).unwrap();
    assert_eq!(read["session"]["id"], json!(id));
}
