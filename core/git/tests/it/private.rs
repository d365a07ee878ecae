//! The private common folder, used as a confined agent would and as a hostile one would.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use podium_git::{
    AddWorktree, ErrorKind, GitError, Head, ImportLimits, Imported, Oid, PrivateCommon, PrivateOptions, Repo,
    Untracked, WorktreeLocation, WorktreeStart,
};

use crate::support::{Lab, writer};

/// A worktree with a private folder, and the hand of whoever works in it.
struct Desk<'a> {
    lab: &'a Lab,
    repo: Repo,
    at: WorktreeLocation,
    folder: PathBuf,
    private: PrivateCommon,
}

impl<'a> Desk<'a> {
    fn linked(lab: &'a Lab, name: &str, init: &[&str]) -> Self {
        let repo = lab.open(&lab.repository(name, init));
        let start = WorktreeStart::NewBranch { name: "work".into(), at: repo.resolve_here("main").unwrap() };
        let path = lab.root.join(format!("{name} tree"));
        let made = writer(&repo).add_worktree(&AddWorktree::new(path, start)).unwrap();
        Self::at(lab, repo, made.location)
    }

    fn main(lab: &'a Lab, name: &str, init: &[&str]) -> Self {
        let repo = lab.open(&lab.repository(name, init));
        let at = repo.main_worktree().unwrap();
        Self::at(lab, repo, at)
    }

    fn at(lab: &'a Lab, repo: Repo, at: WorktreeLocation) -> Self {
        let folder = repo.root().with_extension("session");
        let private = open(&repo, &at, &folder).unwrap();
        Self { lab, repo, at, folder, private }
    }

    fn try_inside(&self, args: &[&str]) -> (bool, String) {
        let output = Command::new("git")
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", self.lab.root.join("nowhere"))
            .env("GIT_DIR", self.private.git_dir())
            .env("GIT_WORK_TREE", &self.at.path)
            .args(args)
            .current_dir(&self.at.path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.trim_end().to_owned())
    }

    fn inside(&self, args: &[&str]) -> String {
        let (ok, text) = self.try_inside(args);
        assert!(ok, "git {args:?}: {text}");
        text
    }

