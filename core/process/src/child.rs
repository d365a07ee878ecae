use std::{
    fmt, io,
    process::ExitStatus,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{ChildStderr, ChildStdin, ChildStdout},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Captured, ProcessError, ProcessIdentity,
    group::{EndSignal, ProcessGroup},
};

/// How long output is waited for after all known processes have ended: an escaped one may hold the pipe for ever.
const DRAIN: Duration = Duration::from_millis(500);

/// How a child ended by its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code; `None` if a signal ended it. `bwrap` reports a signal `n` inside as code `128 + n`, as shells do.
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

impl Exit {
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        #[cfg(unix)]
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        #[cfg(not(unix))]
        let signal = None;
        Self { code: status.code(), signal }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "ended by signal {signal}"),
            (None, None) => f.write_str("ended for an unknown reason"),
        }
    }
}

/// Who ended the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    ByItself,
    TimedOut,
    Cancelled,
}

/// A child that has ended, and what it wrote.
#[derive(Debug, Clone)]
pub struct Output {
    pub exit: Exit,
    pub ended: Ended,
    pub stdout: Captured,
    pub stderr: Captured,
    pub elapsed: Duration,
}

impl Output {
    /// Ended by itself with code 0.
    pub fn success(&self) -> bool {
        self.ended == Ended::ByItself && self.exit.success()
    }
}

/// A running child. Dropping it kills its whole group.
#[derive(Debug)]
pub struct Child {
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
    inner: tokio::process::Child,
    group: ProcessGroup,
    identity: Option<ProcessIdentity>,
    name: String,
    grace: Duration,
    reaped: Option<Exit>,
    started: Instant,
    /// Removed only after the child is dead.
    _scratch: Option<tempfile::TempDir>,
}

