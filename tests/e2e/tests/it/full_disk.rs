//! The disk of a repository is full while a worktree is made, moved into its place, or put into the trash.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use podium_harness::{Poll, TestEnvironment, process};
use serde_json::Value;

const FILES: usize = 60;
const BYTES: usize = 30_000;

/// A daemon for which one folder is a file system of 10 MiB; Podium's own home lies outside of it.
struct SmallDisk<'a> {
    environment: &'a TestEnvironment,
    pid: u32,
    child: std::process::Child,
    root: PathBuf,
}

impl<'a> SmallDisk<'a> {
    /// With a repository `app` of some 2 MB.
    fn start(environment: &'a TestEnvironment, settings: &str) -> Self {
        let root = environment.root().join("small");
        fs::create_dir_all(&root).unwrap();
        let script = "mount -t tmpfs -o size=10m,mode=755 none \"$0\" && exec \"$1\" daemon --foreground";
        let child = environment
            .program("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .arg(&root)
            .arg(podium_harness::binary("podium"))
            .spawn(|command| {
                command.stderr(Stdio::inherit());
            });
        let pid = child.id();
        Poll::new(Duration::from_secs(20))
            .expect("the daemon is ready", || environment.home().socket().exists().then_some(()));
        let disk = Self { environment, pid, child, root };
        let app = disk.seen("app");
        fs::create_dir_all(app.join("d")).unwrap();
        for number in 0..FILES {
            fs::write(app.join(format!("d/f{number}")), noise(number)).unwrap();
        }
        disk.git("app", &["init", "-q", "-b", "main"]);
        disk.git("app", &["add", "-A"]);
        disk.git("app", &["commit", "-qm", "first"]);
        fs::create_dir_all(app.join(".podium")).unwrap();
        fs::write(app.join(".podium/config.toml"), settings).unwrap();
        disk
    }

    /// A path on the disk, as this process sees it.
    fn seen(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.pid, self.root.join(name).display()))
    }

    fn within(&self, folder: &str, program: &str, args: &[&str]) -> podium_harness::Finished {
        let pid = self.pid.to_string();
        let enter = ["--target", &pid, "--user", "--mount", "--preserve-credentials"];
        self.environment
            .program("nsenter")
            .args(enter)
            .args(["sh", "-c", "cd \"$0\" && exec \"$@\""])
            .arg(self.root.join(folder))
            .arg(program)
            .args(args)
            .run()
    }

    fn git(&self, folder: &str, args: &[&str]) -> String {
        self.within(folder, "git", args).success()
    }

    /// Exit status and answer.
    fn imi(&self, args: &[&str]) -> (Option<i32>, Value) {
        let done = self.within("app", "imi", &[&["--json"], args].concat());
        let answer = serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {done:#?}"));
        (done.code, answer)
    }

    fn ok(&self, args: &[&str]) -> Value {
        let (code, mut answer) = self.imi(args);
        assert_eq!(code, Some(0), "{args:?}: {answer:#}");
        answer["data"].take()
    }

    /// Fails, and says what of.
    fn fails(&self, args: &[&str]) {
        let (code, answer) = self.imi(args);
        assert_ne!(code, Some(0), "{args:?}: {answer:#}");
        assert!(answer["error"].to_string().to_lowercase().contains("space"), "{args:?}: {answer:#}");
    }

    /// Leaves so many bytes free.
    fn fill(&self, but: usize) {
        fs::write(self.seen("keep"), vec![7; but]).unwrap();
        fs::write(self.seen("filler"), vec![7; 64 << 20]).unwrap_err();
        fs::remove_file(self.seen("keep")).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.seen("filler")).unwrap();
    }

    /// Git is sound, every worktree that it has is there, and Podium has the same ones but for the spares.
    fn in_order(&self, names: &[&str]) {
        self.git("app", &["fsck", "--strict", "--no-dangling"]);
        let listed = self.git("app", &["worktree", "list", "--porcelain"]);
        assert!(!listed.contains("prunable"), "{listed}");
        let git = listed.lines().filter_map(|line| line.strip_prefix("worktree "));
        let git: Vec<&str> = git.filter(|path| !path.contains("/.spares/")).collect();
        let trees = self.ok(&["list"])["worktrees"].take();
        let ours: Vec<&str> =
            trees.as_array().unwrap().iter().filter_map(|tree| tree["path"].as_str()).collect();
        assert_eq!(ours, git);
        let found: Vec<&str> =
            trees.as_array().unwrap().iter().filter_map(|tree| tree["name"].as_str()).collect();
        assert_eq!(found, names);
        for path in git {
            assert!(
                self.seen(Path::new(path).strip_prefix(&self.root).unwrap().to_str().unwrap()).is_dir(),
                "{path}"
            );
        }
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        process::terminate(self.pid);
        let _ = self.child.wait();
    }
}