    fn commit(&self, file: &str, content: &str) -> Oid {
        fs::write(self.at.path.join(file), content).unwrap();
        self.inside(&["add", "-A"]);
        self.inside(&["commit", "-q", "-m", &format!("write {file}")]);
        self.inside(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    fn import(&self) -> Result<Option<Imported>, GitError> {
        self.private.import(&writer(&self.repo), false, &ImportLimits::default())
    }

    fn outside(&self, args: &[&str]) -> String {
        self.lab.git(&self.at.path, args)
    }

    fn branch(&self) -> Oid {
        let head = self.repo.head(&self.at).unwrap();
        self.repo.branch(head.branch().unwrap()).unwrap().unwrap()
    }

    fn is_clean(&self) -> bool {
        self.repo.status(&self.at, Untracked::All).unwrap().entries.is_empty()
    }

    /// Everything but the private folder itself is as it was.
    fn assert_refused(&self, before: &Oid) -> GitError {
        let error = self.import().unwrap_err();
        assert_eq!(self.branch(), *before, "{error}");
        assert_eq!(leftovers(&self.repo), Vec::<PathBuf>::new(), "{error}");
        error
    }
}

fn open(repo: &Repo, at: &WorktreeLocation, folder: &Path) -> Result<PrivateCommon, GitError> {
    let identity = Some(("Agent Smith".to_owned(), "smith@example.org".to_owned()));
    PrivateCommon::open(repo, at, folder, &PrivateOptions { identity, ..PrivateOptions::default() })
}

fn leftovers(repo: &Repo) -> Vec<PathBuf> {
    let objects = repo.common_dir().join("objects");
    let entries = objects.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains("incoming")).collect()
}

#[test]
fn a_commit_made_inside_comes_over_in_every_shape_of_repository() {
    let lab = Lab::new();
    let desks = [
        Desk::linked(&lab, "linked", &[]),
        Desk::linked(&lab, "linked256", &["--object-format=sha256"]),
        Desk::linked(&lab, "reftable", &["--ref-format=reftable"]),
        Desk::main(&lab, "main", &[]),
        Desk::main(&lab, "main256", &["--object-format=sha256"]),
    ];
    for desk in desks {
        let before = desk.branch();
        assert_eq!(desk.inside(&["status", "--porcelain"]), "");
        let first = desk.commit("new ü.txt", "new\n");
        fs::remove_file(desk.at.path.join("b.txt")).unwrap();
        let second = desk.commit("a.txt", "changed\n");
        assert_eq!(desk.branch(), before, "nothing moves by itself");
        assert!(desk.private.is_ahead().unwrap());

        let done = desk.import().unwrap().unwrap();
        assert_eq!((done.old, done.new.clone(), done.commits), (Some(before), second.clone(), 2));
        assert_eq!(desk.branch(), second);
        assert!(done.index && desk.is_clean(), "{}", desk.outside(&["status", "--short"]));
        assert_eq!(desk.outside(&["log", "-1", "--format=%an"]), "Agent Smith");
        assert_eq!(desk.outside(&["rev-parse", "HEAD~1"]), first.to_string());
        assert!(desk.outside(&["reflog", "-1", "--format=%gs"]).starts_with("commit: write a.txt"));
        desk.outside(&["fsck", "--strict", "--no-dangling"]);
        assert!(!desk.private.is_ahead().unwrap());
        assert_eq!(desk.import().unwrap(), None);
        assert_eq!(leftovers(&desk.repo), Vec::<PathBuf>::new());
    }
}

#[test]
fn only_the_branch_of_the_worktree_comes_over() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "one", &[]);
    let main = desk.repo.branch("main").unwrap();
    let mine = desk.commit("x", "x");
    desk.inside(&["update-ref", "refs/heads/main", mine.as_str()]);
    desk.inside(&["branch", "other"]);
    desk.inside(&["tag", "v1"]);
    desk.inside(&["config", "core.fsmonitor", "touch planted"]);
    desk.import().unwrap().unwrap();
    assert_eq!(desk.repo.branch("main").unwrap(), main);
    assert_eq!(desk.repo.branch("other").unwrap(), None);
    assert_eq!(desk.outside(&["tag"]), "");
    assert_eq!(desk.outside(&["config", "--default", "none", "core.fsmonitor"]), "none");
    desk.inside(&["switch", "-q", "other"]);
    let before = desk.branch();
    let error = desk.assert_refused(&before);
    assert!(
        matches!(&error, GitError::OtherBranch { found: Some(found), .. } if found == "other"),
        "{error}"
    );
}

#[test]
fn a_branch_that_moved_outside_is_not_overwritten() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "raced", &[]);
    desk.commit("inside", "x");
    fs::write(desk.at.path.join("outside"), "x").unwrap();
    desk.outside(&["add", "outside"]);
    desk.outside(&["commit", "-q", "-m", "outside"]);
    let before = desk.branch();
    let error = desk.assert_refused(&before);
    assert!(matches!(error, GitError::RefMoved { .. }) && error.kind() == ErrorKind::Conflict, "{error}");
}

#[test]
fn commits_of_before_are_never_rewritten_and_own_ones_when_allowed() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "amended", &[]);
    desk.commit("x", "1");
    let own = desk.import().unwrap().unwrap().new;
    desk.inside(&["commit", "-q", "--amend", "-m", "better"]);
    assert!(matches!(desk.assert_refused(&own), GitError::Rewritten { .. }));
    let done = desk.private.import(&writer(&desk.repo), true, &ImportLimits::default()).unwrap().unwrap();
    assert_eq!(desk.outside(&["log", "-1", "--format=%s"]), "better");
    assert!(desk.outside(&["reflog", "-1", "--format=%gs"]).starts_with("commit (amend): better"));

    desk.inside(&["commit", "-q", "--amend", "--no-edit", "--date=now", "-m", "first anew"]);
    desk.inside(&["update-ref", "HEAD", &desk.inside(&["commit-tree", "HEAD^{tree}", "-m", "no past"])]);
    let limits = ImportLimits::default();
    let error = desk.private.import(&writer(&desk.repo), true, &limits).unwrap_err();
    assert!(matches!(error, GitError::Rewritten { .. }), "{error}");
    assert_eq!(desk.branch(), done.new);
}

