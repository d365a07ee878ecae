//! The editor's process: when it dies without a word, this server ends too.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};

use crate::state::State;

/// Pause between two looks, where the system cannot tell of a death by itself.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Stack of the thread that waits for the death, in bytes.
#[cfg(target_os = "linux")]
const STACK: usize = 64 * 1024;

/// Returns when the process that `initialize` named has died. Never without one that can be seen.
pub(crate) async fn parent_died(state: Arc<State>) {
    let mut parent = state.parent.subscribe();
    let named = parent.wait_for(Option::is_some).await.map_or(None, |pid| *pid);
    let Some(pid) = named.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) else {
        return std::future::pending().await;
    };
    // An editor outside of this container is no process in here; the end of the input tells of its death then.
    if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
        tracing::info!("the editor's process cannot be seen from here");
        return std::future::pending().await;
    }
    #[cfg(target_os = "linux")]
    if let Some(death) = death_of(pid) {
        let _ = death.await;
        tracing::info!("the editor's process ended");
        return;
    }
    // Somebody else's process exists as well, so that only "no such process" counts.
    while test_kill_process(pid) != Err(rustix::io::Errno::SRCH) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    tracing::info!("the editor's process ended");
}

/// A handle cannot be taken for another process that gets the same number later. `None` where there is none to be
/// had.
#[cfg(target_os = "linux")]
fn death_of(pid: Pid) -> Option<tokio::sync::oneshot::Receiver<()>> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{PidfdFlags, pidfd_open};

    let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let (died, death) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("parent".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            while poll(&mut [PollFd::new(&handle, PollFlags::IN)], None) == Err(rustix::io::Errno::INTR) {}
            let _ = died.send(());
        })
        .ok()?;
    Some(death)
}
