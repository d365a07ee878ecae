//! What is seen without being asked: commits, changes, worktrees made by hand.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use podium_harness::{Poll, TestEnvironment, TestRepo};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

fn make(environment: &TestEnvironment, repo: &TestRepo<'_>, name: &str) -> PathBuf {
    let made = environment.imi(["feat", name]).within(repo).data();
    PathBuf::from(made["worktree"]["path"].as_str().unwrap())
}

fn events(environment: &TestEnvironment, kind: &str) -> Vec<Value> {
    let mut lines =
        environment.podium(["events", "tail", "--from-seq", "0", "--until-now", "--type", kind]).lines();
    lines.finish();
    lines.seen().iter().filter(|line| line["type"] == "event").map(|line| line["event"].clone()).collect()
}

fn commits(environment: &TestEnvironment, count: usize) -> Vec<Value> {
    Poll::new(PATIENCE).every(Duration::from_millis(100)).expect("the commits are told", || {
        Some(events(environment, "worktree.commit")).filter(|events| events.len() >= count)
    })
}

/// As the agent that the claimed worktrees here belong to.
fn git_as_holder(environment: &TestEnvironment, folder: &Path, args: &[&str]) -> String {
    let run = environment.program("git").args(args).within(folder).var("PODIUM_AGENT_ID", "claude-1").run();
    run.success().trim_end().to_owned()
}

fn commit(environment: &TestEnvironment, folder: &Path, message: &str) -> String {
    git_as_holder(environment, folder, &["commit", "-q", "--allow-empty", "-m", message]);
    environment.git(folder, ["rev-parse", "HEAD"])
}

fn status_of(environment: &TestEnvironment, folder: &Path, name: &str) -> Value {
    let listed = environment.imi(["list"]).within(folder).data();
    let found = listed["worktrees"].as_array().unwrap().iter().find(|worktree| worktree["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is listed: {listed:#}"))["status"].clone()
}

/// Each commit once, and each from where the last one was.
fn assert_chain(events: &[Value], ids: &[String]) {
    let told: Vec<&str> = events.iter().map(|event| event["data"]["to"].as_str().unwrap()).collect();
    assert_eq!(told, ids);
    for pair in events.windows(2) {
        assert_eq!(pair[1]["data"]["from"], pair[0]["data"]["to"]);
    }
}

#[test]
fn every_commit_of_a_busy_worktree_is_told_once() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let path = make(&environment, &repo, "x");
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(commit(&environment, &path, &format!("number {number}")));
    }
    let told = commits(&environment, 40);
    assert_chain(&told, &ids);
    assert!(told.iter().all(|event| event["data"]["count"] == 1 && event["data"]["kind"] == "commit"));
    assert_eq!(told[7]["data"]["summary"], "number 7");
    assert_eq!(told[7]["data"]["author"], "Ann");
    assert_eq!(told[7]["data"]["name"], "feat-x");
}

#[test]
fn a_commit_is_told_once_wherever_the_daemon_was_killed() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let path = make(&environment, &repo, "x");
    let mut ids = Vec::new();
    for round in 0..6 {
        environment.start_daemon();
        environment.imi(["list"]).within(&repo).ok();
        // Before the kill, at about its time, and behind it.
        ids.push(commit(&environment, &path, &format!("{round} a")));
        environment.kill_daemon();
        ids.push(commit(&environment, &path, &format!("{round} b")));
    }
    environment.start_daemon();
    let told = commits(&environment, ids.len());
    assert_chain(&told, &ids);
}

