//! `podium melody run`: melodies on a real daemon, killed in the middle, paused, cancelled and taken up again.

use std::fmt::Write as _;
use std::fs;

use podium_harness::messages::{Block, Messages};
use podium_harness::{TestEnvironment, TestRepo, eventually};
use serde_json::{Value, json};

const HEAD: &str = "id = \"m\"\nname = \"m\"\nversion = \"1.0.0\"\n";

/// A melody of nodes and edges as their lines say.
#[derive(Default)]
struct Score(String);

impl Score {
    fn node(mut self, id: &str, uses: &str, rest: &str) -> Self {
        let _ = write!(self.0, "[[nodes]]\nid = \"{id}\"\nkind = \"operator\"\nuses = \"{uses}\"\n{rest}\n");
        self
    }

    fn of_kind(mut self, id: &str, kind: &str, uses: &str, rest: &str) -> Self {
        let _ = write!(self.0, "[[nodes]]\nid = \"{id}\"\nkind = \"{kind}\"\nuses = \"{uses}\"\n{rest}\n");
        self
    }

    fn edge(mut self, from: &str, to: &str) -> Self {
        let _ = write!(self.0, "[[edges]]\nfrom = \"{from}\"\nto = \"{to}\"\n");
        self
    }

    /// Runs `command` as a node of its own.
    fn shell(self, id: &str, command: &str) -> Self {
        self.node(id, "shell", &format!("params = {{ command = {} }}", json!(command)))
    }

    fn write(&self, repo: &TestRepo<'_>, name: &str) -> String {
        repo.write(name, &format!("{HEAD}{}", self.0));
        name.to_owned()
    }
}

/// The state of each node as the newest line about it says.
fn states(lines: &[Value]) -> std::collections::BTreeMap<String, String> {
    let node = |line: &Value| Some((line["id"].as_str()?.to_owned(), line["state"].as_str()?.to_owned()));
    lines.iter().filter(|line| line["type"] == "node").filter_map(node).collect()
}

fn run(
    environment: &TestEnvironment,
    repo: &TestRepo<'_>,
    file: &str,
    inputs: &[&str],
) -> (Vec<Value>, Option<i32>) {
    let inputs = inputs.iter().flat_map(|input| ["--input", input]);
    let mut lines = environment.podium(["melody", "run", file]).args(inputs).within(repo).lines();
    let code = lines.finish();
    (lines.seen().to_vec(), code)
}

fn end(lines: &[Value]) -> &Value {
    let last = lines.last().unwrap();
    assert_eq!(last["type"], "end", "{lines:#?}");
    last
}

fn detached(environment: &TestEnvironment, repo: &TestRepo<'_>, file: &str) -> String {
    let mut lines = environment.podium(["melody", "run", "--detach", file]).within(repo).lines();
    let id = lines.read_type("run")["run"].as_str().unwrap().to_owned();
    assert_eq!(lines.finish(), Some(0));
    id
}

fn shown(environment: &TestEnvironment, run: &str) -> Value {
    environment.podium(["runs", "show", run]).data()
}

fn status(environment: &TestEnvironment, run: &str) -> String {
    shown(environment, run)["status"].as_str().unwrap().to_owned()
}

fn words(repo: &TestRepo<'_>, name: &str) -> Vec<String> {
    let text = fs::read_to_string(repo.path().join(name)).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_step_runs_when_the_daemon_is_killed_and_only_the_interrupted_one_twice() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let steps = 30;
    let mut score = Score::default();
    for step in 0..steps {
        let command = format!("echo s{step} $PODIUM_IDEMPOTENCY_KEY >> ran.txt; sleep 0.1");
        score = score.shell(&format!("s{step}"), &command);
    }
    for step in 1..steps {
        score = score.edge(&format!("s{}.done", step - 1), &format!("s{step}.after"));
    }
    let file = score.write(&repo, "steps.melody.toml");
    let mut lines = environment.podium(["melody", "run", &file]).within(&repo).lines();
    let mut done = 0;
    while done < 8 {
        let line = lines.read_type("node");
        done += usize::from(line["state"] == "completed");
    }
    environment.kill_daemon();
    let end = lines.read_type("end");
    assert_eq!((&end["status"], &end["nodes"]["completed"]), (&json!("completed"), &json!(steps)), "{end:#}");
    assert_eq!(lines.finish(), Some(0));
    let completed = |line: &&Value| line["type"] == "node" && line["state"] == "completed";
    assert_eq!(lines.seen().iter().filter(completed).count(), steps, "each end is told once");

    let ran = fs::read_to_string(repo.path().join("ran.txt")).unwrap();
    let ran: Vec<(&str, &str)> = ran.lines().filter_map(|line| line.split_once(' ')).collect();
    let mut keys = std::collections::BTreeMap::new();
    for (step, key) in &ran {
        assert_eq!(key.len(), 64, "{key}");
        assert_eq!(*keys.entry(*step).or_insert(*key), *key, "a repeated step has its key again");
    }
    assert_eq!(keys.len(), steps);
    assert!(ran.len() <= steps + 1, "only the interrupted step ran twice: {ran:?}");
}

