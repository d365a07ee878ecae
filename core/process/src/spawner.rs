//! One thread that starts every child, for as long as this process lives.
//!
//! The kernel sends the parent-death signal when the *thread* that forked ends, not the process. Tokio's threads come
//! and go, and a child must not be killed because one of them did.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{OnceLock, mpsc},
    thread,
};

type Job = Box<dyn FnOnce() + Send>;

/// Runs `spawn` on the thread and returns its result. Takes as long as a fork and exec.
pub(crate) fn run<T: Send + 'static>(
    spawn: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (reply, answer) = mpsc::sync_channel(1);
    let job: Job = Box::new(move || {
        let result =
            catch_unwind(AssertUnwindSafe(spawn)).unwrap_or_else(|_| Err(io::Error::other("spawn panicked")));
        // The caller waits below; it can not be gone.
        let _ = reply.send(result);
    });
    jobs()?.send(job).map_err(|_| io::Error::other("the spawning thread is gone"))?;
    answer.recv().map_err(|_| io::Error::other("the spawning thread gave no answer"))?
}

fn jobs() -> io::Result<&'static mpsc::Sender<Job>> {
    static JOBS: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    if let Some(jobs) = JOBS.get() {
        return Ok(jobs);
    }
    let (sender, receiver) = mpsc::channel::<Job>();
    thread::Builder::new().name("process-spawner".into()).spawn(move || {
        for job in receiver {
            job();
        }
    })?;
    // A second thread started by a race ends by itself: its sender is dropped here.
    Ok(JOBS.get_or_init(|| sender))
}
