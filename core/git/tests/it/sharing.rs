//! New worktrees on a file system with reflinks: a real btrfs in a file, where this machine lets one be mounted.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use podium_git::{AddWorktree, Repo, Untracked, WorktreeLocation, WorktreeStart};

use crate::support::{Lab, WAIT, writer};

const LARGE: usize = 8 << 20;

/// A btrfs of its own, unmounted with this.
struct Disk {
    at: PathBuf,
}

impl Disk {
    /// `None` where mounting needs rights or programs that are not there.
    fn mount(lab: &Lab) -> Option<Self> {
        let (image, at) = (lab.root.join("disk.img"), lab.root.join("disk"));
        fs::create_dir(&at).unwrap();
        fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
        let run = |program: &str, args: &[&Path]| {
            Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
        };
        let mounted = run("mkfs.btrfs", &[Path::new("-q"), &image])
            && run("mount", &[Path::new("-o"), Path::new("loop"), &image, &at]);
        if !mounted {
            eprintln!("no btrfs can be mounted here: nothing was looked at");
        }
        mounted.then_some(Self { at })
    }

    fn used(&self) -> u64 {
        assert!(Command::new("sync").arg("-f").arg(&self.at).status().unwrap().success());
        let stat = rustix::fs::statvfs(&self.at).unwrap();
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.at).status();
        assert!(std::thread::panicking() || unmounted.is_ok_and(|status| status.success()));
    }
}

/// A repository with a large file, whose index is older than a second, as those of people are.
fn repository(lab: &Lab, disk: &Disk) -> (PathBuf, Repo) {
    let path = lab.repository("disk/repo", &[]);
    let noise: Vec<u8> =
        (0..LARGE as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    fs::write(path.join("dir/large.bin"), noise).unwrap();
    fs::write(path.join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(path.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("a.txt", path.join("link")).unwrap();
    lab.commit_all(&path, "more");
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    for file in ["a.txt", "b.txt", "dir/c.txt", "dir/large.bin", "run.sh"] {
        fs::File::open(path.join(file)).unwrap().set_modified(past).unwrap();
    }
    lab.git(&path, &["update-index", "-q", "--refresh"]);
    assert!(disk.used() > LARGE as u64);
    (path.clone(), lab.open(&path))
}

fn new_worktree(repo: &Repo, at: &Path) -> WorktreeLocation {
    let start = WorktreeStart::Detached(repo.resolve_here("HEAD").unwrap());
    let mut add = AddWorktree::new(at, start);
    add.checkout = false;
    writer(repo).add_worktree(&add).unwrap().location
}

#[test]
fn a_new_worktree_shares_what_the_main_one_has_unchanged() {
    let lab = Lab::new();
    let Some(disk) = Disk::mount(&lab) else { return };
    let (path, repo) = repository(&lab, &disk);
    fs::write(path.join("b.txt"), "mine, and not committed\n").unwrap();
    let before = disk.used();
    let new = new_worktree(&repo, &disk.at.join("new"));
    repo.fill_worktree(&new, WAIT).unwrap();
    let grown = disk.used() - before;
    assert!(grown < LARGE as u64 / 4, "{grown} bytes more: the large file is there twice");

    assert!(repo.status(&new, Untracked::All).unwrap().entries.is_empty());
    assert_eq!(lab.git(&new.path, &["status", "--porcelain"]), "");
    assert_eq!(fs::read_to_string(new.path.join("b.txt")).unwrap(), "b\n", "as committed");
    let large = |root: &Path| fs::read(root.join("dir/large.bin")).unwrap();
    assert!(large(&new.path) == large(&path));
    assert_eq!(fs::read_link(new.path.join("link")).unwrap(), Path::new("a.txt"));
    let (here, there) =
        (fs::metadata(new.path.join("run.sh")).unwrap(), fs::metadata(path.join("run.sh")).unwrap());
    assert_eq!(here.mode() & 0o777, 0o755);
    assert_eq!(here.mtime(), there.mtime(), "what a build made of it holds");
    assert!(!new.git_dir.join("index.shared").exists());

    fs::write(new.path.join("dir/c.txt"), "changed\n").unwrap();
    assert_eq!(
        fs::read_to_string(path.join("dir/c.txt")).unwrap(),
        "c\n",
        "nobody writes into another's file"
    );
}

#[test]
fn other_attributes_and_filters_leave_all_to_git() {
    let lab = Lab::new();
    let Some(disk) = Disk::mount(&lab) else { return };
    let (path, repo) = repository(&lab, &disk);
    fs::write(path.join(".gitattributes"), "*.txt eol=crlf\n").unwrap();
    lab.git(&path, &["add", ".gitattributes"]);
    let new = new_worktree(&repo, &disk.at.join("attributes"));
    repo.fill_worktree(&new, WAIT).unwrap();
    lab.git(&path, &["reset", "-q", "--hard"]);
    lab.git(&path, &["config", "filter.shout.smudge", "tr a-z A-Z"]);
    let other = new_worktree(&repo, &disk.at.join("filters"));
    repo.fill_worktree(&other, WAIT).unwrap();
    let time = |root: &Path| fs::metadata(root.join("run.sh")).unwrap().mtime();
    for new in [new, other] {
        assert!(time(&new.path) > time(&path), "written by git, and now");
        assert_eq!(lab.git(&new.path, &["status", "--porcelain"]), "");
    }
}
