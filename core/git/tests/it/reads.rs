//! One suite over both backends and every shape of repository.

use std::path::{Path, PathBuf};

use podium_git::{
    Backend, Change, GitError, Head, InProgress, Repo, Status, TrunkSource, Untracked, WorktreeLocation,
};

use crate::support::{Lab, each_backend};

/// A clone of a repository of some shape, on branch `work` one commit ahead of and one behind `origin/main`.
struct Shape {
    name: &'static str,
    path: PathBuf,
    libgit2: bool,
}

fn shapes(lab: &Lab) -> Vec<Shape> {
    let formats: &[(&str, &[&str])] = &[
        ("normal", &[]),
        ("sha256", &["--object-format=sha256"]),
        ("reftable", &["--ref-format=reftable"]),
        ("partial", &[]),
        ("sparse", &[]),
    ];
    formats.iter().map(|(name, init)| shape(lab, name, init)).collect()
}

fn shape(lab: &Lab, name: &'static str, init: &[&str]) -> Shape {
    let source = lab.repository(&format!("source {name}"), init);
    lab.git(&source, &["config", "uploadpack.allowFilter", "true"]);
    let path = lab.root.join(format!("clone {name}"));
    let url = format!("file://{}", source.display());
    let target = path.display().to_string();
    let mut clone = vec!["clone", "-q"];
    match name {
        "reftable" => clone.push("--ref-format=reftable"),
        "partial" => clone.push("--filter=blob:none"),
        _ => {}
    }
    lab.git(&lab.root, &[&clone[..], &[&url, &target]].concat());
    if name == "sparse" {
        lab.git(&path, &["sparse-checkout", "set", "--cone", "--sparse-index", "kept"]);
    }
    lab.git(&path, &["switch", "-q", "--no-track", "-c", "work", "origin/main"]);
    std::fs::write(path.join("mine.txt"), "mine\n").unwrap();
    lab.commit_all(&path, "my  own\ncommit");
    std::fs::write(source.join("theirs.txt"), "theirs\n").unwrap();
    lab.commit_all(&source, "their commit");
    lab.git(&path, &["fetch", "-q"]);
    Shape { name, path, libgit2: name == "normal" }
}

fn over_all(test: impl Fn(&Lab, &Repo, &WorktreeLocation)) {
    let lab = Lab::new();
    for shape in shapes(&lab) {
        let repo = lab.open(&shape.path);
        let backends = each_backend(&repo);
        assert_eq!(backends.len(), if shape.libgit2 { 2 } else { 1 }, "{}", shape.name);
        assert_eq!(repo.backend() == Backend::Libgit2, shape.libgit2, "{}", shape.name);
        for repo in backends {
            eprintln!("shape {}, {:?}", shape.name, repo.backend());
            test(&lab, &repo, &repo.main_worktree().unwrap());
        }
    }
}

fn counts(status: &Status) -> [usize; 5] {
    [status.staged, status.modified, status.untracked, status.conflicted, status.renamed]
}

fn status(repo: &Repo, at: &WorktreeLocation) -> Status {
    repo.status(at, Untracked::Folded).unwrap()
}

#[test]
fn history_is_read_alike_in_every_shape() {
    over_all(|lab, repo, at| {
        let plain = |args: &[&str]| lab.git(&at.path, args);
        let id = plain(&["rev-parse", "HEAD"]).parse().unwrap();
        assert_eq!(repo.head(at).unwrap(), Head::Branch { name: "work".into(), id });
        let head = repo.resolve(at, "HEAD").unwrap();
        let trunk = repo.trunk(None).unwrap();
        assert_eq!((trunk.name.as_str(), trunk.source), ("main", TrunkSource::RemoteHead));
        let (refname, remote) = trunk.remote.clone().unwrap();
        assert_eq!(refname, "refs/remotes/origin/main");
        // The local trunk has nothing of its own, so work starts at the fetched one.
        assert_eq!(repo.trunk_tip(&trunk).unwrap(), remote);
        let counts = repo.ahead_behind(&head, &remote).unwrap();
        assert_eq!((counts.ahead, counts.behind), (1, 1));
        let base = repo.merge_base(&head, &remote).unwrap().unwrap();
        assert_eq!(base.as_str(), plain(&["merge-base", "HEAD", "origin/main"]));
        let commit = repo.commit(&head).unwrap();
        assert_eq!((commit.summary.as_str(), commit.author.as_str()), ("my  own commit", "Ada"));
        assert_eq!(commit.time.to_string(), plain(&["log", "-1", "--format=%ct"]));
        let unpushed = repo.unpushed(&head, &trunk.tips(), 10).unwrap();
        assert_eq!((unpushed.count, unpushed.newest), (1, vec![head.clone()]));
        let changed = repo.changed_files(&remote, &head).unwrap();
        assert_eq!(changed.len(), 1);
        assert_eq!((changed[0].path.as_path(), changed[0].change), (Path::new("mine.txt"), Change::Added));
        let blob = plain(&["rev-parse", "HEAD:mine.txt"]).parse().unwrap();
        assert_eq!(repo.blob(&blob, 100).unwrap(), b"mine\n");
        assert!(matches!(repo.blob(&blob, 2), Err(GitError::OutputTooLarge { .. })));
    });
}