#[test]
fn a_fast_forward_to_a_commit_of_the_repository_comes_over() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "ff", &[]);
    fs::write(desk.repo.root().join("trunk.txt"), "t").unwrap();
    let trunk = lab.commit_all(desk.repo.root(), "trunk goes on");
    // Made anew, since nothing was done in it and the references are older.
    let private = open(&desk.repo, &desk.at, &desk.folder).unwrap();
    drop(private);
    desk.inside(&["merge", "-q", "--ff-only", trunk.as_str()]);
    let done = desk.import().unwrap().unwrap();
    assert_eq!((done.new.clone(), done.commits), (trunk, 1));
    assert!(desk.is_clean());
}

#[test]
fn what_is_half_done_when_a_process_dies_is_finished_by_the_next_import() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "killed", &[]);
    let before = desk.branch();
    let new = desk.commit("x", "x");
    // Killed once the objects are there.
    let fetched = desk.private.fetch(false, &ImportLimits::default()).unwrap().unwrap();
    assert_eq!((desk.branch(), &fetched.new), (before.clone(), &new));
    // Killed behind the move of the branch: the record still tells what was about to be done.
    let record = fs::read_to_string(desk.folder.join("record")).unwrap();
    fs::write(desk.folder.join("record"), format!("{record}landing {new}\n")).unwrap();
    desk.outside(&["update-ref", "refs/heads/work", new.as_str(), before.as_str()]);
    assert!(!desk.is_clean());
    let again = open(&desk.repo, &desk.at, &desk.folder).unwrap();
    // Somebody went on inside in the meantime.
    let newer = desk.commit("y", "y");
    let done = again.import(&writer(&desk.repo), false, &ImportLimits::default()).unwrap().unwrap();
    assert_eq!((done.old, done.new, done.commits), (Some(new), newer.clone(), 1));
    assert_eq!(desk.branch(), newer);
    assert!(desk.is_clean(), "{}", desk.outside(&["status", "--short"]));
}

/// Folder of the session, worktree: what the process to be killed works on.
const KILLED: &str = "PODIUM_TEST_KILLED_IMPORT";
const KILLS: u32 = 24;

/// The process that the next test starts and kills; by itself it has nothing to do.
#[test]
fn an_import_runs_as_a_process_of_its_own() {
    let Ok(places) = std::env::var(KILLED) else { return };
    let (folder, tree) = places.split_once('\n').unwrap();
    let lab = Lab::new();
    let repo = lab.open(Path::new(tree));
    let at = repo.here().unwrap().clone();
    let private = open(&repo, &at, Path::new(folder)).unwrap();
    private.import(&writer(&repo), false, &ImportLimits::default()).unwrap();
}

