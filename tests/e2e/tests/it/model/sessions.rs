//! Sessions that end otherwise than by themselves: client gone, daemon stopped, cancelled.

use podium_harness::{TestEnvironment, process};
use serde_json::Value;

use super::transcript::{Asked, Transcript, read_texts, read_to_end};

const STORY: Asked = Asked { prompt: "Write a long story about a lighthouse.", seed: 11, max_tokens: 120 };

#[test]
fn after_sigkill_of_the_client_another_one_goes_on_behind_what_was_shown() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let expected = STORY.undisturbed(&environment, &repo);
    let (id, mut lines) = STORY.start(&environment, &repo);
    let mut shown = Transcript::default();
    read_texts(&mut lines, &mut shown, 20);
    lines.kill();
    // What it had printed before it died counts as shown.
    while let Some(line) = lines.read() {
        shown.push(&line);
    }
    let from = shown.last_seq().to_string();
    let mut second =
        environment.jelmore(["sessions", "resume", &id, "--from-seq", &from]).within(&repo).lines();
    let (shown, end) = read_to_end(&mut second, shown);
    assert_eq!(end["status"], "completed", "{end:#}");
    shown.equals_stored(&environment, &id);
    assert_eq!(shown.text(), expected);
}

#[test]
fn two_clients_that_follow_one_session_both_go_on_when_the_daemon_is_killed() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let (id, mut first) = STORY.start(&environment, &repo);
    let mut shown = Transcript::default();
    read_texts(&mut first, &mut shown, 10);
    let mut second = environment.jelmore(["sessions", "resume", &id]).within(&repo).lines();
    let mut shown_too = Transcript::default();
    read_texts(&mut second, &mut shown_too, 5);
    environment.kill_daemon();
    for (mut lines, shown) in [(first, shown), (second, shown_too)] {
        let (shown, end) = read_to_end(&mut lines, shown);
        assert_eq!(end["status"], "completed", "{end:#}");
        shown.equals_stored(&environment, &id);
    }
}

#[test]
fn after_a_deliberate_stop_the_stream_says_how_to_go_on() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let expected = STORY.undisturbed(&environment, &repo);
    let (id, mut lines) = STORY.start(&environment, &repo);
    let mut shown = Transcript::default();
    read_texts(&mut lines, &mut shown, 20);
    environment.podium(["daemon", "stop"]).ok();
    let (shown, end) = read_to_end(&mut lines, shown);
    assert_eq!(end["status"], "interrupted", "{end:#}");
    assert_eq!(lines.finish(), Some(5));
    assert!(environment.daemons().is_empty(), "nobody started it again");

    let command: Vec<&str> = end["resume"].as_str().unwrap().split(' ').collect();
    let mut second = environment.program(command[0]).args(&command[1..]).within(&repo).lines();
    let (shown, end) = read_to_end(&mut second, shown);
    assert_eq!(end["status"], "completed", "{end:#}");
    shown.equals_stored(&environment, &id);
    assert_eq!(shown.text(), expected);
}

#[test]
fn sigterm_leaves_a_session_that_can_be_resumed() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let (id, mut lines) = STORY.start(&environment, &repo);
    let mut shown = Transcript::default();
    read_texts(&mut lines, &mut shown, 20);
    let pid = environment.daemon_pid().unwrap();
    process::terminate(pid);
    process::wait_for_end(pid, std::time::Duration::from_secs(10));
    let _ = lines.finish();
    let shown = environment.jelmore(["sessions", "show", &id]).data();
    assert_eq!(shown["status"], "interrupted", "{:#}", shown["reason"]);
    let listed = environment.jelmore(["sessions", "list", "--status", "interrupted"]).data();
    assert_eq!(listed["sessions"][0]["id"], id.as_str());
    let mut again = environment.jelmore(["start", "--continue"]).within(&repo).lines();
    assert_eq!(again.read_type("session")["id"], id.as_str(), "the newest that is not over");
    assert_eq!(again.read_type("end")["status"], "completed");
}