#[test]
fn amended_rebased_merged_and_picked_commits_are_told_as_what_they_are() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let path = make(&environment, &repo, "x");
    environment.imi(["claim", "feat-x", "--agent-id", "claude-1"]).within(&repo).ok();
    commit(&environment, &path, "one");
    git_as_holder(&environment, &path, &["commit", "-q", "--allow-empty", "--amend", "-m", "one, better"]);
    repo.write("trunk.txt", "trunk");
    repo.commit("trunk goes on");
    git_as_holder(&environment, &path, &["rebase", "-q", "--keep-empty", "main"]);
    git_as_holder(&environment, &path, &["switch", "-q", "-c", "side", "HEAD~1"]);
    fs::write(path.join("side.txt"), "side").unwrap();
    git_as_holder(&environment, &path, &["add", "side.txt"]);
    let side = commit(&environment, &path, "side");
    git_as_holder(&environment, &path, &["switch", "-q", "feat-x"]);
    git_as_holder(&environment, &path, &["merge", "-q", "--no-ff", "-m", "merged", "side"]);
    git_as_holder(&environment, &path, &["revert", "--no-edit", "-m", "1", "HEAD"]);
    git_as_holder(&environment, &path, &["reset", "-q", "--hard", "HEAD~1"]);
    git_as_holder(&environment, &path, &["cherry-pick", "--allow-empty", "--keep-redundant-commits", &side]);
    commits(&environment, 8);
    // What is told of the main worktree comes in an order of its own.
    let told = commits(&environment, 8);
    let kinds = |name: &str| -> Vec<String> {
        let of = told.iter().filter(|event| event["data"]["name"] == name);
        of.map(|event| event["data"]["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds("feat-x"), ["commit", "amend", "rebase", "commit", "merge", "revert", "cherry_pick"]);
    assert_eq!(kinds("trunk-main"), ["commit"]);
    let owners: HashSet<&Value> = told
        .iter()
        .filter(|event| event["data"]["name"] == "feat-x")
        .map(|event| &event["data"]["agentId"])
        .collect();
    assert_eq!(owners, HashSet::from([&Value::from("claude-1")]));
    let merged = told.iter().find(|event| event["data"]["kind"] == "merge").unwrap();
    assert_eq!(merged["data"]["count"], 2);
}

#[test]
fn renamed_conflicted_and_unpushed_work_shows() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let path = make(&environment, &repo, "x");
    assert_eq!(status_of(&environment, repo.path(), "feat-x")["ahead"], 0);
    environment.git(&path, ["mv", "d0/f1.txt", "d0/moved.txt"]);
    assert_eq!(status_of(&environment, repo.path(), "feat-x")["staged"], 1);
    fs::write(path.join("d0/f0.txt"), "mine\n").unwrap();
    environment.git(&path, ["commit", "-qam", "mine"]);
    let status = status_of(&environment, repo.path(), "feat-x");
    assert_eq!((&status["ahead"], &status["behind"]), (&Value::from(1), &Value::from(0)));
    repo.write("d0/f0.txt", "theirs\n");
    repo.commit("theirs");
    assert_eq!(status_of(&environment, repo.path(), "feat-x")["behind"], 1);
    assert_ne!(environment.program("git").args(["merge", "-q", "main"]).within(&path).run().code, Some(0));
    let status = status_of(&environment, repo.path(), "feat-x");
    assert_eq!((&status["conflicted"], &status["inProgress"]), (&Value::from(1), &Value::from("merge")));
    let short = environment.imi(["status", "--short"]).within(&path).run().success();
    assert_eq!(short.trim_end(), "feat-x !1 ↑1 ↓1 merge");
    environment.imi(["claim", "feat-x", "--agent-id", "a"]).within(&repo).ok();
    environment.imi(["release", "feat-x", "--agent-id", "a"]).within(&repo).fails(3);
}

#[test]
fn a_change_is_listed_at_once_and_told_as_an_event() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let path = make(&environment, &repo, "x");
    for number in 1..=30 {
        fs::write(path.join(format!("new-{number}")), "").unwrap();
        assert_eq!(status_of(&environment, repo.path(), "feat-x")["untracked"], number);
    }
    let last = |events: Vec<Value>| events.last().map(|event| event["data"]["status"]["untracked"].clone());
    Poll::new(PATIENCE).every(Duration::from_millis(100)).expect("the change is told", || {
        // The first look after the worktree was made tells nothing: one more change is there to be told.
        fs::write(path.join("new-31"), "").unwrap();
        last(events(&environment, "worktree.changed")).filter(|count| *count == 31)
    });
}

#[test]
fn the_index_is_never_locked_and_a_locked_one_is_no_obstacle() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let path = make(&environment, &repo, "x");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (environment, repo, done) = (&environment, &repo, &done);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                environment.imi(["list"]).within(repo).ok();
                environment.imi(["status"]).within(repo.path()).ok();
            }
        });
        for number in 0..200 {
            fs::write(path.join(format!("n{number}")), number.to_string()).unwrap();
            environment.git(&path, ["add", "-A"]);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(status_of(&environment, repo.path(), "feat-x")["staged"], 200);
    let lock = repo.path().join(".git/worktrees/feat-x/index.lock");
    fs::write(&lock, "").unwrap();
    fs::write(path.join("n0"), "changed").unwrap();
    let status = status_of(&environment, repo.path(), "feat-x");
    assert_eq!((&status["staged"], &status["modified"]), (&Value::from(200), &Value::from(1)));
    assert!(lock.exists(), "somebody else's lock stays");
    fs::remove_file(lock).unwrap();
}

#[test]
fn two_hundred_worktrees_are_listed_with_their_changes() {
    let environment = TestEnvironment::new();
    let repo = environment.repo_builder().files(5).build();
    for number in 0..200 {
        let path = format!("../many/w{number}");
        repo.git(["worktree", "add", "-q", "-b", &format!("b{number}"), &path]);
    }
    fs::write(environment.root().join("many/w150/new"), "").unwrap();
    let listed = environment.imi(["list"]).within(&repo).data();
    assert_eq!(listed["worktrees"].as_array().unwrap().len(), 201);
    assert_eq!(status_of(&environment, repo.path(), "w150")["untracked"], 1);
    fs::write(environment.root().join("many/w199/new"), "").unwrap();
    assert_eq!(status_of(&environment, repo.path(), "w199")["untracked"], 1);
    repo.git(["worktree", "remove", "../many/w7"]);
    let listed = environment.imi(["list"]).within(&repo).data();
    assert_eq!(listed["worktrees"].as_array().unwrap().len(), 200);
}

#[test]
fn where_watches_run_out_lists_are_right_and_commits_are_told() {
    let environment = TestEnvironment::builder().setting("observe.max_folders = 1").build();
    let repo = environment.repo();
    let path = make(&environment, &repo, "x");
    for number in 1..=5 {
        fs::write(path.join(format!("new-{number}")), "").unwrap();
        assert_eq!(status_of(&environment, repo.path(), "feat-x")["untracked"], number);
    }
    let id = commit(&environment, &path, "polled");
    assert_chain(&commits(&environment, 1), &[id]);
}

#[test]
fn tracked_files_that_are_ignored_are_not_overlooked() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    repo.write(".gitignore", "out/\n");
    repo.write("out/kept.txt", "one\n");
    repo.git(["add", "-f", "out/kept.txt", ".gitignore"]);
    repo.commit("kept although ignored");
    environment.imi(["list"]).within(&repo).ok();
    repo.write("seen.txt", "");
    for round in 0..10 {
        repo.write("out/kept.txt", &format!("round {round}\n"));
        assert_eq!(status_of(&environment, repo.path(), "trunk-main")["modified"], 1);
        repo.git(["checkout", "-q", "out/kept.txt"]);
        assert_eq!(status_of(&environment, repo.path(), "trunk-main")["modified"], 0);
    }
}
