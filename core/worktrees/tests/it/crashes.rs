//! The work stops after a step, as it would by SIGKILL; a new service recovers.

use podium_protocol::ErrorKind;
use podium_worktrees::Step;

use crate::bed::Bed;
use crate::removal::{full_tree, state_of, undo};

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_was_cut_off_is_finished_or_taken_back() {
    let steps = [
        (Step::RemoveIntent, false),
        (Step::RemoveBundled, false),
        (Step::RemoveTreeMoved, true),
        (Step::RemoveAdminMoved, true),
        (Step::RemoveBranchDeleted, true),
    ];
    for (step, finished) in steps {
        let mut bed = Bed::new();
        let path = full_tree(&bed).await;
        let before = state_of(&bed, &path);
        *bed.stop_at.lock().unwrap() = Some(step);
        assert_eq!(bed.remove("feat-x", true).await.unwrap_err().kind, ErrorKind::Internal, "{step:?}");
        assert!(bed.claim("feat-x", "a").await.is_err(), "{step:?}: half removed, but claimed");
        bed.restart().await;
        assert_eq!(path.exists(), !finished, "{step:?}");
        if finished {
            assert_eq!(bed.names().await, ["trunk-main"], "{step:?}");
            assert_eq!(bed.events("worktree.removed").await.len(), 1, "{step:?}");
            undo(&bed).await.unwrap();
        }
        assert_eq!(state_of(&bed, &path), before, "{step:?}");
        assert_eq!(bed.names().await, ["trunk-main", "feat-x"], "{step:?}");
        assert_eq!(bed.events("worktree.created").await.len(), 1, "{step:?}");
        bed.claim("feat-x", "a").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_was_cut_off_is_finished() {
    for step in [Step::UndoIntent, Step::UndoBranchMade, Step::UndoAdminMoved, Step::UndoTreeMoved] {
        let mut bed = Bed::new();
        let path = full_tree(&bed).await;
        let before = state_of(&bed, &path);
        bed.remove("feat-x", true).await.unwrap();
        *bed.stop_at.lock().unwrap() = Some(step);
        assert_eq!(undo(&bed).await.unwrap_err().kind, ErrorKind::Internal, "{step:?}");
        bed.restart().await;
        assert_eq!(state_of(&bed, &path), before, "{step:?}");
        assert_eq!(bed.names().await, ["trunk-main", "feat-x"], "{step:?}");
        assert_eq!(bed.events("worktree.restored").await.len(), 1, "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_was_cut_off_is_finished_when_whole_and_forgotten_when_not_begun() {
    let mut bed = Bed::new();
    *bed.stop_at.lock().unwrap() = Some(Step::CreateIntent);
    assert!(bed.try_create("early").await.is_err());
    *bed.stop_at.lock().unwrap() = Some(Step::CreateAdded);
    assert!(bed.try_create("late").await.is_err());
    bed.restart().await;
    assert_eq!(bed.names().await, ["trunk-main", "feat-late"]);
    assert_eq!(bed.events("worktree.created").await.len(), 1);
    assert!(bed.try_create("early").await.unwrap().created);
    assert!(!bed.try_create("late").await.unwrap().created);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_made_worktree_is_cleaned_up_with_its_branch() {
    let mut bed = Bed::new();
    *bed.stop_at.lock().unwrap() = Some(Step::CreateAdded);
    assert!(bed.try_create("x").await.is_err());
    // As git leaves it when it is killed while the files arrive.
    let admin = bed.work.join(".git/worktrees/feat-x");
    std::fs::rename(admin.join("index"), admin.join("index.lock")).unwrap();
    std::fs::write(admin.join("locked"), "initializing").unwrap();
    bed.restart().await;
    assert_eq!(bed.names().await, ["trunk-main"]);
    assert_eq!(bed.git(&bed.work, &["branch", "--list", "feat-x"]), "");
    assert!(!bed.root.join("work.worktrees/feat-x").exists());
    assert!(bed.try_create("x").await.unwrap().created);
}