#[test]
fn a_cancelled_session_keeps_what_it_said() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let (id, mut lines) = STORY.start(&environment, &repo);
    let mut shown = Transcript::default();
    read_texts(&mut lines, &mut shown, 10);
    let cancelled = environment.jelmore(["sessions", "cancel", &id]).data();
    assert_eq!(cancelled["status"], "cancelled");
    let (shown, end) = read_to_end(&mut lines, shown);
    assert_eq!(end["status"], "cancelled", "{end:#}");
    shown.equals_stored(&environment, &id);
    assert!(!shown.text().is_empty());
}

#[test]
fn a_session_claims_its_worktree_checkpoints_and_leaves_an_artifact() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    environment.imi(["feat", "x"]).within(&repo).ok();
    let ask = [
        "start",
        "local",
        "--prompt",
        "Describe a lighthouse in three sentences.",
        "--worktree",
        "feat-x",
        "--agent-id",
        "claude-1",
    ];
    let mut lines = environment.jelmore(ask).within(&repo).lines();
    let id = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    lines.read_type("item");
    let error = environment.imi(["claim", "feat-x", "--agent-id", "other"]).within(&repo).fails(3);
    assert_eq!(error["owner"]["agentId"], "claude-1", "{error:#}");
    let (_, end) = read_to_end(&mut lines, Transcript::default());
    assert_eq!(end["status"], "completed", "{end:#}");
    assert!(end["usage"]["outputTokens"].as_u64() > Some(0) && end["filesChanged"].is_array(), "{end:#}");

    let shown = environment.jelmore(["sessions", "show", &id]).data();
    assert_eq!((&shown["worktree"], &shown["provider"]), (&"feat-x".into(), &"local".into()));
    assert!(shown["checkpoint"]["seq"].as_u64() > Some(0), "{:#}", shown["checkpoint"]);
    let again =
        environment.jelmore(["start", "local", "--prompt", "x", "--session-id", &id]).within(&repo).run();
    assert_eq!(again.code, Some(3), "an id is given once: {again:#?}");
    let hits = environment.podium(["artifacts", "search", "lighthouse"]).data();
    let hit = hits["hits"].as_array().unwrap().iter().find(|hit| hit["session"] == id.as_str()).cloned();
    let artifact = environment.podium(["artifacts", "get", hit.unwrap()["id"].as_str().unwrap()]).data();
    assert_eq!(artifact["text"].as_str().map(str::trim), Some(Transcript::of(&shown["items"]).text().trim()));
    environment.imi(["claim", "feat-x", "--agent-id", "other"]).within(&repo).ok();
}

#[test]
fn another_turn_of_a_conversation_goes_behind_the_first() {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let asked = Asked { prompt: "My name is Ann. Say hello.", seed: 3, max_tokens: 30 };
    let (id, mut lines) = asked.start(&environment, &repo);
    let (first, _) = read_to_end(&mut lines, Transcript::default());
    let turn = [
        "sessions",
        "resume",
        &id,
        "--prompt",
        "What is my name?",
        "--from-seq",
        &first.last_seq().to_string(),
    ];
    let mut lines = environment.jelmore(turn).within(&repo).lines();
    let (both, end) = read_to_end(&mut lines, first);
    assert_eq!(end["status"], "completed", "{end:#}");
    both.equals_stored(&environment, &id);
    let shown = environment.jelmore(["sessions", "show", &id]).data();
    let prompts = shown["items"].as_array().unwrap().iter().filter(|item| item["kind"] == "prompt").count();
    assert_eq!(prompts, 2);
}

#[test]
fn a_client_that_stops_reading_misses_nothing() {
    use std::io::Read as _;
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    let (seed, tokens) = ("5", "150");
    let ask = [
        "--json",
        "start",
        "local",
        "--prompt",
        "Count from one to fifty in words.",
        "--seed",
        seed,
        "--max-tokens",
        tokens,
    ];
    let mut child = environment.jelmore(ask).within(&repo).spawn(|command| {
        command.stdout(std::process::Stdio::piped());
    });
    podium_harness::eventually("the session is over, although nobody reads", || {
        let listed = environment.jelmore(["sessions", "list"]).data();
        listed["sessions"].get(0).is_some_and(|session| session["status"] == "completed")
    });
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut shown = Transcript::default();
    lines.iter().for_each(|line| shown.push(line));
    shown.equals_stored(&environment, lines[0]["id"].as_str().unwrap());
}
