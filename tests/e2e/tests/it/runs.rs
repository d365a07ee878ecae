//! `jelmore run`: a task as one command, from the claim to the commit and the release.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use podium_harness::messages::{Block, Messages};
use podium_harness::{Invocation, TestEnvironment, TestRepo, eventually};
use serde_json::{Value, json};

/// What a model was told first, and how many results of tools it has.
fn conversation(body: &Value) -> (String, usize) {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let parts = |message: &Value| message["content"].as_array().cloned().unwrap_or_default();
    let results = messages.iter().flat_map(parts).filter(|part| part["type"] == "tool_result").count();
    (messages.first().map(ToString::to_string).unwrap_or_default(), results)
}

/// A model that writes one file, and says that it is done.
fn writer() -> Messages {
    Messages::answering_by(|body| match conversation(body) {
        (_, 0) => vec![Block::text("I write. "), write("note.txt")],
        _ => vec![Block::text("Done.")],
    })
}

fn write(path: &str) -> Block {
    Block::tool("t1", "write_file", json!({ "path": path, "content": "a note\n" }))
}

/// Closed until the test opens it.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
    }
}

/// One that waits, once it has written, until the test lets it go on.
fn held_writer(gate: &Arc<Gate>) -> Messages {
    let gate = Arc::clone(gate);
    Messages::answering_by(move |body| match conversation(body) {
        (_, 0) => vec![Block::text("I write. "), write("note.txt")],
        _ => {
            gate.wait();
            vec![Block::text("Done.")]
        }
    })
}

fn run<'e>(
    environment: &'e TestEnvironment,
    model: &Messages,
    repo: &TestRepo<'_>,
    args: &[&str],
) -> Invocation<'e> {
    let args = [&["run", "--provider", "anthropic"], args].concat();
    let run = environment.jelmore(args).within(repo);
    run.var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789").var("ANTHROPIC_BASE_URL", model.url())
}

fn claims(environment: &TestEnvironment, repo: &TestRepo<'_>) -> Vec<String> {
    let listed = environment.imi(["list"]).within(repo).data();
    let worktrees = listed["worktrees"].as_array().cloned().unwrap_or_default();
    let owner = |worktree: &Value| worktree["claim"]["agentId"].as_str().map(str::to_owned);
    worktrees.iter().filter_map(owner).collect()
}

fn place(environment: &TestEnvironment, name: &str) -> std::path::PathBuf {
    environment.root().join("app.worktrees").join(name)
}

#[test]
fn eight_agents_at_once_each_commit_on_a_branch_of_their_own() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let model = writer();
    let main = repo.git(["rev-parse", "main"]);
    let mut runs: Vec<_> = (0..8)
        .map(|number| {
            let agent = format!("agent-{number}");
            let args = ["--task", "Write the note", "--agent-id", &agent];
            (agent.clone(), run(&environment, &model, &repo, &args).lines())
        })
        .collect();
    let mut places = std::collections::BTreeSet::new();
    for (agent, lines) in &mut runs {
        let end = lines.read_type("end");
        assert_eq!(end["status"], "completed", "{end:#}\n{}", environment.log());
        assert_eq!(end["released"], true, "{end:#}");
        assert_eq!(end["filesChanged"], json!(["note.txt"]), "{end:#}");
        assert_eq!(end["commits"].as_array().map(Vec::len), Some(1), "{end:#}");
        let name = end["worktree"].as_str().unwrap().to_owned();
        let at = place(&environment, &name);
        assert_eq!(environment.git(&at, ["rev-parse", "HEAD"]), end["commits"][0].as_str().unwrap());
        assert_eq!(environment.git(&at, ["rev-parse", "HEAD^"]), main);
        let said = environment.git(&at, ["log", "-1", "--format=%an %s"]);
        assert_eq!(said, format!("{agent} Write the note"));
        assert_eq!(environment.git(&at, ["status", "--porcelain"]), "");
        assert!(places.insert(name), "nobody shares a worktree: {end:#}");
        assert_eq!(lines.finish(), Some(0));
    }
    assert!(places.contains("feat-write-the-note"), "{places:?}");
    assert_eq!(claims(&environment, &repo), Vec::<String>::new());
    assert_eq!(repo.git(["rev-parse", "main"]), main);
}

