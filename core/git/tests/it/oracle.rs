//! Trial merges against the judge itself: `git merge` of the same work, committed in a clone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use podium_git::{Conflict, ConflictKind, Repo};

use crate::support::{Lab, each_backend};

const TEN: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";

/// A change of one side, in its worktree.
type Edit = fn(&Side<'_>);

struct Side<'a> {
    lab: &'a Lab,
    at: &'a Path,
}

impl Side<'_> {
    fn write(&self, file: &str, text: &str) {
        let path = self.at.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.at.join(file)).unwrap();
        self.write(file, &text.replace(from, to));
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.at.join(file)).unwrap();
    }

    fn git(&self, args: &[&str]) {
        self.lab.git(self.at, args);
    }
}

/// What both start from, beside the files that every repository of the tests has.
fn base(side: &Side<'_>) {
    side.write("ten.txt", TEN);
    for number in 0..4 {
        let text: String = (0..20).map(|line| format!("{line} of {number}\n")).collect();
        side.write(&format!("lib/f{number}.txt"), &text);
        side.write(&format!("lib/deep/d{number}.txt"), &text.replace("of", "deep in"));
    }
    side.write("image.bin", "\0\u{1}\u{2}");
    side.write("run.sh", "#!/bin/sh\necho hello\n");
}

const CASES: &[(&str, Edit, Edit)] = &[
    ("nothing", |_| {}, |_| {}),
    ("one line, both", |s| s.replace("ten.txt", "5\n", "FIVE\n"), |s| s.replace("ten.txt", "5\n", "five\n")),
    ("one line, alike", |s| s.replace("ten.txt", "5\n", "x\n"), |s| s.replace("ten.txt", "5\n", "x\n")),
    ("lines apart", |s| s.replace("ten.txt", "2\n", "two\n"), |s| s.replace("ten.txt", "9\n", "nine\n")),
    ("lines side by side", |s| s.replace("ten.txt", "5\n", "a\n"), |s| s.replace("ten.txt", "6\n", "b\n")),
    ("deleted and edited", |s| s.remove("ten.txt"), |s| s.replace("ten.txt", "5\n", "five\n")),
    ("edited and deleted", |s| s.replace("ten.txt", "5\n", "five\n"), |s| s.remove("ten.txt")),
    ("deleted twice", |s| s.remove("ten.txt"), |s| s.remove("ten.txt")),
    ("two new files of a name", |s| s.write("new.txt", "a\n"), |s| s.write("new.txt", "b\n")),
    ("one new file of a name", |s| s.write("new.txt", "a\n"), |s| s.write("new.txt", "a\n")),
    ("binary, both", |s| s.write("image.bin", "\0a"), |s| s.write("image.bin", "\0b")),
    ("binary, one", |s| s.write("image.bin", "\0a"), |s| s.write("ten.txt", "x\n")),
    ("binary deleted", |s| s.remove("image.bin"), |s| s.write("image.bin", "\0b")),
    (
        "renamed and edited",
        |s| s.git(&["mv", "ten.txt", "moved.txt"]),
        |s| s.replace("ten.txt", "5\n", "five\n"),
    ),
    (
        "renamed and edited on both",
        |s| {
            s.git(&["mv", "ten.txt", "moved.txt"]);
            s.replace("moved.txt", "5\n", "FIVE\n");
        },
        |s| s.replace("ten.txt", "5\n", "five\n"),
    ),
    (
        "renamed to two names",
        |s| s.git(&["mv", "ten.txt", "a1.txt"]),
        |s| s.git(&["mv", "ten.txt", "a2.txt"]),
    ),
    ("renamed to one name", |s| s.git(&["mv", "ten.txt", "a1.txt"]), |s| s.git(&["mv", "ten.txt", "a1.txt"])),
    ("renamed and deleted", |s| s.git(&["mv", "ten.txt", "a1.txt"]), |s| s.remove("ten.txt")),
    (
        "two renamed to one name",
        |s| s.git(&["mv", "ten.txt", "one.txt"]),
        |s| s.git(&["mv", "run.sh", "one.txt"]),
    ),
    // A folder that is renamed as a whole takes along what the other side adds to it, which git asks a person about.
    ("added to a renamed folder", |s| s.git(&["mv", "lib", "core"]), |s| s.write("lib/new.txt", "new\n")),
    (
        "added below a renamed folder",
        |s| s.git(&["mv", "lib", "core"]),
        |s| s.write("lib/deep/new.txt", "new\n"),
    ),
    (
        "added, and the folder is renamed there",
        |s| s.write("lib/new.txt", "new\n"),
        |s| s.git(&["mv", "lib", "core"]),
    ),
    (
        "added to a renamed inner folder",
        |s| s.git(&["mv", "lib/deep", "inner"]),
        |s| s.write("lib/deep/n.txt", "n\n"),
    ),
    (
        "moved into a renamed folder",
        |s| s.git(&["mv", "lib", "core"]),
        |s| s.git(&["mv", "ten.txt", "lib/ten.txt"]),
    ),
    (
        "added where a part of a folder moved away",
        |s| s.git(&["mv", "lib/f0.txt", "lib/f1.txt", "dir/"]),
        |s| s.write("lib/new.txt", "new\n"),
    ),
    ("added to a deleted folder", |s| s.git(&["rm", "-rq", "lib"]), |s| s.write("lib/new.txt", "new\n")),
    (
        "edited in a renamed folder",
        |s| s.git(&["mv", "lib", "core"]),
        |s| s.replace("lib/f1.txt", "3 of", "three of"),
    ),
    (
        "a folder split in two",
        |s| {
            s.git(&["mv", "lib/deep", "deep"]);
            fs::create_dir(s.at.join("half")).unwrap();
            s.git(&["mv", "lib/f0.txt", "lib/f1.txt", "half/"]);
            fs::create_dir(s.at.join("other")).unwrap();
            s.git(&["mv", "lib/f2.txt", "lib/f3.txt", "other/"]);
        },
        |s| s.write("lib/new.txt", "new\n"),
    ),
    (
        "a folder renamed on both sides",
        |s| {
            s.git(&["mv", "lib", "core"]);
            s.write("core/mine.txt", "mine\n");
        },
        |s| s.git(&["mv", "lib", "kernel"]),
    ),
    ("file and folder", |s| s.write("thing", "file\n"), |s| s.write("thing/inside.txt", "inside\n")),
    (
        "a file becomes a folder",
        |s| {
            s.remove("ten.txt");
            s.write("ten.txt/inside", "x\n");
        },
        |s| s.replace("ten.txt", "5\n", "five\n"),
    ),
    ("names of another case", |s| s.write("Readme.md", "a\n"), |s| s.write("README.md", "b\n")),
    (
        "one file, another case",
        |s| s.git(&["mv", "ten.txt", "Ten.txt"]),
        |s| s.replace("ten.txt", "5\n", "five\n"),
    ),
    ("an edit and an executable bit", executable, |s| s.replace("run.sh", "hello", "there")),
    ("a symbolic link and a file", |s| symlink(s, "a.txt"), |s| s.write("link", "no link\n")),
    ("two symbolic links", |s| symlink(s, "a.txt"), |s| symlink(s, "b.txt")),
    ("one symbolic link", |s| symlink(s, "a.txt"), |s| symlink(s, "a.txt")),
    (
        "the end of a file",
        |s| s.write("ten.txt", &format!("{TEN}11\n")),
        |s| s.write("ten.txt", &format!("{TEN}eleven\n")),
    ),
    (
        "no newline at the end",
        |s| s.write("ten.txt", TEN.trim_end()),
        |s| s.replace("ten.txt", "10\n", "ten\n"),
    ),
];

