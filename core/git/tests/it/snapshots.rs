//! Worktrees as they were, taken and brought back.

use std::collections::BTreeMap;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use podium_git::{
    Repo, Restored, Reverted, SnapshotLimits, SnapshotStore, Standing, TreeSnapshot, WorktreeLocation, hunks,
};

use crate::support::{Lab, each_backend, writer};

/// Kind or mode, and content, of each path.
type Files = BTreeMap<PathBuf, (u32, Vec<u8>)>;

struct Bed {
    lab: Lab,
    repo: Repo,
    at: WorktreeLocation,
    store: SnapshotStore,
    last: Option<TreeSnapshot>,
}

impl Bed {
    fn new(init: &[&str]) -> Self {
        let lab = Lab::new();
        let path = lab.repository("r", init);
        Self::over(lab, &path)
    }

    fn over(lab: Lab, path: &Path) -> Self {
        let repo = lab.open(path);
        let at = repo.here().unwrap().clone();
        let store = SnapshotStore::open(&repo, &lab.root.join("kept")).unwrap();
        Self { lab, repo, at, store, last: None }
    }

    fn take(&mut self) -> TreeSnapshot {
        let taken = self.store.take(&self.at, &SnapshotLimits::default(), self.last.as_ref()).unwrap();
        self.last = Some(taken.clone());
        taken
    }

    /// Goes to a snapshot with files and index.
    fn go(&mut self, to: &TreeSnapshot) -> Restored {
        let now = self.take();
        let restored = self.store.restore(&self.at, &now, to).unwrap();
        self.store.restore_index(&writer(&self.repo), &self.at, to).unwrap();
        restored
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.at.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.at.path.join(path)).unwrap()
    }

    fn git(&self, args: &[&str]) -> String {
        self.lab.git(&self.at.path, args)
    }

    /// What a person sees: every file with its kind, mode and content, and what git says.
    fn state(&self) -> (Files, String, String) {
        let mut files = BTreeMap::new();
        collect(&self.at.path, Path::new(""), &mut files);
        (files, self.git(&["status", "--porcelain", "-uall"]), self.git(&["ls-files", "--stage"]))
    }
}

fn collect(top: &Path, below: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(top.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        let found = entry.path().symlink_metadata().unwrap();
        if entry.file_name() == ".git" {
            continue;
        }
        if found.is_symlink() {
            let target = std::fs::read_link(entry.path()).unwrap();
            files.insert(path, (0o120_000, target.as_os_str().as_bytes().to_vec()));
        } else if found.is_dir() {
            collect(top, &path, files);
        } else {
            let mode = found.permissions().mode() & 0o100;
            files.insert(path, (mode, std::fs::read(entry.path()).unwrap()));
        }
    }
}

#[test]
fn every_odd_content_comes_back_as_it_was_in_both_directions() {
    for init in [&[][..], &["--object-format=sha256"][..]] {
        let mut bed = Bed::new(init);
        bed.write("tool.sh", "#!/bin/sh\n");
        bed.write("becomes-folder", "file\n");
        bed.write("folder/becomes-file", "x\n");
        symlink("a.txt", bed.at.path.join("link")).unwrap();
        bed.lab.commit_all(&bed.at.path, "more");
        bed.write("untracked.txt", "mine\n");
        bed.write("staged.txt", "staged\n");
        bed.git(&["add", "staged.txt"]);
        bed.write("staged.txt", "and later\n");
        let odd = std::ffi::OsString::from_vec(b"caf\xe9 \n\"x".to_vec());
        std::fs::write(bed.at.path.join(&odd), "bytes").unwrap();
        let before = bed.state();
        let first = bed.take();

        bed.write("a.txt", "changed\n");
        bed.git(&["mv", "b.txt", "moved.txt"]);
        std::fs::remove_file(bed.at.path.join("dir/c.txt")).unwrap();
        std::fs::set_permissions(bed.at.path.join("tool.sh"), std::fs::Permissions::from_mode(0o755))
            .unwrap();
        std::fs::remove_file(bed.at.path.join("becomes-folder")).unwrap();
        bed.write("becomes-folder/deep/file", "y\n");
        std::fs::remove_dir_all(bed.at.path.join("folder")).unwrap();
        bed.write("folder", "a file now\n");
        std::fs::remove_file(bed.at.path.join("link")).unwrap();
        symlink("dangling", bed.at.path.join("link")).unwrap();
        std::fs::remove_file(bed.at.path.join("untracked.txt")).unwrap();
        std::fs::remove_file(bed.at.path.join(&odd)).unwrap();
        bed.write("new/er.txt", "new\n");
        let after = bed.state();
        let second = bed.take();
        assert_ne!(first.files, second.files);

        let restored = bed.go(&first);
        assert_eq!(restored.kept, Vec::<PathBuf>::new());
        assert_eq!(bed.state(), before, "{init:?}");
        assert!(!bed.at.path.join("new").exists(), "an empty folder stays behind");
        assert_eq!(bed.go(&second).kept, Vec::<PathBuf>::new());
        assert_eq!(bed.state(), after, "{init:?}");
    }
}