#[test]
fn operators_do_their_work_once_and_hand_it_on() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    repo.write("note.txt", "a word\n");
    let file = Score(
        "[inputs.topic]\ntype = \"text\"\ndefault = \"the sea\"\n[inputs.count]\ntype = \"json<integer>\"\n\
         [outputs.commit]\nfrom = \"commit.commit\"\n[outputs.part]\nfrom = \"part.out\"\n"
            .to_owned(),
    )
    .node("said", "template", "params = { text = \"About {{topic}}, {{count}} times.\" }")
    .node("save", "files.write", "params = { path = \"out/about.txt\" }")
    .node("read", "files.read", "params = { path = \"note.txt\" }")
    .node("list", "files.glob", "params = { pattern = \"out/**\" }")
    .node("echo", "shell", "params = { command = \"echo {{word}} > echoed.txt; cat echoed.txt\" }")
    .node("diff", "git.diff", "")
    .node("commit", "git.commit", "params = { message = \"Keep it\", paths = [\"out\"] }")
    .node("tests", "test.run", "params = { command = \"test -e out/about.txt\" }")
    .node("part", "json.query", "params = { in = '{\"a\":[{\"b\":7}]}', query = \".a[0].b\" }")
    .edge("said.text", "save.content")
    .edge("save.done", "list.after")
    .edge("read.content", "echo.word")
    .edge("list.done", "diff.after")
    .edge("echo.done", "diff.after")
    .edge("diff.done", "commit.after")
    .edge("save.done", "tests.after")
    .write(&repo, "all.melody.toml");
    let before = repo.git(["rev-parse", "HEAD"]);
    let (lines, code) = run(&environment, &repo, &file, &["topic=$(touch planted); ships", "count=3"]);
    let end = end(&lines);
    assert_eq!((code, &end["status"]), (Some(0), &json!("completed")), "{lines:#?}\n{}", environment.log());
    let about = fs::read_to_string(repo.path().join("out/about.txt")).unwrap();
    assert_eq!(about, "About $(touch planted); ships, 3 times.");
    assert_eq!(fs::read_to_string(repo.path().join("echoed.txt")).unwrap(), "a word\n\n");
    assert!(!repo.path().join("planted").exists());
    assert_eq!(end["outputs"]["part"], 7);
    assert_eq!(end["outputs"]["commit"], repo.git(["rev-parse", "HEAD"]).as_str(), "{end:#}");
    assert_eq!(repo.git(["rev-parse", "HEAD^"]), before);
    assert_eq!(repo.git(["show", "--name-only", "--format=%s", "HEAD"]), "Keep it\n\nout/about.txt");
    let id = end["run"].as_str().unwrap();
    let logs = environment.podium(["runs", "logs", id, "--node", "echo"]).data();
    assert_eq!(logs["entries"][0]["text"].as_str().map(str::trim), Some("a word"), "{logs:#}");
    let metrics = environment.podium(["runs", "metrics", id, "--prometheus"]).data();
    assert_eq!(metrics["runs"][0]["count"], 1, "{metrics:#}");
    assert!(metrics["prometheus"].as_str().unwrap().contains("podium_node_duration_seconds"), "{metrics:#}");
}

#[test]
fn a_patch_is_applied_and_a_second_run_is_told_that_it_does_not_fit() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    repo.write("note.txt", "one\n");
    repo.commit("a note");
    repo.write("note.txt", "two\n");
    let patch = repo.git(["diff"]) + "\n";
    repo.git(["checkout", "-q", "note.txt"]);
    repo.write("change.patch", &patch);
    let file = Score::default()
        .node("patch", "files.read", "params = { path = \"change.patch\" }")
        .node("apply", "git.apply", "")
        .edge("patch.content", "apply.patch")
        .write(&repo, "apply.melody.toml");
    let (lines, _) = run(&environment, &repo, &file, &[]);
    assert_eq!(end(&lines)["status"], "completed", "{lines:#?}");
    assert_eq!(fs::read_to_string(repo.path().join("note.txt")).unwrap(), "two\n");
    let (lines, code) = run(&environment, &repo, &file, &[]);
    assert_eq!((code, &end(&lines)["status"]), (Some(1), &json!("failed")));
    assert_eq!(fs::read_to_string(repo.path().join("note.txt")).unwrap(), "two\n");
}

