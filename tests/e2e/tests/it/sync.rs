//! Shared files through the real programs: the daemon follows the disk by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podium_harness::{TestEnvironment, TestRepo, eventually};

fn make(environment: &TestEnvironment, repo: &TestRepo<'_>, name: &str) -> PathBuf {
    let made = environment.imi(["feat", name]).within(repo).data();
    PathBuf::from(made["worktree"]["path"].as_str().unwrap())
}

fn linked(path: &Path, text: &str) -> bool {
    path.is_symlink() && fs::read_to_string(path).is_ok_and(|found| found == text)
}

fn kept(environment: &TestEnvironment, text: &str) -> bool {
    fn holds(folder: &Path, text: &str) -> bool {
        folder.read_dir().into_iter().flatten().flatten().any(|entry| {
            let path = entry.path();
            if path.is_dir() {
                holds(&path, text)
            } else {
                fs::read_to_string(&path).is_ok_and(|t| t == text)
            }
        })
    }
    holds(&environment.home().root().join("sync-backups"), text)
}

#[test]
fn what_is_put_into_the_shared_folder_appears_in_every_worktree_and_goes_with_it() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let trees = [make(&environment, &repo, "a"), make(&environment, &repo, "b"), repo.path().to_owned()];
    // The folder itself appears while the daemon waits for it.
    repo.write(".podium/sync/.env", "A=1");
    eventually("a new file is linked everywhere", || trees.iter().all(|t| linked(&t.join(".env"), "A=1")));
    repo.write(".podium/sync/repo/config/local.toml", "x");
    eventually("a nested one too", || trees.iter().all(|t| linked(&t.join("config/local.toml"), "x")));
    for tree in &trees {
        assert_eq!(environment.git(tree, ["status", "--porcelain"]), "");
        assert!(!fs::read_link(tree.join(".env")).unwrap().is_absolute());
    }
    let later = make(&environment, &repo, "later");
    assert!(linked(&later.join(".env"), "A=1"), "one made later has it from the beginning");
    fs::remove_file(trees[0].join(".env")).unwrap();
    eventually("a deleted link comes back", || linked(&trees[0].join(".env"), "A=1"));
    fs::remove_file(repo.path().join(".podium/sync/.env")).unwrap();
    eventually("links of a deleted file go", || trees.iter().all(|t| !t.join(".env").is_symlink()));
    environment.imi(["remove", "feat-later"]).within(&repo).ok();
    environment.kill_daemon();
    repo.write(".podium/sync/.env", "A=2");
    environment.start_daemon();
    eventually("a start catches up", || trees.iter().all(|t| linked(&t.join(".env"), "A=2")));
}

#[test]
fn a_replaced_link_is_told_then_repaired_and_what_replaced_it_is_kept() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let tree = make(&environment, &repo, "a");
    repo.write(".podium/sync/.env", "A=1");
    eventually("it is linked", || linked(&tree.join(".env"), "A=1"));
    fs::remove_file(tree.join(".env")).unwrap();
    fs::write(tree.join(".env"), "B=2").unwrap();
    let (code, found) = environment.imi(["sync", "--check"]).within(&repo).envelope();
    assert_eq!((code, found["data"]["off"].as_u64()), (1, Some(1)), "{found:#}");
    let done = environment.imi(["sync"]).within(&repo).data();
    assert_eq!((done["repaired"].as_u64(), done["off"].as_u64()), (Some(1), Some(0)), "{done:#}");
    assert!(linked(&tree.join(".env"), "A=1"));
    assert!(kept(&environment, "B=2"));
    let listed = environment.imi(["sync", "--backups"]).within(&repo).data();
    assert_eq!(listed["backups"][0]["path"], ".env");
    environment.imi(["sync", "--check"]).within(&repo).ok();
    let events = environment.podium(["events", "tail", "--until-now"]).within(&repo).run().success();
    assert!(events.contains("config.synced"), "{events}");
}

#[test]
fn with_the_policy_adopt_what_an_editor_saves_reaches_all_worktrees() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let (a, b) = (make(&environment, &repo, "a"), make(&environment, &repo, "b"));
    environment.podium(["config", "set", "sync.on_replace", "adopt"]).within(&repo).ok();
    repo.write(".podium/sync/.env", "A=1");
    eventually("it is linked", || linked(&a.join(".env"), "A=1"));
    fs::write(a.join(".env.new"), "B=2").unwrap();
    fs::rename(a.join(".env.new"), a.join(".env")).unwrap();
    eventually("the other worktree sees it", || {
        linked(&b.join(".env"), "B=2") && linked(&a.join(".env"), "B=2")
    });
    assert!(kept(&environment, "A=1"));
}

#[test]
fn forgetting_takes_links_and_excludes_back() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let tree = make(&environment, &repo, "a");
    let exclude = repo.path().join(".git/info/exclude");
    let before = fs::read_to_string(&exclude).unwrap_or_default();
    repo.write(".podium/sync/.env", "A=1");
    eventually("it is linked", || linked(&tree.join(".env"), "A=1"));
    environment
        .podium(["uninstall", "--yes"])
        .within(environment.root())
        .timeout(Duration::from_secs(60))
        .ok();
    assert!(tree.join(".env").symlink_metadata().is_err());
    assert_eq!(fs::read_to_string(&exclude).unwrap_or_default(), before);
}
