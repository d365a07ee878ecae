use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use podium_protocol::{
    ErrorKind, UndoListParams, WorktreeRemoveParams, WorktreeState, WorktreeUndoParams, WorktreeUndone,
};

use crate::bed::{Bed, agent, person};

pub(crate) async fn undo(bed: &Bed) -> Result<WorktreeUndone, podium_protocol::WireError> {
    bed.service.undo(WorktreeUndoParams { at: bed.at(), id: None }, &person()).await
}

/// A tree with every kind of content, and a commit that nobody else has.
pub(crate) async fn full_tree(bed: &Bed) -> PathBuf {
    let path = PathBuf::from(bed.create("x").await.worktree.path);
    bed.commit(&path, "mine.txt", "only here\n");
    std::fs::write(path.join(".gitignore"), "ignored.txt\n").unwrap();
    bed.commit(&path, "more.txt", "more\n");
    std::fs::write(path.join("ignored.txt"), "ignored\n").unwrap();
    std::fs::write(path.join("a.txt"), "staged\n").unwrap();
    bed.git(&path, &["add", "a.txt"]);
    std::fs::write(path.join("a.txt"), "modified after\n").unwrap();
    std::fs::write(path.join(OsStr::from_bytes(b"odd-\xff")), "untracked\n").unwrap();
    path
}

