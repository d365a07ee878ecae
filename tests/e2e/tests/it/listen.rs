//! `jelmore listen`: tasks of a queue, each with one outcome, whoever dies.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};

use podium_harness::messages::{Block, Messages};
use podium_harness::{Invocation, TestEnvironment, TestRepo, eventually};
use serde_json::{Value, json};

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

/// A model that writes one file, waits at the gate, and says that it is done.
fn writer(gate: &Arc<Gate>) -> Messages {
    let gate = Arc::clone(gate);
    Messages::answering_by(move |body| {
        let messages = body["messages"].as_array().cloned().unwrap_or_default();
        let parts = |message: &Value| message["content"].as_array().cloned().unwrap_or_default();
        if messages.iter().flat_map(parts).any(|part| part["type"] == "tool_result") {
            gate.wait();
            return vec![Block::text("Done.")];
        }
        let input = json!({ "path": "note.txt", "content": "a note\n" });
        vec![Block::text("I write. "), Block::tool("t1", "write_file", input)]
    })
}

fn listen<'e>(
    environment: &'e TestEnvironment,
    model: &Messages,
    repo: &TestRepo<'_>,
    args: &[&str],
) -> Invocation<'e> {
    let listen = environment.jelmore([&["listen", "anthropic"], args].concat()).within(repo);
    listen.var("ANTHROPIC_API_KEY", "sk-ant-test-0123456789").var("ANTHROPIC_BASE_URL", model.url())
}

fn assign(environment: &TestEnvironment, data: &Value) -> Value {
    environment.bb(["publish", "task.assigned", "--data", &data.to_string()]).data()
}

fn events(environment: &TestEnvironment, kind: &str) -> Vec<Value> {
    let mut tail = environment.bb(["tail", "--from-seq", "0", "--until-now", "--type", kind]).lines();
    assert_eq!(tail.finish(), Some(0), "{:#?}", tail.seen());
    tail.seen().iter().filter(|line| line["type"] == "event").map(|line| line["event"].clone()).collect()
}

fn running(environment: &TestEnvironment) -> usize {
    let listed = environment.bb(["dlq", "list", "--all"]).data();
    listed["tasks"].as_array().unwrap().iter().filter(|task| task["state"] == "running").count()
}

