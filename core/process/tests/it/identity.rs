use podium_process::{ProcessError, ProcessIdentity, ProcessState, watch_exit};

use crate::support::{sh, within};

#[test]
fn this_process_is_alive() {
    let me = ProcessIdentity::current().unwrap();
    assert_eq!(me.pid, std::process::id());
    assert_eq!(me.state(), ProcessState::Alive);
}

#[test]
fn a_reused_pid_and_another_boot_are_dead() {
    let me = ProcessIdentity::current().unwrap();
    let earlier = ProcessIdentity { start_time: me.start_time - 1, ..me.clone() };
    assert_eq!(earlier.state(), ProcessState::Dead);
    let other_boot = ProcessIdentity { boot_id: "another".into(), ..me };
    assert_eq!(other_boot.state(), ProcessState::Dead);
}

#[test]
fn impossible_pids_are_nobody() {
    for pid in [0, u32::MAX, i32::MAX as u32] {
        assert!(matches!(ProcessIdentity::of(pid), Err(ProcessError::NoSuchProcess { .. })), "{pid}");
    }
}

#[test]
fn a_zombie_is_dead() {
    let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let identity = ProcessIdentity::of(child.id()).unwrap();
    assert_eq!(identity.state(), ProcessState::Alive);
    child.kill().unwrap();
    // Not reaped: only the kernel's view changes, and it does so by itself.
    while identity.state() == ProcessState::Alive {
        std::thread::yield_now();
    }
    assert_eq!(identity.state(), ProcessState::Dead);
    child.wait().unwrap();
    assert_eq!(identity.state(), ProcessState::Dead);
}

#[tokio::test]
async fn exit_is_told_without_asking() {
    let mut child = sh("read line").stdin(podium_process::Stdin::Piped).spawn().unwrap();
    let identity = child.identity().unwrap().clone();
    let watch = tokio::spawn({
        let identity = identity.clone();
        async move { watch_exit(&identity).await }
    });
    assert_eq!(identity.state(), ProcessState::Alive);
    drop(child.stdin.take());
    within(watch).await.unwrap().unwrap();
    assert_eq!(identity.state(), ProcessState::Dead);
    within(child.wait()).await.unwrap();
    // Also for who asks only afterwards, and for a pid that belongs to somebody else now.
    within(watch_exit(&identity)).await.unwrap();
    let me = ProcessIdentity::current().unwrap();
    within(watch_exit(&ProcessIdentity { start_time: me.start_time + 1, ..me })).await.unwrap();
}
