use std::path::{Path, PathBuf};

use podium_protocol::{
    ErrorKind, MergeMode, UndoKind, UndoListParams, WireError, WorktreeCloseParams, WorktreeMergeParams,
    WorktreeMerged,
};
use podium_worktrees::Step;

use crate::bed::{Bed, person};
use crate::removal::undo;

fn merging(bed: &Bed, name: &str) -> WorktreeMergeParams {
    WorktreeMergeParams { at: bed.at(), name: Some(name.to_owned()), ..Default::default() }
}

async fn merge(bed: &Bed, name: &str) -> Result<WorktreeMerged, WireError> {
    bed.service.merge(merging(bed, name), &person()).await
}

/// A worktree with one commit that trunk lacks.
async fn with_work(bed: &Bed, name: &str, file: &str) -> PathBuf {
    let path = PathBuf::from(bed.create(name).await.worktree.path);
    bed.commit(&path, file, "work\n");
    path
}

fn tip(bed: &Bed, branch: &str) -> String {
    bed.git(&bed.work, &["rev-parse", branch]).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_goes_into_trunk_where_that_is_checked_out_and_comes_out_again() {
    let bed = Bed::new();
    let path = with_work(&bed, "x", "b.txt").await;
    std::fs::write(path.join("untracked-later"), "").unwrap();
    assert_eq!(merge(&bed, "feat-x").await.unwrap_err().kind, ErrorKind::Conflict, "dirty");
    std::fs::remove_file(path.join("untracked-later")).unwrap();
    let before = tip(&bed, "main");
    let merged = merge(&bed, "feat-x").await.unwrap();
    assert_eq!((merged.mode, merged.commits, merged.removed), (MergeMode::FastForward, 1, true));
    assert!(bed.work.join("b.txt").exists() && !path.exists());
    assert_eq!(bed.git(&bed.work, &["status", "--porcelain"]), "");
    assert_eq!(bed.events("worktree.merged").await[0].data["undo"], merged.undo);
    let list = bed.service.undos(UndoListParams { at: bed.at() }, &person()).await.unwrap().undos;
    let kinds: Vec<UndoKind> = list.iter().map(|undo| undo.what).collect();
    assert_eq!(kinds.len(), 2);
    assert!(list.iter().any(|undo| undo.id == merged.undo));
    let back = undo(&bed).await.unwrap();
    assert_eq!((back.undo, back.worktree.name.as_str()), (merged.undo, "feat-x"));
    assert_eq!(tip(&bed, "main"), before);
    assert!(!bed.work.join("b.txt").exists() && path.join("b.txt").exists());
    assert_eq!(bed.git(&bed.work, &["for-each-ref", "refs/podium"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn trunk_that_moved_meanwhile_gets_a_merge_commit_and_one_that_is_asked_for_a_squashed_one() {
    let bed = Bed::new();
    with_work(&bed, "x", "b.txt").await;
    let path = with_work(&bed, "y", "c.txt").await;
    bed.commit(&path, "d.txt", "more\n");
    bed.commit(&bed.work, "trunk.txt", "meanwhile\n");
    assert_eq!(merge(&bed, "feat-x").await.unwrap().mode, MergeMode::Merge);
    assert_eq!(bed.git(&bed.work, &["rev-list", "--parents", "-1", "main"]).split_whitespace().count(), 3);
    let squash = WorktreeMergeParams { squash: true, ..merging(&bed, "feat-y") };
    let squashed = bed.service.merge(squash, &person()).await.unwrap();
    assert!(squashed.removed, "{:?}", squashed.notes);
    assert_eq!(bed.git(&bed.work, &["rev-list", "--parents", "-1", "main"]).split_whitespace().count(), 2);
    bed.git(&bed.work, &["reflog", "expire", "--expire=now", "--all"]);
    bed.git(&bed.work, &["gc", "-q", "--prune=now"]);
    undo(&bed).await.unwrap();
    assert_eq!(bed.git(&path, &["log", "--format=%s", "-2"]), "d.txt\nc.txt\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_told_with_their_files_and_change_nothing() {
    let bed = Bed::new();
    let path = PathBuf::from(bed.create("x").await.worktree.path);
    bed.commit(&path, "a.txt", "theirs\n");
    bed.commit(&bed.work, "a.txt", "ours\n");
    let before = (tip(&bed, "main"), tip(&bed, "feat-x"));
    let error = merge(&bed, "feat-x").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("a.txt"), "{error}");
    assert_eq!((tip(&bed, "main"), tip(&bed, "feat-x")), before);
    assert_eq!(bed.git(&bed.work, &["status", "--porcelain"]), "");
    assert!(bed.events("worktree.merged").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dirty_trunk_and_claims_of_others_refuse_a_merge() {
    let bed = Bed::new();
    with_work(&bed, "x", "b.txt").await;
    std::fs::write(bed.work.join("a.txt"), "precious\n").unwrap();
    assert_eq!(merge(&bed, "feat-x").await.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(std::fs::read_to_string(bed.work.join("a.txt")).unwrap(), "precious\n");
    bed.git(&bed.work, &["checkout", "-q", "a.txt"]);
    bed.claim("feat-x", "claude-1").await.unwrap();
    assert_eq!(merge(&bed, "feat-x").await.unwrap_err().owner.unwrap().agent_id, "claude-1");
    bed.release("feat-x", "claude-1").await.unwrap();
    bed.claim("trunk-main", "claude-2").await.unwrap();
    assert_eq!(merge(&bed, "feat-x").await.unwrap_err().owner.unwrap().agent_id, "claude-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn trunk_that_nobody_has_checked_out_is_moved_as_a_reference() {
    let bed = Bed::new();
    with_work(&bed, "x", "b.txt").await;
    bed.git(&bed.work, &["switch", "-qc", "elsewhere"]);
    let keep = WorktreeMergeParams { keep: true, ..merging(&bed, "feat-x") };
    let merged = bed.service.merge(keep, &person()).await.unwrap();
    assert!(!merged.removed);
    assert_eq!(tip(&bed, "main"), merged.new);
    assert!(!bed.work.join("b.txt").exists());
    bed.git(&bed.work, &["update-ref", "refs/heads/main", "elsewhere"]);
    assert_eq!(undo(&bed).await.unwrap_err().kind, ErrorKind::Conflict, "trunk is elsewhere");
    bed.git(&bed.work, &["update-ref", "refs/heads/main", &merged.new]);
    undo(&bed).await.unwrap();
    assert_eq!(tip(&bed, "main"), merged.old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_was_cut_off_is_finished_or_taken_back() {
    for (step, moved) in
        [(Step::MergeIntent, false), (Step::MergeTrunkMoved, true), (Step::MergeRecorded, true)]
    {
        let mut bed = Bed::new();
        let path = with_work(&bed, "x", "b.txt").await;
        let (old, new) = (tip(&bed, "main"), tip(&bed, "feat-x"));
        *bed.stop_at.lock().unwrap() = Some(step);
        assert!(merge(&bed, "feat-x").await.is_err(), "{step:?}");
        bed.restart().await;
        assert_eq!(tip(&bed, "main"), if moved { new } else { old }, "{step:?}");
        assert_eq!(bed.events("worktree.merged").await.len(), usize::from(moved), "{step:?}");
        assert!(path.join("b.txt").exists(), "{step:?}");
        assert_eq!(bed.git(&bed.work, &["status", "--porcelain"]), "", "{step:?}");
        bed.git(&bed.work, &["fsck", "--no-dangling"]);
        if moved {
            undo(&bed).await.unwrap();
        }
        merge(&bed, "feat-x").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undone_merge_that_was_cut_off_is_undone() {
    for step in [Step::UnmergeIntent, Step::UnmergeTrunkMoved, Step::UndoAdminMoved] {
        let mut bed = Bed::new();
        let path = with_work(&bed, "x", "b.txt").await;
        let old = tip(&bed, "main");
        merge(&bed, "feat-x").await.unwrap();
        *bed.stop_at.lock().unwrap() = Some(step);
        assert!(undo(&bed).await.is_err(), "{step:?}");
        bed.restart().await;
        assert_eq!(tip(&bed, "main"), old, "{step:?}");
        assert!(path.join("b.txt").exists(), "{step:?}");
        assert_eq!(bed.events("worktree.unmerged").await.len(), 1, "{step:?}");
        assert_eq!(bed.names().await, ["trunk-main", "feat-x"], "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_needs_the_work_in_trunk_in_whatever_form() {
    let bed = Bed::new();
    let path = with_work(&bed, "x", "b.txt").await;
    bed.git(&path, &["push", "-q", "origin", "feat-x"]);
    let close = |force| {
        let params =
            WorktreeCloseParams { at: bed.at(), name: Some("feat-x".into()), force, ..Default::default() };
        let service = bed.service.clone();
        async move { service.close(params, &person()).await }
    };
    let error = close(false).await.unwrap_err();
    assert!(error.message.contains("work that trunk has not"), "{error}");
    bed.git(&bed.work, &["merge", "-q", "--squash", "feat-x"]);
    bed.git(&bed.work, &["commit", "-qm", "squashed by hand"]);
    assert!(close(false).await.unwrap().branch_deleted);
    undo(&bed).await.unwrap();
    assert!(Path::new(&path).join("b.txt").exists());
    bed.commit(&path, "c.txt", "again\n");
    assert!(close(true).await.unwrap().branch_deleted);
    undo(&bed).await.unwrap();
    assert!(path.join("c.txt").exists());
}
