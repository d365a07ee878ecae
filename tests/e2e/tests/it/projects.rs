//! Project folders by the command line: cloned, converted in place, and taken back.

use std::fs;
use std::path::Path;

use podium_harness::{TestEnvironment, eventually};

fn git_knows(environment: &TestEnvironment, main: &Path, worktree: &Path) {
    let listed = environment.git(main, ["worktree", "list", "--porcelain"]);
    assert!(listed.contains(worktree.to_str().unwrap()), "{listed}");
    environment.git(worktree, ["status", "--short"]);
}

#[test]
fn a_url_becomes_a_project_folder_in_which_everything_lies_beside_each_other() {
    let environment = TestEnvironment::new();
    let origin = environment.repo();
    let url = format!("file://{}.git", origin.path().display());
    let made = environment.imi(["init", &url, "work"]).within(environment.root()).data();
    let project = environment.root().join("work");
    assert_eq!(made["worktree"]["path"].as_str().map(Path::new), Some(project.join("trunk-main").as_path()));
    assert_eq!((made["how"].as_str(), made["worktree"]["trunk"].as_bool()), (Some("cloned"), Some(true)));
    assert!(made["elapsedMs"].as_f64().unwrap() > 0.0 && made["fromSpare"] == false);
    assert!(project.join("sync/global").is_dir() && project.join("sync/repo").is_dir());
    let feature = environment.imi(["feat", "x"]).within(&project).data();
    assert_eq!(feature["worktree"]["path"].as_str().map(Path::new), Some(project.join("feat-x").as_path()));
    assert_eq!(environment.imi(["init"]).within(&project).data()["how"], "unchanged");
    assert_eq!(
        environment.imi(["init", &url, "work"]).within(environment.root()).fails(3)["kind"],
        "conflict"
    );
    let missing = environment.imi(["init", "file:///no/such.git", "other"]).within(environment.root());
    assert_eq!(missing.fails(4)["kind"], "not_found");
    assert!(!environment.root().join("other").exists());
    assert_eq!(
        environment.imi(["init", "no-such-folder"]).within(environment.root()).fails(4)["kind"],
        "not_found"
    );
}

#[test]
fn a_clone_is_converted_behind_a_killed_daemon_and_goes_back_by_deinit() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "x"]).within(&repo).ok();
    let plain = environment.root().join("app.worktrees/feat-x");
    fs::write(plain.join("draft.txt"), "mine").unwrap();
    let made = environment.imi(["init"]).within(&repo).data();
    assert_eq!(made["how"], "converted");
    let main = repo.path().join("trunk-main");
    assert_eq!(fs::read_to_string(repo.path().join("feat-x/draft.txt")).unwrap(), "mine");
    git_knows(&environment, &main, &repo.path().join("feat-x"));
    environment.kill_daemon();
    let list = environment.imi(["list"]).within(repo.path()).data();
    let paths: Vec<_> =
        list["worktrees"].as_array().unwrap().iter().map(|tree| tree["path"].clone()).collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    let undos = environment.imi(["undo", "--list"]).within(&main).data();
    assert_eq!(
        (undos["undos"][0]["what"].as_str(), &undos["undos"][0]["id"]),
        (Some("layout"), &made["undo"])
    );

    environment.imi(["claim", "feat-x", "--agent-id", "claude-1"]).within(&main).ok();
    let held = environment.imi(["deinit"]).within(&main).fails(3);
    assert_eq!(held["owner"]["agentId"], "claude-1");
    environment.imi(["release", "feat-x", "--agent-id", "claude-1", "--allow-dirty"]).within(&main).ok();
    let taken_back = environment.imi(["deinit"]).within(&main).data();
    assert!(taken_back["undone"][0].as_str().unwrap().starts_with("moved "), "{taken_back:#}");
    assert!(repo.path().join(".git").is_dir());
    assert_eq!(fs::read_to_string(plain.join("draft.txt")).unwrap(), "mine");
    git_knows(&environment, repo.path(), &plain);
    eventually("nothing of Podium is left in the git folder", || !repo.path().join(".git/podium").exists());
}

#[test]
fn a_daemon_that_is_killed_while_it_converts_leaves_a_whole_repository() {
    for round in 0..6 {
        let environment = TestEnvironment::new();
        let repo = environment.repo_builder().files(200).build();
        for name in ["a", "b"] {
            environment.imi(["feat", name]).within(&repo).ok();
            fs::write(environment.root().join(format!("app.worktrees/feat-{name}/draft.txt")), name).unwrap();
        }
        let pid = environment.daemon_pid().unwrap();
        let root = environment.root().to_owned();
        let killer = std::thread::spawn(move || {
            // Somewhere between the request and its end, later in each round.
            let begun = std::time::Instant::now();
            while begun.elapsed() < std::time::Duration::from_millis(20 + 25 * round) {
                std::thread::yield_now();
            }
            podium_harness::process::kill(pid);
            root
        });
        let _ = environment.imi(["init"]).within(environment.root()).arg("--repo").arg(repo.path()).run();
        killer.join().unwrap();
        // The next daemon settles it; the client of before may have done so already.
        let data = environment.imi(["init"]).within(environment.root()).arg("--repo").arg(repo.path()).data();
        let main = Path::new(data["worktree"]["path"].as_str().unwrap()).to_owned();
        assert_eq!(main, repo.path().join("trunk-main"), "round {round}");
        environment.git(&main, ["fsck", "--strict", "--no-dangling"]);
        for name in ["a", "b"] {
            let tree = repo.path().join(format!("feat-{name}"));
            git_knows(&environment, &main, &tree);
            assert_eq!(fs::read_to_string(tree.join("draft.txt")).unwrap(), name);
        }
        let hidden = fs::read_dir(environment.root()).unwrap().flatten();
        let left: Vec<_> = hidden
            .map(|entry| entry.file_name())
            .filter(|name| name.to_string_lossy().contains("podium-"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
