use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use podium_git::{
    AddWorktree, Backend, BundledRef, ErrorKind, Fetch, Git, GitError, Head, LockOutcome, Repo, RepoLock,
    SnapshotScope, Untracked, WorktreeStart, exact_pattern,
};

use crate::support::{Lab, WAIT, each_backend, env, writer};

/// Formats whose changes differ inside git.
fn formats(lab: &Lab) -> Vec<Repo> {
    let formats: &[(&str, &[&str])] =
        &[("normal", &[]), ("sha256", &["--object-format=sha256"]), ("reftable", &["--ref-format=reftable"])];
    let repos = formats.iter().map(|(name, init)| lab.open(&lab.repository(name, init)));
    repos.collect()
}

fn new_branch(repo: &Repo, name: &str) -> WorktreeStart {
    WorktreeStart::NewBranch { name: name.into(), at: repo.resolve_here("main").unwrap() }
}

fn beside(repo: &Repo, name: &str) -> PathBuf {
    let own = repo.root().file_name().unwrap().to_str().unwrap();
    repo.root().with_file_name(format!("{own} {name}"))
}

#[test]
fn a_worktree_is_added_for_a_new_branch_an_existing_one_or_a_commit() {
    let lab = Lab::new();
    for repo in formats(&lab) {
        let writer = writer(&repo);
        let main = repo.resolve_here("main").unwrap();
        let made = writer
            .add_worktree(&AddWorktree::new(beside(&repo, "ü new"), new_branch(&repo, "feat/x")))
            .unwrap();
        assert_eq!(made.head, Some(Head::Branch { name: "feat/x".into(), id: main.clone() }));
        assert!(made.location.path.join("dir/c.txt").exists());
        assert_eq!(repo.config("branch.feat/x.remote").unwrap(), None);
        writer.create_branch("ready", &main).unwrap();
        let start = WorktreeStart::Branch("ready".into());
        let ready = writer.add_worktree(&AddWorktree::new(beside(&repo, "ready"), start)).unwrap();
        assert_eq!(ready.head.unwrap().branch(), Some("ready"));
        let start = WorktreeStart::Detached(main.clone());
        let loose = writer.add_worktree(&AddWorktree::new(beside(&repo, "loose"), start)).unwrap();
        assert_eq!(loose.head, Some(Head::Detached { id: main }));
    }
}

#[test]
fn what_stands_in_the_way_of_a_worktree_is_named_and_stays() {
    let lab = Lab::new();
    for repo in formats(&lab) {
        let writer = writer(&repo);
        let add = |name: &str, start| writer.add_worktree(&AddWorktree::new(beside(&repo, name), start));
        add("one", new_branch(&repo, "one")).unwrap();
        let before = repo.branches().unwrap();
        let refused = |result: Result<_, GitError>| result.map(|_: podium_git::Worktree| ()).unwrap_err();
        let error = refused(add("two", new_branch(&repo, "one")));
        assert!(
            matches!(error, GitError::BranchExists { .. }) && error.kind() == ErrorKind::Conflict,
            "{error}"
        );
        let error = refused(add("two", new_branch(&repo, "one/below")));
        assert!(matches!(&error, GitError::RefConflict { existing, .. } if existing == "one"), "{error}");
        let error = refused(add("two", WorktreeStart::Branch("one".into())));
        assert!(matches!(error, GitError::BranchInUse { .. }), "{error}");
        let error = refused(add("two", WorktreeStart::Branch("--upload-pack=x".into())));
        assert!(matches!(error, GitError::NoSuchBranch { .. }), "{error}");
        std::fs::create_dir(beside(&repo, "full")).unwrap();
        std::fs::write(beside(&repo, "full").join("precious"), "x").unwrap();
        let error = refused(add("full", new_branch(&repo, "full")));
        assert!(matches!(error, GitError::PathExists { .. }), "{error}");
        let error = refused(writer.add_worktree(&AddWorktree::new("relative", new_branch(&repo, "r"))));
        assert!(matches!(error, GitError::InvalidArgument(_)), "{error}");
        assert_eq!(repo.branches().unwrap(), before);
        assert!(!beside(&repo, "two").exists() && beside(&repo, "full").join("precious").exists());
    }
}

#[test]
fn a_failed_add_leaves_neither_branch_nor_folder_nor_admin_folder() {
    let lab = Lab::new();
    let repo = lab.open(&lab.repository("r", &[]));
    let path = lab.root.join("blocked");
    std::fs::write(&path, "a file where a folder should be").unwrap();
    let add = AddWorktree::new(path.join("tree"), new_branch(&repo, "feat"));
    writer(&repo).add_worktree(&add).unwrap_err();
    assert_eq!(repo.branch("feat").unwrap(), None);
    assert_eq!(repo.worktrees().unwrap().len(), 1);
}