#[test]
fn an_import_killed_at_any_moment_is_finished_by_the_next_one() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "kills", &[]);
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "private::an_import_runs_as_a_process_of_its_own"])
            .env(KILLED, format!("{}\n{}", desk.folder.display(), desk.at.path.display()))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    desk.commit("undisturbed", "x");
    let began = std::time::Instant::now();
    assert!(start().wait().unwrap().success());
    let whole_time = began.elapsed();
    let (mut before, mut whole, mut cut) = (0, 0, 0);
    for round in 0..KILLS {
        let old = desk.branch();
        let new = desk.commit(&format!("file{round}"), &round.to_string());
        let mut child = start();
        // Over the whole time that an import takes, and a little longer. tidy-allow(sleep): a moment to kill at
        std::thread::sleep(whole_time * round * 5 / (KILLS * 4));
        child.kill().unwrap();
        child.wait().unwrap();
        match desk.branch() {
            now if now == old => before += 1,
            now => {
                assert_eq!(now, new);
                if desk.private.is_ahead().unwrap() { cut += 1 } else { whole += 1 }
            }
        }
        // Its git may still be at work; what that does is not undone.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while let Err(error) = desk.import() {
            assert!(std::time::Instant::now() < deadline, "{error}");
        }
        assert_eq!(desk.branch(), new);
        assert!(!desk.private.is_ahead().unwrap());
        assert!(desk.is_clean(), "{}", desk.outside(&["status", "--short"]));
        desk.outside(&["fsck", "--strict", "--no-dangling"]);
    }
    eprintln!("killed before the branch moved: {before}, behind it: {cut}, behind all: {whole}");
    assert!(before > 0, "no kill came early");
    let lost = desk.outside(&["rev-list", "--count", "work"]);
    assert_eq!(lost, (KILLS + 2).to_string());
}

#[test]
fn an_index_that_another_git_holds_follows_later() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "held", &[]);
    let new = desk.commit("x", "x");
    let lock = desk.at.git_dir.join("index.lock");
    fs::write(&lock, "").unwrap();
    let mut hasty = writer(&desk.repo);
    hasty.lock_wait(std::time::Duration::from_millis(20));
    let done = desk.private.import(&hasty, false, &ImportLimits::default()).unwrap().unwrap();
    assert!(!done.index && desk.branch() == new);
    drop(hasty);
    fs::remove_file(&lock).unwrap();
    assert!(desk.private.is_ahead().unwrap());
    assert!(desk.import().unwrap().unwrap().index);
    assert!(desk.is_clean());
}

#[test]
fn what_was_staged_outside_stays_unless_it_is_in_the_way() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "staged", &[]);
    desk.commit("x", "x");
    fs::write(desk.at.path.join("b.txt"), "person\n").unwrap();
    desk.outside(&["add", "b.txt"]);
    desk.import().unwrap().unwrap();
    assert_eq!(desk.outside(&["status", "--short"]), "M  b.txt");
}

#[test]
fn a_folder_is_made_anew_when_the_branch_moved_and_kept_while_it_has_commits() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "again", &[]);
    desk.outside(&["commit", "-q", "--allow-empty", "-m", "outside"]);
    let private = open(&desk.repo, &desk.at, &desk.folder).unwrap();
    assert_eq!(private.tip().unwrap(), Some(desk.branch()));
    let mine = desk.commit("x", "x");
    let private = open(&desk.repo, &desk.at, &desk.folder).unwrap();
    assert_eq!(private.tip().unwrap(), Some(mine));
    // On another branch meanwhile: what was committed for the first one is kept aside.
    desk.outside(&["switch", "-q", "-c", "elsewhere"]);
    let private = open(&desk.repo, &desk.at, &desk.folder).unwrap();
    assert_eq!(private.branch().unwrap(), "elsewhere");
    let kept = |entry: std::io::Result<fs::DirEntry>| {
        entry.unwrap().file_name().to_string_lossy().starts_with("kept-")
    };
    assert_eq!(desk.folder.read_dir().unwrap().filter(|_| true).map(kept).filter(|kept| *kept).count(), 1);
    desk.outside(&["switch", "-q", "--detach"]);
    assert!(matches!(open(&desk.repo, &desk.at, &desk.folder), Err(GitError::DetachedHead { .. })));
}

