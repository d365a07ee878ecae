//! A disk that is full, a database that is broken: a clear error, nothing lost, nothing overwritten.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use podium_harness::{Poll, TestEnvironment, process};

/// An environment that has been used and stopped: its database is whole and has no log beside it.
fn used() -> TestEnvironment {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "kept", "--agent-id", "a"]).within(&repo).ok();
    drop(repo);
    environment.podium(["daemon", "stop"]).ok();
    environment
}

/// A daemon that does not start: `unavailable`, naming the file, with a hint, and the file as it was.
fn refuses_to_start(environment: &TestEnvironment, word: &str) {
    let database = environment.home().database();
    let before = fs::read(&database).unwrap();
    let error = environment.podium(["status"]).fails(5);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("podium.db") && message.contains(word), "{message}");
    assert!(!error["hints"].as_array().unwrap().is_empty(), "{error:#}");
    assert_eq!(fs::read(&database).unwrap(), before, "nothing is overwritten");
    assert!(environment.daemons().is_empty());
    let foreground = environment.podium(["daemon", "--foreground"]).run();
    assert!(foreground.code.is_some_and(|code| code != 0), "{foreground:#?}");
    assert!(foreground.stderr.contains(word), "{foreground:#?}");
}

#[test]
fn a_file_that_is_no_database_is_left_as_it_is() {
    let environment = used();
    fs::write(environment.home().database(), "this is not a database, it is a letter\n".repeat(500)).unwrap();
    refuses_to_start(&environment, "damaged");
}

#[test]
fn a_damaged_database_is_found_when_it_is_opened() {
    let environment = used();
    let file = fs::OpenOptions::new().write(true).open(environment.home().database()).unwrap();
    let length = file.metadata().unwrap().len();
    for page in 1..length / 4096 {
        let mut file = &file;
        file.seek(SeekFrom::Start(page * 4096)).unwrap();
        file.write_all(&[0xa5; 64]).unwrap();
    }
    refuses_to_start(&environment, "damaged");
}

#[test]
fn a_database_of_a_newer_version_is_left_as_it_is() {
    let environment = used();
    set_schema_version(&environment.home().database(), 4_000);
    refuses_to_start(&environment, "newer");
}

/// `user_version` lies at offset 60 of the file, big endian (SQLite file format, 1.3).
fn set_schema_version(database: &Path, version: u32) {
    let mut file = fs::OpenOptions::new().write(true).open(database).unwrap();
    file.seek(SeekFrom::Start(60)).unwrap();
    file.write_all(&version.to_be_bytes()).unwrap();
}

#[test]
fn a_database_moved_away_is_made_anew_and_worktrees_are_found_again() {
    let environment = used();
    fs::rename(environment.home().database(), environment.root().join("old.db")).unwrap();
    let listed = environment.imi(["list"]).within(environment.root().join("app")).data();
    let names: Vec<&str> =
        listed["worktrees"].as_array().unwrap().iter().filter_map(|w| w["name"].as_str()).collect();
    assert!(names.contains(&"feat-kept"), "{listed:#}");
}

#[test]
fn a_read_only_database_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let environment = used();
    let database = environment.home().database();
    fs::set_permissions(&database, fs::Permissions::from_mode(0o400)).unwrap();
    // The superuser writes everywhere, unless it gives that right away.
    let podium = podium_harness::binary("podium");
    let daemon = ["--bounding-set=-dac_override", "--inh-caps=-dac_override"];
    let root = rustix_is_root();
    let run = if root {
        environment.program("setpriv").args(daemon).arg(&podium).args(["daemon", "--foreground"]).run()
    } else {
        environment.podium(["daemon", "--foreground"]).run()
    };
    fs::set_permissions(&database, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(run.code.is_some_and(|code| code != 0), "{run:#?}");
    assert!(run.stderr.contains("podium.db") && run.stderr.contains("read-only"), "{run:#?}");
    environment.imi(["list"]).within(environment.root().join("app")).ok();
}

fn rustix_is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

#[test]
fn on_a_full_disk_requests_fail_clearly_and_what_was_stored_is_kept() {
    let environment = TestEnvironment::new();
    let repo = environment.repo_builder().files(5).build();
    let small = SmallDisk::start(&environment);
    environment.imi(["feat", "before"]).within(&repo).ok();

    fs::write(small.inside("filler"), vec![7; 64 << 20]).unwrap_err();
    let (code, envelope) = until_it_fails(&environment);
    assert!(matches!(code, 5 | 1), "exit {code}: {envelope:#}");
    let text = envelope["error"].to_string();
    assert!(text.contains("disk") || text.contains("space"), "{text}");
    let listed = environment.imi(["list"]).within(&repo).data();
    assert!(listed.to_string().contains("feat-before"), "reading goes on: {listed:#}");

    fs::remove_file(small.inside("filler")).unwrap();
    environment.imi(["claim", "feat-before", "--agent-id", "a"]).within(&repo).ok();
    assert!(process::is_alive(small.pid), "the same daemon serves on");
}