fn executable(side: &Side<'_>) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(side.at.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn symlink(side: &Side<'_>, target: &str) {
    std::os::unix::fs::symlink(target, side.at.join("link")).unwrap();
}

/// A repository, two worktrees of it, and the settings that a case may need.
struct Pair {
    lab: Lab,
    main: PathBuf,
    left: PathBuf,
    right: PathBuf,
}

impl Pair {
    fn new(settings: &[&str]) -> Self {
        let lab = Lab::new();
        let main = lab.repository("main", &[]);
        base(&Side { lab: &lab, at: &main });
        lab.commit_all(&main, "base");
        for setting in settings {
            let (key, value) = setting.split_once('=').unwrap();
            lab.git(&main, &["config", key, value]);
        }
        let [left, right] = ["left", "right"].map(|name| {
            let path = lab.root.join(name);
            lab.git(&main, &["worktree", "add", "-q", "-b", name, path.to_str().unwrap()]);
            path
        });
        Self { lab, main, left, right }
    }

    fn edit(&self, left: Edit, right: Edit) {
        left(&Side { lab: &self.lab, at: &self.left });
        right(&Side { lab: &self.lab, at: &self.right });
    }

    /// What a backend says of the work as it lies there.
    fn trial(repo: &Repo, left: &Path, right: &Path) -> Vec<Conflict> {
        let works = [left, right].map(|path| repo.work(&repo.worktree_at(path).unwrap().location).unwrap());
        let base = repo.merge_base(works[0].head().unwrap(), works[1].head().unwrap()).unwrap();
        repo.trial().unwrap().merge(base.as_ref(), &works[0], &works[1]).unwrap()
    }