#[test]
fn references_are_read_alike_in_every_shape() {
    over_all(|lab, repo, at| {
        assert_eq!(repo.remotes().unwrap(), ["origin"]);
        assert_eq!(
            repo.config("remote.origin.fetch").unwrap().unwrap(),
            "+refs/heads/*:refs/remotes/origin/*"
        );
        assert_eq!(repo.config("no.such").unwrap(), None);
        assert!(repo.branch("main").unwrap().is_some());
        assert_eq!(repo.branch("absent").unwrap(), None);
        let (done, _) = lab.try_git(&at.path, &["branch", "a/b"]);
        assert!(done || repo.branch("a/b").unwrap().is_some());
        assert_eq!(repo.ref_conflict("a").unwrap().as_deref(), Some("a/b"));
        assert_eq!(repo.ref_conflict("a/b/c").unwrap().as_deref(), Some("a/b"));
        assert_eq!(repo.ref_conflict("a/c").unwrap(), None);
        assert_eq!(repo.branch("a").unwrap(), None);
        let names: Vec<_> = repo.branches().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a/b", "main", "work"]);
        assert!(matches!(repo.resolve(at, "absent"), Err(GitError::NoSuchRevision { .. })));
        assert!(matches!(repo.resolve(at, "--all"), Err(GitError::InvalidArgument(_))));
        let error = repo.trunk(Some("absent")).unwrap_err();
        assert!(matches!(error, GitError::NoSuchBranch { .. }), "{error}");
        assert_eq!(repo.trunk(Some("work")).unwrap().source, TrunkSource::Configured);
    });
}

#[test]
fn status_counts_each_path_once_and_in_the_right_place() {
    over_all(|lab, repo, at| {
        let path = &at.path;
        lab.git(path, &["reset", "-q", "--hard"]);
        lab.git(path, &["clean", "-qfd"]);
        assert!(status(repo, at).is_clean(), "{:?}", status(repo, at));
        lab.git(path, &["mv", "a.txt", "renamed ü.txt"]);
        std::fs::write(path.join("b.txt"), "staged\n").unwrap();
        lab.git(path, &["add", "b.txt"]);
        std::fs::write(path.join("b.txt"), "and modified again\n").unwrap();
        std::fs::remove_file(path.join("mine.txt")).unwrap();
        std::fs::create_dir_all(path.join("new folder")).unwrap();
        std::fs::create_dir_all(path.join("empty")).unwrap();
        std::fs::write(path.join("new folder/x"), "").unwrap();
        std::fs::write(path.join("new folder/y"), "").unwrap();
        let found = status(repo, at);
        assert_eq!(counts(&found), [2, 2, 1, 0, 1], "{found:?}");
        assert_eq!(found.in_progress, None);
        let renamed =
            found.entries.iter().find_map(|e| e.renamed_from.as_deref().map(|from| (from, &*e.path)));
        assert_eq!(renamed, Some((Path::new("a.txt"), Path::new("renamed ü.txt"))));
        assert_eq!(repo.status(at, Untracked::All).unwrap().untracked, 2);
        assert_eq!(repo.status(at, Untracked::No).unwrap().untracked, 0);
        let trunk = repo.trunk(None).unwrap().remote.unwrap().1;
        let changed = repo.changed_files_in(at, &trunk).unwrap();
        let paths: Vec<_> = changed.iter().map(|file| file.path.to_str().unwrap()).collect();
        let expected = ["a.txt", "b.txt", "mine.txt", "new folder/x", "new folder/y", "renamed ü.txt"];
        assert_eq!(paths, expected);
    });
}

