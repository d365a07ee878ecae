use podium_protocol::{ErrorKind, WorktreeState};

use crate::bed::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn worktrees_made_moved_and_removed_by_git_are_followed() {
    let bed = Bed::new();
    bed.names().await;
    bed.git(&bed.work, &["worktree", "add", "-q", "-b", "b", "../fix-b"]);
    assert_eq!(bed.names().await, ["trunk-main", "fix-b"]);
    let made = bed.events("worktree.created").await;
    assert_eq!(made[0].data["origin"], "outside");
    assert_eq!(bed.list().await[1].kind, "fix");
    bed.git(&bed.work, &["worktree", "move", "../fix-b", "../moved"]);
    let list = bed.list().await;
    assert_eq!(list[1].name, "fix-b");
    assert!(list[1].path.ends_with("/moved"));
    assert_eq!(bed.events("worktree.moved").await.len(), 1);
    bed.git(&bed.root.join("moved"), &["switch", "-qc", "other"]);
    assert_eq!(bed.list().await[1].branch.as_deref(), Some("other"));
    bed.git(&bed.work, &["worktree", "remove", "../moved"]);
    assert_eq!(bed.names().await, ["trunk-main"]);
    let gone = bed.events("worktree.removed").await;
    assert_eq!(gone[0].data["origin"], "outside");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_made_outside_can_be_claimed_at_once() {
    let bed = Bed::new();
    bed.names().await;
    bed.git(&bed.work, &["worktree", "add", "-q", "-b", "b", "../b"]);
    assert_eq!(bed.claim("b", "a").await.unwrap().worktree, "b");
    assert!(bed.lock_of("b").unwrap().starts_with("podium: claimed by a (token 1) on here since "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_folder_shows_as_missing_until_git_forgets_it() {
    let bed = Bed::new();
    let made = bed.create("x").await.worktree;
    std::fs::remove_dir_all(&made.path).unwrap();
    assert_eq!(bed.list().await[1].state, WorktreeState::Missing);
    assert_eq!(bed.try_create("x").await.unwrap_err().kind, ErrorKind::Conflict);
    bed.remove("feat-x", false).await.unwrap();
    assert_eq!(bed.names().await, ["trunk-main"]);
    assert!(bed.try_create("x").await.unwrap().created);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_somebody_else_stays_and_refuses_claims() {
    let bed = Bed::new();
    bed.create("x").await;
    bed.git(&bed.work, &["worktree", "lock", "--reason", "on a stick", "../work.worktrees/feat-x"]);
    let error = bed.claim("feat-x", "a").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("on a stick"), "{error}");
    assert_eq!(bed.remove("feat-x", true).await.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(bed.lock_of("feat-x").unwrap().trim(), "on a stick");
    assert!(bed.events("worktree.claimed").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_a_loss_of_power_emptied_is_mended_and_one_made_without_a_reason_stays() {
    let mut bed = Bed::new();
    bed.create("x").await;
    let lock = bed.work.join(".git/worktrees/feat-x/locked");
    bed.claim("feat-x", "a").await.unwrap();
    std::fs::write(&lock, "").unwrap();
    bed.restart().await;
    assert!(bed.lock_of("feat-x").unwrap().contains("claimed by a"));
    bed.release("feat-x", "a").await.unwrap();
    // As of a time before the release, which removed the file; but the removal was lost too.
    let file = std::fs::File::create(&lock).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(60)).unwrap();
    bed.restart().await;
    assert_eq!(bed.lock_of("feat-x"), None);
    bed.git(&bed.work, &["worktree", "lock", "../work.worktrees/feat-x"]);
    bed.restart().await;
    assert_eq!(bed.lock_of("feat-x").unwrap(), "");
    assert_eq!(bed.claim("feat-x", "a").await.unwrap_err().kind, ErrorKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_deleted_is_forgotten_at_the_next_start() {
    let mut bed = Bed::new();
    bed.create("x").await;
    std::fs::remove_dir_all(&bed.work).unwrap();
    bed.restart().await;
    assert!(bed.service.repos().await.unwrap().repos.is_empty());
    assert_eq!(bed.events("worktree.removed").await.len(), 2);
}