#[test]
fn who_finds_the_worktree_taken_is_told_waits_or_goes_elsewhere() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let model = writer();
    environment.imi(["feat", "a"]).within(&repo).ok();
    environment.imi(["feat", "b"]).within(&repo).ok();
    environment.imi(["claim", "feat-a", "--agent-id", "other"]).within(&repo).ok();
    let args = ["--task", "Write", "--agent-id", "mine", "--worktree", "feat-a"];

    let mut refused = run(&environment, &model, &repo, &args).lines();
    let end = refused.read_type("end");
    assert_eq!(end["error"]["owner"]["agentId"], "other", "{end:#}");
    assert_eq!(refused.finish(), Some(3));

    let mut elsewhere = run(&environment, &model, &repo, &[&args[..], &["--elsewhere"]].concat()).lines();
    let end = elsewhere.read_type("end");
    assert_eq!((&end["worktree"], &end["status"]), (&json!("feat-b"), &json!("completed")), "{end:#}");
    // Now that one has work of its own, and is nobody else's to go on with.
    let mut again = run(&environment, &model, &repo, &[&args[..], &["--elsewhere"]].concat()).lines();
    let end = again.read_type("end");
    assert_eq!((&end["worktree"], &end["status"]), (&json!("feat-a-2"), &json!("completed")), "{end:#}");

    let mut waits = run(&environment, &model, &repo, &[&args[..], &["--wait", "60"]].concat()).lines();
    environment.imi(["release", "feat-a", "--agent-id", "other"]).within(&repo).ok();
    let end = waits.read_type("end");
    assert_eq!((&end["worktree"], &end["status"]), (&json!("feat-a"), &json!("completed")), "{end:#}");
    assert_eq!(claims(&environment, &repo), Vec::<String>::new());
}

#[test]
fn what_is_asked_for_stays_uncommitted_and_claimed_and_secrets_never_go_in() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let model = writer();
    let args = ["--task", "Write", "--agent-id", "mine", "--new", "fix/it", "--no-commit", "--keep-claim"];
    let end = run(&environment, &model, &repo, &args).lines().read_type("end");
    assert_eq!(end["commits"], json!([]), "{end:#}");
    assert_eq!((&end["uncommitted"], &end["released"]), (&json!(["note.txt"]), &json!(false)), "{end:#}");
    assert_eq!(claims(&environment, &repo), ["mine"]);

    // Its own claim serves the next run, and stays.
    fs::write(place(&environment, "fix-it").join("credentials.json"), "{}").unwrap();
    let args = ["--task", "Write\n\nwith reasons", "--agent-id", "mine", "--worktree", "fix-it"];
    let end = run(&environment, &model, &repo, &args).lines().read_type("end");
    assert_eq!(end["filesChanged"], json!(["note.txt"]), "{end:#}");
    assert_eq!((&end["uncommitted"], &end["released"]), (&json!(["credentials.json"]), &json!(false)));
    let message = environment.git(&place(&environment, "fix-it"), ["log", "-1", "--format=%B"]);
    assert!(message.starts_with("Write\n\n") && message.contains("with reasons"), "{message}");
    assert_eq!(claims(&environment, &repo), ["mine"]);
}