#[test]
fn nothing_outside_of_the_worktree_is_written() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    std::os::unix::fs::symlink(environment.root(), repo.path().join("out")).unwrap();
    for path in ["../planted", "out/planted", "/etc/podium-planted", ".git/hooks/planted"] {
        let params = format!("params = {{ path = {}, content = \"x\" }}", json!(path));
        let file = Score::default().node("w", "files.write", &params).write(&repo, "w.melody.toml");
        let (lines, code) = run(&environment, &repo, &file, &[]);
        assert_eq!((code, &end(&lines)["status"]), (Some(1), &json!("failed")), "{path}: {lines:#?}");
    }
    assert!(!environment.root().join("planted").exists());
    assert!(!repo.path().join(".git/hooks/planted").exists());
}

#[test]
fn a_failed_node_is_retried_by_hand_and_only_it_and_what_follows_run() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let file = Score::default()
        .shell("first", "echo first >> ran.txt")
        .shell("second", "echo second >> ran.txt; test -e allowed")
        .shell("third", "echo third >> ran.txt")
        .edge("first.done", "second.after")
        .edge("second.done", "third.after")
        .write(&repo, "retry.melody.toml");
    let (lines, code) = run(&environment, &repo, &file, &[]);
    let id = end(&lines)["run"].as_str().unwrap().to_owned();
    assert_eq!((code, &end(&lines)["status"]), (Some(1), &json!("failed")), "{lines:#?}");
    assert_eq!(words(&repo, "ran.txt"), ["first", "second"]);
    let failed = states(&lines);
    assert_eq!(failed["second"], "failed", "{lines:#?}");

    repo.write("allowed", "");
    environment.podium(["runs", "retry", &id]).within(&repo).ok();
    eventually("the retried run completes", || status(&environment, &id) == "completed");
    assert_eq!(words(&repo, "ran.txt"), ["first", "second", "second", "third"]);
    environment.podium(["runs", "rerun", &id, "--node", "third"]).within(&repo).ok();
    eventually("the run completes again", || {
        words(&repo, "ran.txt").len() == 5 && status(&environment, &id) == "completed"
    });
    assert_eq!(words(&repo, "ran.txt"), ["first", "second", "second", "third", "third"]);
    let counts = &shown(&environment, &id)["nodes"];
    assert_eq!((&counts["completed"], &counts["failed"]), (&json!(3), &json!(0)), "{counts:#}");
    environment.podium(["runs", "rerun", &id, "--node", "none"]).fails(1);
    environment.podium(["runs", "show", "no-such-run"]).fails(4);
}

#[test]
fn a_run_is_paused_across_a_killed_daemon_resumed_and_cancelled() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let file = Score::default()
        .shell("first", "echo first >> ran.txt; while ! test -e go; do sleep 0.05; done")
        .shell("second", "echo second >> ran.txt; sleep 61793")
        .edge("first.done", "second.after")
        .write(&repo, "long.melody.toml");
    let id = detached(&environment, &repo, &file);
    eventually("the first node runs", || words(&repo, "ran.txt") == ["first"]);
    environment.podium(["runs", "pause", &id]).ok();
    repo.write("go", "");
    eventually("the first node ends", || {
        let nodes = shown(&environment, &id)["nodeList"].as_array().cloned().unwrap_or_default();
        nodes.iter().any(|node| node["id"] == "first" && node["state"] == "completed")
    });
    environment.kill_daemon();
    assert_eq!(status(&environment, &id), "paused");
    environment.podium(["runs", "resume", &id]).ok();
    eventually("the second node runs", || words(&repo, "ran.txt") == ["first", "second"]);
    let cancelled = environment.podium(["runs", "cancel", &id]).data();
    assert_eq!(cancelled["status"], "cancelled", "{cancelled:#}");
    eventually("no command is left", || {
        let ps = std::process::Command::new("pgrep").args(["-f", "^sleep 61793$"]).output().unwrap();
        ps.stdout.is_empty()
    });
    environment.podium(["runs", "resume", &id]).fails(3);
    let listed = environment.podium(["runs", "list"]).data();
    assert_eq!((&listed["runs"][0]["id"], &listed["runs"][0]["status"]), (&json!(id), &json!("cancelled")));
    assert_eq!(environment.podium(["runs", "list", "--open"]).data()["runs"], json!([]));
}

