use std::{
    io::{Read, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use podium_process::{Command, Ended, Limits, ProcessError, ProcessState, Stdin, watch_exit};
use tokio_util::sync::CancellationToken;

use crate::support::{never, pid_in, sh, within};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn output_status_and_signal_are_told() {
    let output = sh("echo out; echo err >&2; exit 3").output(&never()).await.unwrap();
    assert_eq!((output.exit.code, output.ended, output.success()), (Some(3), Ended::ByItself, false));
    assert_eq!((output.stdout.text(), output.stderr.text()), ("out\n".into(), "err\n".into()));
    let output = sh("kill -9 $$").output(&never()).await.unwrap();
    assert_eq!((output.exit.code, output.exit.signal), (None, Some(9)));
    assert!(sh("exit 0").output(&never()).await.unwrap().success());
}

#[tokio::test]
async fn the_environment_is_only_what_was_given() {
    let output = Command::new("/usr/bin/env").env("ONE", "1").output(&never()).await.unwrap();
    assert_eq!(output.stdout.text(), "ONE=1\n");
    let output =
        Command::new("/usr/bin/env").env("HOME", "/mine").inherit_env().output(&never()).await.unwrap();
    let text = output.stdout.text();
    assert!(text.contains("HOME=/mine\n") && text.contains("PATH=") && !text.contains("CARGO"), "{text}");
}

#[tokio::test]
async fn missing_programs_and_folders_have_errors_of_their_own() {
    let missing = Command::new("no-such-program").output(&never()).await.unwrap_err();
    assert!(matches!(missing, ProcessError::NotFound { program } if program == "no-such-program"));
    let folder = sh("true").cwd("/no/such/folder").output(&never()).await.unwrap_err();
    assert!(matches!(folder, ProcessError::NoWorkingDirectory { .. }));
    let folder = Command::new("/tmp").output(&never()).await.unwrap_err();
    assert!(matches!(folder, ProcessError::Spawn { .. }));
}

#[tokio::test]
async fn large_input_and_output_flow_at_the_same_time() {
    let input = vec![b'x'; 3 << 20];
    let output = within(
        Command::new("/usr/bin/cat").stdin(Stdin::Bytes(input.clone())).capture(4 << 20).output(&never()),
    )
    .await
    .unwrap();
    assert!(output.stdout.bytes().as_ref() == input && !output.stdout.truncated());
    // A child that does not read is no error.
    assert!(within(sh("exit 0").stdin(Stdin::Bytes(input)).output(&never())).await.unwrap().success());
}

#[tokio::test]
async fn endless_output_is_bounded_and_does_not_block_the_child() {
    let output =
        within(sh("echo first; seq 1 1000000; echo last").capture(1000).output(&never())).await.unwrap();
    assert!(output.success() && output.stdout.truncated());
    assert_eq!(output.stdout.bytes().len(), 1000);
    assert!(output.stdout.text().starts_with("first\n") && output.stdout.text().ends_with("last\n"));
}

#[tokio::test]
async fn timeout_ends_grandchildren_even_in_sessions_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! >a; setsid sh -c 'echo $$ >b; exec sleep 1000' & wait";
    let run = sh(script).cwd(folder.path()).timeout(Duration::from_secs(2)).grace(Duration::from_millis(200));
    let token = never();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let (output, group, session) = tokio::join!(within(run.output(&token)), pid_in(&a), pid_in(&b));
    let output = output.unwrap();
    assert_eq!(output.ended, Ended::TimedOut);
    assert_eq!(output.exit.signal, Some(15));
    for grandchild in [group, session] {
        within(watch_exit(&grandchild)).await.unwrap();
        assert_eq!(grandchild.state(), ProcessState::Dead);
    }
    assert!(output.elapsed < LONG);
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed_after_the_grace() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let script = "trap 'echo asked' TERM; echo $$ >ready; while :; do sleep 0.05; done";
    let cancel = CancellationToken::new();
    let run = sh(script).cwd(folder.path()).grace(Duration::from_millis(300));
    let (output, _) = tokio::join!(within(run.output(&cancel)), async {
        pid_in(&ready).await;
        cancel.cancel();
    });
    let output = output.unwrap();
    assert_eq!((output.ended, output.exit.signal), (Ended::Cancelled, Some(9)));
    assert_eq!(output.stdout.text(), "asked\n", "asked once, then killed");
}

#[tokio::test]
async fn what_a_child_leaves_behind_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let output = within(sh("sleep 1000 & echo $!").cwd(folder.path()).output(&never())).await.unwrap();
    assert!(output.success() && !output.stdout.incomplete());
    let pid: u32 = output.stdout.text().trim().parse().unwrap();
    assert!(podium_process::ProcessIdentity::of(pid).is_err());
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn dropping_a_child_or_its_future_kills_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let child = sh("sleep 1000 & echo $! >a; wait").cwd(folder.path()).spawn().unwrap();
    let grandchild = pid_in(&folder.path().join("a")).await;
    let leader = child.identity().unwrap().clone();
    drop(child);
    within(watch_exit(&grandchild)).await.unwrap();
    within(watch_exit(&leader)).await.unwrap();

    let token = never();
    let future = sh("sleep 1000 & echo $! >b; wait").cwd(folder.path()).output(&token);
    let grandchild = tokio::select! {
        _ = future => panic!("sleep ended"),
        grandchild = async { pid_in(&folder.path().join("b")).await } => grandchild,
    };
    within(watch_exit(&grandchild)).await.unwrap();
}