#[test]
fn hooks_that_an_agent_writes_do_not_run_with_its_commit() {
    let environment = TestEnvironment::builder().setting("").build();
    let repo = environment.repo();
    repo.git(["config", "core.hooksPath", ".hooks"]);
    let trap = environment.root().join("trapped");
    let hook = format!("#!/bin/sh\ntouch '{}'\nexit 1\n", trap.display());
    repo.write(".hooks/pre-commit", &hook);
    fs::set_permissions(
        repo.path().join(".hooks/pre-commit"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    repo.git(["add", "-A"]);
    repo.git(["-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "hooks"]);
    repo.git(["-c", "core.hooksPath=/dev/null", "push", "-q"]);
    let end = run(&environment, &writer(), &repo, &["--task", "Write", "--agent-id", "mine"])
        .lines()
        .read_type("end");
    assert_eq!(end["commits"].as_array().map(Vec::len), Some(1), "{end:#}");
    assert!(!Path::exists(&trap));
}

#[test]
fn a_daemon_that_dies_in_the_middle_is_replaced_and_the_task_goes_on() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let gate = Arc::new(Gate::default());
    let model = held_writer(&gate);
    let mut lines =
        run(&environment, &model, &repo, &["--task", "Write the note", "--agent-id", "mine"]).lines();
    eventually("the model has written", || model.asked().len() == 2);
    environment.kill_daemon();
    gate.open();
    let end = lines.read_type("end");
    assert_eq!((&end["status"], &end["released"]), (&json!("completed"), &json!(true)), "{end:#}");
    assert_eq!(end["commits"].as_array().map(Vec::len), Some(1), "{end:#}");
    assert_eq!(lines.finish(), Some(0));
    let items: Vec<u64> = lines
        .seen()
        .iter()
        .filter(|line| line["type"] == "item")
        .filter_map(|line| line["seq"].as_u64())
        .collect();
    assert_eq!(items, (1..=items.len() as u64).collect::<Vec<_>>(), "each item once and in order");
    assert_eq!(claims(&environment, &repo), Vec::<String>::new());
}

#[test]
fn a_task_that_nobody_goes_on_with_is_committed_as_unfinished_and_freed() {
    let environment = TestEnvironment::builder().setting("sessions.run_grace_seconds = 0").build();
    let repo = environment.repo();
    let gate = Arc::new(Gate::default());
    let model = held_writer(&gate);
    let mut lines =
        run(&environment, &model, &repo, &["--task", "Write the note", "--agent-id", "mine"]).lines();
    let session = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    eventually("the model has written", || model.asked().len() == 2);
    lines.kill();
    environment.kill_daemon();
    environment.start_daemon();
    eventually("the worktree is free", || claims(&environment, &repo).is_empty());
    let at = place(&environment, "feat-write-the-note");
    assert_eq!(environment.git(&at, ["log", "-1", "--format=%s"]), "Unfinished: Write the note");
    assert_eq!(environment.git(&at, ["status", "--porcelain"]), "");
    // The session can go on all the same, under a claim of its own, and its work is taken in again.
    gate.open();
    let resume = environment.jelmore(["sessions", "resume", &session]).within(&repo);
    let resume =
        resume.var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789").var("ANTHROPIC_BASE_URL", model.url());
    let end = resume.lines().read_type("end");
    assert_eq!((&end["status"], &end["released"]), (&json!("completed"), &json!(true)), "{end:#}");
    assert_eq!(claims(&environment, &repo), Vec::<String>::new());
}

#[test]
fn a_further_turn_of_a_task_whose_client_is_gone_is_seen_through() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let model = Messages::answering_by(move |body| {
        match (conversation(body).1, body.to_string().contains("And more")) {
            (0, _) => vec![write("note.txt")],
            (1, true) => {
                held.wait();
                vec![Block::tool("t2", "write_file", json!({ "path": "more.txt", "content": "more\n" }))]
            }
            _ => vec![Block::text("Done.")],
        }
    });
    let mut lines =
        run(&environment, &model, &repo, &["--task", "Write the note", "--agent-id", "mine"]).lines();
    let session = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    assert_eq!(lines.read_type("end")["released"], true);
    let resume = environment.jelmore(["sessions", "resume", &session, "--prompt", "And more"]).within(&repo);
    let resume =
        resume.var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789").var("ANTHROPIC_BASE_URL", model.url());
    let mut lines = resume.lines();
    eventually("the next turn has begun", || model.asked().len() == 3);
    lines.kill();
    assert_eq!(claims(&environment, &repo), ["mine"]);
    gate.open();
    eventually("the worktree is free", || claims(&environment, &repo).is_empty());
    let at = place(&environment, "feat-write-the-note");
    let log = environment.git(&at, ["log", "-2", "--name-only", "--format=%s"]);
    assert_eq!(log, "Write the note\n\nmore.txt\nWrite the note\n\nnote.txt");
    assert_eq!(environment.git(&at, ["status", "--porcelain"]), "");
}

#[test]
fn a_task_that_waits_for_a_person_keeps_its_worktree_and_frees_it_when_it_is_cancelled() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let model = Messages::answering_by(|body| match conversation(body) {
        (_, 0) => vec![write("note.txt")],
        _ => vec![Block::text("Done.")],
    });
    // Used up by the first question: the second one is not asked.
    environment.podium(["config", "set", "budget.session_tokens", "100"]).ok();
    let mut lines =
        run(&environment, &model, &repo, &["--task", "Write the note", "--agent-id", "mine"]).lines();
    let end = lines.read_type("end");
    assert_eq!((&end["status"], &end["released"]), (&json!("parked"), &json!(false)), "{end:#}");
    assert_eq!(lines.finish(), Some(5));
    assert_eq!(claims(&environment, &repo), ["mine"]);
    let at = place(&environment, "feat-write-the-note");
    assert_eq!(environment.git(&at, ["status", "--porcelain"]), "?? note.txt", "it goes on from here");
    environment.jelmore(["sessions", "cancel", end["session"].as_str().unwrap()]).ok();
    eventually("the worktree is free", || claims(&environment, &repo).is_empty());
    assert_eq!(environment.git(&at, ["log", "-1", "--format=%s"]), "Unfinished: Write the note");
    assert_eq!(environment.git(&at, ["status", "--porcelain"]), "");
}

#[test]
fn a_session_is_not_rewound_while_its_task_works_and_its_work_is_whole_afterwards() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let gate = Arc::new(Gate::default());
    let model = held_writer(&gate);
    let mut lines =
        run(&environment, &model, &repo, &["--task", "Write the note", "--agent-id", "mine"]).lines();
    let session = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    eventually("the model has written", || model.asked().len() == 2);
    let known = environment.jelmore(["sessions", "checkpoints", &session]).data();
    let first = known["checkpoints"][0]["id"].as_str().unwrap().to_owned();
    let refused = environment.jelmore(["sessions", "rewind", &session, "--to", &first]).run();
    assert_eq!(refused.code, Some(3), "{refused:#?}");
    let at = place(&environment, "feat-write-the-note");
    assert!(at.join("note.txt").exists(), "nothing was brought back");
    gate.open();
    let end = lines.read_type("end");
    assert_eq!((&end["status"], &end["released"]), (&json!("completed"), &json!(true)), "{end:#}");
    // Now it is taken back, under a claim of its own.
    environment.jelmore(["sessions", "rewind", &session, "--to", &first]).within(&repo).ok();
    assert!(!at.join("note.txt").exists(), "it is as it was before the prompt");
}

