//! Worktrees through their life: nothing destroys work.

use std::fs;
use std::path::{Path, PathBuf};

use podium_harness::{TestEnvironment, TestRepo};

fn make(environment: &TestEnvironment, repo: &TestRepo<'_>, name: &str) -> PathBuf {
    let made = environment.imi(["feat", name]).within(repo).data();
    PathBuf::from(made["worktree"]["path"].as_str().unwrap())
}

fn names(environment: &TestEnvironment, folder: &Path) -> Vec<String> {
    let listed = environment.imi(["list"]).within(folder).data();
    let worktrees = listed["worktrees"].as_array().unwrap();
    worktrees.iter().map(|w| w["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn thirteen_that_are_made_at_once_are_all_made() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    std::thread::scope(|scope| {
        for number in 0..13 {
            let (environment, repo) = (&environment, &repo);
            scope.spawn(move || environment.imi(["feat", &format!("n{number}")]).within(repo).ok());
        }
    });
    assert_eq!(names(&environment, repo.path()).len(), 14);
    assert_eq!(repo.git(["worktree", "list"]).lines().count(), 14);
}

#[test]
fn removal_refuses_what_would_lose_work() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let path = make(&environment, &repo, "x");
    let remove = || environment.imi(["remove", "feat-x"]).within(&repo);

    fs::write(path.join("new.txt"), "precious").unwrap();
    assert_eq!(remove().fails(3)["kind"], "conflict");
    environment.git(&path, ["add", "-A"]);
    remove().fails(3);
    environment.git(&path, ["commit", "-qm", "precious"]);
    remove().fails(3);
    assert_eq!(fs::read_to_string(path.join("new.txt")).unwrap(), "precious");
    environment.git(&path, ["push", "-q", "origin", "feat-x"]);
    environment.imi(["claim", "feat-x", "--agent-id", "a"]).within(&repo).ok();
    assert_eq!(remove().fails(3)["owner"]["agentId"], "a");
    environment.imi(["release", "feat-x", "--agent-id", "a"]).within(&repo).ok();
    remove().ok();
    assert!(!path.exists());
}

#[test]
fn the_main_worktree_is_never_removed() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let trunk = names(&environment, repo.path()).remove(0);
    for force in [&["remove", trunk.as_str()][..], &["remove", trunk.as_str(), "--force"]] {
        let (code, envelope) = environment.imi(force).within(&repo).envelope();
        assert!(matches!(code, 1 | 3), "exit {code}: {envelope:#}");
    }
    assert!(repo.path().join("d0/f0.txt").is_file());
}

#[test]
fn who_removes_the_worktree_they_stand_in_is_led_out_of_it() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let path = make(&environment, &repo, "x");
    let other = make(&environment, &repo, "y");
    let file = environment.root().join("cd-file");
    fs::write(&file, "").unwrap();
    environment.imi(["remove", "feat-y"]).var("PODIUM_CD_FILE", &file).within(&path).ok();
    assert!(!other.exists());
    assert_eq!(fs::read_to_string(&file).unwrap(), "", "another one went: the shell stays");
    environment.imi(["remove", "x"]).var("PODIUM_CD_FILE", &file).within(&path).ok();
    assert_eq!(Path::new(&fs::read_to_string(&file).unwrap()), repo.path());
}

#[test]
fn a_name_without_its_type_is_understood_while_only_one_has_it() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    make(&environment, &repo, "x");
    let status = environment.imi(["status", "x"]).within(&repo).data();
    assert_eq!(status["worktree"]["name"], "feat-x");
    environment.imi(["fix", "x"]).within(&repo).ok();
    environment.imi(["status", "x"]).within(&repo).fails(4);
}

#[test]
fn undo_brings_back_everything_that_was_there() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    repo.write(".gitignore", "*.log\ntarget/\n");
    repo.commit("ignore");
    repo.git(["push", "-q"]);
    let path = make(&environment, &repo, "x");
    fs::write(path.join("committed.txt"), "1").unwrap();
    environment.git(&path, ["add", "-A"]);
    environment.git(&path, ["commit", "-qm", "only here"]);
    let commit = environment.git(&path, ["rev-parse", "HEAD"]);
    fs::write(path.join("staged.txt"), "2").unwrap();
    environment.git(&path, ["add", "staged.txt"]);
    fs::write(path.join("untracked ü.txt"), "3").unwrap();
    fs::create_dir(path.join("target")).unwrap();
    fs::write(path.join("target/built"), "4").unwrap();
    fs::write(path.join("d0/f0.txt"), "changed").unwrap();
    fs::remove_file(path.join("d0/f1.txt")).unwrap();
    std::os::unix::fs::symlink("dangling", path.join("link")).unwrap();
    let before = environment.git(&path, ["status", "--porcelain=v2", "--ignored"]);

    let removed = environment.imi(["remove", "feat-x", "--force"]).within(&repo).data();
    assert!(!path.exists());
    assert!(!repo.git(["branch", "--list"]).contains("feat-x"));
    environment.kill_daemon();
    let undone = environment.imi(["undo", removed["undo"].as_str().unwrap()]).within(&repo).data();
    assert_eq!(undone["worktree"]["path"].as_str().map(Path::new), Some(path.as_path()));
    assert_eq!(environment.git(&path, ["rev-parse", "feat-x"]), commit);
    assert_eq!(environment.git(&path, ["status", "--porcelain=v2", "--ignored"]), before);
    assert_eq!(fs::read_to_string(path.join("untracked ü.txt")).unwrap(), "3");
    assert_eq!(fs::read_to_string(path.join("target/built")).unwrap(), "4");
    assert_eq!(fs::read_link(path.join("link")).unwrap(), Path::new("dangling"));
    let (again, envelope) =
        environment.imi(["undo", removed["undo"].as_str().unwrap()]).within(&repo).envelope();
    assert!(matches!(again, 3 | 4), "it is undone once: exit {again}: {envelope:#}");
}

