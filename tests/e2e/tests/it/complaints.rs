//! What users of tools of this kind complain about most, and the tests that show that Podium does not have it. A name
//! without a place is of this crate; the others are of the crate that is named before them.
//!
//! | complaint | tests |
//! |---|---|
//! | 1. Edits land silently in the wrong tree | `a_commit_of_somebody_else_is_refused_with_the_reason_and_the_way_out`, `a_file_in_somebody_elses_worktree_has_a_hint_that_follows_the_claim`, worktrees: `the_holder_commits_and_nobody_else_does` |
//! | 2. Cleanup destroys work, even under a live session | `cleaning_up_takes_neither_work_nor_what_a_living_owner_has`, `removal_refuses_what_would_lose_work`, `undo_brings_back_everything_that_was_there`, worktrees: `only_what_nobody_needs_is_pruned_and_it_comes_back`, `a_claim_of_a_session_lives_and_goes_with_it` |
//! | 3. Races for git's locks; the monitor takes `index.lock` | `thirteen_that_are_made_at_once_are_all_made`, `the_index_is_never_locked_and_a_locked_one_is_no_obstacle`, git: `thirteen_creates_at_once_all_succeed`, `a_lock_of_another_git_is_waited_for_and_then_named` |
//! | 4. The sandbox blocks commits in linked worktrees | process: `a_commit_in_a_linked_worktree_works_and_reaches_nothing_beside_it` |
//! | 5. Stale claims, and living owners robbed for their age | `a_killed_owner_is_taken_over_and_a_live_one_never`, `a_claim_that_lives_by_heartbeat_is_never_taken_for_its_age`, worktrees: `a_silent_owner_becomes_unknown_and_never_dead` |
//! | 6. Lost sessions; resuming silently starts anew | `seventeen_kills_while_it_tells_a_story`, `after_sigkill_of_the_client_another_one_goes_on_behind_what_was_shown`, sessions: `an_interrupted_answer_goes_on_without_gap_or_repeat` |
//! | 7. Slow creation and lists in large repositories | `a_list_of_many_worktrees_and_a_worktree_from_a_spare_read_no_tree`, `the_daemon_keeps_spares_at_the_trunk_that_was_fetched`; the times are measured by `cargo xtask bench` |
//! | 8. `.env` and other ignored files are missing | `what_is_put_into_the_shared_folder_appears_in_every_worktree_and_goes_with_it`, worktrees: `ignored_folders_are_copied_and_what_was_cut_off_is_begun_anew` |
//! | 9. Disks full of snapshots, trees and build folders | worktrees: `disk_is_counted_once_and_build_folders_are_told`, `a_trash_above_its_quota_loses_the_oldest_removals_and_never_those_of_the_last_day`, `old_trash_is_deleted_read_only_folders_too` |
//! | 10. Ports and databases collide | `worktrees_of_two_repositories_have_ports_of_their_own`, worktrees: `ports_and_databases_are_given_once_and_freed_with_the_worktree` |
//! | 11. Submodules and large files | worktrees: `submodules_come_on_demand`, `a_worktree_with_a_submodule_checked_out_goes_and_comes_back_whole`, `large_files_are_pointers_in_a_new_worktree_until_they_are_asked_for`, `a_worktree_with_large_files_goes_and_comes_back_with_them` |

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use podium_harness::{TestEnvironment, checkout, eventually, process};

/// The table names tests; one that is renamed is renamed here too.
#[test]
fn every_test_that_the_table_names_exists() {
    let table = fs::read_to_string(checkout().join("tests/e2e/tests/it/complaints.rs")).unwrap();
    let rows: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1).collect();
    assert_eq!(rows.len(), 11);
    let mut sources = String::new();
    for crates in ["core", "server", "tests"] {
        for folder in fs::read_dir(checkout().join(crates)).unwrap() {
            read_all(&folder.unwrap().path().join("tests"), &mut sources);
        }
    }
    for row in rows {
        let (_, tests) = row.split_once(" | ").unwrap();
        let names = tests.split('`').skip(1).step_by(2).filter(|name| !name.contains(' '));
        let names: Vec<&str> = names.collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(sources.contains(&format!("fn {name}()")), "{name} of {row}");
        }
    }
}

fn read_all(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, into);
        } else if path.extension() == Some(OsStr::new("rs")) {
            *into += &fs::read_to_string(&path).unwrap();
        }
    }
}