#[test]
fn a_request_that_cannot_be_met_claims_nothing() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "a"]).within(&repo).ok();
    let run = |args: &[&str]| {
        let mut lines = environment.jelmore([&["run"], args].concat()).within(&repo).lines();
        let end = lines.read_type("end");
        (lines.finish(), end["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let task = ["--task", "x", "--agent-id", "mine"];
    let (code, why) = run(&[&task[..], &["--worktree", "feat-a", "--provider", "none-such"]].concat());
    assert_eq!(code, Some(4), "{why}");
    assert_eq!(run(&[&task[..], &["--worktree", "nowhere"]].concat()).0, Some(4));
    assert_eq!(run(&["--task", "x"]).0, Some(2), "nobody is named");
    eventually("nothing stays claimed", || claims(&environment, &repo).is_empty());
}

/// A run in the middle, and a daemon that found it so; nobody comes back to it by themselves.
fn cut_off(environment: &TestEnvironment, repo: &TestRepo<'_>, gate: &Arc<Gate>) -> (String, Messages) {
    let model = held_writer(gate);
    let mut lines =
        run(environment, &model, repo, &["--task", "Write the note", "--agent-id", "mine"]).lines();
    let session = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    eventually("the model has written", || model.asked().len() == 2);
    lines.kill();
    environment.kill_daemon();
    environment.start_daemon();
    assert_eq!(claims(environment, repo), ["mine"]);
    (session, model)
}

#[test]
fn a_task_that_is_cancelled_while_it_waits_is_committed_and_freed() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let gate = Arc::new(Gate::default());
    let (session, _model) = cut_off(&environment, &repo, &gate);
    environment.jelmore(["sessions", "cancel", &session]).ok();
    eventually("the worktree is free", || claims(&environment, &repo).is_empty());
    let at = place(&environment, "feat-write-the-note");
    assert_eq!(environment.git(&at, ["log", "-1", "--format=%s"]), "Unfinished: Write the note");
    assert_eq!(environment.git(&at, ["status", "--porcelain"]), "");
    gate.open();
}

#[test]
fn a_task_that_does_not_begin_leaves_the_agent_the_claim_it_had() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "a"]).within(&repo).ok();
    environment.imi(["claim", "feat-a", "--agent-id", "mine"]).within(&repo).ok();
    let model = writer();
    let args = ["--task", "Write", "--agent-id", "mine", "--worktree", "feat-a"];
    let invalid = [&args[..], &["--session-id", "no id"]].concat();
    let end = run(&environment, &model, &repo, &invalid).lines().read_type("end");
    assert!(end["error"]["message"].as_str().unwrap().contains("a session id has"), "{end:#}");
    // Its next one may come before all of that was given back.
    let valid = [&args[..], &["--wait", "60"]].concat();
    let end = run(&environment, &model, &repo, &valid).lines().read_type("end");
    assert_eq!((&end["status"], &end["released"]), (&json!("completed"), &json!(false)), "{end:#}");
    assert_eq!(claims(&environment, &repo), ["mine"]);
}