#[test]
fn keep_branch_keeps_it_and_a_remote_branch_stays_anyway() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    make(&environment, &repo, "kept");
    environment.imi(["remove", "feat-kept", "--keep-branch"]).within(&repo).ok();
    assert!(repo.git(["branch", "--list"]).contains("feat-kept"));

    let path = make(&environment, &repo, "pushed");
    environment.git(&path, ["push", "-q", "origin", "feat-pushed"]);
    environment.imi(["remove", "feat-pushed"]).within(&repo).ok();
    assert!(repo.git(["ls-remote", "origin"]).contains("refs/heads/feat-pushed"));
}

#[test]
fn several_repositories_are_kept_apart() {
    let environment = TestEnvironment::new();
    let one = environment.repo_builder().name("one").files(2).build();
    let two = environment.repo_builder().name("two").files(2).build();
    make(&environment, &one, "x");
    make(&environment, &two, "x");
    environment.imi(["claim", "feat-x", "--agent-id", "a"]).within(&one).ok();
    environment.imi(["claim", "feat-x", "--agent-id", "b"]).within(&two).ok();
    environment.imi(["remove", "feat-x"]).within(&two).fails(3);
    let all = environment.imi(["list", "--all"]).within(&one).data();
    assert_eq!(all["worktrees"].as_array().map(Vec::len), Some(4), "{all:#}");
}

#[test]
fn a_worktree_made_by_git_is_seen_and_one_deleted_by_hand_is_missing() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let foreign = environment.root().join("by-hand");
    repo.git(["worktree", "add", "-q", "-b", "topic", foreign.to_str().unwrap()]);
    assert_eq!(names(&environment, repo.path()).len(), 2);
    let path = make(&environment, &repo, "gone");
    fs::remove_dir_all(&path).unwrap();
    let listed = environment.imi(["list"]).within(&repo).data();
    let gone = listed["worktrees"].as_array().unwrap().iter().find(|w| w["name"] == "feat-gone").unwrap();
    assert_eq!(gone["state"], "missing", "{gone:#}");
}

#[test]
fn a_repository_without_a_remote_works() {
    let environment = TestEnvironment::new();
    let repo = environment.repo_builder().without_origin().build();
    make(&environment, &repo, "x");
    environment.imi(["remove", "feat-x"]).within(&repo).ok();
}

#[test]
fn uninstall_takes_back_all_it_did_and_leaves_the_work() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let untouched = repo.git(["config", "--list", "--local"]);
    let path = make(&environment, &repo, "x");
    fs::write(path.join("work.txt"), "mine").unwrap();
    environment.imi(["claim", "feat-x", "--agent-id", "a"]).within(&repo).ok();
    let refused = environment.podium(["uninstall", "--yes"]).within("/").run();
    assert_eq!(refused.code, Some(3), "worktrees are claimed: {refused:#?}");
    let done = environment.podium(["uninstall", "--yes", "--force"]).within("/").data();
    assert!(done["freedBytes"].as_u64().unwrap() > 10_000, "a database at least: {done:#}");
    assert!(!environment.home().root().exists());
    assert!(environment.daemons().is_empty());
    assert_eq!(fs::read_to_string(path.join("work.txt")).unwrap(), "mine");
    let worktrees = repo.git(["worktree", "list", "--porcelain"]);
    assert!(worktrees.contains("feat-x") && !worktrees.contains("locked"), "{worktrees}");
    assert_eq!(repo.git(["config", "--list", "--local"]), untouched);
    assert!(!repo.path().join(".git/podium").exists());
    let exclude = fs::read_to_string(repo.path().join(".git/info/exclude")).unwrap_or_default();
    assert!(!exclude.to_lowercase().contains("podium"), "{exclude}");
    assert!(!repo.git(["for-each-ref"]).contains("podium"));
}

#[test]
fn undo_finds_the_repository_from_the_trash_and_from_a_folder_that_is_gone() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let script = "set -e; cd \"$1\"; imi remove feat-x >/dev/null; imi undo";
    let run = |name: &str, script: &str| {
        environment.imi(["feat", name]).within(&repo).ok();
        let made = environment.imi(["status", &format!("feat-{name}")]).within(&repo).data();
        let path = PathBuf::from(made["worktree"]["path"].as_str().unwrap());
        let words = ["--norc", "-c", script, "bash", path.to_str().unwrap()];
        let _ = environment.program("bash").args(words).within(&repo).run().success();
        assert!(path.join(".git").is_file(), "{} is back", path.display());
    };
    // The shell's folder was renamed into the trash.
    run("x", script);
    // The shell's folder was deleted before.
    let script = "set -e; cd \"$1\"; rm -rf \"$1\"; imi remove feat-y >/dev/null; imi undo";
    run("y", script);
}
