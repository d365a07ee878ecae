use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use podium_git::{Backend, ErrorKind, Git, GitError, Head, ObjectFormat, RefFormat, Repo, Untracked};

use crate::support::{Lab, each_backend, env};

#[test]
fn every_place_in_a_repository_leads_to_the_same_one() {
    let lab = Lab::new();
    let path = lab.repository("my repo ü", &[]);
    lab.git(&path, &["worktree", "add", "-q", "../linked tree", "-b", "x"]);
    let linked = lab.root.join("linked tree");
    let repo = lab.open(&path);
    assert_eq!((repo.root(), repo.is_bare(), repo.is_submodule()), (path.as_path(), false, false));
    assert_eq!((repo.object_format(), repo.ref_format()), (ObjectFormat::Sha1, RefFormat::Files));
    assert_eq!(repo.backend(), Backend::Libgit2);
    for inside in [path.join("dir"), path.join("dir/c.txt"), linked.join("dir"), path.join(".git/refs")] {
        let other = lab.open(&inside);
        assert_eq!((&other, other.root()), (&repo, repo.root()), "{inside:?}");
    }
    let here = lab.open(&linked).here().unwrap().clone();
    assert_eq!((here.path, here.git_dir), (linked, path.join(".git/worktrees/linked-tree")));
    let stored = Repo::open(&lab.git, repo.common_dir(), None).unwrap();
    assert_eq!((&stored, stored.root()), (&repo, repo.root()));
}

#[test]
fn formats_that_libgit2_cannot_read_are_left_to_the_command_line() {
    let lab = Lab::new();
    let sha256 = lab.open(&lab.repository("sha256", &["--object-format=sha256"]));
    assert_eq!((sha256.object_format(), sha256.backend()), (ObjectFormat::Sha256, Backend::CommandLine));
    let reftable = lab.open(&lab.repository("reftable", &["--ref-format=reftable"]));
    assert_eq!((reftable.ref_format(), reftable.backend()), (RefFormat::Reftable, Backend::CommandLine));
    assert!(matches!(reftable.with_backend(Backend::Libgit2), Err(GitError::Libgit2 { .. })));
    let unknown = lab.repository("unknown", &[]);
    lab.git(&unknown, &["config", "core.repositoryFormatVersion", "1"]);
    lab.git(&unknown, &["config", "extensions.fromTheFuture", "yes"]);
    let error = Repo::discover(&lab.git, &unknown).unwrap_err();
    assert!(matches!(error, GitError::Unsupported { .. }), "{error}");
}

