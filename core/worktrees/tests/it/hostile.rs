//! What an agent may try, and what somebody else's files do in between.

use std::time::Duration;

use podium_protocol::{ErrorKind, WorktreeCreateParams};
use podium_store::{Durability, StoreError};
use podium_worktrees::Step;

use crate::bed::{Bed, agent, at};
use crate::removal::undo;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_cannot_have_a_repository_of_its_own_worked_in() {
    let bed = Bed::new();
    bed.create("x").await;
    let own = bed.root.join("evil");
    bed.git(&bed.root, &["init", "-q", "-b", "main", "evil"]);
    bed.commit(&own, "a.txt", "one\n");
    let ask = |path| WorktreeCreateParams { at: at(path), name: Some("y".into()), ..Default::default() };
    let error = bed.service.create(ask(&own), &agent("a", "s1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::User, "{error:?}");
    assert_eq!(bed.service.repos().await.unwrap().repos.len(), 1);
    bed.service.create(ask(&bed.work), &agent("a", "s1")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_claim_is_not_bound_to_a_process_that_outlives_its_session() {
    let bed = Bed::new();
    bed.create("x").await;
    let mut params = bed.claiming("feat-x", "a");
    params.pid = Some(1);
    let error = bed.service.acquire(params, &agent("a", "s1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::User);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_the_place_of_the_lock_holds_nobody_up() {
    let bed = Bed::new();
    bed.create("x").await;
    let pipe = bed.work.join(".git/worktrees/feat-x/locked");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let claimed = tokio::time::timeout(Duration::from_secs(30), bed.claim("feat-x", "a")).await;
    assert_eq!(claimed.unwrap().unwrap_err().kind, ErrorKind::Conflict, "it is locked by somebody else");
    assert_eq!(bed.names().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_made_where_a_tree_was_moved_away_jams_neither_removal_nor_undo() {
    let mut bed = Bed::new();
    let path = std::path::PathBuf::from(bed.create("x").await.worktree.path);
    *bed.stop_at.lock().unwrap() = Some(Step::RemoveTreeMoved);
    bed.remove("feat-x", false).await.unwrap_err();
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("cache"), "of a server that still runs").unwrap();
    bed.restart().await;
    assert_eq!(bed.events("worktree.removed").await.len(), 1);
    assert_eq!(undo(&bed).await.unwrap_err().kind, ErrorKind::Conflict);
    assert!(path.join("cache").exists());
    std::fs::remove_dir_all(&path).unwrap();
    undo(&bed).await.unwrap();
    assert_eq!(std::fs::read_to_string(path.join("a.txt")).unwrap(), "one\n");

    // The same on the way back.
    bed.remove("feat-x", false).await.unwrap();
    *bed.stop_at.lock().unwrap() = Some(Step::UndoAdminMoved);
    undo(&bed).await.unwrap_err();
    std::fs::create_dir(&path).unwrap();
    bed.restart().await;
    assert!(!bed.git(&bed.work, &["worktree", "list"]).contains("feat-x"), "no worktree without its tree");
    std::fs::remove_dir(&path).unwrap();
    undo(&bed).await.unwrap();
    assert_eq!(std::fs::read_to_string(path.join("a.txt")).unwrap(), "one\n");
    assert_eq!(bed.git(&path, &["status", "--porcelain"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_purge_has_begun_to_delete_is_not_brought_back() {
    let mut bed = Bed::new();
    bed.create("x").await;
    bed.remove("feat-x", false).await.unwrap();
    let begun = bed.store.write::<_, StoreError>(Durability::Power, |tx| {
        Ok(tx.execute("UPDATE removals SET state = 'purging'", [])?)
    });
    assert_eq!(begun.await.unwrap(), 1);
    assert_eq!(undo(&bed).await.unwrap_err().kind, ErrorKind::NotFound);
    bed.restart().await;
    bed.service.purge_trash().await;
    let left = bed.work.join(".git/podium/trash").read_dir().unwrap().count();
    assert_eq!(left, 0, "the next daemon finishes it");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_branches_at_one_commit_do_not_both_go_because_of_the_other() {
    let bed = Bed::new();
    let first = bed.create("x").await.worktree;
    bed.create("y").await;
    let commit = bed.commit(std::path::Path::new(&first.path), "b.txt", "two\n");
    bed.git(&bed.work.with_file_name("work.worktrees").join("feat-y"), &["reset", "-q", "--hard", &commit]);
    let (x, y) = tokio::join!(bed.remove("feat-x", false), bed.remove("feat-y", false));
    assert_ne!(x.is_ok(), y.is_ok(), "{x:?} {y:?}");
    let left = bed.git(&bed.work, &["for-each-ref", "--contains", &commit, "refs/heads"]);
    assert_eq!(left.lines().count(), 1, "{left}");
}