#[test]
fn a_failing_hook_does_not_undo_a_whole_worktree_and_can_be_left_out() {
    let lab = Lab::new();
    let repo = lab.open(&lab.repository("r", &[]));
    let hook = repo.common_dir().join("hooks/post-checkout");
    std::fs::write(&hook, "#!/bin/sh\ntouch hook-was-here\necho sorry >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let with =
        writer(&repo).add_worktree(&AddWorktree::new(lab.root.join("with"), new_branch(&repo, "with")));
    assert!(with.unwrap().location.path.join("hook-was-here").exists());
    let mut add = AddWorktree::new(lab.root.join("without"), new_branch(&repo, "without"));
    add.hooks = false;
    let without = writer(&repo).add_worktree(&add).unwrap();
    assert!(!without.location.path.join("hook-was-here").exists());
}

#[test]
fn thirteen_creates_at_once_all_succeed() {
    let lab = Lab::new();
    for repo in formats(&lab) {
        std::thread::scope(|scope| {
            for n in 0..13 {
                // Found anew by each, as by requests that know nothing of each other.
                let repo = lab.open(repo.root());
                scope.spawn(move || {
                    let name = format!("t{n}");
                    let add = AddWorktree::new(beside(&repo, &name), new_branch(&repo, &name));
                    writer(&repo).add_worktree(&add).unwrap();
                });
            }
        });
        assert_eq!(repo.worktrees().unwrap().len(), 14);
    }
}

#[test]
fn a_turn_that_does_not_come_is_busy_and_others_go_on() {
    let lab = Lab::new();
    let repo = lab.open(&lab.repository("r", &[]));
    let held = repo.write(WAIT).unwrap();
    let error = repo.write(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, GitError::QueueBusy { .. }) && error.kind() == ErrorKind::Busy);
    drop(held);
    RepoLock::acquire(repo.common_dir(), Duration::ZERO).unwrap();
}

#[test]
fn a_lock_of_another_git_is_waited_for_and_then_named() {
    let lab = Lab::new();
    let repo = lab.open(&lab.repository("r", &[]));
    let lock = repo.common_dir().join("refs/heads/x.lock");
    std::fs::write(&lock, "").unwrap();
    let main = repo.resolve_here("main").unwrap();
    let mut writer = writer(&repo);
    let error = writer.lock_wait(Duration::from_millis(100)).create_branch("x", &main).unwrap_err();
    assert!(
        matches!(&error, GitError::LockBusy { lock_file, age: Some(_) } if *lock_file == lock),
        "{error:?}"
    );
    assert_eq!(error.kind(), ErrorKind::Busy);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| writer.lock_wait(WAIT).create_branch("x", &main));
        std::fs::remove_file(&lock).unwrap();
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(repo.branch("x").unwrap(), Some(main));
}

#[test]
fn worktrees_move_switch_and_go() {
    let lab = Lab::new();
    for repo in formats(&lab) {
        let writer = writer(&repo);
        let start = WorktreeStart::Detached(repo.resolve_here("main").unwrap());
        let spare = writer.add_worktree(&AddWorktree::new(beside(&repo, "spare"), start)).unwrap().location;
        let leased = writer.move_worktree(&spare, &beside(&repo, "leased")).unwrap();
        assert_eq!(leased.location.git_dir, spare.git_dir);
        writer.switch_to_new_branch(&leased.location, "leased").unwrap();
        assert_eq!(repo.head(&leased.location).unwrap().branch(), Some("leased"));
        std::fs::create_dir(beside(&repo, "taken")).unwrap();
        let error = writer.move_worktree(&leased.location, &beside(&repo, "taken")).unwrap_err();
        assert!(matches!(error, GitError::PathExists { .. }), "{error}");
        let main = repo.main_worktree().unwrap();
        assert!(matches!(writer.move_worktree(&main, &beside(&repo, "m")), Err(GitError::MainWorktree)));
        std::fs::write(leased.location.path.join("work"), "x").unwrap();
        let error = writer.remove_worktree(&leased.location, false).unwrap_err();
        assert!(matches!(error, GitError::WorktreeDirty { .. }), "{error}");
        writer.remove_worktree(&leased.location, true).unwrap();
        assert!(!leased.location.path.exists() && repo.branch("leased").unwrap().is_some());
    }
}