#[test]
fn cleaning_up_takes_neither_work_nor_what_a_living_owner_has() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let make = |name: &str| {
        let made = environment.imi(["feat", name]).within(&repo).data();
        PathBuf::from(made["worktree"]["path"].as_str().unwrap())
    };
    let (held, dirty, own, done) = (make("held"), make("dirty"), make("own"), make("done"));
    // Somebody is at work in the first, by a process that lives; all that is there is in trunk.
    let mut owner = environment.program("sleep").arg("600").spawn(|_| {});
    let pid = owner.id().to_string();
    environment.imi(["claim", "feat-held", "--agent-id", "a", "--pid", &pid]).within(&repo).ok();
    fs::write(dirty.join("new.txt"), "precious").unwrap();
    fs::write(own.join("own.txt"), "precious").unwrap();
    environment.git(&own, ["add", "-A"]);
    environment.git(&own, ["commit", "-qm", "only here"]);
    for tree in [&held, &done] {
        fs::write(tree.join("merged.txt"), tree.display().to_string()).unwrap();
        environment.git(tree, ["add", "-A"]);
        let commit = environment.program("git").args(["commit", "-qm", "merged"]).within(tree);
        assert_eq!(commit.var("PODIUM_AGENT_ID", "a").run().code, Some(0));
    }
    repo.git(["merge", "-q", "--no-edit", "feat-done"]);
    repo.git(["merge", "-q", "--no-edit", "-s", "ours", "feat-held"]);
    environment.imi(["prune", "--yes"]).within(&repo).ok();
    assert!(!done.exists(), "what is merged, clean and free goes");
    for tree in [&held, &dirty, &own] {
        assert!(tree.exists(), "{}", tree.display());
    }
    for name in ["feat-held", "feat-dirty", "feat-own"] {
        environment.imi(["close", name]).within(&repo).fails(3);
        environment.imi(["remove", name]).within(&repo).fails(3);
    }
    assert_eq!(fs::read_to_string(dirty.join("new.txt")).unwrap(), "precious");
    assert_eq!(fs::read_to_string(own.join("own.txt")).unwrap(), "precious");
    // With its owner goes what kept it.
    process::kill(owner.id());
    owner.wait().unwrap();
    eventually("its owner is known to be gone", || {
        let listed = environment.imi(["list"]).within(&repo).data();
        let trees = listed["worktrees"].as_array().unwrap();
        trees.iter().any(|tree| tree["name"] == "feat-held" && tree["claim"]["alive"] != true)
    });
    environment.imi(["remove", "feat-held"]).within(&repo).ok();
}

/// A `git` that notes how it is called.
struct Noted {
    /// Only its folder is used.
    place: TestEnvironment,
}

impl Noted {
    fn new() -> Self {
        let place = TestEnvironment::new();
        let folder = place.root().join("bin");
        fs::create_dir(&folder).unwrap();
        let git = folder.join("git");
        let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join("git"))
            .find(|git| git.is_file())
            .unwrap();
        let log = folder.join("log");
        let script =
            format!("#!/bin/sh\necho \"$*\" >> '{}'\nexec '{}' \"$@\"\n", log.display(), real.display());
        fs::write(&git, script).unwrap();
        fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
        Self { place }
    }

    /// `PATH` with it in front.
    fn path(&self) -> OsString {
        let usual = &self.place.vars()[OsStr::new("PATH")];
        let folders = std::iter::once(self.place.root().join("bin")).chain(std::env::split_paths(usual));
        std::env::join_paths(folders).unwrap()
    }

    /// How git was called since the last time.
    fn calls(&self) -> Vec<String> {
        let log = self.place.root().join("bin/log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(&log);
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_list_of_many_worktrees_and_a_worktree_from_a_spare_read_no_tree() {
    let git = Noted::new();
    let environment = TestEnvironment::builder().var("PATH", git.path()).build();
    let repo = environment.repo_builder().without_origin().build();
    repo.write(".podium/config.toml", "[worktrees]\nspares = 1\nspares_min_files = 1\n");
    for number in 0..20 {
        let folder = format!("../many/w{number}");
        repo.git(["worktree", "add", "-q", "-b", &format!("b{number}"), &folder]);
    }
    let list = || environment.imi(["list"]).within(&repo).data()["worktrees"].as_array().unwrap().len();
    // Once all are watched, and the spare is made, nothing has to be looked at any more.
    eventually("a list starts no program at all", || {
        list();
        git.calls();
        list() == 21 && git.calls().is_empty()
    });
    let spare = || repo.git(["worktree", "list", "--porcelain"]).contains("/.spares/");
    eventually("a spare is made", spare);
    let made = environment.imi(["feat", "x"]).within(&repo).data();
    assert_eq!(made["fromSpare"], true, "{made:#}");
    // Later calls make the next spare.
    let calls = git.calls();
    let of_trees = ["status", "checkout", "reset", "diff", "read-tree", "update-index"];
    let until = calls.iter().position(|call| call.contains("switch")).unwrap();
    let reading: Vec<_> =
        calls[..=until].iter().filter(|call| call.split(' ').any(|word| of_trees.contains(&word))).collect();
    assert!(reading.is_empty(), "{reading:?} of {calls:#?}");
}