/// Stores text until there is no room. The database may have some pages left.
fn until_it_fails(environment: &TestEnvironment) -> (i32, serde_json::Value) {
    let repo = environment.root().join("app");
    let poll = Poll::new(Duration::from_secs(50)).every(Duration::ZERO);
    poll.expect("the disk is full", || {
        let (code, envelope) =
            environment.jelmore(["inbox", "ask", &"why? ".repeat(390)]).within(&repo).envelope();
        (code != 0).then_some((code, envelope))
    })
}

/// A daemon whose home is a file system of 6 MiB, in a mount namespace of its own; its sockets lie outside.
struct SmallDisk {
    pid: u32,
    home: PathBuf,
    child: std::process::Child,
}

impl SmallDisk {
    fn start(environment: &TestEnvironment) -> Self {
        let home = environment.home().root().to_owned();
        let run = environment.root().join("run");
        fs::create_dir_all(&run).unwrap();
        fs::create_dir_all(&home).unwrap();
        std::os::unix::fs::symlink(&run, home.join("run")).unwrap();
        let script = "mount -t tmpfs -o size=6m,mode=700 none \"$PODIUM_HOME\" && mkdir -m 700 \"$PODIUM_HOME/run\" \
                      && mount --bind \"$0\" \"$PODIUM_HOME/run\" && exec \"$1\" daemon --foreground";
        let child = environment
            .program("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .arg(&run)
            .arg(podium_harness::binary("podium"))
            .spawn(|command| {
                command.stderr(Stdio::inherit());
            });
        let pid = child.id();
        let inside = PathBuf::from(format!("/proc/{pid}/root{}", home.display()));
        let token = Poll::new(Duration::from_secs(20))
            .expect("the daemon on the small disk is ready", || {
                environment.home().socket().exists().then(|| fs::read(inside.join("token")).ok()).flatten()
            });
        fs::write(environment.home().token_file(), token).unwrap();
        Self { pid, home: inside, child }
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        process::terminate(self.pid);
        let _ = self.child.wait();
    }
}

#[test]
fn a_missing_or_wrong_model_file_is_told_with_what_to_do() {
    let environment = TestEnvironment::builder().models("models").build();
    let repo = environment.repo();
    let start = || environment.jelmore(["start", "local", "--prompt", "hello"]).within(&repo);
    let missing = last_line(&start());
    assert_eq!(missing["error"]["kind"], "unavailable", "{missing:#}");
    assert!(missing["error"]["hints"].to_string().contains("models fetch"), "{missing:#}");

    let model = environment.home().models().join(podium_harness::MODEL);
    fs::create_dir_all(environment.home().models()).unwrap();
    fs::write(&model, "GGUF this is no model").unwrap();
    let listed = environment.podium(["models", "list"]).data();
    let state = listed["models"][0]["state"].as_str().unwrap();
    assert!(matches!(state, "corrupt" | "partial"), "{listed:#}");
    let wrong = last_line(&start());
    assert_ne!(wrong["status"], "completed", "{wrong:#}");
    assert!(wrong.to_string().contains("models"), "{wrong:#}");
    environment.podium(["models", "verify"]).fails(3);
    environment.podium(["models", "remove"]).ok();
    assert!(!model.exists());

    let doctor = environment.podium(["doctor"]).data();
    let parts = doctor["parts"].as_array().unwrap();
    assert!(
        parts.iter().any(|part| part["state"] != "ok" && part.to_string().contains("model")),
        "{doctor:#}"
    );
    let providers = environment.jelmore(["providers"]).data();
    let local =
        providers["providers"].as_array().unwrap().iter().find(|p| p["name"] == "local").unwrap().clone();
    assert!(
        local["usable"] == false && local["why"].as_str().is_some_and(|why| !why.is_empty()),
        "{local:#}"
    );
    let any = last_line(&environment.jelmore(["start", "--prompt", "hello"]).within(&repo));
    assert!(
        any["error"]["hints"].as_array().is_some_and(|hints| !hints.is_empty()),
        "how to get one: {any:#}"
    );
}

fn last_line(invocation: &podium_harness::Invocation<'_>) -> serde_json::Value {
    let mut lines = invocation.lines();
    let code = lines.finish();
    assert_ne!(code, Some(0), "{:#?}", lines.seen());
    lines.seen().last().cloned().unwrap()
}
