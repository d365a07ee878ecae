//! The agent itself: its pipes, and its end.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::mpsc,
    time::Instant,
};

use super::{
    host::{Input, Shared},
    spec::{AgentEnd, EndCause},
    strays,
};
use crate::{Child, Exit};

const PIECE: usize = 64 * 1024;
/// What is kept of the standard error: always the last, up to twice as much.
const STDERR_KEPT: usize = 64 * 1024;
const STDERR_TOLD: usize = 8 * 1024;
const DISK_PAUSE: Duration = Duration::from_millis(500);
/// After all processes have ended: a pipe that somebody outside holds is not read any longer than this.
const DRAIN: Duration = Duration::from_secs(1);

/// Why the agent is to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndRequest {
    pub(super) grace: Duration,
    pub(super) cause: EndCause,
}

/// Stays until the agent and all it started have ended and all its output is stored.
pub(super) async fn supervise(
    shared: Arc<Shared>,
    mut child: Child,
    input: mpsc::UnboundedReceiver<Input>,
    requests: mpsc::UnboundedReceiver<EndRequest>,
) -> AgentEnd {
    let leader = child.pid();
    let reaper = tokio::spawn(strays::reap(leader));
    let stdout = child.stdout.take().map(|pipe| tokio::spawn(read_stdout(Arc::clone(&shared), pipe)));
    let tail = StderrTail::new(&shared);
    let stderr = child.stderr.take().map(|pipe| tokio::spawn(read_stderr(tail, pipe)));
    let stdin = child.stdin.take().map(|pipe| tokio::spawn(write_stdin(Arc::clone(&shared), pipe, input)));
    let (exit, cause) = wait(&mut child, requests).await;
    strays::kill_all().await;
    reaper.abort();
    shared.over.cancel();
    if let Some(writer) = stdin {
        writer.abort();
    }
    if let Some(mut reader) = stdout {
        // The pipe holds little, and it is stored whatever waits already.
        if tokio::time::timeout(DRAIN, &mut reader).await.is_err() {
            reader.abort();
        }
    }
    let stderr = match stderr {
        Some(reader) => {
            tokio::time::timeout(DRAIN, reader).await.ok().and_then(Result::ok).unwrap_or_default()
        }
        None => String::new(),
    };
    AgentEnd::new(exit, cause, stderr)
}

/// Waits for the agent's end, and brings it about when asked.
async fn wait(
    child: &mut Child,
    mut requests: mpsc::UnboundedReceiver<EndRequest>,
) -> (Option<Exit>, EndCause) {
    let (mut cause, mut deadline, leader) = (EndCause::Itself, None, child.pid());
    loop {
        let due = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            exit = child.wait() => return (exit.ok(), cause),
            () = due => {
                strays::kill_all().await;
                return (child.kill().await.ok(), cause);
            }
            Some(request) = requests.recv() => {
                if deadline.is_none() && !request.grace.is_zero() {
                    child.ask();
                    strays::ask(leader);
                }
                cause = if cause == EndCause::Itself { request.cause } else { cause };
                let at = Instant::now() + request.grace;
                deadline = Some(deadline.map_or(at, |before: Instant| before.min(at)));
            }
        }
    }
}

/// Reads only as long as not too much is unacknowledged: then the agent waits, and nothing is lost.
async fn read_stdout(shared: Arc<Shared>, mut pipe: ChildStdout) {
    let mut buffer = vec![0; PIECE];
    loop {
        shared.room().await;
        match pipe.read(&mut buffer).await {
            Ok(read @ 1..) => store(&shared, &buffer[..read]).await,
            _ => return,
        }
    }
}

/// A full disk stops the agent until there is room again.
async fn store(shared: &Shared, bytes: &[u8]) {
    while let Err(error) = shared.append(bytes) {
        tracing::warn!(%error, "output of an agent can not be stored; it waits");
        tokio::time::sleep(DISK_PAUSE).await;
    }
}

async fn write_stdin(shared: Arc<Shared>, pipe: ChildStdin, mut input: mpsc::UnboundedReceiver<Input>) {
    let mut pipe = Some(pipe);
    while let Some(next) = input.recv().await {
        match next {
            Input::Bytes(bytes) => {
                // An agent may close its input; what comes then is for nobody.
                if let Some(open) = &mut pipe
                    && (open.write_all(&bytes).await.is_err() || open.flush().await.is_err())
                {
                    pipe = None;
                }
                shared.input_waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
            }
            Input::Close => pipe = None,
        }
    }
}

/// Reads to the end whatever comes: a full pipe would stop the agent.
async fn read_stderr(mut tail: StderrTail, mut pipe: ChildStderr) -> String {
    let mut buffer = vec![0; PIECE];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        tail.push(&buffer[..read]);
    }
    tail.told()
}

/// The last of the standard error, in memory and in a file that survives the runner.
struct StderrTail {
    bytes: VecDeque<u8>,
    file: Option<File>,
    written: u64,
}

impl StderrTail {
    fn new(shared: &Shared) -> Self {
        Self { bytes: VecDeque::new(), file: shared.folder.stderr_file().ok(), written: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let surplus = self.bytes.len().saturating_sub(STDERR_KEPT);
        self.bytes.drain(..surplus);
        if let Err(error) = self.write(bytes) {
            tracing::debug!(%error, "the standard error of an agent can not be stored");
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if self.written + bytes.len() as u64 <= 2 * STDERR_KEPT as u64 {
            file.write_all_at(bytes, self.written)?;
            self.written += bytes.len() as u64;
            return Ok(());
        }
        file.set_len(0)?;
        file.write_all_at(self.bytes.make_contiguous(), 0)?;
        self.written = self.bytes.len() as u64;
        Ok(())
    }

    fn told(mut self) -> String {
        let bytes = self.bytes.make_contiguous();
        String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(STDERR_TOLD)..]).into_owned()
    }
}
