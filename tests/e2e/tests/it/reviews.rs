//! Reviews, merges and the upkeep of a repository, by the command line.

use std::fs;
use std::path::{Path, PathBuf};

use podium_harness::{TestEnvironment, TestRepo};

/// Pull request 7 in the origin, without a branch of that name anywhere.
fn request(repo: &TestRepo<'_>) {
    repo.git(["switch", "-qc", "topic"]);
    repo.write("topic.txt", "offered");
    repo.commit("offered");
    repo.git(["push", "-q", "origin", "HEAD:refs/pull/7/head"]);
    repo.git(["switch", "-q", "main"]);
    repo.git(["branch", "-qD", "topic"]);
}

fn path_of(data: &serde_json::Value) -> PathBuf {
    PathBuf::from(data["worktree"]["path"].as_str().unwrap())
}

#[test]
fn a_review_is_opened_entered_and_removed_without_any_program_of_the_host() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    request(&repo);
    let opened = environment.imi(["review", "7"]).within(&repo).data();
    let worktree = &opened["worktree"];
    assert_eq!((worktree["name"].as_str(), worktree["pr"].as_u64()), (Some("review-7"), Some(7)));
    assert_eq!(worktree["type"], "review");
    assert!(path_of(&opened).join("topic.txt").is_file());
    assert_eq!(environment.imi(["review", "#7"]).within(&repo).data()["created"], false);
    assert_eq!(environment.imi(["review", "8"]).within(&repo).fails(4)["kind"], "not_found");
    environment.imi(["remove", "pr-7"]).within(&repo).ok();
    assert!(!path_of(&opened).exists() && !repo.git(["branch", "--list"]).contains("review-7"));
}

#[test]
fn a_branch_is_merged_and_the_merge_is_undone_behind_a_killed_daemon() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let path = path_of(&environment.imi(["feat", "x"]).within(&repo).data());
    fs::write(path.join("work.txt"), "1").unwrap();
    environment.git(&path, ["add", "-A"]);
    environment.git(&path, ["commit", "-qm", "work"]);
    environment.imi(["close", "feat-x"]).within(&repo).fails(3);
    let merged = environment.imi(["merge", "feat-x"]).within(&repo).data();
    assert!(repo.path().join("work.txt").is_file() && !path.exists());
    environment.kill_daemon();
    let list = environment.imi(["undo", "--list"]).within(&repo).data();
    assert!(list["undos"].as_array().unwrap().iter().any(|undo| undo["id"] == merged["undo"]), "{list:#}");
    environment.imi(["undo", merged["undo"].as_str().unwrap()]).within(&repo).ok();
    assert!(!repo.path().join("work.txt").exists() && path.join("work.txt").is_file());
}

#[test]
fn a_repository_is_kept_in_order() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let path = path_of(&environment.imi(["feat", "x"]).within(&repo).data());
    let moved = path.with_file_name("moved");
    fs::rename(&path, &moved).unwrap();
    let findings = environment.imi(["doctor"]).within(&repo).data();
    assert_eq!(findings["findings"][0]["what"], "moved_folder", "{findings:#}");
    environment.imi(["repair"]).within(&repo).ok();
    let status = environment.imi(["status", "feat-x"]).within(&repo).data();
    assert_eq!(status["worktree"]["path"].as_str().map(Path::new), Some(moved.as_path()));
    let told = environment.imi(["prune", "--dry-run"]).within(&repo).data();
    assert_eq!(told["applied"], false);
    assert!(environment.imi(["du"]).within(&repo).data()["total"].as_u64().unwrap() > 0);
    environment.imi(["types", "add", "docs"]).ok();
    let made = environment.imi(["docs", "intro", "--json"]).within(&repo).data();
    assert_eq!(made["worktree"]["name"], "docs-intro");
    assert_eq!(environment.imi(["lsit"]).within(&repo).fails(2)["kind"], "user");
}
