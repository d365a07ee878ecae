//! Real Git LFS, sparse checkouts and SHA-256 repositories.

use std::path::{Path, PathBuf};
use std::process::Command;

use podium_protocol::{WorktreeCreateParams, WorktreeSubmodulesParams};

use crate::bed::{Bed, person};

/// A clone with one large file, whose content the remote has.
fn with_lfs() -> Bed {
    let found = Command::new("git").args(["lfs", "version"]).output();
    assert!(
        found.is_ok_and(|found| found.status.success()),
        "git-lfs is missing: `cargo xtask provision` installs it"
    );
    let bed = Bed::new();
    bed.git(&bed.work, &["lfs", "install", "--skip-repo"]);
    bed.git(&bed.work, &["lfs", "install", "--local"]);
    bed.git(&bed.work, &["lfs", "track", "*.bin"]);
    bed.commit(&bed.work, "big.bin", &"large ".repeat(20_000));
    bed.git(&bed.work, &["push", "-q", "origin", "main"]);
    bed
}

fn is_pointer(path: &Path) -> bool {
    std::fs::read_to_string(path).unwrap().starts_with("version https://git-lfs.github.com/spec/v1\n")
}

async fn fetch(bed: &Bed, name: &str) -> bool {
    let params = WorktreeSubmodulesParams { at: bed.at(), name: Some(name.to_owned()) };
    bed.service.submodules(params, &person()).await.unwrap().large_files
}

fn spares(bed: &Bed) -> Vec<PathBuf> {
    let entries = bed.root.join("work.worktrees/.spares").read_dir().into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

async fn tend(bed: &Bed, spares: usize) {
    std::fs::create_dir_all(bed.work.join(".podium")).unwrap();
    std::fs::write(bed.work.join(".git/info/exclude"), ".podium/\n").unwrap();
    let settings = format!("[worktrees]\nspares = {spares}\nspares_min_files = 1\n");
    std::fs::write(bed.work.join(".podium/config.toml"), settings).unwrap();
    let repo = bed.list().await[0].repo.id.clone();
    bed.service.tend_spares(&repo).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_are_pointers_in_a_new_worktree_until_they_are_asked_for() {
    let bed = with_lfs();
    assert!(!is_pointer(&bed.work.join("big.bin")));
    tend(&bed, 1).await;
    let (spare, cold) = (bed.create("spare").await, bed.create("cold").await);
    assert!(spare.from_spare && !cold.from_spare);
    for made in [spare, cold] {
        let file = Path::new(&made.worktree.path).join("big.bin");
        assert!(is_pointer(&file), "{}", made.worktree.name);
        assert_eq!(bed.git(Path::new(&made.worktree.path), &["status", "--porcelain"]), "");
        assert!(!made.worktree.status.unwrap().is_dirty());
        assert!(fetch(&bed, &made.worktree.name).await);
        assert_eq!(std::fs::read_to_string(&file).unwrap().len(), 120_000);
        let listed = bed.list().await;
        let tree = listed.iter().find(|tree| tree.name == made.worktree.name).unwrap();
        assert!(!tree.status.as_ref().unwrap().is_dirty(), "fetched is not changed: {tree:?}");
    }
    let params = WorktreeCreateParams {
        at: bed.at(),
        name: Some("whole".into()),
        with_submodules: true,
        ..Default::default()
    };
    let made = bed.service.create(params, &person()).await.unwrap();
    assert!(!is_pointer(&Path::new(&made.worktree.path).join("big.bin")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_with_large_files_goes_and_comes_back_with_them() {
    let bed = with_lfs();
    let made = bed.create("x").await.worktree;
    assert!(fetch(&bed, "feat-x").await);
    bed.remove("feat-x", false).await.unwrap();
    crate::removal::undo(&bed).await.unwrap();
    let path = Path::new(&made.path);
    assert_eq!(std::fs::read_to_string(path.join("big.bin")).unwrap().len(), 120_000);
    assert_eq!(bed.git(path, &["status", "--porcelain"]), "");
    let own = "mine ".repeat(10_000);
    bed.commit(path, "own.bin", &own);
    bed.remove("feat-x", true).await.unwrap();
    crate::removal::undo(&bed).await.unwrap();
    assert_eq!(std::fs::read_to_string(path.join("own.bin")).unwrap(), own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_checkout_stays_sparse_in_new_worktrees_and_has_no_spares() {
    let bed = Bed::new();
    for file in ["kept/in.txt", "left/out.txt"] {
        std::fs::create_dir_all(bed.work.join(file).parent().unwrap()).unwrap();
        bed.commit(&bed.work, file, "x\n");
    }
    bed.git(&bed.work, &["push", "-q", "origin", "main"]);
    bed.git(&bed.work, &["sparse-checkout", "set", "kept"]);
    assert!(!bed.work.join("left").exists());
    tend(&bed, 1).await;
    assert_eq!(spares(&bed), [] as [PathBuf; 0], "what a sparse checkout shows may change without a commit");
    let made = bed.create("x").await.worktree;
    let path = Path::new(&made.path);
    assert!(path.join("kept/in.txt").exists() && !path.join("left").exists(), "{}", path.display());
    assert_eq!(bed.git(path, &["status", "--porcelain"]), "");
    assert_eq!(bed.git(path, &["sparse-checkout", "list"]).trim(), "kept");
    // What is left out is not gone: a commit there keeps it.
    bed.commit(path, "kept/new.txt", "new\n");
    assert_eq!(bed.git(path, &["show", "HEAD:left/out.txt"]), "x\n");
    bed.remove(&made.name, true).await.unwrap();
    crate::removal::undo(&bed).await.unwrap();
    assert!(path.join("kept/new.txt").exists() && !path.join("left").exists());
    assert_eq!(bed.git(path, &["status", "--porcelain"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sha256_repository_has_spares_merges_and_undo_as_any_other() {
    let bed = Bed::empty();
    bed.git(&bed.root, &["init", "-q", "-b", "main", "--object-format=sha256", "work"]);
    bed.commit(&bed.work, "a.txt", "one\n");
    tend(&bed, 1).await;
    let made = bed.create("x").await;
    assert!(made.from_spare);
    let path = PathBuf::from(&made.worktree.path);
    let head = bed.commit(&path, "b.txt", "two\n");
    assert_eq!(head.len(), 64);
    std::fs::write(path.join("untracked"), "mine\n").unwrap();
    bed.remove("feat-x", true).await.unwrap();
    bed.git(&bed.work, &["reflog", "expire", "--expire=now", "--all"]);
    bed.git(&bed.work, &["gc", "-q", "--prune=now"]);
    crate::removal::undo(&bed).await.unwrap();
    assert_eq!(bed.git(&path, &["status", "--porcelain"]), "?? untracked\n");
    assert_eq!(bed.git(&path, &["rev-parse", "HEAD"]).trim(), head);
    std::fs::remove_file(path.join("untracked")).unwrap();
    let params = podium_protocol::WorktreeMergeParams {
        at: bed.at(),
        name: Some("feat-x".into()),
        ..Default::default()
    };
    assert_eq!(bed.service.merge(params, &person()).await.unwrap().new, head);
    crate::removal::undo(&bed).await.unwrap();
    assert_eq!(bed.git(&path, &["rev-parse", "HEAD"]).trim(), head);
    bed.git(&bed.work, &["fsck", "--strict"]);
}
