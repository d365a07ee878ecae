//! Trial merges of the work of two worktrees, by both backends.

use std::path::{Path, PathBuf};

use podium_git::{Conflict, ConflictKind, Repo, WorktreeLocation};

use crate::support::{Lab, each_backend};

struct Pair {
    lab: Lab,
    main: PathBuf,
    left: PathBuf,
    right: PathBuf,
}

const TEN: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";

impl Pair {
    fn new(init: &[&str]) -> Self {
        let lab = Lab::new();
        let main = lab.repository("main", init);
        std::fs::write(main.join("ten.txt"), TEN).unwrap();
        lab.commit_all(&main, "ten lines");
        let [left, right] = ["left", "right"].map(|name| {
            let path = lab.root.join(name);
            lab.git(&main, &["worktree", "add", "-q", "-b", name, path.to_str().unwrap()]);
            path
        });
        Self { lab, main, left, right }
    }

    fn write(&self, left: (&str, &str), right: (&str, &str)) -> &Self {
        for (side, (file, text)) in [(&self.left, left), (&self.right, right)] {
            put(side, file, text);
        }
        self
    }

    /// What each backend that reads the repository says.
    fn merged(&self) -> Vec<Vec<Conflict>> {
        let repo = self.lab.open(&self.main);
        each_backend(&repo).iter().map(|repo| merge(repo, &self.left, &self.right)).collect()
    }

    /// The one conflict that all backends find.
    fn conflict(&self) -> Conflict {
        let all = self.merged();
        assert!(!all.is_empty());
        for found in &all {
            assert_eq!(found.len(), 1, "{all:#?}");
            assert_eq!(found, &all[0]);
        }
        all[0][0].clone()
    }

    fn clean(&self) {
        for found in self.merged() {
            assert_eq!(found, []);
        }
    }
}

fn put(side: &Path, file: &str, text: &str) {
    let path = side.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn at(repo: &Repo, path: &Path) -> WorktreeLocation {
    repo.worktree_at(path).unwrap().location
}

fn merge(repo: &Repo, left: &Path, right: &Path) -> Vec<Conflict> {
    let works = [left, right].map(|path| repo.work(&at(repo, path)).unwrap());
    let base = match (works[0].head(), works[1].head()) {
        (Some(a), Some(b)) => repo.merge_base(a, b).unwrap(),
        _ => None,
    };
    repo.trial().unwrap().merge(base.as_ref(), &works[0], &works[1]).unwrap()
}

fn plain(lines: &[podium_git::Lines]) -> Vec<(u32, u32)> {
    lines.iter().map(|lines| (lines.from, lines.to)).collect()
}

#[test]
fn uncommitted_edits_of_one_line_conflict_on_the_lines_of_each_side() {
    for init in [&[][..], &["--object-format=sha256"], &["--ref-format=reftable"]] {
        let pair = Pair::new(init);
        pair.write(
            ("ten.txt", &TEN.replace("5\n", "FIVE\n")),
            ("ten.txt", &format!("0\n{}", TEN.replace("5\n", "five\n5b\n"))),
        );
        let conflict = pair.conflict();
        assert_eq!(conflict.kind, ConflictKind::Content);
        assert_eq!(conflict.ours, Path::new("ten.txt"));
        assert_eq!((plain(&conflict.our_lines), plain(&conflict.their_lines)), (vec![(5, 5)], vec![(6, 7)]));
    }
}

#[test]
fn staged_and_committed_work_counts_as_well() {
    let pair = Pair::new(&[]);
    pair.write(("ten.txt", &TEN.replace("5\n", "FIVE\n")), ("ten.txt", &TEN.replace("5\n", "five\n")));
    pair.lab.git(&pair.left, &["add", "-A"]);
    pair.lab.commit_all(&pair.right, "five");
    assert_eq!(plain(&pair.conflict().our_lines), [(5, 5)]);
}

#[test]
fn the_newest_of_committed_staged_and_unstaged_counts() {
    let pair = Pair::new(&[]);
    pair.write(("ten.txt", &TEN.replace("5\n", "FIVE\n")), ("ten.txt", &TEN.replace("5\n", "five\n")));
    pair.lab.commit_all(&pair.left, "FIVE");
    put(&pair.left, "ten.txt", TEN);
    pair.clean();
}

#[test]
fn the_same_change_and_distant_changes_merge_and_neighbours_do_not() {
    let pair = Pair::new(&[]);
    let five = TEN.replace("5\n", "FIVE\n");
    pair.write(("ten.txt", &five), ("ten.txt", &five));
    pair.clean();
    pair.write(("ten.txt", &five), ("ten.txt", &TEN.replace("9\n", "NINE\n")));
    pair.clean();
    pair.write(("ten.txt", &five), ("ten.txt", &TEN.replace("6\n", "SIX\n")));
    assert_eq!(plain(&pair.conflict().our_lines), [(5, 6)]);
}

#[test]
fn two_untracked_files_of_one_name_conflict_and_ignored_ones_do_not() {
    let pair = Pair::new(&[]);
    pair.write(("new/file.txt", "same\nleft\n"), ("new/file.txt", "same\nright\n"));
    let conflict = pair.conflict();
    assert_eq!((conflict.kind, plain(&conflict.our_lines)), (ConflictKind::AddAdd, vec![(2, 2)]));
    std::fs::write(pair.main.join(".git/info/exclude"), "new/\n").unwrap();
    pair.clean();
}

#[test]
fn a_deletion_conflicts_with_an_edit_on_the_edited_lines() {
    let pair = Pair::new(&[]);
    put(&pair.left, "ten.txt", &TEN.replace("3\n", "THREE\n"));
    std::fs::remove_file(pair.right.join("ten.txt")).unwrap();
    let conflict = pair.conflict();
    assert_eq!(conflict.kind, ConflictKind::ModifyDelete);
    assert_eq!((plain(&conflict.our_lines), plain(&conflict.their_lines)), (vec![(3, 3)], vec![]));
}

#[test]
fn an_edit_follows_a_rename_and_conflicts_there() {
    let pair = Pair::new(&[]);
    pair.lab.git(&pair.left, &["mv", "ten.txt", "moved.txt"]);
    put(&pair.right, "ten.txt", &TEN.replace("5\n", "five\n"));
    pair.clean();
    put(&pair.left, "moved.txt", &TEN.replace("5\n", "FIVE\n"));
    let conflict = pair.conflict();
    assert_eq!((&*conflict.ours, &*conflict.theirs), (Path::new("moved.txt"), Path::new("ten.txt")));
    assert_eq!(conflict.kind, ConflictKind::Content);
    assert_eq!((plain(&conflict.our_lines), plain(&conflict.their_lines)), (vec![(5, 5)], vec![(5, 5)]));
}

#[test]
fn two_names_for_one_file_conflict() {
    let pair = Pair::new(&[]);
    pair.lab.git(&pair.left, &["mv", "ten.txt", "one.txt"]);
    pair.lab.git(&pair.right, &["mv", "ten.txt", "other.txt"]);
    for found in pair.merged() {
        assert!(!found.is_empty());
        assert!(found.iter().all(|conflict| conflict.kind == ConflictKind::Rename), "{found:#?}");
    }
}

#[test]
fn a_rename_conflicts_with_a_deletion() {
    let pair = Pair::new(&[]);
    pair.lab.git(&pair.left, &["mv", "ten.txt", "moved.txt"]);
    pair.lab.git(&pair.right, &["rm", "-q", "ten.txt"]);
    for found in pair.merged() {
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, &*found[0].ours), (ConflictKind::Rename, Path::new("moved.txt")));
    }
}

