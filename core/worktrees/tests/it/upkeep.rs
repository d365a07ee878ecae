use std::path::PathBuf;
use std::sync::atomic::Ordering;

use podium_protocol::{
    ErrorKind, FindingKind, PruneReason, RepoDoctorParams, RepoReconcileParams, RepoRepairParams,
    TypeChangeParams, TypeListParams, WorktreeCreateParams, WorktreeDuParams, WorktreePruneParams,
    WorktreesPruned,
};

use crate::bed::{Bed, person};
use crate::removal::undo;

async fn prune(bed: &Bed, apply: bool) -> WorktreesPruned {
    let params = WorktreePruneParams { at: bed.at(), apply };
    bed.service.prune(params, &person()).await.unwrap()
}

async fn findings(bed: &Bed) -> Vec<FindingKind> {
    let params = RepoDoctorParams { at: bed.at() };
    let found = bed.service.diagnose(params, &person()).await.unwrap().findings;
    found.into_iter().map(|finding| finding.what).collect()
}

async fn path_of(bed: &Bed, name: &str) -> PathBuf {
    PathBuf::from(bed.create(name).await.worktree.path)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_nobody_needs_is_pruned_and_it_comes_back() {
    let bed = Bed::new();
    for name in ["merged", "dirty", "claimed", "ahead", "new", "gone"] {
        let path = path_of(&bed, name).await;
        if name != "new" {
            bed.commit(&path, &format!("{name}.txt"), "work\n");
        }
        if !matches!(name, "ahead" | "new") {
            bed.git(&bed.work, &["merge", "-q", "--no-edit", &format!("feat-{name}")]);
        }
    }
    let at = |name: &str| bed.root.join("work.worktrees").join(name);
    std::fs::write(at("feat-dirty").join("x"), "precious").unwrap();
    bed.claim("feat-claimed", "a").await.unwrap();
    std::fs::remove_dir_all(at("feat-gone")).unwrap();
    let told = prune(&bed, false).await;
    let mut names: Vec<&str> = told.pruned.iter().map(|pruned| pruned.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["feat-gone", "feat-merged"], "{told:?}");
    assert_eq!(told.kept.len(), 4, "{:?}", told.kept);
    assert_eq!(bed.names().await.len(), 7);
    let done = prune(&bed, true).await;
    assert!(done.pruned.iter().all(|pruned| pruned.undo.is_some()), "{done:?}");
    assert!(done.pruned.iter().any(|pruned| pruned.reason == PruneReason::Missing));
    assert!(!at("feat-merged").exists() && at("feat-dirty").join("x").exists() && at("feat-new").exists());
    undo(&bed).await.unwrap();
    bed.clock.fetch_add(2 * 86_400_000, Ordering::SeqCst);
    let later = prune(&bed, false).await;
    assert!(later.pruned.iter().any(|pruned| pruned.reason == PruneReason::Unused), "{later:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_worktree_that_was_moved_by_hand_is_found_again_with_its_claim() {
    let bed = Bed::new();
    let path = path_of(&bed, "x").await;
    bed.claim("feat-x", "a").await.unwrap();
    assert_eq!(findings(&bed).await, []);
    let moved = path.with_file_name("elsewhere");
    std::fs::rename(&path, &moved).unwrap();
    assert_eq!(findings(&bed).await, [FindingKind::MovedFolder]);
    let params = RepoRepairParams { at: bed.at(), ..Default::default() };
    let repaired = bed.service.repair(params, &person()).await.unwrap();
    assert_eq!(repaired.left, []);
    assert!(repaired.mended.iter().any(|line| line.contains("elsewhere")), "{:?}", repaired.mended);
    let found = bed.list().await.into_iter().find(|worktree| worktree.name == "feat-x").unwrap();
    assert_eq!(PathBuf::from(found.path), moved);
    assert_eq!(found.claim.unwrap().agent_id, "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_deleted_by_hand_while_claimed_is_told_and_wrong_locks_are_mended() {
    let bed = Bed::new();
    let path = path_of(&bed, "x").await;
    bed.claim("feat-x", "a").await.unwrap();
    std::fs::remove_file(bed.work.join(".git/worktrees/feat-x/locked")).unwrap();
    assert_eq!(findings(&bed).await, [FindingKind::WrongLock]);
    let params = RepoRepairParams { at: bed.at(), ..Default::default() };
    assert_eq!(bed.service.repair(params, &person()).await.unwrap().left, []);
    assert!(bed.lock_of("feat-x").unwrap().contains("claimed by a"));
    std::fs::remove_dir_all(&path).unwrap();
    assert_eq!(findings(&bed).await, [FindingKind::MissingFolder]);
    assert!(prune(&bed, true).await.pruned.is_empty(), "it is claimed");
    std::fs::create_dir_all(bed.work.join(".git/worktrees/half")).unwrap();
    assert!(findings(&bed).await.contains(&FindingKind::OrphanedAdmin));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_did_with_git_is_named() {
    let bed = Bed::new();
    path_of(&bed, "x").await;
    bed.git(&bed.work, &["worktree", "add", "-q", "-b", "topic", "../by-hand"]);
    bed.git(&bed.work, &["worktree", "remove", "../work.worktrees/feat-x"]);
    let params = RepoReconcileParams { at: bed.at() };
    let answer = bed.service.reconcile_now(params, &person()).await.unwrap();
    assert_eq!((answer.appeared, answer.gone), (vec!["by-hand".to_owned()], vec!["feat-x".to_owned()]));
    assert_eq!(answer.worktrees.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_is_counted_once_and_build_folders_are_told() {
    let bed = Bed::new();
    std::fs::write(bed.work.join(".gitignore"), "target/\n").unwrap();
    bed.commit(&bed.work, "b.txt", "b\n");
    let path = path_of(&bed, "x").await;
    bed.git(&path, &["reset", "-q", "--hard", "main"]);
    std::fs::create_dir(path.join("target")).unwrap();
    std::fs::write(path.join("target/big"), vec![7; 400_000]).unwrap();
    std::fs::hard_link(path.join("target/big"), path.join("target/again")).unwrap();
    std::fs::write(path_of(&bed, "old").await.join("big"), vec![7; 400_000]).unwrap();
    bed.remove("feat-old", true).await.unwrap();
    let params = WorktreeDuParams { at: bed.at() };
    let mut told = Vec::new();
    let on = |name: &str, done: usize, total: usize| told.push((name.to_owned(), done, total));
    let found = bed.service.disk_use(params, &person(), on).await.unwrap();
    assert_eq!(told[0], (String::new(), 0, 2), "how many there are is told before any is done");
    let mut names: Vec<&str> = told[1..].iter().map(|(name, ..)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!((names, told[2].1), (vec!["feat-x", "trunk-main"], 2));
    let x = found.worktrees.iter().find(|tree| tree.name == "feat-x").unwrap();
    assert!((400_000..700_000).contains(&x.ignored), "{x:?}");
    assert!(x.bytes >= x.ignored && found.trash >= 400_000, "{found:?}");
    let trees: u64 = found.worktrees.iter().map(|tree| tree.bytes).sum();
    assert_eq!(found.total, trees + found.trash + found.spares + found.objects);
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_data() {
    let bed = Bed::new();
    let change = |name: &str| TypeChangeParams { name: name.to_owned(), about: Some("words".to_owned()) };
    let create = || WorktreeCreateParams {
        at: bed.at(),
        kind: Some("docs".to_owned()),
        name: Some("intro".to_owned()),
        ..Default::default()
    };
    assert_eq!(bed.service.create(create(), &person()).await.unwrap_err().kind, ErrorKind::User);
    bed.service.add_type(change("docs")).await.unwrap();
    assert_eq!(bed.service.add_type(change("docs")).await.unwrap_err().kind, ErrorKind::Conflict);
    let made = bed.service.create(create(), &person()).await.unwrap().worktree;
    assert_eq!((made.name.as_str(), made.kind.as_str()), ("docs-intro", "docs"));
    assert_eq!(bed.service.remove_type(change("feat")).await.unwrap_err().kind, ErrorKind::User);
    bed.service.remove_type(change("docs")).await.unwrap();
    assert_eq!(bed.service.remove_type(change("docs")).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(bed.service.types(TypeListParams {}).await.unwrap().types.len(), 4);
    assert!(bed.names().await.contains(&"docs-intro".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_with_a_submodule_checked_out_goes_and_comes_back_whole() {
    let bed = Bed::new();
    bed.git(&bed.root, &["clone", "-q", "origin.git", "library"]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../library", "sub"];
    bed.git(&bed.work, &add);
    bed.git(&bed.work, &["commit", "-qm", "sub"]);
    let path = path_of(&bed, "x").await;
    bed.git(&path, &["reset", "-q", "--hard", "main"]);
    bed.git(&path, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init"]);
    let inner = bed.commit(&path.join("sub"), "inner.txt", "only here\n");
    assert_eq!(bed.remove("feat-x", false).await.unwrap_err().kind, ErrorKind::Conflict);
    bed.remove("feat-x", true).await.unwrap();
    assert!(!path.exists());
    bed.git(&bed.work, &["gc", "-q", "--prune=now"]);
    undo(&bed).await.unwrap();
    assert_eq!(bed.git(&path.join("sub"), &["rev-parse", "HEAD"]).trim(), inner);
    assert_eq!(std::fs::read_to_string(path.join("sub/inner.txt")).unwrap(), "only here\n");
}