/// Everything a person could miss: status, staged content, ignored files, commits.
pub(crate) fn state_of(bed: &Bed, path: &Path) -> [String; 4] {
    [
        bed.git(path, &["status", "--porcelain=v2", "--branch", "--ignored"]),
        bed.git(path, &["show", ":a.txt"]),
        std::fs::read_to_string(path.join("ignored.txt")).unwrap(),
        bed.git(path, &["log", "--format=%H %s"]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_worktree_goes_with_its_branch_and_comes_back() {
    let bed = Bed::new();
    let made = bed.create("x").await.worktree;
    let removed = bed.remove("feat-x", false).await.unwrap();
    assert!(removed.branch_deleted);
    assert!(!Path::new(&made.path).exists());
    assert_eq!(bed.git(&bed.work, &["branch", "--list", "feat-x"]), "");
    assert_eq!(bed.git(&bed.work, &["worktree", "list"]).lines().count(), 1);
    assert_eq!(bed.names().await, ["trunk-main"]);
    assert_eq!(bed.events("worktree.removed").await[0].data["undo"], removed.undo);
    let back = undo(&bed).await.unwrap();
    assert_eq!((back.undo, back.worktree.id.as_str()), (removed.undo, made.id.as_str()));
    assert_eq!(bed.git(Path::new(&made.path), &["status", "--porcelain", "--branch"]).trim(), "## feat-x");
    assert_eq!(bed.events("worktree.restored").await.len(), 1);
    assert_eq!(undo(&bed).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_content_comes_back_even_after_the_objects_were_collected() {
    let bed = Bed::new();
    let path = full_tree(&bed).await;
    let before = state_of(&bed, &path);
    assert_eq!(bed.remove("feat-x", false).await.unwrap_err().kind, ErrorKind::Conflict);
    assert!(bed.remove("feat-x", true).await.unwrap().branch_deleted);
    assert_eq!(bed.git(&bed.work, &["for-each-ref", "refs/podium"]), "");
    bed.git(&bed.work, &["reflog", "expire", "--expire=now", "--all"]);
    bed.git(&bed.work, &["gc", "-q", "--prune=now"]);
    undo(&bed).await.unwrap();
    assert_eq!(state_of(&bed, &path), before);
    assert!(!bed.work.join(".git/podium/trash").read_dir().unwrap().any(|_| true));
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_found_nowhere_else_and_changes_keep_a_worktree() {
    let bed = Bed::new();
    let path = PathBuf::from(bed.create("x").await.worktree.path);
    bed.commit(&path, "b.txt", "b");
    let error = bed.remove("feat-x", false).await.unwrap_err();
    assert!(error.message.contains("1 commit found nowhere else"), "{error}");
    bed.git(&path, &["push", "-q", "origin", "feat-x"]);
    std::fs::write(path.join("new"), "precious").unwrap();
    let error = bed.remove("feat-x", false).await.unwrap_err();
    assert!(error.message.contains("uncommitted"), "{error}");
    std::fs::remove_file(path.join("new")).unwrap();
    bed.remove("feat-x", false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_branch_keeps_its_commits() {
    let bed = Bed::new();
    let path = PathBuf::from(bed.create("x").await.worktree.path);
    let head = bed.commit(&path, "b.txt", "b");
    let params = WorktreeRemoveParams {
        at: bed.at(),
        name: Some("feat-x".into()),
        keep_branch: true,
        ..Default::default()
    };
    assert!(!bed.service.remove(params, &person()).await.unwrap().branch_deleted);
    assert_eq!(bed.git(&bed.work, &["rev-parse", "feat-x"]).trim(), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_worktree_and_claimed_ones_stay() {
    let bed = Bed::new();
    bed.create("x").await;
    assert_eq!(bed.remove("trunk-main", true).await.unwrap_err().kind, ErrorKind::Conflict);
    let token = bed.claim("feat-x", "a").await.unwrap().token;
    assert_eq!(bed.remove("feat-x", false).await.unwrap_err().owner.unwrap().agent_id, "a");
    let own = |token, force| WorktreeRemoveParams {
        at: bed.at(),
        name: Some("feat-x".into()),
        token,
        force,
        ..Default::default()
    };
    let caller = agent("a", "s");
    assert_eq!(bed.service.remove(own(None, false), &caller).await.unwrap_err().kind, ErrorKind::User);
    assert_eq!(bed.service.remove(own(Some(token), true), &caller).await.unwrap_err().kind, ErrorKind::User);
    assert_eq!(
        bed.service.remove(own(Some(token + 1), false), &caller).await.unwrap_err().kind,
        ErrorKind::Conflict
    );
    bed.service.remove(own(Some(token), false), &caller).await.unwrap();
    let back = undo(&bed).await.unwrap().worktree;
    assert_eq!(back.claim, None);
    assert_eq!(bed.lock_of("feat-x"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_path_or_branch_is_told_and_nothing_is_lost() {
    let bed = Bed::new();
    let path = PathBuf::from(bed.create("x").await.worktree.path);
    bed.remove("feat-x", false).await.unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = undo(&bed).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    std::fs::remove_dir(&path).unwrap();
    bed.git(&bed.work, &["switch", "-qc", "feat-x"]);
    let other = bed.commit(&bed.work, "b.txt", "b");
    let error = undo(&bed).await.unwrap_err();
    assert!(error.message.contains(&other[..8]), "{error}");
    bed.git(&bed.work, &["branch", "-qm", "renamed"]);
    undo(&bed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_used_again_meanwhile_does_not_stop_the_undo() {
    let bed = Bed::new();
    let path = PathBuf::from(bed.create("x").await.worktree.path);
    std::fs::write(path.join("untracked"), "precious").unwrap();
    bed.remove("feat-x", true).await.unwrap();
    // Git gives the admin folder `feat-x` to somebody else.
    bed.git(&bed.work, &["worktree", "add", "-q", "-b", "other", "../feat-x"]);
    bed.names().await;
    let back = undo(&bed).await.unwrap().worktree;
    assert_eq!(back.name, "feat-x-2");
    assert_eq!(bed.git(&path, &["status", "--porcelain"]).trim(), "?? untracked");
    assert_eq!(bed.git(&bed.work, &["worktree", "list"]).lines().count(), 3);
    assert_eq!(bed.names().await, ["trunk-main", "feat-x", "feat-x-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_trash_is_deleted_read_only_folders_too() {
    use std::os::unix::fs::PermissionsExt;
    let bed = Bed::new();
    let path = PathBuf::from(bed.create("x").await.worktree.path);
    std::fs::create_dir(path.join("ro")).unwrap();
    std::fs::write(path.join("ro/file"), "x").unwrap();
    std::fs::set_permissions(path.join("ro"), PermissionsExt::from_mode(0o555)).unwrap();
    bed.remove("feat-x", true).await.unwrap();
    bed.service.purge_trash().await;
    assert!(bed.work.join(".git/podium/trash").read_dir().unwrap().any(|_| true));
    bed.clock.fetch_add(31 * 86_400_000, Ordering::SeqCst);
    bed.service.purge_trash().await;
    assert!(!bed.work.join(".git/podium/trash").read_dir().unwrap().any(|_| true));
    assert_eq!(undo(&bed).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trash_above_its_quota_loses_the_oldest_removals_and_never_those_of_the_last_day() {
    const DAY: i64 = 86_400_000;
    let bed = Bed::new();
    let remove = async |name: &str| {
        let made = bed.create(name).await.worktree;
        std::fs::write(Path::new(&made.path).join("big"), vec![7; 700_000]).unwrap();
        bed.clock.fetch_add(1_000, Ordering::SeqCst);
        bed.remove(&made.name, true).await.unwrap().undo
    };
    let mut undos = Vec::new();
    for name in ["a", "b", "c"] {
        undos.push(remove(name).await);
        bed.clock.fetch_add(2 * DAY, Ordering::SeqCst);
    }
    bed.service.purge_trash().await;
    assert_eq!(
        kept(&bed).await,
        [2, 1, 0].map(|undo: usize| undos[undo].clone()),
        "the usual quota is far away"
    );
    bed.configure("[worktrees]\ntrash_quota_mb = 1\n");
    undos.push(remove("d").await);
    undos.push(remove("e").await);
    bed.service.purge_trash().await;
    assert_eq!(
        kept(&bed).await,
        [4, 3].map(|undo: usize| undos[undo].clone()),
        "those of today are above it, and stay"
    );
    bed.clock.fetch_add(2 * DAY, Ordering::SeqCst);
    bed.service.purge_trash().await;
    assert_eq!(kept(&bed).await, [undos[4].clone()], "within it");
    assert_eq!(bed.work.join(".git/podium/trash").read_dir().unwrap().count(), 1);
    let gone = WorktreeUndoParams { at: bed.at(), id: Some(undos[0].clone()) };
    assert_eq!(bed.service.undo(gone, &person()).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(undo(&bed).await.unwrap().worktree.name, "feat-e");
}

/// Removals that can be brought back, newest first.
async fn kept(bed: &Bed) -> Vec<String> {
    let list = bed.service.undos(UndoListParams { at: bed.at() }, &person()).await.unwrap();
    list.undos.into_iter().map(|undo| undo.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_deleted_by_hand_comes_back_as_far_as_git_knows_it_and_the_rest_is_said_to_be_gone() {
    let bed = Bed::new();
    let path = full_tree(&bed).await;
    let log = bed.git(&path, &["log", "--format=%H %s"]);
    std::fs::remove_dir_all(&path).unwrap();
    bed.remove("feat-x", true).await.unwrap();
    for args in [&["reflog", "expire", "--expire=now", "--all"][..], &["gc", "-q", "--prune=now"]] {
        bed.git(&bed.work, args);
    }
    let back = undo(&bed).await.unwrap();
    assert_eq!(back.notes.len(), 1, "{:?}", back.notes);
    assert!(back.notes[0].contains("neither committed nor staged"), "{:?}", back.notes);
    assert_eq!(back.worktree.state, WorktreeState::Ready);
    assert_eq!(bed.git(&path, &["log", "--format=%H %s"]), log);
    assert_eq!(bed.git(&path, &["status", "--porcelain"]), "M  a.txt\n");
    assert_eq!(std::fs::read_to_string(path.join("a.txt")).unwrap(), "staged\n");
    assert!(!path.join("ignored.txt").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_tree_comes_back_without_a_word_about_losses() {
    let bed = Bed::new();
    bed.create("x").await;
    bed.remove("feat-x", false).await.unwrap();
    assert_eq!(undo(&bed).await.unwrap().notes, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_at_work_keeps_its_worktree_and_is_interrupted_by_force_alone() {
    let bed = Bed::new();
    let made = bed.create("x").await.worktree;
    bed.workers.0.lock().unwrap().insert("s-1".to_owned(), made.id.clone());
    bed.workers.0.lock().unwrap().insert("s-2".to_owned(), "elsewhere".to_owned());
    let error = bed.remove("feat-x", false).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("session s-1 works in worktree `feat-x`"), "{error}");
    assert!(error.hints.iter().any(|hint| hint.contains("--force")), "{error:?}");
    assert!(Path::new(&made.path).is_dir());
    let removed = bed.remove("feat-x", true).await.unwrap();
    assert_eq!(removed.interrupted, ["s-1"]);
    let left: Vec<String> = bed.workers.0.lock().unwrap().keys().cloned().collect();
    assert_eq!(left, ["s-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_refused_in_any_case_interrupts_nobody() {
    let bed = Bed::new();
    let main = bed.list().await.remove(0);
    bed.workers.0.lock().unwrap().insert("s-1".to_owned(), main.id.clone());
    let error = bed.remove(&main.name, true).await.unwrap_err();
    assert!(error.message.contains("main worktree"), "{error}");
    assert_eq!(bed.workers.0.lock().unwrap().len(), 1);
}