/// Bytes that do not compress.
fn noise(seed: usize) -> Vec<u8> {
    let mut state = u64::try_from(seed).unwrap().wrapping_mul(2) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..BYTES).map(|_| next()).collect()
}

#[test]
fn a_worktree_whose_files_find_no_room_is_not_made() {
    let environment = TestEnvironment::new();
    let disk = SmallDisk::start(&environment, "[worktrees]\nspares = 0\n");
    disk.ok(&["list"]);
    disk.fill(500_000);
    disk.fails(&["feat", "x"]);
    assert!(!disk.seen("app.worktrees/feat-x").exists());
    assert_eq!(disk.git("app", &["branch", "--list", "feat-x"]), "");
    disk.in_order(&["trunk-main"]);
    disk.make_room();
    assert_eq!(disk.ok(&["feat", "x"])["created"], true);
    assert_eq!(disk.git("app.worktrees/feat-x", &["status", "--porcelain"]), "");
    disk.in_order(&["trunk-main", "feat-x"]);
}

#[test]
fn a_spare_that_cannot_take_its_place_stays_a_spare() {
    // So small a disk would have none.
    let environment = TestEnvironment::builder().var("PODIUM_WORKTREES_SPARES_MIN_FREE_MB", "0").build();
    let disk = SmallDisk::start(&environment, "[worktrees]\nspares = 1\nspares_min_files = 1\n");
    disk.ok(&["list"]);
    let spare = || {
        let listed = disk.git("app", &["worktree", "list", "--porcelain"]);
        let path = listed
            .lines()
            .find_map(|line| line.strip_prefix("worktree ").filter(|p| p.contains("/.spares/")));
        path.and_then(|path| {
            disk.seen(Path::new(path).strip_prefix(&disk.root).unwrap().to_str()?)
                .join("d/f9")
                .exists()
                .then(|| path.to_owned())
        })
    };
    Poll::new(Duration::from_secs(60)).expect("a spare is made", spare);
    disk.fill(0);
    disk.fails(&["feat", "x"]);
    assert!(!disk.seen("app.worktrees/feat-x").exists());
    disk.in_order(&["trunk-main"]);
    disk.make_room();
    disk.ok(&["feat", "x"]);
    assert_eq!(disk.git("app.worktrees/feat-x", &["status", "--porcelain"]), "");
    disk.in_order(&["trunk-main", "feat-x"]);
}

#[test]
fn a_removal_that_cannot_keep_what_only_it_has_removes_nothing() {
    let environment = TestEnvironment::new();
    let disk = SmallDisk::start(&environment, "[worktrees]\nspares = 0\n");
    disk.ok(&["feat", "x"]);
    let tree = disk.seen("app.worktrees/feat-x");
    fs::write(tree.join("own"), noise(1000)).unwrap();
    disk.git("app.worktrees/feat-x", &["add", "-A"]);
    disk.git("app.worktrees/feat-x", &["commit", "-qm", "only here"]);
    fs::write(tree.join("untracked"), "mine\n").unwrap();
    let head = disk.git("app.worktrees/feat-x", &["rev-parse", "HEAD"]);
    disk.fill(0);
    disk.fails(&["remove", "feat-x", "--force"]);
    disk.in_order(&["trunk-main", "feat-x"]);
    assert_eq!(fs::read_to_string(tree.join("untracked")).unwrap(), "mine\n");
    assert_eq!(disk.git("app", &["rev-parse", "feat-x"]), head);
    disk.ok(&["claim", "feat-x", "--agent-id", "a"]);
    disk.ok(&["release", "feat-x", "--agent-id", "a", "--allow-dirty"]);
    disk.make_room();
    disk.ok(&["remove", "feat-x", "--force"]);
    disk.in_order(&["trunk-main"]);
    disk.ok(&["undo"]);
    disk.in_order(&["trunk-main", "feat-x"]);
    assert_eq!(disk.git("app.worktrees/feat-x", &["rev-parse", "HEAD"]), head);
    assert_eq!(fs::read(tree.join("own")).unwrap(), noise(1000));
    assert_eq!(fs::read_to_string(tree.join("untracked")).unwrap(), "mine\n");
}
