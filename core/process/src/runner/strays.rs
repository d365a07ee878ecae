//! What an agent has started, wherever it went. The runner is the subreaper of all of it: a process whose parent dies
//! becomes the runner's child, whatever session it moved to.

use std::{fs, time::Duration};

use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::signal::unix::{SignalKind, signal};

use super::spec::MARK;
use crate::group::{EndSignal, Member, descendants, living_processes, signal_exactly};

/// How long everything is killed again and again: something may fork faster than it is found.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes this process the parent of its orphaned descendants.
pub(super) fn adopt_orphans() -> std::io::Result<()> {
    let me = Pid::from_raw(std::process::id().cast_signed());
    Ok(rustix::process::set_child_subreaper(me)?)
}

/// Asks all that `leader` does not lead: its own are asked by their group.
pub(super) fn ask(leader: u32) {
    for member in descendants(std::process::id()) {
        if member.pid != leader && member.stat.group != leader {
            signal_exactly(member, EndSignal::Terminate);
        }
    }
}

/// Kills every descendant of this process until none lives.
pub(super) async fn kill_all() {
    kill_until_none(|| descendants(std::process::id())).await;
}

/// Kills whatever still carries the mark of `run`, whose runner is dead.
pub(super) async fn kill_marked(run: &str) {
    let mark = format!("{MARK}={run}");
    kill_until_none(|| living_processes().into_iter().filter(|member| carries(member.pid, &mark)).collect())
        .await;
}

async fn kill_until_none(find: impl Fn() -> Vec<Member>) {
    let over = tokio::time::Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        let found = find();
        if found.is_empty() || tokio::time::Instant::now() > over {
            return;
        }
        for member in found {
            signal_exactly(member, EndSignal::Kill);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Only processes of the same user can be looked into, and no others can be ours.
fn carries(pid: u32, mark: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

/// Takes away adopted orphans that have ended. The agent itself is left to who waits for it.
pub(super) async fn reap(leader: u32) {
    let Ok(mut ended) = signal(SignalKind::child()) else { return };
    while ended.recv().await.is_some() {
        while let Some(pid) = ended_orphan(leader) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Looks without taking away.
fn ended_orphan(leader: u32) -> Option<Pid> {
    // SAFETY: all zeroes is a valid `siginfo_t`; the call only writes to it.
    let pid = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let look = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        if libc::waitid(libc::P_ALL, 0, &mut info, look) != 0 {
            return None;
        }
        info.si_pid()
    };
    // Zero where nobody has ended.
    (pid.cast_unsigned() != leader).then(|| Pid::from_raw(pid)).flatten()
}
