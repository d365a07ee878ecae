//! SIGKILL while git itself moves trunk: among the files, and before the reference; with the daemon alone, and with git.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podium_harness::{Poll, TestEnvironment, TestRepo, eventually, process};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where git stands when it is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    /// Some files are of the new commit, some of the old one.
    Files,
    /// Files and index are moved, the branch is locked and not.
    Reference,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    DaemonAndGit,
    DaemonAlone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trunk {
    CheckedOut,
    Elsewhere,
}

const CASES: [(Trunk, Point, Hit); 6] = [
    (Trunk::CheckedOut, Point::Files, Hit::DaemonAndGit),
    (Trunk::CheckedOut, Point::Files, Hit::DaemonAlone),
    (Trunk::CheckedOut, Point::Reference, Hit::DaemonAndGit),
    (Trunk::CheckedOut, Point::Reference, Hit::DaemonAlone),
    (Trunk::Elsewhere, Point::Reference, Hit::DaemonAndGit),
    (Trunk::Elsewhere, Point::Reference, Hit::DaemonAlone),
];

/// A repository in which git waits at a point while the file `armed-<point>` exists.
struct Bench<'a> {
    environment: &'a TestEnvironment,
    repo: TestRepo<'a>,
    tree: PathBuf,
    old: String,
    new: String,
}

impl<'a> Bench<'a> {
    fn new(environment: &'a TestEnvironment, trunk: Trunk) -> Self {
        let repo = environment.repo_builder().files(5).without_origin().build();
        let root = environment.root();
        let wait = |point: Point| {
            let (armed, begun) = (armed(root, point), root.join("begun"));
            format!(
                "[ ! -e '{0}' ] || {{ touch '{1}'; while [ -e '{0}' ]; do sleep 0.02; done; }}",
                armed.display(),
                begun.display()
            )
        };
        repo.git(["config", "filter.slow.smudge", &format!("{}; cat", wait(Point::Files))]);
        repo.write(".gitattributes", "*.slow filter=slow\n");
        repo.write(".gitignore", "*.log\n");
        repo.write("m.slow", "old\n");
        repo.write("gone.txt", "to go\n");
        repo.commit("trunk");
        let hook = repo.path().join(".git/hooks/reference-transaction");
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        let body = format!(
            "#!/bin/sh\n[ \"$1\" = prepared ] || exit 0\ngrep -q refs/heads/main || exit 0\n{}\n",
            wait(Point::Reference)
        );
        fs::write(&hook, body).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        let made = environment.imi(["feat", "x"]).within(&repo).data();
        let tree = PathBuf::from(made["worktree"]["path"].as_str().unwrap());
        for (file, text) in [("d0/f0.txt", "changed\n"), ("m.slow", "new\n"), ("z.txt", "added\n")] {
            fs::write(tree.join(file), text).unwrap();
        }
        fs::remove_file(tree.join("gone.txt")).unwrap();
        environment.git(&tree, ["add", "-A"]);
        environment.git(&tree, ["commit", "-qm", "work"]);
        let (old, new) = (repo.git(["rev-parse", "main"]), repo.git(["rev-parse", "feat-x"]));
        if trunk == Trunk::Elsewhere {
            repo.git(["switch", "-qc", "elsewhere"]);
        }
        repo.write("mine.log", "mine\n");
        Self { environment, repo, tree, old, new }
    }

    /// Starts a command, waits until its git stands at the point, and hits.
    fn hit(&self, command: &[&str], point: Point, hit: Hit) {
        let armed = armed(self.environment.root(), point);
        let begun = self.environment.root().join("begun");
        fs::write(&armed, "").unwrap();
        let mut client = self.environment.imi(command).within(&self.repo).spawn(|command| {
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        });
        Poll::new(PATIENCE).expect("git stands at the point", || begun.exists().then_some(()));
        // First of all, or it would start another daemon at once.
        client.kill().unwrap();
        client.wait().unwrap();
        self.environment.kill_daemon();
        if hit == Hit::DaemonAndGit {
            let common = self.repo.path().join(".git");
            let gits = || process::with_variable("GIT_DIR", common.as_os_str());
            assert!(!gits().is_empty(), "git outlives the daemon");
            gits().into_iter().for_each(process::kill);
            eventually("git is gone", || gits().is_empty());
            fs::remove_file(&armed).unwrap();
        } else {
            // The next daemon meets a git that is still at it.
            let next = self.environment.imi(["list"]).within(&self.repo).spawn(|command| {
                command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            });
            eventually("the next daemon runs", || !self.environment.daemons().is_empty());
            fs::remove_file(&armed).unwrap();
            assert!({ next }.wait().unwrap().success());
        }
        fs::remove_file(&begun).unwrap();
    }

    fn trunk(&self) -> String {
        self.repo.git(["rev-parse", "main"])
    }

