//! Copies of ignored folders on a file system that shares blocks: btrfs in a file, mounted for one daemon.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use podium_harness::{Finished, Poll, TestEnvironment, process};
use serde_json::Value;

const FILES: u64 = 40;
const BYTES: usize = 1_000_000;

/// A daemon for which one folder is a btrfs of its own.
struct Btrfs<'a> {
    environment: &'a TestEnvironment,
    child: std::process::Child,
    folder: PathBuf,
}

impl<'a> Btrfs<'a> {
    /// What is missing where that cannot be had: mounting needs root, a loop device and the kernel's btrfs.
    fn start(environment: &'a TestEnvironment) -> Result<Self, String> {
        let (image, folder) = (environment.root().join("image"), environment.root().join("disk"));
        fs::create_dir_all(&folder).unwrap();
        fs::File::create(&image).unwrap().set_len(512 * 1024 * 1024).unwrap();
        let make = ["-c", "PATH=$PATH:/usr/sbin:/sbin; mkfs.btrfs -q \"$0\"", image.to_str().unwrap()];
        let made = environment.program("sh").args(make).run();
        if made.code != Some(0) {
            return Err(format!("mkfs.btrfs: {}", made.stderr.trim()));
        }
        let try_out = "mount -o loop \"$0\" \"$1\"";
        let mut mount = environment.program("unshare").args(["--mount", "sh", "-c", try_out]);
        mount = mount.arg(&image).arg(&folder);
        let tried = mount.run();
        if tried.code != Some(0) {
            return Err(format!("mount: {}", tried.stderr.trim()));
        }
        let script = "mount -o loop \"$0\" \"$1\" && exec \"$2\" daemon --foreground";
        let child = environment
            .program("unshare")
            .args(["--mount", "sh", "-c", script])
            .arg(&image)
            .arg(&folder)
            .arg(podium_harness::binary("podium"))
            .spawn(|command| {
                command.stderr(Stdio::inherit());
            });
        let disk = Self { environment, child, folder };
        Poll::new(Duration::from_secs(20))
            .expect("the daemon is ready", || environment.home().socket().exists().then_some(()));
        Ok(disk)
    }

    fn run(&self, script: &str) -> Finished {
        let pid = self.child.id().to_string();
        self.environment
            .program("nsenter")
            .args(["--target", &pid, "--mount", "sh", "-ec"])
            .arg(format!("cd '{}'; {script}", self.folder.display()))
            .run()
    }

    fn used(&self) -> u64 {
        let told = self.run("sync -f .; df --output=used -B1 . | tail -1").success();
        told.trim().parse().unwrap()
    }
}

impl Drop for Btrfs<'_> {
    fn drop(&mut self) {
        process::terminate(self.child.id());
        let _ = self.child.wait();
    }
}

fn copied(environment: &TestEnvironment) -> Option<Value> {
    let tail = ["events", "tail", "--from-seq", "0", "--until-now", "--type", "worktree.copied"];
    let mut lines = environment.podium(tail).lines();
    lines.finish();
    lines.seen().iter().find(|line| line["type"] == "event").map(|line| line["event"]["data"].clone())
}

#[test]
fn copies_of_ignored_folders_share_their_blocks_where_the_file_system_can() {
    let environment = TestEnvironment::new();
    let disk = match Btrfs::start(&environment) {
        Ok(disk) => disk,
        Err(why) => return println!("not tested here, since no btrfs can be mounted: {why}"),
    };
    let make = format!(
        "git init -q -b main app; cd app; mkdir .podium node_modules
         printf '[worktree]\\ncopy = [\"node_modules\"]\\n' >.podium/config.toml; printf 'node_modules/\\n.podium/\\n' >.gitignore
         git add -A; git commit -qm first
         i=0; while [ $i -lt {FILES} ]; do head -c {BYTES} /dev/urandom >node_modules/f$i; i=$((i + 1)); done"
    );
    let _ = disk.run(&make).success();
    let before = disk.used();
    let _ = disk.run("cd app; imi feat x").success();
    let told = Poll::new(Duration::from_secs(30)).expect("the copy is told", || copied(&environment));
    assert_eq!((told["files"].as_u64(), told["shared"].as_u64()), (Some(FILES), Some(FILES)), "{told:#}");
    let _ = disk.run("diff -r app/node_modules app.worktrees/feat-x/node_modules").success();
    let more = disk.used().saturating_sub(before);
    println!("{} MB were copied by {more} bytes of the disk", FILES * BYTES as u64 / 1_000_000);
    assert!(more < FILES * BYTES as u64 / 4, "{more} bytes more are used");
    let parts = environment.podium(["doctor"]).data()["parts"].take();
    let told = parts.as_array().unwrap().iter().find(|part| part["name"] == "copies");
    // The daemon sees the file system; this process does not.
    assert!(told.unwrap()["message"].as_str().unwrap().contains("share their blocks"), "{parts:#}");
    // What is written in one is not seen in the other.
    let _ = disk.run("echo mine >>app.worktrees/feat-x/node_modules/f0").success();
    assert_ne!(disk.run("cmp app/node_modules/f0 app.worktrees/feat-x/node_modules/f0").code, Some(0));
}