#[test]
fn an_agent_that_outlives_its_daemon_is_ended_before_its_task_is_committed() {
    let environment = TestEnvironment::builder().setting("sessions.run_grace_seconds = 0").build();
    let repo = environment.repo();
    let script = environment.root().join("agent.sh");
    let work = "echo one >one; git add one; git commit -q -m one\necho two >two; exec sleep 1000\n";
    fs::write(&script, work).unwrap();
    let config = environment.home().config_file();
    let settings = fs::read_to_string(&config).unwrap();
    let line = format!("coder text /bin/sh {}", script.display());
    fs::write(&config, format!("{settings}\nsessions.agents = [{line:?}]\n")).unwrap();
    let args = ["run", "--provider", "command", "--task", "Write", "--agent-id", "mine", "--new", "feat/a"];
    let mut lines = environment.jelmore(args).within(&repo).lines();
    let session = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    let at = place(&environment, "feat-a");
    eventually("the agent is at work", || at.join("two").exists());
    lines.kill();
    environment.kill_daemon();
    let agent = environment.home().agents().join(&session);
    assert!(agent.exists(), "it lives on");
    environment.start_daemon();
    eventually("the worktree is free", || claims(&environment, &repo).is_empty());
    assert!(!agent.exists(), "it has ended by then\n{}", environment.log());
    let log = environment.git(&at, ["log", "-2", "--format=%s"]);
    assert_eq!(log, "Unfinished: Write\none", "{}", environment.log());
    assert_eq!(environment.git(&at, ["status", "--porcelain"]), "");
}