#[test]
fn binary_files_conflict_without_lines() {
    let pair = Pair::new(&[]);
    pair.write(("image.bin", "\0left"), ("image.bin", "\0right"));
    let conflict = pair.conflict();
    assert_eq!((conflict.kind, plain(&conflict.our_lines)), (ConflictKind::Binary, vec![]));
}

#[test]
fn a_file_and_a_folder_of_one_name_conflict() {
    let pair = Pair::new(&[]);
    pair.write(("thing", "file\n"), ("thing/inside.txt", "folder\n"));
    for found in pair.merged() {
        assert!(found.iter().any(|conflict| conflict.kind == ConflictKind::Directory), "{found:#?}");
    }
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_merged_as_its_target_and_conflicts_with_a_file() {
    let pair = Pair::new(&[]);
    std::os::unix::fs::symlink("a.txt", pair.left.join("link")).unwrap();
    std::os::unix::fs::symlink("a.txt", pair.right.join("link")).unwrap();
    pair.clean();
    std::fs::remove_file(pair.right.join("link")).unwrap();
    put(&pair.right, "link", "no link\n");
    for found in pair.merged() {
        assert!(found.iter().any(|conflict| conflict.kind == ConflictKind::Mode), "{found:#?}");
    }
}

#[test]
fn line_endings_that_git_converts_are_no_change() {
    let pair = Pair::new(&[]);
    put(&pair.main, ".gitattributes", "*.txt text\n");
    pair.lab.commit_all(&pair.main, "attributes");
    for side in [&pair.left, &pair.right] {
        pair.lab.git(side, &["merge", "-q", "main"]);
    }
    put(&pair.left, "ten.txt", &TEN.replace("2\n", "two\n").replace('\n', "\r\n"));
    put(&pair.right, "ten.txt", &TEN.replace("9\n", "nine\n"));
    pair.clean();
}

#[test]
fn nothing_of_the_repository_is_touched() {
    let pair = Pair::new(&[]);
    pair.write(("ten.txt", &TEN.replace("5\n", "FIVE\n")), ("ten.txt", &TEN.replace("5\n", "five\n")));
    put(&pair.left, "untracked.txt", "x\n");
    pair.lab.git(&pair.right, &["add", "-A"]);
    let before = contents(&pair.main.join(".git"));
    pair.conflict();
    assert_eq!(contents(&pair.main.join(".git")), before);
}

/// Path, length and time of every file; without the time of objects, which git renews where it would have written
/// the same one.
fn contents(folder: &Path) -> Vec<(PathBuf, u64, Option<std::time::SystemTime>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            match metadata.is_dir() {
                true => folders.push(entry.path()),
                false => {
                    let is_object = entry.path().components().any(|part| part.as_os_str() == "objects");
                    let time = (!is_object).then(|| metadata.modified().unwrap());
                    found.push((entry.path(), metadata.len(), time));
                }
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_branch_without_commits_and_a_detached_head_have_work() {
    let pair = Pair::new(&[]);
    pair.lab.git(&pair.left, &["checkout", "-q", "--detach"]);
    put(&pair.left, "ten.txt", &TEN.replace("5\n", "FIVE\n"));
    pair.lab.git(&pair.right, &["checkout", "-q", "--orphan", "fresh"]);
    put(&pair.right, "ten.txt", "all new\n");
    let conflict = pair.merged();
    assert!(
        conflict.iter().all(|found| found.iter().any(|c| c.ours == Path::new("ten.txt"))),
        "{conflict:#?}"
    );
}

#[test]
fn an_empty_tree_is_work_too() {
    let pair = Pair::new(&[]);
    for file in ["a.txt", "b.txt", "ten.txt", "dir/c.txt"] {
        std::fs::remove_file(pair.left.join(file)).unwrap();
    }
    pair.clean();
    put(&pair.right, "b.txt", "changed\n");
    assert_eq!(pair.conflict().kind, ConflictKind::ModifyDelete);
}

#[test]
fn submodules_conflict_by_their_commits() {
    let pair = Pair::new(&[]);
    let library = pair.lab.repository("library", &[]);
    for side in [&pair.left, &pair.right] {
        pair.lab.git(side, &["submodule", "add", "-q", library.to_str().unwrap(), "lib"]);
    }
    pair.clean();
    for (side, text) in [(&pair.left, "left\n"), (&pair.right, "right\n")] {
        put(side, "lib/a.txt", text);
        pair.lab.commit_all(&side.join("lib"), text);
    }
    for found in pair.merged() {
        assert!(found.iter().any(|conflict| conflict.kind == ConflictKind::Submodule), "{found:#?}");
    }
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_not_deleted() {
    let pair = Pair::new(&[]);
    pair.lab.git(&pair.left, &["sparse-checkout", "set", "--no-cone", "/a.txt"]);
    assert!(!pair.left.join("ten.txt").exists());
    put(&pair.right, "ten.txt", &TEN.replace("5\n", "five\n"));
    pair.clean();
    put(&pair.left, "a.txt", "left\n");
    put(&pair.right, "a.txt", "right\n");
    assert_eq!(pair.conflict().ours, Path::new("a.txt"));
}

#[test]
fn odd_names_and_files_too_large_to_keep_are_told() {
    let pair = Pair::new(&[]);
    pair.write(("ünï \"x\"\n.txt", "left\n"), ("ünï \"x\"\n.txt", "right\n"));
    assert_eq!(pair.conflict().ours, Path::new("ünï \"x\"\n.txt"));
    let large = "x".repeat(9 * 1024 * 1024);
    pair.write(("ünï \"x\"\n.txt", &large), ("ünï \"x\"\n.txt", &(large.clone() + "y")));
    assert_eq!(pair.merged()[0][0].kind, ConflictKind::Binary);
    put(&pair.right, "ünï \"x\"\n.txt", &large);
    pair.clean();
}

#[test]
fn a_commit_is_work_as_trunk_has_it() {
    let pair = Pair::new(&[]);
    put(&pair.main, "ten.txt", &TEN.replace("5\n", "trunk\n"));
    let trunk = pair.lab.commit_all(&pair.main, "trunk");
    put(&pair.left, "ten.txt", &TEN.replace("5\n", "left\n"));
    for repo in each_backend(&pair.lab.open(&pair.main)) {
        let work = repo.work(&at(&repo, &pair.left)).unwrap();
        let base = repo.merge_base(work.head().unwrap(), &trunk).unwrap();
        let found =
            repo.trial().unwrap().merge(base.as_ref(), &work, &repo.work_at(&trunk).unwrap()).unwrap();
        assert_eq!(plain(&found[0].our_lines), [(5, 5)]);
    }
}