#[test]
fn each_task_is_done_once_whatever_is_killed_in_the_middle() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let gate = Arc::new(Gate::default());
    let model = writer(&gate);
    let main = repo.git(["rev-parse", "main"]);
    for n in 0..6 {
        assign(&environment, &json!({"id": format!("t-{n}"), "task": format!("Write note {n}")}));
    }
    let mut first = listen(&environment, &model, &repo, &["--workers", "2"]).lines();
    first.read_type("task");
    first.read_type("task");
    eventually("both models have written", || model.asked().len() >= 4);
    let before = model.asked().len();
    environment.kill_daemon();
    eventually("both sessions go on", || model.asked().len() >= before + 2);
    assert_eq!(running(&environment), 2);
    first.kill();
    // What the first had goes on in the daemon; the second takes the rest.
    let mut second = listen(&environment, &model, &repo, &["--workers", "2", "--until-empty"]).lines();
    second.read_type("task");
    gate.open();
    eventually("the first outcome", || !events(&environment, "task.completed").is_empty());
    environment.kill_daemon();
    let end = second.read_type("end");
    assert_eq!(
        (&end["status"], second.finish()),
        (&json!("empty"), Some(0)),
        "{end:#}\n{:#?}\n{}",
        events(&environment, "task.failed"),
        environment.log()
    );

    let outcomes = events(&environment, "task.completed");
    assert_eq!(events(&environment, "task.failed"), Vec::<Value>::new());
    let of = |name: &str| -> BTreeSet<String> {
        outcomes.iter().map(|event| event["data"][name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((outcomes.len(), of("id").len(), of("branch").len()), (6, 6, 6), "{outcomes:#?}");
    for event in &outcomes {
        let outcome = &event["data"];
        let at = environment.root().join("app.worktrees").join(outcome["worktree"].as_str().unwrap());
        let log = environment.git(&at, ["log", "--format=%H %s", &format!("{main}..HEAD")]);
        let expected =
            format!("{} {}", outcome["commits"][0].as_str().unwrap(), outcome["task"].as_str().unwrap());
        assert_eq!(log, expected, "one commit, told as it is");
        assert_eq!(environment.git(&at, ["status", "--porcelain"]), "");
    }
    let listed = environment.imi(["list"]).within(&repo).data();
    let worktrees = listed["worktrees"].as_array().unwrap();
    assert!(worktrees.iter().all(|worktree| worktree["claim"].is_null()), "{listed:#}");
    assert_eq!(worktrees.iter().filter(|worktree| worktree["trunk"] == false).count(), 6, "{listed:#}");
    assert_eq!(running(&environment), 0);
}

#[test]
fn a_task_that_cannot_be_done_is_a_dead_letter_and_holds_nobody_up() {
    let settings = ["tasks.attempts = 2", "tasks.retry_seconds = 0"];
    let environment = settings.iter().fold(TestEnvironment::builder(), |b, line| b.setting(line)).build();
    let repo = environment.repo();
    let gate = Arc::new(Gate::default());
    gate.open();
    let model = writer(&gate);
    assign(&environment, &json!({"id": "poison", "task": "Write", "repo": "/no/such/folder"}));
    assign(
        &environment,
        &json!({"id": "good", "task": "Write", "type": "fix", "name": "it", "agentId": "ada"}),
    );
    let mut lines = listen(&environment, &model, &repo, &["--until-empty"]).lines();
    let end = lines.read_type("end");
    assert_eq!((&end["done"], &end["dead"]), (&json!(1), &json!(1)), "{end:#}");
    assert_eq!(lines.finish(), Some(1));

    let letters = environment.bb(["dlq", "list"]).data()["tasks"].clone();
    assert_eq!(letters.as_array().map(Vec::len), Some(1), "{letters:#}");
    assert_eq!((&letters[0]["id"], &letters[0]["attempts"]), (&json!("poison"), &json!(2)), "{letters:#}");
    assert!(letters[0]["reason"].as_str().unwrap().contains("/no/such/folder"), "{letters:#}");
    let failed = events(&environment, "task.failed");
    assert_eq!((failed.len(), &failed[0]["data"]["dead"]), (1, &json!(true)), "{failed:#?}");
    let done = &events(&environment, "task.completed")[0]["data"];
    assert_eq!((&done["worktree"], &done["agentId"]), (&json!("fix-it"), &json!("ada")), "{done:#}");

    environment.bb(["dlq", "retry", "good"]).fails(3);
    let again = environment.bb(["dlq", "retry", "poison"]).data();
    assert_eq!(again["tasks"][0]["state"], "assigned", "{again:#}");
    assert_eq!(listen(&environment, &model, &repo, &["--until-empty"]).lines().finish(), Some(1));
    assert_eq!(events(&environment, "task.failed").len(), 2, "it was tried again, and failed again");
}

#[test]
fn a_task_that_is_assigned_twice_is_done_once() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let gate = Arc::new(Gate::default());
    gate.open();
    let model = writer(&gate);
    let task = json!({"id": "t-1", "task": "Write the note"});
    assert_eq!(assign(&environment, &task)["duplicate"], false);
    assert_eq!(assign(&environment, &task)["duplicate"], true);
    let mut lines = listen(&environment, &model, &repo, &["--once"]).lines();
    assert_eq!(lines.finish(), Some(0), "{:#?}", lines.seen());
    let after = assign(&environment, &task);
    assert_eq!((&after["duplicate"], &after["task"]["state"]), (&json!(true), &json!("done")), "{after:#}");
    assert_eq!(listen(&environment, &model, &repo, &["--until-empty"]).lines().finish(), Some(0));
    assert_eq!(events(&environment, "task.completed").len(), 1);
    let other = json!({"id": "t-1", "task": "Write something else"}).to_string();
    environment.bb(["publish", "task.assigned", "--data", &other]).fails(3);
}

#[test]
fn a_task_whose_session_a_person_cancels_has_failed_and_is_not_tried_again() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let gate = Arc::new(Gate::default());
    let model = writer(&gate);
    assign(&environment, &json!({"id": "t-1", "task": "Write the note"}));
    let mut lines = listen(&environment, &model, &repo, &["--once"]).lines();
    let session = lines.read_type("task")["session"].as_str().unwrap().to_owned();
    eventually("the model has written", || model.asked().len() == 2);
    environment.jelmore(["sessions", "cancel", &session]).ok();
    let task = lines.read_type("task");
    assert_eq!(task["state"], "failed", "{task:#}");
    assert!(task["reason"].as_str().unwrap().contains("cancelled"), "{task:#}");
    assert_eq!(lines.finish(), Some(1));
    gate.open();
}