#[test]
fn a_folder_that_somebody_works_in_stays_as_it_is_and_is_found_again() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "occupied", &[]);
    let (before, common) = (desk.branch(), fs::File::open(desk.private.common_dir()).unwrap());
    desk.outside(&["commit", "-q", "--allow-empty", "-m", "outside"]);
    let options = PrivateOptions { occupied: true, ..PrivateOptions::default() };
    let again = PrivateCommon::open(&desk.repo, &desk.at, &desk.folder, &options).unwrap();
    assert_eq!(again.tip().unwrap(), Some(before), "what is worked on does not move under who works");
    let same = |file: &fs::File| std::os::unix::fs::MetadataExt::ino(&file.metadata().unwrap());
    assert_eq!(same(&common), same(&fs::File::open(again.common_dir()).unwrap()));
    let mine = desk.commit("x", "x");
    let found = PrivateCommon::find(&desk.repo, &desk.at, &desk.folder).unwrap().unwrap();
    assert_eq!((found.tip().unwrap(), found.is_ahead().unwrap()), (Some(mine), true));
    assert!(PrivateCommon::find(&desk.repo, &desk.at, &lab.root.join("absent")).unwrap().is_none());
}

#[test]
fn a_merge_that_waits_for_its_commit_can_be_finished_inside() {
    let lab = Lab::new();
    let repo = lab.open(&lab.repository("merged", &[]));
    let start = WorktreeStart::NewBranch { name: "work".into(), at: repo.resolve_here("main").unwrap() };
    let tree = lab.root.join("merged tree");
    let at = writer(&repo).add_worktree(&AddWorktree::new(tree.clone(), start)).unwrap().location;
    fs::write(repo.root().join("a.txt"), "trunk\n").unwrap();
    lab.commit_all(repo.root(), "trunk");
    fs::write(tree.join("a.txt"), "work\n").unwrap();
    lab.commit_all(&tree, "work");
    assert!(!lab.try_git(&tree, &["merge", "main"]).0);
    let desk = Desk::at(&lab, repo, at);
    desk.commit("a.txt", "both\n");
    desk.import().unwrap().unwrap();
    assert_eq!(desk.outside(&["log", "-1", "--format=%P"]).split(' ').count(), 2);
    assert!(desk.is_clean());
    assert!(!desk.outside(&["status"]).contains("merging"), "{}", desk.outside(&["status"]));
}

#[test]
fn hostile_objects_are_refused_and_leave_nothing() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "hostile", &[]);
    let before = desk.branch();
    let reset = || desk.inside(&["update-ref", "HEAD", before.as_str()]);
    let objects = desk.private.common_dir().join("objects");
    let commit_of = |tree: &str| {
        let commit = desk.inside(&["commit-tree", tree, "-p", before.as_str(), "-m", "x"]);
        desk.inside(&["update-ref", "HEAD", &commit]);
        commit
    };

    // A tree that would write into git's own folder.
    let blob = desk.inside(&["hash-object", "-w", "a.txt"]);
    let entry = [b"100644 .git\0".as_slice(), &hex(&blob)].concat();
    fs::write(desk.folder.join("tree"), entry).unwrap();
    let tree = desk.folder.join("tree").display().to_string();
    commit_of(&desk.inside(&["hash-object", "-w", "-t", "tree", "--literally", &tree]));
    assert!(matches!(desk.assert_refused(&before), GitError::BadObjects { .. }));
    reset();

    // A blob that is not what its name says, under a name that the commit needs.
    let commit = desk.commit("big", "a content\n");
    let (blob, other) =
        (desk.inside(&["rev-parse", "HEAD:big"]), desk.inside(&["hash-object", "-w", "a.txt"]));
    let other = loose(&objects, &other);
    let path = loose(&objects, &blob);
    fs::remove_file(&path).unwrap();
    if other.exists() {
        fs::copy(&other, &path).unwrap();
    } else {
        fs::write(&path, b"no object").unwrap();
    }
    assert!(matches!(desk.assert_refused(&before), GitError::BadObjects { .. }), "{commit}");

    // A pipe would have to be waited for, a link leads elsewhere, a missing one is missing.
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(matches!(desk.assert_refused(&before), GitError::Tampered { .. }));
    fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    assert!(matches!(desk.assert_refused(&before), GitError::Tampered { .. }));
    fs::remove_file(&path).unwrap();
    assert!(matches!(desk.assert_refused(&before), GitError::BadObjects { .. }));

    // A name that exists nowhere.
    let none = "1".repeat(40);
    let head = desk.private.common_dir().join("refs/heads/work");
    fs::write(&head, format!("{none}\n")).unwrap();
    assert!(matches!(desk.assert_refused(&before), GitError::BadObjects { .. }));
    for (content, what) in [("ref: refs/heads/main\n", "a reference"), ("../../x", "a path"), ("", "nothing")]
    {
        fs::write(&head, content).unwrap();
        assert!(matches!(desk.assert_refused(&before), GitError::Tampered { .. }), "{what}");
    }
    fs::remove_file(&head).unwrap();
    symlink("/etc/passwd", &head).unwrap();
    assert!(matches!(desk.assert_refused(&before), GitError::Tampered { .. }));
    fs::remove_dir_all(&objects).unwrap();
    symlink(desk.repo.common_dir().join("objects"), &objects).unwrap();
    fs::remove_file(&head).unwrap();
    fs::write(&head, format!("{commit}\n")).unwrap();
    assert!(matches!(desk.assert_refused(&before), GitError::Tampered { .. }));
}

