//! The wrong-tree guard as people and agents meet it: plain `git commit` in a worktree that somebody holds.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use podium_harness::{Finished, TestEnvironment, TestRepo, eventually};

const HOLDER: (&str, &str) = ("PODIUM_AGENT_ID", "claude-1");
const OTHER: (&str, &str) = ("PODIUM_AGENT_ID", "codex-7");

/// A worktree that claude-1 holds.
fn claimed(environment: &TestEnvironment, repo: &TestRepo<'_>) -> PathBuf {
    let made = environment.imi(["feat", "x", "--agent-id", "claude-1"]).within(repo).data();
    PathBuf::from(made["worktree"]["path"].as_str().unwrap())
}

/// Commits a change by plain git, with nothing of Podium's but the variables given.
fn commit(environment: &TestEnvironment, tree: &Path, vars: &[(&str, &str)]) -> Finished {
    let file = tree.join("d0/f0.txt");
    fs::write(&file, format!("{}x\n", fs::read_to_string(&file).unwrap())).unwrap();
    let mut git = environment.program("git").args(["commit", "-qam", "change"]).within(tree);
    for (name, value) in vars {
        git = git.var(name, value);
    }
    git.run()
}

fn head(environment: &TestEnvironment, tree: &Path) -> String {
    environment.git(tree, ["rev-parse", "HEAD"])
}

fn hook(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What the doctor finds about the guard.
fn lost(environment: &TestEnvironment, repo: &TestRepo<'_>) -> Vec<String> {
    let found = environment.imi(["doctor"]).within(repo).envelope().1["data"]["findings"].take();
    let lost = found.as_array().unwrap().iter().filter(|finding| finding["what"] == "lost_guard");
    lost.map(|finding| format!("{} {}", finding["message"], finding["hint"])).collect()
}

#[test]
fn a_commit_of_somebody_else_is_refused_with_the_reason_and_the_way_out() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let tree = claimed(&environment, &repo);
    let before = head(&environment, &tree);
    for vars in [&[OTHER][..], &[]] {
        let refused = commit(&environment, &tree, vars);
        assert_eq!(refused.code, Some(1), "{refused:#?}");
        assert_eq!(head(&environment, &tree), before);
        for told in ["feat-x is claimed by claude-1", "imi feat NAME", "imi claim feat-x --wait"] {
            assert!(refused.stderr.contains(told), "{told}: {}", refused.stderr);
        }
        let override_told = refused.stderr.contains("PODIUM_OVERRIDE=1");
        assert_eq!(override_told, vars.is_empty(), "a person's way, and no agent's: {}", refused.stderr);
    }
    assert!(commit(&environment, &tree, &[OTHER, ("PODIUM_OVERRIDE", "1")]).code != Some(0));
    let after = commit(&environment, &tree, &[HOLDER]);
    assert_eq!(after.code, Some(0), "{after:#?}");
    assert_ne!(head(&environment, &tree), before);
    // The work of whoever was refused is still there, and is committed where it belongs.
    environment.imi(["release", "feat-x", "--agent-id", "claude-1"]).within(&repo).ok();
    assert_eq!(commit(&environment, &tree, &[OTHER]).code, Some(0));
}

#[test]
fn it_decides_without_daemon_and_programs() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let tree = claimed(&environment, &repo);
    environment.podium(["daemon", "stop"]).ok();
    let path = environment.vars()["PATH".as_ref() as &std::ffi::OsStr].clone();
    let without: Vec<PathBuf> =
        std::env::split_paths(&path).filter(|folder| !folder.join("imi").exists()).collect();
    let path = std::env::join_paths(without).unwrap();
    let path = ("PATH", path.to_str().unwrap());
    assert_eq!(commit(&environment, &tree, &[path, HOLDER]).code, Some(0), "the holder is not held up");
    assert_eq!(commit(&environment, &tree, &[path, OTHER]).code, Some(1));
    assert!(environment.daemons().is_empty());
    // Somebody uninstalled everything by hand: commits go on as before Podium.
    let guard = environment.imi(["guard", "status"]).within(&repo).data()["folder"].clone();
    fs::remove_dir_all(guard.as_str().unwrap()).unwrap();
    assert_eq!(commit(&environment, &tree, &[OTHER]).code, Some(0));
    assert_eq!(lost(&environment, &repo).len(), 1);
}

