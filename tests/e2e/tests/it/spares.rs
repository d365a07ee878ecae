//! Spares, hooks, ports and copies, as the command line has them.

use std::fs;
use std::path::{Path, PathBuf};

use podium_harness::{TestEnvironment, TestRepo, eventually};

fn repo_with<'a>(environment: &'a TestEnvironment, settings: &str) -> TestRepo<'a> {
    let repo = environment.repo();
    fs::create_dir_all(repo.path().join(".podium")).unwrap();
    fs::write(repo.path().join(".podium/config.toml"), settings).unwrap();
    repo
}

/// Commits of the spares of a repository, those that are whole. While git makes a worktree, `git worktree list` can find
/// its files empty and fail: then there is nothing to be said yet.
fn spares(environment: &TestEnvironment, repo: &TestRepo<'_>) -> Vec<String> {
    let list = environment.program("git").args(["worktree", "list", "--porcelain"]).within(repo).run();
    let listed = if list.code == Some(0) { list.stdout } else { String::new() };
    let blocks = listed.split("\n\n").filter(|block| block.contains("/.spares/"));
    let whole = blocks.filter(|block| {
        let path = block.lines().find_map(|line| line.strip_prefix("worktree ")).unwrap_or_default();
        Path::new(path).join("d0/f0.txt").exists()
    });
    let heads = whole.filter_map(|block| block.lines().find_map(|line| line.strip_prefix("HEAD ")));
    heads.map(str::to_owned).collect()
}

#[test]
fn the_daemon_keeps_spares_at_the_trunk_that_was_fetched() {
    let environment = TestEnvironment::new();
    let repo = repo_with(&environment, "[worktrees]\nspares = 2\nspares_min_files = 1\n");
    let list = || environment.imi(["list"]).within(&repo).data()["worktrees"].as_array().unwrap().len();
    assert_eq!(list(), 1);
    eventually("two spares are made", || spares(&environment, &repo).len() == 2);
    assert_eq!(list(), 1);
    // Somebody else pushes, and plain git fetches.
    let other = environment.root().join("elsewhere");
    let origin = repo.git(["remote", "get-url", "origin"]);
    environment.git(environment.root(), ["clone", "-q", &origin, other.to_str().unwrap()]);
    fs::write(other.join("new.txt"), "new").unwrap();
    environment.git(&other, ["add", "-A"]);
    environment.git(&other, ["commit", "-qm", "new"]);
    environment.git(&other, ["push", "-q"]);
    repo.git(["fetch", "-q"]);
    let newest = environment.git(&other, ["rev-parse", "HEAD"]);
    eventually("both follow", || spares(&environment, &repo) == [newest.clone(), newest.clone()]);
    let made = environment.imi(["feat", "x"]).within(&repo).data();
    assert_eq!(made["fromSpare"], true, "{made:#}");
    let path = PathBuf::from(made["worktree"]["path"].as_str().unwrap());
    assert_eq!(fs::read_to_string(path.join("new.txt")).unwrap(), "new");
    assert_eq!(environment.git(&path, ["status", "--porcelain"]), "");
    eventually("another takes its place", || spares(&environment, &repo).len() == 2);
    // They outlive the daemon, by SIGKILL too.
    environment.kill_daemon();
    let made = environment.imi(["feat", "y"]).within(&repo).data();
    assert_eq!(made["fromSpare"], true, "{made:#}");
    assert_eq!(list(), 3);
}

#[test]
fn a_hook_runs_only_once_a_person_approved_it() {
    let environment = TestEnvironment::new();
    let repo = repo_with(&environment, "[hooks]\npost-create = \"echo $PODIUM_WORKTREE > made-by-hook\"\n");
    let skipped = environment.imi(["feat", "x"]).within(&repo).data();
    let path = PathBuf::from(skipped["worktree"]["path"].as_str().unwrap());
    assert!(!path.join("made-by-hook").exists());
    assert!(skipped["notes"].to_string().contains("imi hooks approve"), "{skipped:#}");
    let listed = environment.imi(["hooks", "list"]).within(&repo).data();
    assert_eq!(
        (&listed["hooks"][0]["hook"], &listed["hooks"][0]["approved"]),
        (&"post-create".into(), &false.into())
    );
    environment.imi(["hooks", "approve", "post-create"]).within(&repo).ok();
    let made = environment.imi(["feat", "y"]).within(&repo).data();
    let path = PathBuf::from(made["worktree"]["path"].as_str().unwrap());
    assert_eq!(fs::read_to_string(path.join("made-by-hook")).unwrap().trim(), "feat-y");
    assert_eq!(made["worktree"]["status"]["untracked"], 1, "what the hook made is seen");
}

#[test]
fn worktrees_of_two_repositories_have_ports_of_their_own() {
    let environment = TestEnvironment::new();
    let settings = "[worktree]\nports = 2\ndatabase = \"app_{name}\"\n";
    let first = repo_with(&environment, settings);
    let second = environment.repo_builder().name("second").build();
    fs::create_dir_all(second.path().join(".podium")).unwrap();
    fs::write(second.path().join(".podium/config.toml"), settings).unwrap();
    let env = |repo: &TestRepo<'_>| {
        environment.imi(["feat", "x"]).within(repo).ok();
        environment.imi(["env", "feat-x"]).within(repo).data()
    };
    let (a, b) = (env(&first), env(&second));
    let mut ports: Vec<u64> = [&a, &b]
        .iter()
        .flat_map(|env| env["ports"].as_array().unwrap())
        .map(|p| p.as_u64().unwrap())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 4);
    assert_ne!(a["database"], b["database"]);
    let file = fs::read_to_string(a["file"].as_str().unwrap()).unwrap();
    assert!(file.contains(&format!("PODIUM_PORT={}", a["ports"][0])), "{file}");
}