#[test]
fn what_is_no_repository_is_reported_with_a_hint() {
    let lab = Lab::new();
    let folder = lab.root.join("plain");
    std::fs::create_dir(&folder).unwrap();
    let error = Repo::discover(&lab.git, &folder).unwrap_err();
    assert!(matches!(error, GitError::NotARepository { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hints()[0].contains("git init"));
    let error = Repo::discover(&lab.git, &lab.root.join("absent")).unwrap_err();
    assert!(matches!(error, GitError::NoSuchPath { .. }), "{error}");
}

#[test]
fn a_damaged_repository_is_told_from_none() {
    let lab = Lab::new();
    let path = lab.repository("damaged", &[]);
    std::fs::write(path.join(".git/config"), "[core\nnonsense").unwrap();
    let error = Repo::discover(&lab.git, &path).unwrap_err();
    assert!(matches!(error, GitError::Corrupt { .. }), "{error}");
    let path = lab.repository("headless", &[]);
    std::fs::write(path.join(".git/HEAD"), "").unwrap();
    let error = Repo::discover(&lab.git, &path).unwrap_err();
    assert!(matches!(error, GitError::Corrupt { .. }), "{error}");
    let stray = lab.root.join("stray");
    std::fs::create_dir(&stray).unwrap();
    std::fs::write(stray.join(".git"), "gitdir: /nonexistent").unwrap();
    let error = Repo::discover(&lab.git, &stray).unwrap_err();
    assert!(matches!(error, GitError::Corrupt { .. }), "{error}");
}

#[test]
fn a_bare_repository_opens_and_has_no_main_worktree() {
    let lab = Lab::new();
    let source = lab.repository("source", &[]);
    lab.git(&lab.root, &["clone", "-q", "--bare", "source", "bare.git"]);
    lab.git(&lab.root.join("bare.git"), &["worktree", "add", "-q", "../from-bare", "main"]);
    for place in ["bare.git", "from-bare"] {
        for repo in each_backend(&lab.open(&lab.root.join(place))) {
            assert!(repo.is_bare());
            assert_eq!(repo.root(), lab.root.join("bare.git"));
            let error = repo.main_worktree().unwrap_err();
            assert!(matches!(error, GitError::Bare { .. }) && error.kind() == ErrorKind::User);
            let list = repo.worktrees().unwrap();
            assert_eq!((list.len(), list[0].bare, list[0].main), (2, true, true));
            assert_eq!(list[1].location.path, lab.root.join("from-bare"));
            assert!(repo.status(&list[1].location, Untracked::All).unwrap().is_clean());
        }
    }
    drop(source);
}

#[test]
fn an_unborn_branch_is_named() {
    let lab = Lab::new();
    for (name, args) in [("files", vec![]), ("reftable", vec!["--ref-format=reftable"])] {
        let path = lab.root.join(name);
        lab.git(&lab.root, &[&["init", "-q"], args.as_slice(), &[name]].concat());
        std::fs::write(path.join("new"), "x").unwrap();
        for repo in each_backend(&lab.open(&path)) {
            let main = repo.main_worktree().unwrap();
            assert_eq!(repo.head(&main).unwrap(), Head::Unborn { name: "main".into() });
            let error = repo.trunk(None).unwrap_err();
            assert!(matches!(&error, GitError::UnbornHead { branch } if branch == "main"), "{error}");
            assert_eq!(repo.status(&main, Untracked::All).unwrap().untracked, 1);
            assert_eq!(repo.worktrees().unwrap()[0].head, Some(Head::Unborn { name: "main".into() }));
        }
    }
}

#[test]
fn a_submodule_is_a_repository_of_its_own_and_names_the_one_around_it() {
    let lab = Lab::new();
    lab.repository("part", &[]);
    let whole = lab.repository("whole", &[]);
    lab.git(&whole, &["submodule", "--quiet", "add", "../part", "sub part"]);
    lab.commit_all(&whole, "with submodule");
    let inside = whole.join("sub part");
    let repo = lab.open(&inside.join("dir"));
    assert_eq!((repo.superproject(), repo.root()), (Some(whole.as_path()), inside.as_path()));
    assert_ne!(repo, lab.open(&whole));
    // Reached by its stored place alone.
    assert_eq!(Repo::open(&lab.git, repo.common_dir(), None).unwrap().root(), inside);
    std::fs::write(inside.join("a.txt"), "changed").unwrap();
    for outer in each_backend(&lab.open(&whole)) {
        let status = outer.status(&outer.main_worktree().unwrap(), Untracked::Folded).unwrap();
        assert_eq!((status.modified, status.staged), (1, 0));
    }
    for inner in each_backend(&repo) {
        assert_eq!(inner.status(&inner.main_worktree().unwrap(), Untracked::Folded).unwrap().modified, 1);
    }
}

#[test]
fn the_git_folder_may_lie_elsewhere() {
    let lab = Lab::new();
    let path = lab.repository("tree", &["--separate-git-dir=../store"]);
    let repo = lab.open(&path);
    assert_eq!((repo.root(), repo.common_dir()), (path.as_path(), lab.root.join("store").as_path()));
    let stored = Repo::open(&lab.git, repo.common_dir(), Some(&path)).unwrap();
    assert_eq!(stored.root(), path);
}

#[test]
fn variables_of_a_hook_do_not_lead_elsewhere() {
    let lab = Lab::new();
    let (one, two) = (lab.repository("one", &[]), lab.repository("two", &[]));
    let other = two.join(".git").display().to_string();
    let git = Git::find(env(&lab.root, &[("GIT_DIR", &other), ("GIT_WORK_TREE", &other)])).unwrap();
    let repo = Repo::discover(&git, &one).unwrap();
    assert_eq!(repo.root(), one);
    for repo in each_backend(&repo) {
        assert_eq!(repo.worktrees().unwrap()[0].location.path, one);
    }
}

#[test]
fn paths_that_are_not_utf8_survive() {
    let lab = Lab::new();
    let path = lab.root.join(OsStr::from_bytes(b"caf\xe9 x"));
    std::fs::create_dir(&path).unwrap();
    lab.git(&path, &["init", "-q"]);
    std::fs::write(path.join(OsStr::from_bytes(b"\xff old")), "some text\nmore\n").unwrap();
    lab.commit_all(&path, "first");
    let linked = lab.root.join(OsStr::from_bytes(b"tr\xe9e"));
    lab.git(&path, &[OsStr::new("worktree"), OsStr::new("add"), OsStr::new("-q"), linked.as_os_str()]);
    lab.git(&path, &[OsStr::new("mv"), OsStr::from_bytes(b"\xff old"), OsStr::from_bytes(b"\xfe\nnew")]);
    let repo = lab.open(&path);
    assert_eq!(repo.root(), path);
    for repo in each_backend(&repo) {
        assert_eq!(repo.worktrees().unwrap()[1].location.path, linked);
        let status = repo.status(&repo.main_worktree().unwrap(), Untracked::All).unwrap();
        assert_eq!(status.entries[0].path.as_os_str().as_bytes(), b"\xfe\nnew");
        let old = status.entries[0].renamed_from.as_ref().unwrap();
        assert_eq!((old.as_os_str().as_bytes(), status.renamed, status.staged), (&b"\xff old"[..], 1, 1));
        let linked = repo.worktree_at(&linked).unwrap();
        assert!(repo.status(&linked.location, Untracked::All).unwrap().is_clean());
    }
}

/// Only root can make a folder that belongs to somebody else; elsewhere the case cannot be built.
#[test]
fn a_repository_of_somebody_else_is_refused_with_the_way_out() {
    let lab = Lab::new();
    let path = lab.repository("foreign", &[]);
    for part in [path.clone(), path.join(".git")] {
        if std::os::unix::fs::chown(&part, Some(12345), None).is_err() {
            return;
        }
    }
    let error = Repo::discover(&lab.git, &path).unwrap_err();
    assert!(matches!(error, GitError::DubiousOwnership { .. }), "{error}");
    assert!(error.hints()[0].contains("safe.directory"));
}