#[test]
fn a_persons_override_is_recorded() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let tree = claimed(&environment, &repo);
    assert_eq!(commit(&environment, &tree, &[("PODIUM_OVERRIDE", "1")]).code, Some(0));
    let commit = head(&environment, &tree);
    let tail = ["events", "tail", "--from-seq", "0", "--until-now", "--type", "claim.overridden"];
    eventually("the event comes", || {
        let mut told = environment.podium(tail).within(&repo).lines();
        told.finish();
        told.seen().iter().any(|line| {
            let data = &line["event"]["data"];
            data["name"] == "feat-x" && data["agentId"] == "claude-1" && data["to"] == commit.as_str()
        })
    });
}

#[test]
fn hooks_of_the_user_run_and_can_refuse() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let log = environment.root().join("ran");
    let hooks = repo.path().join(".git/hooks");
    hook(&hooks.join("pre-commit"), &format!("echo pre-commit >> '{}'; test ! -e fail", log.display()));
    hook(&hooks.join("commit-msg"), &format!("echo \"commit-msg $#\" >> '{}'", log.display()));
    hook(&hooks.join("post-commit"), &format!("echo post-commit >> '{}'", log.display()));
    let tree = claimed(&environment, &repo);
    assert_eq!(commit(&environment, &tree, &[HOLDER]).code, Some(0));
    assert_eq!(fs::read_to_string(&log).unwrap(), "pre-commit\ncommit-msg 1\npost-commit\n");
    fs::write(tree.join("fail"), "").unwrap();
    assert_eq!(commit(&environment, &tree, &[HOLDER]).code, Some(1));
    assert_eq!(lost(&environment, &repo), [] as [String; 0]);
}

#[test]
fn tools_that_take_the_hooks_over_run_or_are_noticed() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let tree = claimed(&environment, &repo);
    // husky sets the path for the whole repository: its hooks run, and the guard too.
    hook(&tree.join(".husky/_/pre-commit"), "exit 7");
    repo.git(["config", "core.hooksPath", ".husky/_"]);
    assert_eq!(commit(&environment, &tree, &[HOLDER]).code, Some(1), "husky's hook refuses");
    hook(&tree.join(".husky/_/pre-commit"), "exit 0");
    assert_eq!(commit(&environment, &tree, &[HOLDER]).code, Some(0));
    assert_eq!(commit(&environment, &tree, &[OTHER]).code, Some(1));
    assert_eq!(lost(&environment, &repo), [] as [String; 0]);
    repo.git(["config", "--unset", "core.hooksPath"]);
    // lefthook writes where git says that hooks are; pre-commit with the path set by hand does the same.
    let folder = environment.git(&tree, ["rev-parse", "--git-path", "hooks"]);
    hook(&tree.join(&folder).join("pre-commit"), "exit 0 # lefthook");
    let found = lost(&environment, &repo);
    assert!(
        found.len() == 1 && found[0].contains("feat-x") && found[0].contains("imi guard install"),
        "{found:?}"
    );
    environment.imi(["guard", "install"]).within(&repo).ok();
    assert_eq!(lost(&environment, &repo), [] as [String; 0]);
    assert_eq!(commit(&environment, &tree, &[OTHER]).code, Some(1));
    // Or the path of this worktree is replaced.
    environment.git(&tree, ["config", "--worktree", "core.hooksPath", ".husky/_"]);
    assert_eq!(lost(&environment, &repo).len(), 1);
    assert_eq!(commit(&environment, &tree, &[OTHER]).code, Some(0), "which is why it is to be noticed");
    environment.imi(["guard", "install"]).within(&repo).ok();
    assert_eq!(lost(&environment, &repo), [] as [String; 0]);
    assert_eq!(commit(&environment, &tree, &[OTHER]).code, Some(1));
}