#[test]
fn operations_in_progress_and_conflicts_are_seen_in_every_shape() {
    over_all(|lab, repo, at| {
        let path = &at.path;
        let on = |branch: &str, start: &str, content: &str| {
            lab.git(path, &["switch", "-q", "--no-track", "-C", branch, start]);
            std::fs::write(path.join("a.txt"), content).unwrap();
            lab.commit_all(path, branch);
        };
        lab.git(path, &["reset", "-q", "--hard"]);
        lab.git(path, &["clean", "-qfd"]);
        on("left", "work", "left\n");
        on("right", "work", "right\n");
        let expect = |operation, conflicted: usize| {
            let found = status(repo, at);
            assert_eq!((found.in_progress, found.conflicted), (Some(operation), conflicted), "{found:?}");
            assert_eq!((found.staged, found.modified), (0, 0), "{found:?}");
        };
        assert!(!lab.try_git(path, &["merge", "left"]).0);
        expect(InProgress::Merge, 1);
        lab.git(path, &["merge", "--abort"]);
        assert!(!lab.try_git(path, &["rebase", "left"]).0);
        expect(InProgress::Rebase, 1);
        assert!(matches!(repo.head(at).unwrap(), Head::Detached { .. }));
        lab.git(path, &["rebase", "--abort"]);
        assert!(!lab.try_git(path, &["cherry-pick", "left"]).0);
        expect(InProgress::CherryPick, 1);
        lab.git(path, &["cherry-pick", "--abort"]);
        lab.git(path, &["revert", "--no-commit", "HEAD"]);
        assert_eq!(status(repo, at).in_progress, Some(InProgress::Revert));
        lab.git(path, &["revert", "--abort"]);
        lab.git(path, &["bisect", "start"]);
        assert_eq!(status(repo, at).in_progress, Some(InProgress::Bisect));
        lab.git(path, &["bisect", "reset"]);
        lab.git(path, &["switch", "-q", "work"]);
        assert!(status(repo, at).is_clean());
    });
}

#[test]
fn worktrees_are_listed_alike_in_every_shape() {
    over_all(|lab, repo, at| {
        let own = at.path.file_name().unwrap().to_str().unwrap();
        let beside = |name: &str| at.path.with_file_name(format!("{name} of {own}"));
        let trees = ["branch", "detached", "gone", "locked"].map(beside);
        if !trees[0].exists() {
            for (tree, branch) in trees.iter().zip([Some("t1"), None, Some("t3"), Some("t4")]) {
                let how = branch.map_or(vec!["--detach"], |branch| vec!["-b", branch]);
                let what = [tree.to_str().unwrap(), "main"];
                lab.git(&at.path, &[&["worktree", "add", "-q"], how.as_slice(), &what].concat());
            }
            std::fs::remove_dir_all(&trees[2]).unwrap();
            lab.git(&at.path, &["worktree", "lock", "--reason", "on a stick", trees[3].to_str().unwrap()]);
        }
        let list = repo.worktrees().unwrap();
        assert_eq!(list.len(), 5);
        assert!(list[0].main && !list[0].bare && list[0].location == *at);
        let found = |path: &Path| list.iter().find(|worktree| worktree.location.path == path).unwrap();
        let heads: Vec<_> = trees.iter().map(|tree| found(tree).head.as_ref().unwrap().branch()).collect();
        assert_eq!(heads, [Some("t1"), None, Some("t3"), Some("t4")]);
        assert_eq!(found(&trees[3]).locked.as_deref(), Some("on a stick"));
        assert_eq!(found(&trees[0]).locked, None);
        assert!(found(&trees[2]).prunable.is_some());
        assert_eq!(found(&trees[0]).prunable, None);
        let error = repo.status(&found(&trees[2]).location, Untracked::All).unwrap_err();
        assert!(matches!(error, GitError::WorktreeMissing { .. }), "{error}");
        std::fs::write(trees[0].join("new"), "").unwrap();
        assert_eq!(counts(&status(repo, &found(&trees[0]).location)), [0, 0, 1, 0, 0]);
        assert!(status(repo, &found(&trees[1]).location).is_clean());
        assert!(matches!(repo.worktree_at(&lab.root), Err(GitError::NotAWorktree { .. })));
    });
}

