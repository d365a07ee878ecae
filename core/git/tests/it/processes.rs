use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use podium_git::{ErrorKind, Git, GitEnv, GitError, GitVersion};

use crate::support::{Lab, env};

/// A stand-in for git that misbehaves in a way the real one cannot be made to.
fn fake_git(lab: &Lab, body: &str) -> PathBuf {
    let path = lab.root.join("fake-git");
    let script = format!(
        "#!/bin/sh\nfor a; do [ \"$a\" = --version ] && echo 'git version 2.47.3' && exit; done\n{body}\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    // A zombie has ended; nobody but its parent can reap it.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn a_timeout_ends_the_whole_group_even_if_it_ignores_the_polite_signal() {
    let lab = Lab::new();
    let pids = lab.root.join("pids");
    let body = format!(
        "trap '' TERM\n(trap '' TERM; while :; do sleep 1; done) &\necho $! $$ > {}\nwait\nwait",
        pids.display()
    );
    let git = Git::at(fake_git(&lab, &body), env(&lab.root, &[])).unwrap();
    let started = Instant::now();
    let error = git.read().arg("hang").timeout(Duration::from_millis(300)).output().unwrap_err();
    assert!(matches!(error, GitError::Timeout { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(started.elapsed() < Duration::from_secs(10));
    let pids = std::fs::read_to_string(pids).unwrap();
    assert_eq!(pids.split_whitespace().count(), 2);
    let deadline = Instant::now() + Duration::from_secs(10);
    while pids.split_whitespace().any(alive) {
        assert!(Instant::now() < deadline, "something of the group lives on");
        std::thread::yield_now();
    }
}

#[test]
fn output_beyond_the_limit_ends_the_process() {
    let lab = Lab::new();
    let git = Git::at(fake_git(&lab, "exec yes"), env(&lab.root, &[])).unwrap();
    let error = git.read().arg("flood").stdout_limit(10_000).output().unwrap_err();
    assert!(matches!(error, GitError::OutputTooLarge { limit: 10_000, .. }), "{error}");
}

#[test]
fn a_background_process_that_keeps_the_pipes_does_not_hold_us_up() {
    let lab = Lab::new();
    let git = Git::at(fake_git(&lab, "echo done; sleep 20 & exit 0"), env(&lab.root, &[])).unwrap();
    let started = Instant::now();
    assert_eq!(git.read().arg("x").text().unwrap(), "done");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn errors_are_bounded_and_carry_no_credentials() {
    let lab = Lab::new();
    let body = "echo \"fatal: no 'https://ada:s3cret@example.org/'\" >&2; yes | head -c 1000000 >&2; exit 7";
    let git = Git::at(fake_git(&lab, body), env(&lab.root, &[])).unwrap();
    let error = git.read().args(["clone", "https://ada:s3cret@example.org/"]).output().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("exit 7") && text.contains("***@example.org") && !text.contains("s3cret"));
    assert!(text.len() < 20_000);
}

#[test]
fn git_that_is_missing_or_old_is_reported_with_a_hint() {
    let lab = Lab::new();
    let none = GitEnv::from_vars([("PATH", "/nonexistent:.:")]);
    let error = Git::find(none).unwrap_err();
    assert!(matches!(error, GitError::GitNotFound));
    assert_eq!((error.kind(), error.hints().len()), (ErrorKind::Unavailable, 1));

    let old = lab.root.join("old-git");
    std::fs::write(&old, "#!/bin/sh\necho 'git version 2.20.1'\n").unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = Git::at(old, env(&lab.root, &[])).unwrap_err();
    assert!(matches!(error, GitError::TooOld { needed: GitVersion::MINIMUM, .. }), "{error}");
}

#[test]
fn a_process_sees_only_what_is_allowed() {
    let lab = Lab::new();
    let vars = [("GIT_DIR", "/elsewhere"), ("SECRET", "x"), ("GIT_AUTHOR_NAME", "Ada"), ("https_proxy", "p")];
    let git = Git::at(fake_git(&lab, "env"), env(&lab.root, &vars)).unwrap();
    let read = git.read().arg("env").text().unwrap();
    for absent in ["GIT_DIR=", "SECRET=", "GIT_AUTHOR_NAME="] {
        assert!(!read.contains(absent), "{absent} in {read}");
    }
    for present in ["https_proxy=p", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1"] {
        assert!(read.contains(present), "{present} not in {read}");
    }
    assert!(git.change().arg("env").text().unwrap().contains("GIT_AUTHOR_NAME=Ada"));
}

#[test]
fn a_missing_folder_is_told_from_a_missing_git() {
    let lab = Lab::new();
    let error = lab.git.read().folder(Path::new("/nonexistent/x")).arg("status").output().unwrap_err();
    assert!(matches!(error, GitError::NoSuchPath { .. }), "{error}");
}
