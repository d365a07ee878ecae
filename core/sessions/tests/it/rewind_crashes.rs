//! SIGKILL in the middle of a rewind: the next daemon finishes it, or nothing had begun.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_git::GitError;
use podium_protocol::{CheckpointKind, ErrorKind, SessionStatus, WireError};
use podium_sessions::{Env, Next, RewindStep, SessionError, StopAfter};
use podium_store::{Durability, StoreError};

use crate::assert_gapless;
use crate::rewind::{Place, UNREACHABLE, git};

const DAEMON: &str = "PODIUM_TEST_REWIND";

/// The daemon that dies: this very binary, started by the tests below.
#[tokio::test(flavor = "multi_thread")]
async fn as_daemon() {
    let Ok(told) = std::env::var(DAEMON) else { return };
    let mut words = told.splitn(4, ' ');
    let (step, id, to, dir) =
        (words.next().unwrap(), words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let step = step.to_owned();
    let stop: StopAfter = Arc::new(move |at| {
        if format!("{at:?}") == step {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
        false
    });
    let place = Place::open(Path::new(dir), "dying", Some(stop));
    let _ = place.rewind(id, to, true).await;
    panic!("it was to die");
}

async fn dies_at(step: RewindStep, id: &str, to: &str, dir: &Path) {
    let status = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["rewind_crashes::as_daemon", "--exact", "--nocapture", "--test-threads=1"])
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env(DAEMON, format!("{step:?} {id} {to} {}", dir.display()))
        .stdout(std::process::Stdio::null())
        .status()
        .await
        .unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{step:?}");
}

fn state(tree: &Path) -> (String, String, String, Vec<PathBuf>) {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(tree).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let a = std::fs::read_to_string(tree.join("a.txt")).unwrap();
    (a, git(tree, &["rev-parse", "HEAD"]), git(tree, &["status", "--porcelain"]), files)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_that_was_killed_at_any_step_is_finished_by_the_next_daemon() {
    for step in [RewindStep::Intent, RewindStep::Files, RewindStep::Branch, RewindStep::Index] {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path());
        let (id, _) = place.start("put a.txt one\\n\nput one.txt 1\ncommit one").await;
        std::fs::write(place.tree.join("staged.txt"), "staged\n").unwrap();
        git(&place.tree, &["add", "staged.txt"]);
        place.go_on(&id, "put a.txt two\\n\nput two.txt 2\nrm one.txt\ncommit two").await;
        let to = place.checkpoint(&id, CheckpointKind::TurnStart, 2).await;
        let after = state(&place.tree);
        // What is expected is what an undisturbed rewind gives.
        let undisturbed = place.rewind(&id, &to, true).await.unwrap();
        let before = state(&place.tree);
        assert_eq!(before.2, "A  staged.txt", "what was staged is staged again");
        place.rewind(&id, &undisturbed.undo, true).await.unwrap();
        assert_eq!(state(&place.tree), after);
        let items = place.bed.sessions.show(Some(&id), 0).await.unwrap().items;
        drop(place);

        dies_at(step, &id, &to, dir.path()).await;
        let next = Place::open(dir.path(), "next", None);
        next.bed.sessions.recover().await.unwrap();
        assert_eq!(next.bed.sessions.recover_rewinds().await.unwrap(), 1, "{step:?}");
        assert_eq!(state(&next.tree), before, "{step:?}");
        let shown = next.bed.sessions.show(Some(&id), 0).await.unwrap();
        assert_gapless(&shown.items);
        assert_eq!(shown.items[..items.len()], items[..], "{step:?}");
        assert_eq!(
            (shown.items.len(), shown.session.status),
            (items.len() + 1, SessionStatus::Completed),
            "{step:?}"
        );
        let rewound = next.bed.store.events(0, vec!["session.rewound".into()], 9).await.unwrap().events;
        assert_eq!(rewound.len(), 3, "{step:?}");
        assert_eq!(next.bed.sessions.recover_rewinds().await.unwrap(), 0);
        // And it can be taken back.
        let undo = rewound[2].data["undo"].as_str().unwrap().to_owned();
        next.rewind(&id, &undo, true).await.unwrap();
        assert_eq!(state(&next.tree), after, "{step:?}");
        git(&next.tree, &["fsck", "--no-dangling"]);
        let left = std::fs::read_dir(next.tree.join(".git")).unwrap();
        let left = left.filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains("podium-restore") || name.to_string_lossy().ends_with(".lock")
        });
        assert_eq!(left.count(), 0, "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_saved_before_the_daemon_came_back_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    let (id, _) = place.start("put a.txt one\\n\nput b.txt one\\n").await;
    let to = place.checkpoint(&id, CheckpointKind::TurnStart, 1).await;
    drop(place);
    dies_at(RewindStep::Intent, &id, &to, dir.path()).await;
    let next = Place::open(dir.path(), "next", None);
    std::fs::write(next.tree.join("a.txt"), "saved meanwhile\n").unwrap();
    assert_eq!(next.bed.sessions.recover_rewinds().await.unwrap(), 1);
    assert_eq!((next.read("a.txt").as_deref(), next.read("b.txt")), (Some("saved meanwhile\n"), None));
    let rewound = next.bed.store.events(0, vec!["session.rewound".into()], 9).await.unwrap().events;
    assert_eq!(rewound[0].data["kept"], serde_json::json!(["a.txt"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_on_from_half_a_rewind_as_long_as_it_cannot_be_finished() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    let (id, _) = place.start("put a.txt one\\n").await;
    place.go_on(&id, "put a.txt two\\n\nput two.txt 2").await;
    let to = place.checkpoint(&id, CheckpointKind::TurnStart, 2).await;
    drop(place);
    dies_at(RewindStep::Files, &id, &to, dir.path()).await;
    let next = Place::open(dir.path(), "next", None);
    // Left by a git that died with the daemon.
    let lock = next.tree.join(".git/index.lock");
    std::fs::write(&lock, "").unwrap();
    assert_eq!(next.bed.sessions.recover_rewinds().await.unwrap(), 0);
    let before = next.bed.sessions.show(Some(&id), 0).await.unwrap();
    let ask = || Next { prompt: Some("put three.txt 3".into()), ..Next::default() };
    let refused = next.bed.sessions.go_on(&id, ask(), Env::new()).await;
    assert!(matches!(refused, Err(SessionError::Git(GitError::LockBusy { .. }))), "{refused:?}");
    assert!(next.bed.sessions.plan_fork(&id, None, false).await.is_err());
    assert!(next.rewind(&id, &to, false).await.is_err());
    assert_eq!(next.bed.sessions.show(Some(&id), 0).await.unwrap(), before);
    std::fs::remove_file(&lock).unwrap();
    next.go_on(&id, "put three.txt 3").await;
    assert_eq!(
        (next.read("a.txt").as_deref(), next.read("two.txt"), next.read("three.txt").as_deref()),
        (Some("one\n"), None, Some("3"))
    );
    let told = next.told.lock().unwrap().last().unwrap().clone();
    assert!(!told.contains("two.txt"), "{told}");
    assert_eq!(next.bed.sessions.recover_rewinds().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_whose_branch_moved_meanwhile_is_taken_back_and_over() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    let (id, _) = place.start("put a.txt one\\n\ncommit one").await;
    let to = place.checkpoint(&id, CheckpointKind::TurnStart, 1).await;
    drop(place);
    dies_at(RewindStep::Files, &id, &to, dir.path()).await;
    let commit = |tree: &Path| git(tree, &["commit", "-q", "--allow-empty", "-m", "by a person"]);
    let next = Place::open(dir.path(), "next", None);
    commit(&next.tree);
    let head = git(&next.tree, &["rev-parse", "HEAD"]);
    assert_eq!(next.bed.sessions.recover_rewinds().await.unwrap(), 1);
    assert_eq!(
        (next.read("a.txt").as_deref(), git(&next.tree, &["rev-parse", "HEAD"])),
        (Some("one\n"), head)
    );
    assert_eq!(next.bed.sessions.recover_rewinds().await.unwrap(), 0);
    drop(next);

    // The same while the rewind runs.
    let tree = dir.path().join("tree");
    let meanwhile: StopAfter = Arc::new(move |at| {
        if at == RewindStep::Files {
            commit(&tree);
        }
        false
    });
    let third = Place::open(dir.path(), "third", Some(meanwhile));
    let error = third.rewind(&id, &to, true).await.unwrap_err();
    assert!(matches!(error, SessionError::Git(GitError::RefMoved { .. })), "{error:?}");
    assert_eq!(third.read("a.txt").as_deref(), Some("one\n"));
    assert_eq!(third.bed.sessions.recover_rewinds().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_that_turns_went_on_over_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    let (id, _) = place.start("put a.txt one\\n").await;
    let to = place.checkpoint(&id, CheckpointKind::TurnStart, 1).await;
    drop(place);
    dies_at(RewindStep::Intent, &id, &to, dir.path()).await;
    let next = Place::open(dir.path(), "next", None);
    let write = next.bed.store.write::<(), StoreError>(Durability::Power, |tx| {
        tx.execute("UPDATE sessions SET last_seq = last_seq + 1", [])?;
        Ok(())
    });
    write.await.unwrap();
    next.bed.sessions.recover_rewinds().await.unwrap();
    assert_eq!(next.read("a.txt").as_deref(), Some("one\n"));
    assert_eq!(next.bed.sessions.recover_rewinds().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_waits_for_a_worktree_that_cannot_be_looked_at_and_is_dropped_with_one_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path());
    let (id, _) = place.start("put a.txt one\\n").await;
    let to = place.checkpoint(&id, CheckpointKind::TurnStart, 1).await;
    drop(place);
    let unreachable = dir.path().join(UNREACHABLE);
    for gone in [false, true] {
        dies_at(RewindStep::Intent, &id, &to, dir.path()).await;
        let next = Place::open(dir.path(), &format!("next {gone}"), None);
        std::fs::write(&unreachable, "").unwrap();
        assert_eq!(next.bed.sessions.recover_rewinds().await.unwrap(), 0);
        let ask = Next { prompt: Some("more".into()), ..Next::default() };
        let refused = next.bed.sessions.go_on(&id, ask, Env::new()).await.unwrap_err();
        assert_eq!(WireError::from(refused).kind, ErrorKind::Unavailable);
        std::fs::remove_file(&unreachable).unwrap();
        let count = next.bed.sessions.show(Some(&id), 0).await.unwrap().items.len();
        if gone {
            std::fs::rename(&next.tree, next.tree.with_file_name("moved away")).unwrap();
        }
        assert_eq!(next.bed.sessions.recover_rewinds().await.unwrap(), 1);
        let shown = next.bed.sessions.show(Some(&id), 0).await.unwrap();
        assert_eq!(shown.items.len(), count + usize::from(!gone));
        assert_eq!(next.bed.sessions.recover_rewinds().await.unwrap(), 0);
    }
}