#[test]
fn a_trunk_is_found_without_a_remote() {
    let lab = Lab::new();
    let path = lab.repository("local", &["-b", "odd"]);
    for repo in each_backend(&lab.open(&path)) {
        let trunk = repo.trunk(None).unwrap();
        assert_eq!((trunk.name.as_str(), trunk.source), ("odd", TrunkSource::CurrentBranch));
        assert_eq!(repo.trunk_tip(&trunk).unwrap(), repo.resolve_here("odd").unwrap());
        // Nothing is pushed anywhere: only the trunk makes commits known.
        let head = trunk.local.clone().unwrap();
        assert_eq!(repo.unpushed(&head, &[], 5).unwrap().count, 1);
        assert_eq!(repo.unpushed(&head, &trunk.tips(), 5).unwrap().count, 0);
    }
    lab.git(&path, &["branch", "master"]);
    for repo in each_backend(&lab.open(&path)) {
        assert_eq!(repo.trunk(None).unwrap().source, TrunkSource::Conventional);
    }
    lab.git(&path, &["branch", "-D", "master"]);
    lab.git(&path, &["switch", "-q", "--detach"]);
    for repo in each_backend(&lab.open(&path)) {
        assert!(matches!(repo.trunk(None), Err(GitError::NoTrunk)));
    }
}

#[test]
fn reads_run_no_program_that_the_repository_names_and_take_no_lock() {
    let lab = Lab::new();
    let path = lab.repository("trap", &[]);
    let ran = lab.root.join("ran");
    let script = format!("#!/bin/sh\necho \"$0\" >> '{}'\n", ran.display());
    let hooks = path.join(".git/hooks");
    for name in ["post-index-change", "fsmonitor", "reference-transaction", "post-checkout"] {
        std::fs::write(hooks.join(name), &script).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(hooks.join(name), executable).unwrap();
    }
    lab.git(&path, &["config", "core.fsmonitor", hooks.join("fsmonitor").to_str().unwrap()]);
    lab.git(&path, &["config", "diff.external", hooks.join("fsmonitor").to_str().unwrap()]);
    // The trap works: plain git falls into it.
    lab.git(&path, &["status"]);
    assert!(ran.exists());
    std::fs::remove_file(&ran).unwrap();
    // Touched, so that a status would like to refresh the index; and somebody holds its lock.
    std::fs::write(path.join("b.txt"), "b\n").unwrap();
    std::fs::write(path.join(".git/index.lock"), "").unwrap();
    let index = std::fs::read(path.join(".git/index")).unwrap();
    for repo in each_backend(&lab.open(&path)) {
        let at = repo.main_worktree().unwrap();
        assert!(status(&repo, &at).is_clean());
        let head = repo.head(&at).unwrap().id().unwrap().clone();
        repo.changed_files(&head, &head).unwrap();
        repo.worktrees().unwrap();
        repo.trunk(None).unwrap();
    }
    assert!(!ran.exists(), "{}", std::fs::read_to_string(&ran).unwrap());
    assert_eq!(std::fs::read(path.join(".git/index")).unwrap(), index);
}

#[test]
fn a_rewritten_git_file_does_not_lead_a_read_astray() {
    let lab = Lab::new();
    let path = lab.repository("honest", &[]);
    let evil = lab.repository("evil", &[]);
    lab.git(&path, &["worktree", "add", "-q", "../tree", "-b", "t"]);
    let tree = lab.root.join("tree");
    for repo in each_backend(&lab.open(&path)) {
        let at = repo.worktree_at(&tree).unwrap().location;
        std::fs::write(tree.join(".git"), format!("gitdir: {}/.git\n", evil.display())).unwrap();
        assert_eq!(repo.head(&at).unwrap().branch(), Some("t"));
        assert!(status(&repo, &at).is_clean());
    }
}

#[test]
fn filters_such_as_lfs_do_not_make_clean_files_dirty() {
    let lab = Lab::new();
    let path = lab.repository("filtered", &[]);
    lab.git(&path, &["config", "filter.up.clean", "tr a-z A-Z"]);
    lab.git(&path, &["config", "filter.up.smudge", "tr A-Z a-z"]);
    std::fs::write(path.join(".gitattributes"), "*.up filter=up\n").unwrap();
    std::fs::write(path.join("x.up"), "text\n").unwrap();
    lab.commit_all(&path, "filtered");
    // The same content at another time: only its hash can tell.
    std::fs::remove_file(path.join("x.up")).unwrap();
    std::fs::write(path.join("x.up"), "text\n").unwrap();
    for repo in each_backend(&lab.open(&path)) {
        assert!(status(&repo, &repo.main_worktree().unwrap()).is_clean());
    }
}