#[test]
fn moved_and_deleted_worktrees_are_repaired_and_pruned() {
    let lab = Lab::new();
    for repo in formats(&lab) {
        let writer = writer(&repo);
        let add =
            |name: &str| writer.add_worktree(&AddWorktree::new(beside(&repo, name), new_branch(&repo, name)));
        let (moved, gone) = (add("moved").unwrap().location, add("gone").unwrap().location);
        let elsewhere = beside(&repo, "elsewhere");
        std::fs::rename(&moved.path, &elsewhere).unwrap();
        std::fs::remove_dir_all(&gone.path).unwrap();
        writer.repair_worktrees(std::slice::from_ref(&elsewhere)).unwrap();
        writer.prune_worktrees().unwrap();
        let list = repo.worktrees().unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!((&list[1].location.path, &list[1].location.git_dir), (&elsewhere, &moved.git_dir));
        assert!(repo.status(&list[1].location, Untracked::All).unwrap().is_clean());
    }
}

#[test]
fn our_lock_is_set_renewed_and_taken_away_and_a_foreign_one_stays() {
    let lab = Lab::new();
    for (index, repo) in each_backend(&lab.open(&lab.repository("r", &[]))).into_iter().enumerate() {
        let writer = writer(&repo);
        let name = format!("t{index}");
        let at = writer
            .add_worktree(&AddWorktree::new(beside(&repo, &name), new_branch(&repo, &name)))
            .unwrap()
            .location;
        let reason = || repo.worktree_at(&at.path).unwrap().locked;
        assert_eq!(writer.lock_worktree(&at, "claimed by a\nb").unwrap(), LockOutcome::Locked);
        assert_eq!(reason().as_deref(), Some("podium: claimed by a b"));
        assert_eq!(writer.lock_worktree(&at, "claimed by c").unwrap(), LockOutcome::Renewed);
        assert_eq!(reason().as_deref(), Some("podium: claimed by c"));
        let error = writer.remove_worktree(&at, true).unwrap_err();
        assert!(matches!(error, GitError::WorktreeLocked { .. }), "{error}");
        assert!(writer.unlock_worktree(&at).unwrap());
        assert_eq!((reason(), writer.unlock_worktree(&at).unwrap()), (None, false));
        for foreign in ["on a stick", ""] {
            lab.git(&at.path, &["worktree", "lock", "--reason", foreign, "."]);
            let errors =
                [writer.lock_worktree(&at, "x").unwrap_err(), writer.unlock_worktree(&at).unwrap_err()];
            for error in errors {
                assert!(
                    matches!(error, GitError::WorktreeLocked { .. }) && error.kind() == ErrorKind::Conflict
                );
            }
            assert_eq!(reason().as_deref(), Some(foreign));
            lab.git(&at.path, &["worktree", "unlock", "."]);
        }
        let main = repo.main_worktree().unwrap();
        assert!(matches!(writer.lock_worktree(&main, "x"), Err(GitError::MainWorktree)));
    }
}

#[test]
fn a_branch_is_deleted_only_where_it_was_seen_and_not_while_in_use() {
    let lab = Lab::new();
    for repo in formats(&lab) {
        let writer = writer(&repo);
        let main = repo.resolve_here("main").unwrap();
        std::fs::write(repo.root().join("more"), "").unwrap();
        let newer = lab.commit_all(repo.root(), "more");
        writer.create_branch("x", &newer).unwrap();
        lab.git(repo.root(), &["config", "branch.x.remote", "origin"]);
        let error = writer.delete_branch("x", &main).unwrap_err();
        assert!(matches!(&error, GitError::RefMoved { found: Some(id), .. } if *id == newer), "{error}");
        let at = writer
            .add_worktree(&AddWorktree::new(beside(&repo, "x"), WorktreeStart::Branch("x".into())))
            .unwrap();
        let error = writer.delete_branch("x", &newer).unwrap_err();
        assert!(matches!(error, GitError::BranchInUse { .. }), "{error}");
        writer.remove_worktree(&at.location, false).unwrap();
        writer.delete_branch("x", &newer).unwrap();
        assert_eq!((repo.branch("x").unwrap(), repo.config("branch.x.remote").unwrap()), (None, None));
        assert!(matches!(writer.delete_branch("x", &newer), Err(GitError::NoSuchBranch { .. })));
    }
}

