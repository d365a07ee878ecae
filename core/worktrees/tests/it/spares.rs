//! Spares: made, advanced, leased, and what a crash leaves of them.

use std::path::{Path, PathBuf};

use podium_protocol::{ErrorKind, WorktreeCreateParams, WorktreeCreated, WorktreeState};
use podium_worktrees::Step;

use crate::bed::{Bed, person};

/// A clone whose settings give it spares although it is small.
fn bed(spares: usize) -> Bed {
    let bed = Bed::new();
    settings(&bed, spares);
    bed
}

fn settings(bed: &Bed, spares: usize) {
    let folder = bed.work.join(".podium");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("[worktrees]\nspares = {spares}\nspares_min_files = 1\nfetch_fresh_seconds = 0\n");
    std::fs::write(folder.join("config.toml"), text).unwrap();
}

async fn tend(bed: &Bed) {
    let repo = bed.list().await[0].repo.id.clone();
    bed.service.tend_spares(&repo).await.unwrap();
}

fn folder(bed: &Bed) -> PathBuf {
    bed.root.join("work.worktrees/.spares")
}

fn spares(bed: &Bed) -> Vec<PathBuf> {
    let entries = folder(bed).read_dir().into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Commits that the spares have checked out.
fn heads(bed: &Bed) -> Vec<String> {
    spares(bed).iter().map(|path| bed.git(path, &["rev-parse", "HEAD"]).trim().to_owned()).collect()
}

/// Another clone pushes to trunk; gives the commit.
fn push(bed: &Bed, file: &str) -> String {
    let other = bed.root.join("other");
    if !other.exists() {
        bed.git(&bed.root, &["clone", "-q", "origin.git", "other"]);
    }
    let newest = bed.commit(&other, file, "new\n");
    bed.git(&other, &["push", "-q"]);
    newest
}

/// What git has, and what is in order: nothing dangling, nothing half made, nothing that only one side knows.
async fn consistent(bed: &Bed, what: &str) {
    bed.git(&bed.work, &["fsck", "--strict"]);
    let listed = bed.git(&bed.work, &["worktree", "list", "--porcelain"]);
    assert!(!listed.contains("prunable"), "{what}: {listed}");
    let mut git: Vec<PathBuf> =
        listed.lines().filter_map(|line| line.strip_prefix("worktree ")).map(PathBuf::from).collect();
    let mut ours: Vec<PathBuf> = bed.list().await.iter().map(|tree| PathBuf::from(&tree.path)).collect();
    ours.extend(spares(bed));
    git.sort();
    ours.sort();
    assert_eq!(git, ours, "{what}");
    for path in git.iter().filter(|path| **path != bed.work) {
        assert_eq!(bed.git(path, &["status", "--porcelain"]), "", "{what}: {}", path.display());
    }
}

fn is_whole(bed: &Bed, made: &WorktreeCreated, at: &str) {
    let path = Path::new(&made.worktree.path);
    assert_eq!(bed.git(path, &["rev-parse", "HEAD"]).trim(), at);
    let branch = made.worktree.branch.as_deref().unwrap();
    assert_eq!(bed.git(path, &["branch", "--show-current"]).trim(), branch);
    assert_eq!(bed.git(path, &["status", "--porcelain"]), "");
    let status = made.worktree.status.clone().unwrap();
    assert_eq!((status.is_dirty(), status.ahead, status.behind), (false, 0, 0));
    assert_eq!(made.worktree.last_commit.as_ref().unwrap().id, at);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spare_becomes_the_worktree_and_another_takes_its_place() {
    let bed = bed(2);
    tend(&bed).await;
    assert_eq!(spares(&bed).len(), 2);
    assert_eq!(bed.names().await, ["trunk-main"], "spares show in no list");
    let trunk = bed.git(&bed.work, &["rev-parse", "main"]).trim().to_owned();
    let made = bed.create("x").await;
    assert!(made.from_spare && made.created, "{made:?}");
    assert_eq!(Path::new(&made.worktree.path), bed.root.join("work.worktrees/feat-x"));
    is_whole(&bed, &made, &trunk);
    assert_eq!(bed.names().await, ["trunk-main", "feat-x"]);
    assert_eq!(bed.events("worktree.created").await.len(), 1);
    consistent(&bed, "after a lease").await;
    tend(&bed).await;
    assert_eq!(spares(&bed).len(), 2);
    // A worktree like any other: removed, and brought back.
    bed.claim("feat-x", "a").await.unwrap();
    bed.release("feat-x", "a").await.unwrap();
    bed.remove("feat-x", false).await.unwrap();
    crate::removal::undo(&bed).await.unwrap();
    consistent(&bed, "after an undo").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spares_follow_trunk_and_a_stale_one_is_never_handed_out_as_fresh() {
    let bed = bed(1);
    tend(&bed).await;
    let second = push(&bed, "b.txt");
    bed.git(&bed.work, &["fetch", "-q"]);
    tend(&bed).await;
    assert_eq!(heads(&bed), std::slice::from_ref(&second));
    // Fetched by the creation itself: the spare is behind, and catches up before it is handed out.
    let third = push(&bed, "c.txt");
    let made = bed.create("x").await;
    assert!(made.from_spare);
    is_whole(&bed, &made, &third);
    assert!(Path::new(&made.worktree.path).join("c.txt").exists());
    // From another commit.
    tend(&bed).await;
    let params = WorktreeCreateParams {
        at: bed.at(),
        name: Some("old".into()),
        from: Some(second.clone()),
        ..Default::default()
    };
    let made = bed.service.create(params, &person()).await.unwrap();
    assert!(made.from_spare);
    assert_eq!(bed.git(Path::new(&made.worktree.path), &["rev-parse", "HEAD"]).trim(), second);
    assert_eq!(made.worktree.status.unwrap().behind, 1);
    consistent(&bed, "from an older commit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_repositories_and_those_that_want_none_have_no_spares() {
    let bed = Bed::new();
    tend(&bed).await;
    assert_eq!(spares(&bed), [] as [PathBuf; 0], "one file is not worth a spare");
    settings(&bed, 2);
    tend(&bed).await;
    assert_eq!(spares(&bed).len(), 2);
    settings(&bed, 1);
    tend(&bed).await;
    assert_eq!(spares(&bed).len(), 1);
    settings(&bed, 0);
    tend(&bed).await;
    assert_eq!(spares(&bed), [] as [PathBuf; 0]);
    consistent(&bed, "without spares").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spares_survive_a_restart_and_one_that_was_touched_is_replaced() {
    let mut bed = bed(2);
    tend(&bed).await;
    let before = spares(&bed);
    bed.restart().await;
    tend(&bed).await;
    assert_eq!(spares(&bed), before);
    // Somebody commits in one and switches another to a branch.
    bed.commit(&before[0], "mine.txt", "mine\n");
    bed.git(&before[1], &["switch", "-qc", "theirs"]);
    bed.restart().await;
    tend(&bed).await;
    assert!(!before[0].exists() && before[1].exists(), "what is on a branch is somebody's");
    assert!(bed.create("x").await.from_spare);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_path_is_told_and_the_spare_stays() {
    let bed = bed(1);
    tend(&bed).await;
    let path = bed.root.join("work.worktrees/feat-x");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("mine"), "precious").unwrap();
    assert_eq!(bed.try_create("x").await.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(std::fs::read_to_string(path.join("mine")).unwrap(), "precious");
    assert!(bed.create("y").await.from_spare);
    assert_eq!(bed.git(&bed.work, &["branch", "--list", "feat-x"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_worktree_s_hook_runs_in_it_as_git_runs_it() {
    let bed = bed(1);
    tend(&bed).await;
    let hook = bed.work.join(".git/hooks/post-checkout");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho \"$1 $3 $(pwd)\" >> \"$(git rev-parse --git-common-dir)/ran\"\n")
        .unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (spare, cold) = (bed.create("x").await, bed.create("y").await);
    assert!(spare.from_spare && !cold.from_spare);
    let ran = std::fs::read_to_string(bed.work.join(".git/ran")).unwrap();
    let zero = "0".repeat(40);
    let expected = format!("{zero} 1 {}\n{zero} 1 {}\n", spare.worktree.path, cold.worktree.path);
    assert_eq!(ran, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirteen_at_once_take_the_spares_and_make_the_rest() {
    let bed = bed(3);
    tend(&bed).await;
    let tasks: Vec<_> = (0..13)
        .map(|i| {
            let params =
                WorktreeCreateParams { at: bed.at(), name: Some(format!("n{i}")), ..Default::default() };
            let service = bed.service.clone();
            tokio::spawn(async move { service.create(params, &person()).await })
        })
        .collect();
    let mut from_spares = 0;
    for task in tasks {
        let made = task.await.unwrap().unwrap();
        assert!(made.created);
        from_spares += usize::from(made.from_spare);
    }
    assert_eq!(from_spares, 3);
    assert_eq!(bed.list().await.len(), 14);
    consistent(&bed, "thirteen at once").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spare_whose_making_was_cut_off_is_deleted_and_made_anew() {
    for step in [Step::SpareIntent, Step::SpareAdded, Step::SpareFilled] {
        let mut bed = bed(1);
        let repo = bed.list().await[0].repo.id.clone();
        *bed.stop_at.lock().unwrap() = Some(step);
        assert!(bed.service.tend_spares(&repo).await.is_err(), "{step:?}");
        bed.restart().await;
        tend(&bed).await;
        assert_eq!(spares(&bed).len(), 1, "{step:?}");
        consistent(&bed, &format!("{step:?}")).await;
        assert!(bed.create("x").await.from_spare, "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spare_whose_advance_or_deletion_was_cut_off_ends_at_trunk_or_not_at_all() {
    for step in [Step::SpareAdvancing, Step::SpareAdvanced, Step::SpareGone] {
        let mut bed = bed(1);
        tend(&bed).await;
        let repo = bed.list().await[0].repo.id.clone();
        if step == Step::SpareGone {
            settings(&bed, 0);
        } else {
            push(&bed, "b.txt");
            bed.git(&bed.work, &["fetch", "-q"]);
        }
        *bed.stop_at.lock().unwrap() = Some(step);
        assert!(bed.service.tend_spares(&repo).await.is_err(), "{step:?}");
        bed.restart().await;
        tend(&bed).await;
        let trunk = bed.git(&bed.work, &["rev-parse", "origin/main"]).trim().to_owned();
        let expected = if step == Step::SpareGone { vec![] } else { vec![trunk] };
        assert_eq!(heads(&bed), expected, "{step:?}");
        consistent(&bed, &format!("{step:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_cut_off_is_finished_or_taken_back() {
    let steps = [
        (Step::LeaseIntent, false),
        (Step::LeaseMoved, false),
        (Step::LeaseLinked, false),
        (Step::LeaseAdvanced, false),
        (Step::LeaseSwitched, true),
    ];
    for (step, finished) in steps {
        let mut bed = bed(1);
        tend(&bed).await;
        if step == Step::LeaseAdvanced {
            push(&bed, "b.txt");
        }
        *bed.stop_at.lock().unwrap() = Some(step);
        assert!(bed.try_create("x").await.is_err(), "{step:?}");
        bed.restart().await;
        let expected: &[&str] = if finished { &["trunk-main", "feat-x"] } else { &["trunk-main"] };
        assert_eq!(bed.names().await, expected, "{step:?}");
        let branch = bed.git(&bed.work, &["branch", "--list", "feat-x"]);
        assert_eq!(branch.is_empty(), !finished, "{step:?}: {branch}");
        tend(&bed).await;
        consistent(&bed, &format!("{step:?}")).await;
        let made = bed.create("x").await;
        assert_eq!((made.created, made.from_spare), (!finished, !finished), "{step:?}");
        assert_eq!(bed.events("worktree.created").await.len(), 1, "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_creation_that_was_cut_off_leaves_nothing_half() {
    for (step, finished) in
        [(Step::CreateIntent, false), (Step::CreateRegistered, false), (Step::CreateAdded, true)]
    {
        let mut bed = bed(0);
        *bed.stop_at.lock().unwrap() = Some(step);
        assert!(bed.try_create("x").await.is_err(), "{step:?}");
        bed.restart().await;
        let expected: &[&str] = if finished { &["trunk-main", "feat-x"] } else { &["trunk-main"] };
        assert_eq!(bed.names().await, expected, "{step:?}");
        assert_eq!(bed.git(&bed.work, &["branch", "--list", "feat-x"]).is_empty(), !finished, "{step:?}");
        consistent(&bed, &format!("{step:?}")).await;
        assert_eq!(bed.create("x").await.created, !finished, "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_whose_files_arrive_is_shown_as_filling() {
    let bed = bed(0);
    bed.list().await;
    // A filter that waits for the test holds the files up.
    let (gate, begun) = (bed.root.join("gate"), bed.root.join("begun"));
    bed.commit(&bed.work, ".gitattributes", "*.txt filter=slow\n");
    let script =
        format!("touch {}; while [ ! -e {} ]; do sleep 0.01; done; cat", begun.display(), gate.display());
    bed.git(&bed.work, &["config", "filter.slow.smudge", &script]);
    let params = WorktreeCreateParams { at: bed.at(), name: Some("x".into()), ..Default::default() };
    let service = bed.service.clone();
    let making = tokio::spawn(async move { service.create(params, &person()).await });
    while !begun.exists() {
        tokio::task::yield_now().await;
    }
    let listed = bed.list().await;
    let filling = listed.iter().find(|tree| tree.name == "feat-x").unwrap().clone();
    assert_eq!((filling.state, filling.status), (WorktreeState::Filling, None));
    assert!(bed.claim("feat-x", "a").await.is_err(), "nobody can have it yet");
    std::fs::write(&gate, "").unwrap();
    let made = making.await.unwrap().unwrap();
    assert_eq!((made.worktree.id, made.worktree.state), (filling.id, WorktreeState::Ready));
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_a_repository_takes_its_spares_away() {
    let bed = bed(2);
    tend(&bed).await;
    let params = podium_protocol::RepoForgetParams { at: bed.at(), ..Default::default() };
    bed.service.forget(params, &person()).await.unwrap();
    assert!(!folder(&bed).exists());
    assert_eq!(bed.git(&bed.work, &["worktree", "list"]).lines().count(), 1);
}
