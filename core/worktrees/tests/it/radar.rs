//! The conflict radar: who conflicts with whom, and what is told of it.

use std::path::PathBuf;

use podium_protocol::{ConflictKind, ConflictPair, WorktreeConflictsParams};

use crate::bed::{Bed, PATIENCE, person};

const TEN: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";

async fn bed(names: &[&str]) -> Bed {
    let bed = Bed::new();
    bed.commit(&bed.work, "ten.txt", TEN);
    bed.git(&bed.work, &["push", "-q", "origin", "main"]);
    for name in names {
        bed.create(name).await;
    }
    bed
}

fn path(bed: &Bed, name: &str) -> PathBuf {
    bed.work.with_file_name("work.worktrees").join(format!("feat-{name}"))
}

fn edit(bed: &Bed, name: &str, from: &str, to: &str) {
    let file = path(bed, name).join("ten.txt");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, text.replace(from, to)).unwrap();
}

async fn pairs(bed: &Bed, name: Option<&str>) -> Vec<ConflictPair> {
    let params = WorktreeConflictsParams { at: bed.at(), name: name.map(str::to_owned) };
    let answer = bed.service.conflicts(params, &person()).await.unwrap();
    assert!(answer.up_to_date);
    answer.pairs
}

fn names(pairs: &[ConflictPair]) -> Vec<(&str, &str)> {
    pairs.iter().map(|pair| (pair.a.as_str(), pair.b.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn uncommitted_edits_of_one_line_conflict_until_one_is_taken_back() {
    let bed = bed(&["x", "y"]).await;
    assert_eq!(pairs(&bed, None).await, []);
    edit(&bed, "x", "5\n", "five\n");
    edit(&bed, "y", "5\n", "zero\nFIVE\n");
    bed.claim("feat-y", "claude-1").await.unwrap();
    let found = pairs(&bed, None).await;
    assert_eq!(names(&found), [("feat-x", "feat-y")]);
    assert_eq!((found[0].owner_a.as_deref(), found[0].owner_b.as_deref()), (None, Some("claude-1")));
    let file = &found[0].files[0];
    assert_eq!((file.path.as_str(), file.kind), ("ten.txt", ConflictKind::Content));
    assert_eq!((&file.ranges, &file.ranges_b), (&vec![[5, 5]], &vec![[5, 6]]));
    let listed = bed.list().await;
    let with =
        |name: &str| listed.iter().find(|worktree| worktree.name == name).unwrap().conflicts_with.clone();
    assert_eq!((with("feat-x"), with("feat-y")), (vec!["feat-y".to_owned()], vec!["feat-x".to_owned()]));
    assert_eq!(with("trunk-main"), Vec::<String>::new());
    edit(&bed, "y", "zero\nFIVE\n", "5\n");
    assert_eq!(pairs(&bed, None).await, []);
    assert!(bed.list().await.iter().all(|worktree| worktree.conflicts_with.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_of_a_conflict_is_told_once_and_a_restart_tells_nothing() {
    let mut bed = bed(&["x", "y"]).await;
    edit(&bed, "x", "5\n", "five\n");
    edit(&bed, "y", "5\n", "FIVE\n");
    pairs(&bed, None).await;
    pairs(&bed, None).await;
    bed.restart().await;
    let listed = bed.list().await;
    assert!(listed.iter().any(|worktree| worktree.conflicts_with == ["feat-y"]), "{listed:#?}");
    pairs(&bed, None).await;
    let events = bed.events("worktree.conflict").await;
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0].data["a"], &events[0].data["b"]), (&"feat-x".into(), &"feat-y".into()));
    assert_eq!(events[0].data["files"][0]["ranges"], serde_json::json!([[5, 5]]));
    edit(&bed, "y", "4\n", "FOUR\n");
    pairs(&bed, None).await;
    assert_eq!(bed.events("worktree.conflict").await.len(), 2);
    bed.remove("feat-y", true).await.unwrap();
    assert_eq!(pairs(&bed, None).await, []);
    let cleared = bed.events("worktree.conflict.cleared").await;
    assert_eq!(cleared.len(), 1);
    assert_eq!(cleared[0].data["files"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn work_conflicts_with_trunk_until_it_is_merged() {
    let bed = bed(&["x"]).await;
    edit(&bed, "x", "5\n", "five\n");
    let text = TEN.replace("5\n", "trunk\n");
    bed.commit(&bed.work, "ten.txt", &text);
    bed.git(&bed.work, &["push", "-q", "origin", "main"]);
    let found = pairs(&bed, Some("feat-x")).await;
    assert_eq!(names(&found), [("feat-x", "main")]);
    assert!(found[0].trunk && found[0].path_b.is_none());
    let at = path(&bed, "x");
    bed.git(&at, &["commit", "-qam", "five"]);
    assert_eq!(pairs(&bed, None).await.len(), 1);
    bed.git(&at, &["-c", "merge.conflictStyle=merge", "merge", "-q", "-X", "ours", "main"]);
    assert_eq!(pairs(&bed, None).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_worktree_takes_part_and_idle_worktrees_do_not() {
    let bed = bed(&["x", "idle"]).await;
    edit(&bed, "x", "5\n", "five\n");
    std::fs::write(bed.work.join("ten.txt"), TEN.replace("5\n", "main\n")).unwrap();
    assert_eq!(names(&pairs(&bed, None).await), [("trunk-main", "feat-x")]);
    assert_eq!(pairs(&bed, Some("feat-idle")).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_worktrees_that_change_one_line_make_all_pairs() {
    let all: Vec<String> = (0..20).map(|number| format!("n{number:02}")).collect();
    let bed = bed(&all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for name in &all {
        edit(&bed, name, "5\n", &format!("{name}\n"));
    }
    assert_eq!(pairs(&bed, None).await.len(), 190);
    edit(&bed, "n07", "n07\n", "5\n");
    let found = pairs(&bed, None).await;
    assert_eq!(found.len(), 171);
    assert!(found.iter().all(|pair| pair.a != "feat-n07" && pair.b != "feat-n07"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_is_told_without_being_asked() {
    let bed = bed(&["x", "y"]).await;
    let _observing = bed.observe();
    let service = bed.service.clone();
    let following = tokio::spawn(async move { service.follow_conflicts().await });
    edit(&bed, "x", "5\n", "five\n");
    assert_eq!(pairs(&bed, None).await, []);
    edit(&bed, "y", "5\n", "FIVE\n");
    assert_eq!(bed.events_come("worktree.conflict", 1).await.len(), 1);
    edit(&bed, "y", "FIVE\n", "5\n");
    assert_eq!(bed.events_come("worktree.conflict.cleared", 1).await.len(), 1);
    edit(&bed, "y", "5\n", "FIVE\n");
    assert_eq!(bed.events_come("worktree.conflict", 2).await.len(), 2);
    bed.git(&path(&bed, "y"), &["commit", "-qam", "five"]);
    bed.git(&path(&bed, "y"), &["reset", "-q", "--hard", "HEAD~"]);
    assert_eq!(bed.events_come("worktree.conflict.cleared", 2).await.len(), 2);
    following.abort();
    let _ = tokio::time::timeout(PATIENCE, following).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_without_a_commit_or_with_sha256_have_a_radar() {
    let bed = Bed::empty();
    bed.git(&bed.root, &["init", "-q", "-b", "main", "--object-format=sha256", "work"]);
    assert_eq!(pairs(&bed, None).await, []);
    bed.commit(&bed.work, "ten.txt", TEN);
    for name in ["x", "y"] {
        bed.create(name).await;
        edit(&bed, name, "5\n", &format!("{name}\n"));
    }
    assert_eq!(names(&pairs(&bed, None).await), [("feat-x", "feat-y")]);
}