    /// Commits both and merges them in a clone; the paths that git leaves unmerged, `None` for a clean merge.
    fn real(&self) -> Option<BTreeSet<PathBuf>> {
        for side in [&self.left, &self.right] {
            self.lab.git(side, &["add", "-A"]);
            self.lab.git(side, &["commit", "-qm", "work", "--allow-empty"]);
        }
        let clone = self.lab.root.join("clone");
        self.lab.git(&self.lab.root, &["clone", "-q", "-b", "left", "main", "clone"]);
        for key in ["core.ignorecase", "merge.directoryRenames"] {
            if let (true, value) = self.lab.try_git(&self.main, &["config", "--local", key]) {
                self.lab.git(&clone, &["config", key, &value]);
            }
        }
        let (merged, said) = self.lab.try_git(&clone, &["merge", "-q", "--no-edit", "origin/right"]);
        let unmerged = self.lab.git(&clone, &["diff", "--name-only", "--diff-filter=U", "-z"]);
        let unmerged: BTreeSet<PathBuf> =
            unmerged.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        assert!(merged || said.contains("CONFLICT") || !unmerged.is_empty(), "{said}");
        (!merged).then_some(unmerged)
    }
}

fn agrees(what: &str, settings: &[&str], left: Edit, right: Edit) {
    let pair = Pair::new(settings);
    pair.edit(left, right);
    let repo = pair.lab.open(&pair.main);
    let told: Vec<_> = each_backend(&repo)
        .iter()
        .map(|repo| {
            let found = Pair::trial(repo, &pair.left, &pair.right);
            let mirrored = Pair::trial(repo, &pair.right, &pair.left);
            assert_eq!(found.is_empty(), mirrored.is_empty(), "{what}: whichever side is ours");
            (repo.backend(), found)
        })
        .collect();
    assert_eq!(told.len(), 2, "{what}: both backends");
    let real = pair.real();
    for (backend, found) in told {
        assert_eq!(found.is_empty(), real.is_none(), "{what}, {backend:?}: {found:#?}, git: {real:#?}");
        // Each path that git leaves to a person is named, on one side or the other. Of a rename, git lists the old name
        // too; a file beside a folder of its name it puts under another one.
        let named: BTreeSet<&PathBuf> =
            found.iter().flat_map(|conflict| [&conflict.ours, &conflict.theirs]).collect();
        let renamed = found.iter().any(|conflict| conflict.kind == ConflictKind::Rename);
        let is_named = |path: &PathBuf| {
            let plain = path.to_string_lossy().split('~').next().map(PathBuf::from).unwrap_or_default();
            renamed || named.contains(path) || named.contains(&plain)
        };
        for path in real.iter().flatten() {
            assert!(is_named(path), "{what}, {backend:?}: git has {path:?}, told was {found:#?}");
        }
    }
}

#[test]
fn every_case_is_judged_as_git_judges_it() {
    for (what, left, right) in CASES {
        agrees(what, &[], *left, *right);
    }
}

#[test]
fn settings_of_the_repository_count_as_they_do_for_git() {
    let folder = |s: &Side<'_>| s.git(&["mv", "lib", "core"]);
    let added = |s: &Side<'_>| s.write("lib/new.txt", "new\n");
    for value in ["true", "false", "conflict"] {
        agrees(value, &[&format!("merge.directoryRenames={value}")], folder, added);
    }
    for (what, left, right) in CASES.iter().filter(|(what, ..)| what.contains("another case")) {
        agrees(what, &["core.ignorecase=true"], *left, *right);
    }
}

#[test]
fn submodules_are_judged_as_git_judges_them() {
    let pair = Pair::new(&[]);
    let library = pair.lab.repository("library", &[]);
    let commits: Vec<_> = (0..3)
        .map(|number| {
            fs::write(library.join("a.txt"), format!("{number}\n")).unwrap();
            pair.lab.commit_all(&library, "next").to_string()
        })
        .collect();
    pair.lab.git(&pair.main, &["submodule", "add", "-q", library.to_str().unwrap(), "sub"]);
    pair.lab.commit_all(&pair.main, "sub");
    for (side, at) in [(&pair.left, &commits[0]), (&pair.right, &commits[1])] {
        pair.lab.git(side, &["merge", "-q", "main"]);
        pair.lab.git(side, &["submodule", "--quiet", "update", "--init"]);
        pair.lab.git(&side.join("sub"), &["checkout", "-q", at]);
        pair.lab.git(&side.join("sub"), &["checkout", "-qb", "own"]);
        fs::write(side.join("sub/b.txt"), at).unwrap();
        pair.lab.commit_all(&side.join("sub"), "own");
    }
    let repo = pair.lab.open(&pair.main);
    for repo in each_backend(&repo) {
        let found = Pair::trial(&repo, &pair.left, &pair.right);
        assert!(found.iter().any(|conflict| conflict.ours == Path::new("sub")), "{found:#?}");
    }
    assert_eq!(pair.real(), Some([PathBuf::from("sub")].into()));
}