#[test]
fn objects_of_another_repository_cannot_be_borrowed() {
    let lab = Lab::new();
    let secret = lab.repository("secret", &[]);
    fs::write(secret.join("key"), "precious\n").unwrap();
    lab.commit_all(&secret, "secret");
    let tree = lab.git(&secret, &["rev-parse", "HEAD^{tree}"]);
    let desk = Desk::linked(&lab, "thief", &[]);
    let before = desk.branch();
    let list = desk.private.common_dir().join("objects/info/alternates");
    let own = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{own}{}\n", secret.join(".git/objects").display())).unwrap();
    let commit = desk.inside(&["commit-tree", &tree, "-p", before.as_str(), "-m", "stolen"]);
    desk.inside(&["update-ref", "HEAD", &commit]);
    assert!(matches!(desk.assert_refused(&before), GitError::BadObjects { .. }));
}

#[test]
fn a_lying_ancestor_does_not_hide_that_a_branch_was_rewritten() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "liar", &[]);
    let before = desk.branch();
    // Two commits without the past, the first of them stored with a content that names the past as its parent.
    let orphan = desk.inside(&["commit-tree", "HEAD^{tree}", "-m", "orphan"]);
    let lie = desk.inside(&["commit-tree", "HEAD^{tree}", "-p", before.as_str(), "-m", "lie"]);
    let tip = desk.inside(&["commit-tree", "HEAD^{tree}", "-p", &orphan, "-m", "tip"]);
    let objects = desk.private.common_dir().join("objects");
    let orphan = loose(&objects, &orphan);
    fs::remove_file(&orphan).unwrap();
    fs::copy(loose(&objects, &lie), &orphan).unwrap();
    fs::write(desk.private.common_dir().join("refs/heads/work"), format!("{tip}\n")).unwrap();
    let error = desk.assert_refused(&before);
    assert!(matches!(error, GitError::BadObjects { .. } | GitError::Rewritten { .. }), "{error}");
}

#[test]
fn too_much_is_refused_by_size_number_and_length() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "large", &[]);
    let noise: String =
        (0..200_000_u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    desk.commit("noise", &noise);
    desk.commit("x", "x");
    let before = desk.branch();
    let all = ImportLimits::default();
    for limits in [
        ImportLimits { bytes: 100_000, ..all },
        ImportLimits { files: 3, ..all },
        ImportLimits { commits: 1, ..all },
    ] {
        let error = desk.private.import(&writer(&desk.repo), false, &limits).unwrap_err();
        assert!(matches!(error, GitError::TooMuch { .. }), "{error}");
        assert_eq!(desk.branch(), before);
    }
    // Packed inside, with an index that is not believed.
    desk.inside(&["repack", "-a", "-d", "-l", "-q"]);
    desk.inside(&["pack-refs", "--all"]);
    let packs = desk.private.common_dir().join("objects/pack");
    for entry in packs.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "idx") {
            fs::remove_file(&path).unwrap();
            fs::write(&path, b"\xfftOc not an index").unwrap();
        }
    }
    assert_eq!(desk.import().unwrap().unwrap().commits, 2);
    assert!(desk.is_clean());
}