#[test]
fn a_snapshot_and_its_bundle_bring_everything_back() {
    let lab = Lab::new();
    for repo in formats(&lab) {
        let at = repo.main_worktree().unwrap();
        let base = repo.resolve_here("main").unwrap();
        std::fs::write(at.path.join(".gitignore"), "secret\n").unwrap();
        std::fs::write(at.path.join("secret"), "ignored").unwrap();
        std::fs::write(at.path.join("new"), "untracked").unwrap();
        std::fs::write(at.path.join("b.txt"), "staged\n").unwrap();
        lab.git(&at.path, &["add", "b.txt"]);
        std::fs::write(at.path.join("b.txt"), "later\n").unwrap();
        let before = repo.status(&at, Untracked::All).unwrap();
        let refs = lab.git(&at.path, &["for-each-ref"]);
        let snapshot = writer(&repo).snapshot(&at, SnapshotScope::Everything, "before removal").unwrap();
        assert_eq!(repo.status(&at, Untracked::All).unwrap(), before);
        let show = |what: &str| lab.git(&at.path, &["cat-file", "blob", what]);
        let index = snapshot.index.clone().unwrap();
        assert_eq!(show(&format!("{index}:b.txt")), "staged");
        let names = [("b.txt", "later"), ("new", "untracked"), ("secret", "ignored")];
        for (name, content) in names {
            assert_eq!(show(&format!("{}:{name}", snapshot.files)), content);
        }
        let bundle = beside(&repo, "undo.bundle");
        let refs_in = [("refs/undo/index", &index), ("refs/undo/files", &snapshot.files)];
        let bundled = refs_in.map(|(name, id)| BundledRef { name: name.into(), id: id.clone() });
        repo.create_bundle(&bundle, &bundled, std::slice::from_ref(&base)).unwrap();
        assert!(matches!(repo.create_bundle(&bundle, &bundled, &[]), Err(GitError::PathExists { .. })));
        assert_eq!(lab.git(&at.path, &["for-each-ref"]), refs);
        // The objects go, as after months, and come back.
        lab.git(&at.path, &["gc", "-q", "--prune=now"]);
        assert!(repo.commit(&snapshot.files).is_err());
        let mut back = repo.unbundle(&bundle).unwrap();
        back.sort_by(|a, b| b.name.cmp(&a.name));
        assert_eq!(back, bundled);
        assert_eq!(show(&format!("{}:secret", snapshot.files)), "ignored");
    }
}

/// Within one tick of the clock, a file can be changed without its size or times telling.
#[test]
fn a_change_in_the_tick_in_which_the_index_was_written_is_in_the_snapshot_and_in_the_work() {
    let lab = Lab::new();
    for (name, init) in [("r", &[][..]), ("s", &["--object-format=sha256"][..])] {
        let path = lab.repository(name, init);
        lab.git(&path, &["config", "core.trustctime", "false"]);
        let (file, index) = (path.join("a.txt"), path.join(".git/index"));
        // Long ago, so that no other time is taken for the same.
        let tick = std::time::SystemTime::now() - Duration::from_secs(3_600);
        let date_back = |path: &Path| {
            std::fs::File::options().write(true).open(path).unwrap().set_modified(tick).unwrap();
        };
        std::fs::write(&file, "one\n").unwrap();
        date_back(&file);
        lab.commit_all(&path, "one");
        std::fs::write(&file, "two\n").unwrap();
        date_back(&file);
        date_back(&index);
        let repo = lab.open(&path);
        let at = repo.main_worktree().unwrap();
        let snapshot = writer(&repo).snapshot(&at, SnapshotScope::Tracked, "x").unwrap();
        assert_eq!(lab.git(&path, &["show", &format!("{}:a.txt", snapshot.files)]), "two", "{name}");
        let head = repo.work_at(&repo.resolve_here("main").unwrap()).unwrap();
        assert_ne!(repo.work(&at).unwrap().tree(), head.tree(), "{name}");
    }
}

#[test]
fn a_snapshot_is_possible_in_the_middle_of_a_conflict() {
    let lab = Lab::new();
    let path = lab.repository("r", &[]);
    for branch in ["left", "right"] {
        lab.git(&path, &["switch", "-q", "-c", branch, "main"]);
        std::fs::write(path.join("a.txt"), branch).unwrap();
        lab.commit_all(&path, branch);
    }
    assert!(!lab.try_git(&path, &["merge", "left"]).0);
    let repo = lab.open(&path);
    let at = repo.main_worktree().unwrap();
    let snapshot = writer(&repo).snapshot(&at, SnapshotScope::Untracked, "x").unwrap();
    assert_eq!(snapshot.index, None);
    assert!(lab.git(&path, &["show", &format!("{}:a.txt", snapshot.files)]).contains("<<<<<<<"));
    assert_eq!(repo.status(&at, Untracked::All).unwrap().conflicted, 1);
}