#[test]
fn a_snapshot_changes_nothing_takes_no_lock_and_is_published_by_no_push() {
    let mut bed = Bed::new(&[]);
    let mirror = bed.lab.root.join("mirror.git");
    bed.git(&["init", "-q", "--bare", mirror.to_str().unwrap()]);
    bed.write("untracked.txt", "mine\n");
    bed.write("a.txt", "changed\n");
    let index = bed.at.git_dir.join("index");
    let (bytes, time) = (std::fs::read(&index).unwrap(), index.metadata().unwrap().modified().unwrap());
    let objects = bed.git(&["count-objects", "-v"]);
    // Somebody's git is at work.
    std::fs::write(bed.at.git_dir.join("index.lock"), "").unwrap();
    let taken = bed.take();
    assert!(bed.at.git_dir.join("index.lock").exists());
    std::fs::remove_file(bed.at.git_dir.join("index.lock")).unwrap();
    assert_eq!(
        (std::fs::read(&index).unwrap(), index.metadata().unwrap().modified().unwrap()),
        (bytes, time)
    );
    assert_eq!(bed.git(&["count-objects", "-v"]), objects);
    assert_eq!(bed.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    bed.git(&["push", "-q", "--mirror", mirror.to_str().unwrap()]);
    assert_eq!(bed.lab.git(&mirror, &["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    let kept = bed.lab.git(bed.store.folder(), &["for-each-ref", "--format=%(refname) %(objectname)"]);
    assert_eq!(kept, format!("refs/podium/{0} {0}", taken.commit));
}

#[test]
fn what_did_not_change_is_named_once_more_and_costs_no_object() {
    let mut bed = Bed::new(&[]);
    let objects = |bed: &Bed| bed.lab.git(bed.store.folder(), &["count-objects", "-v"]);
    let first = bed.take();
    assert!(first.clean);
    let held = objects(&bed);
    assert_eq!(bed.take(), first);
    bed.write("untracked.txt", "mine\n");
    let second = bed.take();
    let more = objects(&bed);
    assert_ne!((&second.commit, &more), (&first.commit, &held));
    assert_eq!(bed.take(), second);
    assert_eq!(objects(&bed), more);
    assert_eq!(bed.store.list().unwrap().len(), 2);
    bed.git(&["checkout", "-q", "-b", "other"]);
    assert_ne!(bed.take().branch, second.branch);
}

#[test]
fn ignored_files_are_neither_kept_nor_overwritten() {
    let mut bed = Bed::new(&[]);
    bed.write("report.txt", "from the session\n");
    let first = bed.take();
    std::fs::remove_file(bed.at.path.join("report.txt")).unwrap();
    bed.write(".gitignore", "report.txt\nsecret\n");
    bed.write("secret", "mine alone\n");
    bed.write("report.txt", "ignored, and nobody else has it\n");
    let second = bed.take();
    let restored = bed.go(&first);
    assert_eq!(restored.kept, [PathBuf::from("report.txt")]);
    assert_eq!(bed.read("report.txt"), "ignored, and nobody else has it\n");
    assert_eq!(bed.read("secret"), "mine alone\n");
    bed.go(&second);
    assert_eq!(bed.read("secret"), "mine alone\n");
}

#[test]
fn what_was_ignored_then_stays_also_when_a_run_was_cut_off_behind_the_rules() {
    let mut bed = Bed::new(&[]);
    bed.write(".gitignore", "secret\n");
    bed.write("secret", "mine alone\n");
    let first = bed.take();
    std::fs::remove_file(bed.at.path.join(".gitignore")).unwrap();
    bed.write("extra.txt", "by the session\n");
    let second = bed.take();
    // The rules of then took their place, and no more.
    bed.write(".gitignore", "secret\n");
    let restored = bed.store.restore(&bed.at, &second, &first).unwrap();
    assert_eq!(restored.changed, [PathBuf::from("extra.txt")]);
    assert_eq!(bed.read("secret"), "mine alone\n");
}

#[test]
fn what_somebody_changed_meanwhile_stays_and_a_second_run_finishes_the_rest() {
    let mut bed = Bed::new(&[]);
    let first = bed.take();
    bed.write("a.txt", "by the session\n");
    bed.write("b.txt", "by the session\n");
    bed.write("extra.txt", "by the session\n");
    let second = bed.take();
    // Cut off after one file; then a person saved another one.
    bed.write("a.txt", "one\ntwo\nthree\nfour\n");
    bed.write("b.txt", "by a person\n");
    std::fs::create_dir(bed.at.git_dir.join("podium-restore-x")).unwrap();
    let restored = bed.store.restore(&bed.at, &second, &first).unwrap();
    assert_eq!(restored.changed, [PathBuf::from("extra.txt")]);
    assert_eq!(restored.kept, [PathBuf::from("b.txt")]);
    assert_eq!(bed.read("b.txt"), "by a person\n");
    assert!(!bed.at.git_dir.join("podium-restore-x").exists());
}

#[test]
fn a_link_on_the_way_leads_nowhere() {
    let mut bed = Bed::new(&[]);
    let outside = bed.lab.root.join("outside");
    std::fs::create_dir(&outside).unwrap();
    bed.write("sub/file", "inside\n");
    let first = bed.take();
    std::fs::remove_dir_all(bed.at.path.join("sub")).unwrap();
    let second = bed.take();
    symlink(&outside, bed.at.path.join("sub")).unwrap();
    let restored = bed.store.restore(&bed.at, &second, &first).unwrap();
    assert_eq!(restored.kept, [PathBuf::from("sub/file")]);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_conflict_comes_back_with_all_its_stages() {
    let mut bed = Bed::new(&[]);
    bed.git(&["checkout", "-q", "-b", "side"]);
    bed.write("a.txt", "side\n");
    bed.lab.commit_all(&bed.at.path, "side");
    bed.git(&["checkout", "-q", "main"]);
    bed.write("a.txt", "main\n");
    bed.lab.commit_all(&bed.at.path, "main");
    let (merged, _) = bed.lab.try_git(&bed.at.path, &["merge", "-q", "side"]);
    assert!(!merged);
    let before = bed.state();
    let in_conflict = bed.take();
    assert!(!in_conflict.conflicts.is_empty());
    bed.write("a.txt", "resolved\n");
    bed.git(&["add", "a.txt"]);
    let resolved = bed.take();
    bed.go(&in_conflict);
    assert_eq!(bed.state(), before);
    assert_eq!(bed.git(&["ls-files", "--unmerged"]).lines().count(), 3);
    bed.go(&resolved);
    assert_eq!(
        (bed.read("a.txt").as_str(), bed.git(&["ls-files", "--unmerged"])),
        ("resolved\n", String::new())
    );
}

#[test]
fn submodules_and_inner_repositories_are_not_touched_and_told() {
    let lab = Lab::new();
    let library = lab.repository("library", &[]);
    let path = lab.repository("r", &[]);
    lab.git(&path, &["submodule", "--quiet", "add", library.to_str().unwrap(), "lib"]);
    lab.commit_all(&path, "with a submodule");
    let mut bed = Bed::over(lab, &path);
    let first = bed.take();
    std::fs::write(bed.at.path.join("lib/a.txt"), "inside\n").unwrap();
    bed.lab.commit_all(&bed.at.path.join("lib"), "in the submodule");
    let inner = bed.at.path.join("inner");
    std::fs::create_dir(&inner).unwrap();
    bed.lab.git(&inner, &["init", "-q"]);
    std::fs::write(inner.join("file"), "theirs\n").unwrap();
    bed.lab.commit_all(&inner, "theirs");
    let second = bed.take();
    assert_eq!(second.left_out, [PathBuf::from("inner")]);
    let restored = bed.go(&first);
    assert_eq!(restored.repositories, [PathBuf::from("lib")]);
    assert_eq!(bed.read("lib/a.txt"), "inside\n");
    assert_eq!(bed.read("inner/file"), "theirs\n");
}

#[test]
fn what_is_too_large_or_no_file_is_left_out_and_stays() {
    let bed = Bed::new(&[]);
    bed.write("large.bin", &"x".repeat(5000));
    bed.write("small.txt", "s\n");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bed.at.path.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let limits = SnapshotLimits { file: 4096, ..SnapshotLimits::default() };
    let taken = bed.store.take(&bed.at, &limits, None).unwrap();
    assert!(taken.left_out.contains(&PathBuf::from("large.bin")), "{:?}", taken.left_out);
    let listed = bed.lab.git(bed.store.folder(), &["ls-tree", "-r", "--name-only", taken.commit.as_str()]);
    assert_eq!(listed, "a.txt\nb.txt\ndir/c.txt\nsmall.txt");
}

#[test]
fn what_was_left_out_then_and_could_be_kept_since_is_neither_deleted_nor_replaced() {
    let bed = Bed::new(&[]);
    let take = |file| {
        let limits = SnapshotLimits { file, ..SnapshotLimits::default() };
        bed.store.take(&bed.at, &limits, None).unwrap()
    };
    bed.write("large.bin", &"x".repeat(5000));
    bed.write("a.txt", &"y".repeat(5000));
    bed.write("inner/file", "theirs\n");
    let inner = bed.at.path.join("inner");
    bed.lab.git(&inner, &["init", "-q"]);
    bed.lab.commit_all(&inner, "theirs");
    let first = take(4096);
    assert_eq!(first.left_out, ["a.txt", "inner", "large.bin"].map(PathBuf::from));
    bed.write("large.bin", "small now\n");
    bed.write("a.txt", "small now\n");
    std::fs::remove_dir_all(inner.join(".git")).unwrap();
    bed.write("extra.txt", "by the session\n");
    let second = take(4096);
    assert_eq!(second.left_out, Vec::<PathBuf>::new());
    let restored = bed.store.restore(&bed.at, &second, &first).unwrap();
    assert_eq!(restored.changed, [PathBuf::from("extra.txt")]);
    assert_eq!(restored.kept, ["a.txt", "inner/file", "large.bin"].map(PathBuf::from));
    assert_eq!((bed.read("large.bin"), bed.read("a.txt")), ("small now\n".into(), "small now\n".into()));
    assert_eq!(bed.read("inner/file"), "theirs\n");

    // Where there are too many to be named, nothing that is missing is proven to be new.
    let unnamed = TreeSnapshot { left_out: Vec::new(), more_left_out: true, ..first };
    bed.write("b.txt", "by the session\n");
    let third = take(4096);
    let restored = bed.store.restore(&bed.at, &third, &unnamed).unwrap();
    assert_eq!(bed.read("large.bin"), "small now\n");
    assert!(restored.changed.contains(&PathBuf::from("b.txt")), "{restored:?}");
}

#[test]
fn commits_come_back_only_if_asked_and_after_the_objects_were_collected() {
    for backend in 0..2 {
        let lab = Lab::new();
        let path = lab.repository("r", &[]);
        lab.git(&path, &["worktree", "add", "-q", "-b", "feat", "../feat"]);
        let mut bed = Bed::over(lab, &PathBuf::from(path.parent().unwrap()).join("feat"));
        if let Some(repo) = each_backend(&bed.repo).into_iter().nth(backend) {
            bed.repo = repo;
        }
        let main = bed.git(&["rev-parse", "main"]);
        bed.write("a.txt", "first\n");
        let old = bed.lab.commit_all(&bed.at.path, "first");
        bed.write("staged.txt", "staged\n");
        bed.git(&["add", "staged.txt"]);
        let before = bed.state();
        let first = bed.take();
        bed.git(&["reset", "-q", "--hard", "main"]);
        bed.write("a.txt", "second\n");
        let new = bed.lab.commit_all(&bed.at.path, "second");
        bed.git(&["reflog", "expire", "--expire=now", "--all"]);
        bed.git(&["gc", "-q", "--prune=now"]);
        assert!(!bed.lab.try_git(&bed.at.path, &["cat-file", "-e", old.as_str()]).0);

        // Without the commits: the files differ from HEAD, and nothing is staged.
        let undo = bed.take();
        bed.go(&first);
        assert_eq!(
            (bed.read("a.txt").as_str(), bed.git(&["rev-parse", "HEAD"])),
            ("first\n", new.to_string())
        );
        assert_eq!(bed.git(&["diff", "--cached", "--name-only"]), "");
        bed.go(&undo);

        let now = bed.take();
        bed.store.restore(&bed.at, &now, &first).unwrap();
        let turn = writer(&bed.repo);
        for _ in 0..2 {
            bed.store.move_head(&turn, &bed.at, Some("feat"), &new, &old).unwrap();
        }
        bed.store.restore_index(&turn, &bed.at, &first).unwrap();
        assert_eq!(bed.state(), before);
        assert_eq!(bed.git(&["rev-parse", "feat", "main"]), format!("{old}\n{main}"));
        assert_eq!(bed.git(&["log", "--format=%s"]), "first\nfirst commit");
        assert!(bed.store.move_head(&turn, &bed.at, Some("feat"), &new, &old).is_ok(), "it is there already");
        assert!(bed.store.move_head(&turn, &bed.at, Some("feat"), &new, &new).is_err());
        bed.git(&["fsck", "--no-dangling"]);
    }
}

#[test]
fn forgotten_snapshots_give_their_space_back_and_copies_stand_alone() {
    let mut bed = Bed::new(&[]);
    let noise: String =
        (0..40_000).map(|n: u64| format!("{:x}\n", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    bed.write("noise.txt", &noise);
    let first = bed.take();
    bed.write("noise.txt", "little\n");
    let second = bed.take();
    let copy = bed.store.copy_to(&bed.lab.root.join("copy")).unwrap();
    let size = |store: &SnapshotStore| -> u64 {
        let packs = std::fs::read_dir(store.folder().join("objects/pack")).unwrap();
        packs.map(|pack| pack.unwrap().metadata().unwrap().len()).sum()
    };
    let full = size(&bed.store);
    bed.store.forget(&[first.commit]).unwrap();
    assert!(size(&bed.store) < full / 10, "{} of {full}", size(&bed.store));
    assert_eq!(bed.store.list().unwrap(), std::slice::from_ref(&second.commit));
    bed.write("noise.txt", "other\n");
    bed.go(&second);
    assert_eq!(bed.read("noise.txt"), "little\n");
    std::fs::remove_dir_all(bed.store.folder()).unwrap();
    assert_eq!(copy.list().unwrap().len(), 2);
    bed.lab.git(copy.folder(), &["fsck", "--no-dangling"]);
}

#[test]
fn single_hunks_and_whole_files_are_taken_back_and_what_others_changed_stays() {
    let mut bed = Bed::new(&[]);
    let text: String = (0..40).map(|n| format!("line {n}\n")).collect();
    bed.write("text.txt", &text);
    bed.write("gone.txt", "was here\n");
    std::fs::write(bed.at.path.join("data.bin"), b"a\0b").unwrap();
    bed.lab.commit_all(&bed.at.path, "text");
    let first = bed.take();
    let changed = text.replace("line 3\n", "three\n").replace("line 30\n", "thirty\n");
    bed.write("text.txt", &changed);
    bed.write("new.txt", "new\n");
    std::fs::remove_file(bed.at.path.join("gone.txt")).unwrap();
    std::fs::write(bed.at.path.join("data.bin"), b"c\0d").unwrap();
    std::fs::rename(bed.at.path.join("b.txt"), bed.at.path.join("renamed.txt")).unwrap();
    let second = bed.take();
    let changes = bed.store.changes(&bed.at, &first.files, &second.files, true).unwrap();
    let of = |path: &str| changes.iter().find(|change| change.path == Path::new(path)).unwrap();
    assert_eq!(of("renamed.txt").renamed_from.as_deref(), Some(Path::new("b.txt")));

    // Somebody goes on in the same file, elsewhere.
    bed.write("text.txt", &changed.replace("line 20\n", "twenty\n"));
    let revert = |path: &str, hunks: Option<&[usize]>| bed.store.revert(&bed.at, of(path), hunks).unwrap();
    assert_eq!(revert("text.txt", Some(&[1])), Reverted::Done(vec!["text.txt".into()]));
    assert_eq!(bed.read("text.txt"), text.replace("line 3\n", "three\n").replace("line 20\n", "twenty\n"));
    assert_eq!(revert("text.txt", Some(&[1])), Reverted::Gone);
    assert_eq!(revert("text.txt", Some(&[7])), Reverted::NoSuchHunk);
    let contents = bed.store.file_contents(&bed.at, of("text.txt")).unwrap().unwrap();
    let both = hunks(&contents.old, &contents.new).unwrap().unwrap();
    let standing: Vec<Standing> = both.iter().map(|hunk| contents.standing(hunk).unwrap()).collect();
    assert_eq!(standing, [Standing::There, Standing::Gone]);
    bed.write("text.txt", &text.replace("line 3\n", "drei\n"));
    assert_eq!(revert("text.txt", Some(&[0])), Reverted::Changed);
    assert_eq!(bed.read("text.txt"), text.replace("line 3\n", "drei\n"));

    assert_eq!(revert("new.txt", Some(&[0])), Reverted::Done(vec!["new.txt".into()]));
    assert!(!bed.at.path.join("new.txt").exists());
    assert_eq!(revert("gone.txt", None), Reverted::Done(vec!["gone.txt".into()]));
    assert_eq!(bed.read("gone.txt"), "was here\n");
    assert_eq!(revert("data.bin", None), Reverted::Done(vec!["data.bin".into()]));
    assert_eq!(std::fs::read(bed.at.path.join("data.bin")).unwrap(), b"a\0b");
    assert_eq!(revert("renamed.txt", None), Reverted::Done(vec!["b.txt".into(), "renamed.txt".into()]));
    assert_eq!((bed.read("b.txt").as_str(), bed.at.path.join("renamed.txt").exists()), ("b\n", false));
    assert_eq!(bed.store.touched_since(&bed.at, &changes).unwrap().len(), changes.len());
}

#[test]
fn line_endings_and_filters_work_as_in_a_checkout() {
    let mut bed = Bed::new(&[]);
    bed.git(&["config", "core.autocrlf", "true"]);
    bed.write("a.txt", "one\r\ntwo\r\n");
    bed.lab.commit_all(&bed.at.path, "with line endings");
    let first = bed.take();
    bed.write("a.txt", "one\r\nTWO\r\n");
    let second = bed.take();
    let changes = bed.store.changes(&bed.at, &first.files, &second.files, true).unwrap();
    bed.write("a.txt", "ONE\r\nTWO\r\n\r\n\r\nmore\r\n");
    assert_eq!(bed.store.revert(&bed.at, &changes[0], Some(&[0])).unwrap(), Reverted::Changed);
    bed.write("a.txt", "one\r\nTWO\r\n");
    let reverted = bed.store.revert(&bed.at, &changes[0], Some(&[0])).unwrap();
    assert_eq!(reverted, Reverted::Done(vec!["a.txt".into()]));
    assert_eq!(bed.read("a.txt"), "one\r\ntwo\r\n");
}