#[test]
fn settings_that_decide_about_bytes_come_along_and_passwords_do_not() {
    let lab = Lab::new();
    let path = lab.repository("settings", &[]);
    for (key, value) in [
        ("remote.origin.url", "https://user:hunter2@example.org/x"),
        ("core.autocrlf", "input"),
        ("filter.up.clean", "tr a-z A-Z"),
        ("user.name", "Ada \"L\" \\ Byron"),
        ("alias.x", "!touch planted"),
        ("core.fsmonitor", "touch planted"),
    ] {
        lab.git(&path, &["config", key, value]);
    }
    fs::write(path.join(".git/info/exclude"), "ignored.txt\n").unwrap();
    fs::create_dir_all(path.join(".git/hooks")).unwrap();
    let desk = Desk::at(&lab, lab.open(&path), lab.open(&path).main_worktree().unwrap());
    let config = fs::read_to_string(desk.private.common_dir().join("config")).unwrap();
    assert!(!config.contains("hunter2") && !config.contains("planted"), "{config}");
    fs::write(path.join("ignored.txt"), "x").unwrap();
    fs::write(path.join(".gitattributes"), "*.up filter=up\n").unwrap();
    desk.commit("file.up", "shout\r\n");
    assert_eq!(desk.inside(&["show", "HEAD:file.up"]), "SHOUT");
    assert_eq!(desk.inside(&["log", "-1", "--format=%an <%ae>"]), "Ada \"L\" \\ Byron <smith@example.org>");
    assert!(!desk.inside(&["ls-files"]).contains("ignored"));
    let hooks = desk.private.shares().last().unwrap();
    assert_eq!(hooks.real, path.join(".git/hooks"));
}

#[test]
fn large_files_come_along_if_they_are_what_their_names_say() {
    let lab = Lab::new();
    let desk = Desk::linked(&lab, "large-files", &[]);
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let place =
        |root: &Path, name: &str| root.join("lfs/objects").join(&name[..2]).join(&name[2..4]).join(name);
    let private = desk.private.common_dir();
    let other = hash.replace("2cf24d", "2cf24e");
    fs::create_dir_all(place(&private, hash).parent().unwrap()).unwrap();
    fs::write(place(&private, hash), "hello").unwrap();
    fs::write(place(&private, &other), "something else").unwrap();
    desk.commit("pointer", "version https://git-lfs.github.com/spec/v1\n");
    desk.import().unwrap().unwrap();
    assert_eq!(fs::read_to_string(place(desk.repo.common_dir(), hash)).unwrap(), "hello");
    assert!(!place(desk.repo.common_dir(), &other).exists());
}

#[test]
fn a_repository_without_a_commit_gets_its_first_one() {
    let lab = Lab::new();
    let path = lab.root.join("empty");
    fs::create_dir(&path).unwrap();
    lab.git(&path, &["init", "-q"]);
    let repo = lab.open(&path);
    let at = repo.main_worktree().unwrap();
    assert!(matches!(repo.head(&at).unwrap(), Head::Unborn { .. }));
    let desk = Desk::at(&lab, repo, at);
    let first = desk.commit("x", "x");
    let done = desk.import().unwrap().unwrap();
    assert_eq!((done.old, done.new, done.commits), (None, first, 1));
    assert!(desk.is_clean());
}

fn loose(objects: &Path, id: &str) -> PathBuf {
    objects.join(&id[..2]).join(&id[2..])
}

fn hex(id: &str) -> Vec<u8> {
    (0..id.len() / 2).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap()).collect()
}