#[test]
fn excludes_are_added_once_and_removed_without_touching_the_rest() {
    let lab = Lab::new();
    let repo = lab.open(&lab.repository("r", &[]));
    let file = repo.common_dir().join("info/exclude");
    let odd = Path::new("#odd [x]*.txt ");
    std::fs::write(&file, "# mine\n*.tmp").unwrap();
    let pattern = exact_pattern(odd).unwrap();
    let writer = writer(&repo);
    assert!(writer.add_excludes(std::slice::from_ref(&pattern)).unwrap());
    assert!(!writer.add_excludes(std::slice::from_ref(&pattern)).unwrap());
    std::fs::write(repo.root().join(odd), "").unwrap();
    for repo in each_backend(&repo) {
        let status = repo.status(&repo.main_worktree().unwrap(), Untracked::All).unwrap();
        assert!(status.is_clean(), "{status:?}");
    }
    assert!(writer.remove_excludes(std::slice::from_ref(&pattern)).unwrap());
    assert!(!writer.remove_excludes(&[pattern]).unwrap());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# mine\n*.tmp\n");
    assert_eq!(exact_pattern(Path::new("a\nb")), None);
}

#[test]
fn fetch_brings_what_is_new_and_tells_offline_from_missing() {
    let lab = Lab::new();
    let source = lab.repository("source", &[]);
    lab.git(&lab.root, &["clone", "-q", "source", "clone"]);
    let repo = lab.open(&lab.root.join("clone"));
    std::fs::write(source.join("new"), "").unwrap();
    let new = lab.commit_all(&source, "new");
    lab.git(&source, &["update-ref", "refs/pull/7/head", "HEAD"]);
    let mut fetch = Fetch::new("origin", WAIT);
    repo.fetch(&fetch).unwrap();
    assert_eq!(repo.find_ref("refs/remotes/origin/main").unwrap(), Some(new.clone()));
    fetch.refspecs = vec!["+refs/pull/7/head:refs/remotes/origin/review-7".into()];
    repo.fetch(&fetch).unwrap();
    assert_eq!(repo.find_ref("refs/remotes/origin/review-7").unwrap(), Some(new));
    fetch.refspecs = vec!["refs/pull/8/head".into()];
    let error = repo.fetch(&fetch).unwrap_err();
    assert!(matches!(error, GitError::NoSuchRemoteRef { .. }), "{error}");
    let error = repo.fetch(&Fetch::new("--upload-pack=x", WAIT)).unwrap_err();
    assert!(matches!(error, GitError::NoSuchRemoteRef { .. }), "{error}");
    // Nobody listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    lab.git(repo.root(), &["remote", "set-url", "origin", &format!("git://127.0.0.1:{port}/x")]);
    let error = repo.fetch(&Fetch::new("origin", WAIT)).unwrap_err();
    assert!(matches!(error, GitError::Offline { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_fetch_that_hangs_is_given_up() {
    let lab = Lab::new();
    let repo = lab.open(&lab.repository("r", &[]));
    // Accepts connections through its backlog and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git://{}/x", silent.local_addr().unwrap());
    lab.git(repo.root(), &["remote", "add", "origin", &url]);
    let started = Instant::now();
    let error = repo.fetch(&Fetch::new("origin", Duration::from_millis(500))).unwrap_err();
    assert!(matches!(error, GitError::Timeout { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_identity_comes_from_the_caller_or_is_ours() {
    let lab = Lab::new();
    let repo = lab.open(&lab.repository("r", &[]));
    let at = repo.main_worktree().unwrap();
    let author = |repo: &Repo| {
        let tree = writer(repo).write_tree(&at, None).unwrap();
        let id = writer(repo).commit_tree(&at, &tree, &[], "x").unwrap();
        repo.commit(&id).unwrap().author
    };
    assert_eq!(author(&repo), "Podium");
    let grace = [("GIT_AUTHOR_NAME", "Grace"), ("GIT_AUTHOR_EMAIL", "g@example.org")];
    let git = Git::find(env(&lab.root, &grace)).unwrap();
    assert_eq!(author(&repo.with_git(&git).unwrap()), "Grace");
    lab.git(repo.root(), &["config", "user.name", "Configured"]);
    assert_eq!(author(&repo.with_backend(Backend::CommandLine).unwrap()), "Configured");
}
