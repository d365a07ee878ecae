//! One child process: bounded in time and output, ended together with its whole group.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a group may take to end after SIGTERM before it is killed.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// A hook's background process may hold our pipes open after git has ended; what git wrote is read by then.
const DRAIN_GRACE: Duration = Duration::from_millis(500);
/// How often the end of a child that keeps its pipes open is looked for.
const TICK: Duration = Duration::from_millis(25);
/// Of stderr this much is kept; the rest is read and dropped.
const STDERR_LIMIT: usize = 16 * 1024;

pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) stdout: usize,
}

pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// What a child reads.
#[derive(Debug, Clone, Default)]
pub(crate) enum Input {
    #[default]
    Nothing,
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// Gets each piece of output; what it gives back is kept.
pub(crate) type Tap = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

/// Looks at stderr as it comes, and ends the process before its time.
pub(crate) struct Watched {
    pub(crate) stderr: Tap,
    /// Asked all the time; `true` ends the process.
    pub(crate) stop: Box<dyn Fn() -> bool>,
}

pub(crate) enum RunError {
    Spawn(std::io::Error),
    Timeout,
    TooLarge,
    Stopped,
}

enum Event {
    Closed,
    TooLarge,
}

/// Runs the command in a process group of its own until it ends, its time is up or it prints too much.
pub(crate) fn run(
    mut command: Command,
    stdin: Input,
    limits: &Limits,
    watched: Option<Watched>,
) -> Result<Finished, RunError> {
    command.stdin(match &stdin {
        Input::Nothing => Stdio::null(),
        Input::Bytes(_) => Stdio::piped(),
        Input::File(path) => std::fs::File::open(path).map_err(RunError::Spawn)?.into(),
    });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let deadline = Instant::now() + limits.timeout;
    let mut child = command.spawn().map_err(RunError::Spawn)?;

    let (sender, events) = channel();
    let (tap, stop) = watched.map(|watched| (watched.stderr, watched.stop)).unzip();
    let stdout = Collector::default();
    let stderr = Collector::default();
    if let Some(pipe) = child.stdout.take() {
        stdout.fill(pipe, limits.stdout, Some(Event::TooLarge), sender.clone(), None);
    }
    if let Some(pipe) = child.stderr.take() {
        stderr.fill(pipe, STDERR_LIMIT, None, sender, tap);
    }
    if let (Some(mut pipe), Input::Bytes(bytes)) = (child.stdin.take(), stdin) {
        // A child that ends early closes the pipe; its exit status tells more than the write error.
        thread::spawn(move || drop(pipe.write_all(&bytes)));
    }
    match wait(&mut child, &events, deadline, stop.as_deref()) {
        Ok(status) => Ok(Finished { status, stdout: stdout.take(), stderr: stderr.take() }),
        Err(error) => {
            end_group(&mut child);
            Err(error)
        }
    }
}

fn wait(
    child: &mut Child,
    events: &Receiver<Event>,
    deadline: Instant,
    stop: Option<&dyn Fn() -> bool>,
) -> Result<ExitStatus, RunError> {
    let mut open = 2;
    let mut ended: Option<(ExitStatus, Instant)> = None;
    let mut pause = Duration::from_micros(200);
    loop {
        let now = Instant::now();
        if ended.is_none() {
            ended = child.try_wait().map_err(RunError::Spawn)?.map(|status| (status, now));
        }
        match ended {
            Some((status, since)) if open == 0 || now >= since + DRAIN_GRACE => return Ok(status),
            None if now >= deadline => return Err(RunError::Timeout),
            None if stop.is_some_and(|stop| stop()) => return Err(RunError::Stopped),
            _ => {}
        }
        if open == 0 {
            thread::sleep(pause);
            pause = (pause * 2).min(TICK);
            continue;
        }
        match events
            .recv_timeout(TICK.min(deadline.saturating_duration_since(now)).max(Duration::from_millis(1)))
        {
            Ok(Event::Closed) => open -= 1,
            Ok(Event::TooLarge) => return Err(RunError::TooLarge),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => open = 0,
        }
    }
}

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<u8>>>);

impl Collector {
    fn fill(
        &self,
        mut pipe: impl Read + Send + 'static,
        limit: usize,
        overflow: Option<Event>,
        events: std::sync::mpsc::Sender<Event>,
        mut tap: Option<Tap>,
    ) {
        let kept = self.0.clone();
        let mut overflow = overflow;
        thread::spawn(move || {
            let mut chunk = vec![0; 64 * 1024];
            loop {
                let read = match pipe.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(read) => read,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(_) => break,
                };
                let tapped = tap.as_mut().map(|tap| tap(&chunk[..read]));
                let piece = tapped.as_deref().unwrap_or(&chunk[..read]);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = limit.saturating_sub(kept.len()).min(piece.len());
                kept.extend_from_slice(&piece[..room]);
                if room < piece.len()
                    && let Some(event) = overflow.take()
                {
                    // Nobody listens any more once the child was given up.
                    let _ = events.send(event);
                }
            }
            let _ = events.send(Event::Closed);
        });
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Asks the whole group to end, then kills what is left, and reaps the child.
fn end_group(child: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // An error means that the group is gone already.
            let _ = kill_process_group(group, Signal::TERM);
            let deadline = Instant::now() + TERM_GRACE;
            while Instant::now() < deadline {
                let _ = child.try_wait();
                if test_kill_process_group(group).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(5));
            }
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
    #[cfg(not(unix))]
    let _ = child.kill();
    let _ = child.wait();
}