#[tokio::test]
async fn limits_hold_in_the_child() {
    let limits = Limits {
        memory: Some(1 << 30),
        cpu: Some(Duration::from_millis(1500)),
        files: Some(50),
        processes: Some(500),
        file_size: Some(4096),
    };
    let script = "ulimit -v; ulimit -t; ulimit -n; ulimit -c";
    let output = sh(script).limits(limits.clone()).output(&never()).await.unwrap();
    assert_eq!(output.stdout.text(), "1048576\n2\n50\n0\n");
    let folder = tempfile::tempdir().unwrap();
    let output = sh("yes >big").cwd(folder.path()).limits(limits).output(&never()).await.unwrap();
    assert!(!output.success());
    assert_eq!(std::fs::metadata(folder.path().join("big")).unwrap().len(), 4096);
}

#[tokio::test]
async fn only_descriptors_handed_over_are_open() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let leak = std::fs::File::open("/dev/null").unwrap();
    // SAFETY: a copy without close-on-exec, as a C library would leave behind; closed when `_leaked` is dropped.
    let _leaked = unsafe { OwnedFd::from_raw_fd(libc::dup(leak.as_raw_fd())) };
    let mut command = Command::new("bash").env("PATH", "/usr/bin:/bin");
    let fd = command.inherit_fd(OwnedFd::from(theirs));
    let script = format!("read line <&{fd}; echo \"got $line\" >&{fd}; ls /proc/$$/fd; true");
    ours.write_all(b"hello\n").unwrap();
    let output = within(command.args(["-c", &script]).output(&never())).await.unwrap();
    let mut answer = String::new();
    ours.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "got hello\n");
    let mut open: Vec<i32> = output.stdout.text().lines().map(|line| line.parse().unwrap()).collect();
    // 255 is where bash keeps a script or terminal.
    open.sort_unstable();
    open.retain(|number| *number != 255);
    assert_eq!(open, [0, 1, 2, fd], "{}", output.stderr.text());
}

#[test]
fn a_blocking_caller_needs_no_runtime() {
    assert_eq!(sh("echo hi").output_blocking().unwrap().stdout.text(), "hi\n");
}

#[tokio::test]
async fn a_blocking_call_works_within_a_runtime() {
    assert_eq!(sh("echo hi").output_blocking().unwrap().stdout.text(), "hi\n");
}