impl Child {
    pub(crate) fn new(
        mut inner: tokio::process::Child,
        group: ProcessGroup,
        name: String,
        grace: Duration,
        scratch: Option<tempfile::TempDir>,
    ) -> Result<Self, ProcessError> {
        let mut child = Self {
            stdin: inner.stdin.take(),
            stdout: inner.stdout.take(),
            stderr: inner.stderr.take(),
            identity: None,
            inner,
            group,
            name,
            grace,
            reaped: None,
            started: Instant::now(),
            _scratch: scratch,
        };
        child.identity = match ProcessIdentity::of(child.group.leader) {
            Ok(identity) => Some(identity),
            Err(ProcessError::NoSuchProcess { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(child)
    }

    pub fn pid(&self) -> u32 {
        self.group.leader
    }

    /// `None` if it had ended before it could be looked at.
    pub fn identity(&self) -> Option<&ProcessIdentity> {
        self.identity.as_ref()
    }

    /// Waits for the child's own end, then kills what it left behind in its group. Cancel-safe.
    ///
    /// # Errors
    /// [`ProcessError::Wait`].
    pub async fn wait(&mut self) -> Result<Exit, ProcessError> {
        if let Some(exit) = self.reaped {
            return Ok(exit);
        }
        self.ended().await?;
        // Before reaping: until then the number of the group can not be reused.
        self.kill_group();
        let status = self.inner.wait().await.map_err(|source| self.wait_error(source))?;
        let exit = Exit::from(status);
        self.reaped = Some(exit);
        Ok(exit)
    }

    /// Sends SIGTERM to the group, and waits for nothing.
    #[cfg(target_os = "linux")]
    pub(crate) fn ask(&mut self) {
        if self.reaped.is_none() {
            self.signal(EndSignal::Terminate);
        }
    }

    /// Asks the group to end (SIGTERM), and kills it after the grace time.
    ///
    /// # Errors
    /// [`ProcessError::Wait`].
    pub async fn terminate(&mut self) -> Result<Exit, ProcessError> {
        if let Some(exit) = self.reaped {
            return Ok(exit);
        }
        self.signal(EndSignal::Terminate);
        // Past the grace, or if waiting failed, `kill` is next either way.
        let _ = tokio::time::timeout(self.grace, self.ended()).await;
        self.kill().await
    }

    /// Kills the group at once.
    ///
    /// # Errors
    /// [`ProcessError::Wait`].
    pub async fn kill(&mut self) -> Result<Exit, ProcessError> {
        if self.reaped.is_none() {
            self.kill_group();
        }
        self.wait().await
    }

    /// Resolves when the child has ended, and leaves it unreaped.
    #[cfg(target_os = "linux")]
    async fn ended(&mut self) -> Result<(), ProcessError> {
        match &self.identity {
            Some(identity) => crate::watch_exit(identity).await,
            None => Ok(()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    async fn ended(&mut self) -> Result<(), ProcessError> {
        match self.inner.wait().await {
            Ok(_) => Ok(()),
            Err(source) => Err(self.wait_error(source)),
        }
    }

    fn wait_error(&self, source: io::Error) -> ProcessError {
        ProcessError::Wait { program: self.name.clone(), source }
    }

    fn kill_group(&mut self) {
        self.signal(EndSignal::Kill);
        #[cfg(not(unix))]
        if let Err(error) = self.inner.start_kill() {
            tracing::debug!(program = self.name, %error, "child could not be killed");
        }
    }

    fn signal(&mut self, signal: EndSignal) {
        if let Err(error) = self.group.signal(signal) {
            tracing::warn!(program = self.name, pid = self.group.leader, %error, "process group could not be signalled");
        }
    }

    pub(crate) async fn into_output(
        mut self,
        input: Option<Vec<u8>>,
        capture: usize,
        timeout: Option<Duration>,
        cancel: &CancellationToken,
    ) -> Result<Output, ProcessError> {
        let writer = self
            .stdin
            .take()
            .zip(input)
            .map(|(stdin, input)| Aborting(tokio::spawn(write_all(stdin, input))));
        let stdout = Reader::start(self.stdout.take(), capture);
        let stderr = Reader::start(self.stderr.take(), capture);
        let deadline = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        let (ended, exit) = tokio::select! {
            biased;
            exit = self.wait() => (Ended::ByItself, Some(exit?)),
            () = cancel.cancelled() => (Ended::Cancelled, None),
            () = deadline => (Ended::TimedOut, None),
        };
        let exit = match exit {
            Some(exit) => exit,
            None => self.terminate().await?,
        };
        drop(writer);
        let (stdout, stderr) = tokio::join!(stdout.finish(), stderr.finish());
        Ok(Output { exit, ended, stdout, stderr, elapsed: self.started.elapsed() })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.reaped.is_none() {
            self.kill_group();
        }
    }
}

/// A task that ends with its owner.
struct Aborting<T>(JoinHandle<T>);

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A child may end or close its input without reading all of it: no error of ours.
async fn write_all(mut stdin: ChildStdin, input: Vec<u8>) {
    if stdin.write_all(&input).await.is_ok() {
        let _ = stdin.shutdown().await;
    }
}

/// Reads a stream to its end, whatever the limit: a full pipe would stop the child.
struct Reader {
    captured: Arc<Mutex<Captured>>,
    task: Option<Aborting<()>>,
}

impl Reader {
    fn start(stream: Option<impl AsyncRead + Unpin + Send + 'static>, limit: usize) -> Self {
        let captured = Arc::new(Mutex::new(Captured::with_limit(limit)));
        let shared = Arc::clone(&captured);
        let task = stream.map(|stream| Aborting(tokio::spawn(read_all(stream, shared))));
        Self { captured, task }
    }

    async fn finish(mut self) -> Captured {
        let whole = match &mut self.task {
            Some(task) => tokio::time::timeout(DRAIN, &mut task.0).await.is_ok(),
            None => true,
        };
        let mut captured = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        if !whole {
            captured.mark_incomplete();
        }
        std::mem::take(&mut *captured)
    }
}

async fn read_all(mut stream: impl AsyncRead + Unpin, captured: Arc<Mutex<Captured>>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        captured.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..read]);
    }
}