#[test]
fn an_instrument_goes_on_with_its_one_session_after_a_kill() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let gate = repo.path().join("go");
    let opened = gate.clone();
    let model = Messages::answering_by(move |_| {
        podium_harness::Poll::new(std::time::Duration::from_secs(30)).until(|| opened.exists().then_some(()));
        vec![Block::text("A line about ships.")]
    });
    let file = Score::default()
        .of_kind("ask", "instrument", "anthropic", "params = { prompt = \"Write one line.\" }")
        .node("save", "files.write", "params = { path = \"said.txt\" }")
        .edge("ask.text", "save.content")
        .write(&repo, "ask.melody.toml");
    let keys = |invocation: podium_harness::Invocation<'_>| {
        let invocation = invocation.var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789");
        invocation.var("ANTHROPIC_BASE_URL", model.url()).within(&repo).lines()
    };
    let mut lines = keys(environment.podium(["melody", "run", &file]));
    eventually("the model is asked", || !model.asked().is_empty());
    environment.kill_daemon();
    fs::write(gate, "").unwrap();
    let end = lines.read_type("end");
    assert_eq!(end["status"], "completed", "{end:#}\n{}", environment.log());
    assert_eq!(fs::read_to_string(repo.path().join("said.txt")).unwrap(), "A line about ships.");
    let sessions = environment.jelmore(["sessions", "list"]).within(&repo).data();
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1), "{sessions:#}");
    let id = end["run"].as_str().unwrap();
    let node = &shown(&environment, id)["nodeList"][0];
    assert_eq!((&node["id"], &node["session"]), (&json!("ask"), &sessions["sessions"][0]["id"]), "{node:#}");
}

#[test]
fn a_person_approves_or_denies_and_is_asked_once_across_a_kill() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let file = Score::default()
        .node("ask", "human.approve", "params = { question = \"Ship it?\" }")
        .shell("ship", "echo shipped >> ran.txt")
        .edge("ask.done", "ship.after")
        .write(&repo, "approve.melody.toml");
    for (decision, expected) in [("allow", "completed"), ("deny", "failed")] {
        let id = detached(&environment, &repo, &file);
        let open = || environment.jelmore(["inbox"]).data()["items"].as_array().cloned().unwrap_or_default();
        eventually("the question is asked", || open().len() == 1);
        environment.kill_daemon();
        eventually("the run goes on", || {
            environment.podium(["doctor"]).data()["parts"].as_array().is_some_and(|parts| {
                parts
                    .iter()
                    .any(|part| part["name"] == "pit" && part["message"] == "1 of 1 open run worked on")
            })
        });
        let items = open();
        assert_eq!((items.len(), &items[0]["question"]), (1, &json!("Ship it?")), "{items:#?}");
        environment.jelmore(["inbox", "answer", items[0]["id"].as_str().unwrap(), decision]).ok();
        eventually("the run ends", || status(&environment, &id) == expected);
    }
    assert_eq!(words(&repo, "ran.txt"), ["shipped"]);
}

#[test]
fn ten_thousand_nodes_that_do_nothing_complete_and_are_each_told_once() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let count = 10_000;
    let mut score = Score::default();
    for node in 0..count {
        score = score.node(&format!("n{node}"), "noop", "");
    }
    for node in 1..count {
        score = score.edge(&format!("n{}.out", (node - 1) / 2), &format!("n{node}.in"));
    }
    let file = score.write(&repo, "big.melody.toml");
    let (lines, code) = run(&environment, &repo, &file, &[]);
    let end = end(&lines);
    assert_eq!(
        (code, &end["status"], &end["nodes"]["completed"]),
        (Some(0), &json!("completed"), &json!(count))
    );
    let told = lines.iter().filter(|line| line["type"] == "node" && line["state"] == "completed").count();
    assert_eq!(told, count);
    let events = environment.podium(["events", "tail", "--from-seq", "0", "--until-now"]).lines();
    let mut events = events;
    events.finish();
    let of_nodes = events.seen().iter().filter(|line| line["event"]["type"] == "node.completed").count();
    assert!((1..200).contains(&of_nodes), "nodes that came together share an event: {of_nodes}");
}

#[test]
fn a_melody_with_faults_is_refused_with_their_lines() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let file =
        Score::default().node("a", "nothing", "").edge("a.out", "gone.in").write(&repo, "bad.melody.toml");
    let (lines, code) = run(&environment, &repo, &file, &[]);
    let error = &end(&lines)["error"];
    assert_eq!(code, Some(1), "{lines:#?}");
    assert!(error["message"].as_str().unwrap().contains("line "), "{error:#}");
    let file = Score("[inputs.topic]\ntype = \"text\"\n".to_owned())
        .node("a", "template", "params = { text = \"{{topic}}\" }")
        .write(&repo, "needs.melody.toml");
    let (lines, code) = run(&environment, &repo, &file, &[]);
    assert_eq!(code, Some(2), "{lines:#?}");
    environment.podium(["melody", "run", "no-such.melody.toml"]).within(&repo).lines().read_type("end");
}