    fn events(&self, kind: &str) -> usize {
        let tail = ["events", "tail", "--from-seq", "0", "--until-now", "--type", kind];
        let mut told = self.environment.podium(tail).within(&self.repo).lines();
        assert_eq!(told.finish(), Some(0));
        told.seen().iter().filter(|line| line["type"] == "event").count()
    }

    /// Git is sound, git and Podium agree, no lock and no half-moved file is left, and the user's own is there.
    fn in_order(&self, what: &str) {
        let listed = self.environment.imi(["list"]).within(&self.repo).data();
        let ours: Vec<&str> =
            listed["worktrees"].as_array().unwrap().iter().filter_map(|tree| tree["path"].as_str()).collect();
        let git = self.repo.git(["worktree", "list", "--porcelain"]);
        let git: Vec<&str> = git.lines().filter_map(|line| line.strip_prefix("worktree ")).collect();
        assert_eq!(ours, git, "{what}");
        self.repo.git(["fsck", "--strict", "--no-dangling"]);
        for tree in git {
            assert_eq!(
                self.environment.git(Path::new(tree), ["status", "--porcelain"]),
                "",
                "{what}: {tree}"
            );
        }
        assert_eq!(locks(&self.repo.path().join(".git")), [] as [PathBuf; 0], "{what}");
        assert_eq!(fs::read_to_string(self.repo.path().join("mine.log")).unwrap(), "mine\n", "{what}");
        assert_eq!(
            self.environment.imi(["doctor"]).within(&self.repo).data()["findings"],
            serde_json::json!([])
        );
    }
}

fn armed(root: &Path, point: Point) -> PathBuf {
    root.join(format!("armed-{point:?}"))
}

fn locks(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(locks(&path));
        } else if path.extension() == Some(OsStr::new("lock")) {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_merge_whose_git_was_killed_is_finished_or_taken_back() {
    for (trunk, point, hit) in CASES {
        let what = format!("{trunk:?} {point:?} {hit:?}");
        let environment = TestEnvironment::new();
        let bench = Bench::new(&environment, trunk);
        bench.hit(&["merge", "feat-x"], point, hit);
        bench.in_order(&what);
        // A reference that nothing but a lock shows was not moved.
        let taken_back = (trunk, hit) == (Trunk::Elsewhere, Hit::DaemonAndGit);
        assert_eq!(bench.trunk(), *if taken_back { &bench.old } else { &bench.new }, "{what}");
        assert_eq!(bench.events("worktree.merged"), usize::from(!taken_back), "{what}");
        assert_eq!(fs::read_to_string(bench.tree.join("z.txt")).unwrap(), "added\n", "{what}");
        if !taken_back {
            environment.imi(["undo"]).within(&bench.repo).ok();
            assert_eq!(bench.trunk(), bench.old, "{what}");
        }
        environment.imi(["merge", "feat-x"]).within(&bench.repo).ok();
        assert_eq!(bench.trunk(), bench.new, "{what}");
        bench.in_order(&what);
    }
}

#[test]
fn an_undone_merge_whose_git_was_killed_is_undone() {
    for (trunk, point, hit) in CASES {
        let what = format!("{trunk:?} {point:?} {hit:?}");
        let environment = TestEnvironment::new();
        let bench = Bench::new(&environment, trunk);
        environment.imi(["merge", "feat-x"]).within(&bench.repo).ok();
        assert!(!bench.tree.exists(), "{what}");
        bench.hit(&["undo"], point, hit);
        bench.in_order(&what);
        assert_eq!(bench.trunk(), bench.old, "{what}");
        assert_eq!(environment.git(&bench.tree, ["rev-parse", "HEAD"]), bench.new, "{what}");
        assert_eq!(bench.events("worktree.unmerged"), 1, "{what}");
        environment.imi(["merge", "feat-x"]).within(&bench.repo).ok();
        bench.in_order(&what);
    }
}

#[test]
fn what_somebody_writes_into_a_half_moved_trunk_is_left_alone() {
    let environment = TestEnvironment::new();
    let bench = Bench::new(&environment, Trunk::CheckedOut);
    bench.hit(&["merge", "feat-x"], Point::Files, Hit::DaemonAndGit);
    let mine = bench.repo.write("z.txt", "written after the crash\n");
    environment.imi(["list"]).within(&bench.repo).ok();
    assert_eq!(bench.trunk(), bench.old);
    assert_eq!(fs::read_to_string(mine).unwrap(), "written after the crash\n");
    assert_eq!(environment.git(&bench.tree, ["rev-parse", "HEAD"]), bench.new, "the work is still there");
    let error = environment.imi(["merge", "feat-x"]).within(&bench.repo).fails(3);
    assert!(error["message"].as_str().unwrap().contains("uncommitted"), "{error:#}");
}
