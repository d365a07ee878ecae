//! The daemon's side: start a runner, attach to it, or read what a dead one left.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Read, Write},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::Mutex;

use super::{
    RunnerError,
    backlog::Backlog,
    folder,
    host::Started,
    spec::{AgentEnd, EndCause, Spec, SpecWire, Status},
    strays,
    wire::{FROM_NOW_ON, PIECE, Receiver, Sender, SocketReceiver, SocketSender, ToClient, ToRunner, VERSION},
};
use crate::{Detached, ProcessError, watch_exit};

/// How long a runner may take from its start to its agent's.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a runner that closed its socket may take to end.
const DEATH_LIMIT: Duration = Duration::from_secs(5);
const STARTING_PAUSE: Duration = Duration::from_millis(20);
const STDERR_TOLD: usize = 8 * 1024;

/// How runners are started: a program that calls [`super::run_from_stdin`].
#[derive(Debug, Clone)]
pub struct Launcher {
    /// Absolute.
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// Variables of the runner itself, not of the agent.
    pub env: BTreeMap<OsString, OsString>,
}

impl Launcher {
    /// Starts a runner and its agent. Both live on whatever becomes of this process.
    ///
    /// # Errors
    /// [`RunnerError::Runs`] if the folder's runner lives, [`RunnerError::Agent`] if the agent can not be started.
    pub async fn start(&self, spec: &Spec) -> Result<(), RunnerError> {
        let wire = rmp_serde::to_vec_named(&SpecWire::from(spec))
            .map_err(|error| RunnerError::Broken { what: error.to_string() })?;
        let (launcher, folder) = (self.clone(), spec.folder.clone());
        let started = tokio::task::spawn_blocking(move || launcher.start_blocking(&wire)).await;
        match started.unwrap_or_else(|_| Err(broken("its start broke off")))? {
            Started::Running => Ok(()),
            Started::Runs => Err(RunnerError::Runs { folder }),
            Started::Failed { reason } => Err(RunnerError::Agent { reason }),
        }
    }

    /// The spec goes over a socket that only these two processes have.
    fn start_blocking(self, wire: &[u8]) -> Result<Started, RunnerError> {
        let spawn =
            |source| ProcessError::Spawn { program: self.program.to_string_lossy().into_owned(), source };
        let (mut ours, theirs) = UnixStream::pair().map_err(spawn)?;
        ours.set_read_timeout(Some(START_LIMIT)).map_err(spawn)?;
        ours.set_write_timeout(Some(START_LIMIT)).map_err(spawn)?;
        Detached::new(&self.program).args(&self.args).envs(&self.env).stdin(OwnedFd::from(theirs)).spawn()?;
        let mut answer = Vec::new();
        let told = ours
            .write_all(wire)
            .and_then(|()| ours.shutdown(Shutdown::Write))
            .and_then(|()| ours.read_to_end(&mut answer));
        told.map_err(|error| broken(&format!("it did not start: {error}")))?;
        rmp_serde::from_slice(&answer).map_err(|_| broken("it ended at its start"))
    }
}

fn broken(what: &str) -> RunnerError {
    RunnerError::Broken { what: what.to_owned() }
}

/// Which run a living runner's folder has; waits for one that is just starting. `None` where there is none.
pub async fn run_in(folder: &Path) -> Option<String> {
    let over = tokio::time::Instant::now() + DEATH_LIMIT;
    loop {
        match folder::read_status(folder) {
            Ok(Some(status)) => return Some(status.run),
            Ok(None) if folder::is_alive(folder) && tokio::time::Instant::now() < over => {
                tokio::time::sleep(STARTING_PAUSE).await;
            }
            _ => return None,
        }
    }
}

/// Ends the agent of a folder, whatever run it is, and removes what is left of it.
///
/// # Errors
/// If it does not end, or its files can not be removed.
pub async fn end(folder: &Path, grace: Duration) -> Result<(), RunnerError> {
    if let Some(run) = run_in(folder).await
        && folder::is_alive(folder)
    {
        let mut attached = Attached::to(folder, &run, FROM_NOW_ON).await?;
        attached.controls().end(grace).await;
        while !matches!(attached.next().await?, Event::Ended(_)) {}
        return attached.finish().await;
    }
    folder::remove(folder)
}

/// What an agent did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes of its standard output, the first of them at `offset`. Each comes once and in order.
    Output { offset: u64, bytes: Vec<u8> },
    /// After all output.
    Ended(AgentEnd),
}

/// Follows one run of an agent from a byte of its output on.
pub struct Attached {
    folder: PathBuf,
    run: String,
    status: Status,
    /// Offset of the next byte.
    cursor: u64,
    receiver: Option<SocketReceiver>,
    controls: Controls,
    left: Option<Left>,
}

/// What a runner left that does not live any more.
struct Left {
    backlog: Backlog,
    end: AgentEnd,
}

/// Acts on an agent. Cheap to clone.
#[derive(Clone)]
pub struct Controls {
    /// `None` once the runner is gone: what is asked of it then is moot.
    sender: Arc<Mutex<Option<SocketSender>>>,
}

impl Attached {
    /// Attaches behind `offset`: everything before it counts as processed. Whoever was attached is displaced. Where the
    /// runner has ended, what it left is given.
    ///
    /// # Errors
    /// [`RunnerError::NoSuchRun`], [`RunnerError::Gone`], or what the file system says.
    pub async fn to(folder: &Path, run: &str, offset: u64) -> Result<Self, RunnerError> {
        let known = folder::read_status(folder)?.filter(|status| status.run == run);
        let Some(status) = known else { return Err(RunnerError::NoSuchRun { folder: folder.to_owned() }) };
        let controls = Controls { sender: Arc::default() };
        let mut attached = Self {
            folder: folder.to_owned(),
            run: run.to_owned(),
            status,
            cursor: offset,
            receiver: None,
            controls,
            left: None,
        };
        match attached.connect().await {
            Ok(()) => {}
            Err(RunnerError::Broken { .. }) => attached.read_left().await?,
            Err(error) => return Err(error),
        }
        Ok(attached)
    }

    async fn connect(&mut self) -> Result<(), RunnerError> {
        let io_error = |error: io::Error| broken(&error.to_string());
        let stream = folder::connect(&self.folder).await.map_err(io_error)?;
        let (reader, writer) = stream.into_split();
        let (mut receiver, mut sender) = (Receiver::new(reader), Sender::new(writer));
        match receiver.receive().await.map_err(io_error)? {
            Some(ToClient::Hello(status)) if status.version > VERSION => {
                return Err(RunnerError::Version { version: status.version });
            }
            Some(ToClient::Hello(status)) if status.run == self.run => self.status = *status,
            Some(ToClient::Hello(_)) => {
                return Err(RunnerError::NoSuchRun { folder: self.folder.clone() });
            }
            _ => return Err(broken("it does not answer")),
        }
        sender.send(&ToRunner::Attach { offset: self.cursor }).await.map_err(io_error)?;
        self.receiver = Some(receiver);
        *self.controls.sender.lock().await = Some(sender);
        Ok(())
    }

    /// The run as it was when this attached.
    pub fn status(&self) -> &Status {
        &self.status
    }

    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// The next thing the agent did; its end again and again once it has ended. Cancel-safe.
    ///
    /// # Errors
    /// [`RunnerError::Displaced`], [`RunnerError::Gone`], [`RunnerError::InputFull`] for an earlier write, or what the
    /// file system says.
    pub async fn next(&mut self) -> Result<Event, RunnerError> {
        loop {
            let Some(receiver) = &mut self.receiver else { return self.next_left().await };
            match receiver.receive::<ToClient>().await {
                Ok(Some(ToClient::Output { offset, bytes })) => {
                    self.cursor = offset + bytes.len() as u64;
                    return Ok(Event::Output { offset, bytes });
                }
                Ok(Some(ToClient::Ended(end))) => {
                    self.status.ended = Some(end.clone());
                    return Ok(Event::Ended(end));
                }
                Ok(Some(ToClient::InputFull { .. })) => return Err(RunnerError::InputFull),
                Ok(Some(ToClient::Gone { offset, oldest })) => {
                    return Err(RunnerError::Gone { offset, oldest });
                }
                Ok(Some(ToClient::Displaced)) => return Err(RunnerError::Displaced),
                Ok(Some(ToClient::Hello(_))) => {}
                Ok(None) | Err(_) => self.receiver = None,
            }
        }
    }

    async fn next_left(&mut self) -> Result<Event, RunnerError> {
        if self.left.is_none() {
            self.read_left().await?;
        }
        let Some(left) = &self.left else { return Err(broken("nothing is left of it")) };
        let bytes = left
            .backlog
            .read(self.cursor, PIECE)
            .map_err(|source| folder::error("could not read what an agent wrote", &self.folder, source))?;
        if bytes.is_empty() {
            return Ok(Event::Ended(left.end.clone()));
        }
        let offset = self.cursor;
        self.cursor += bytes.len() as u64;
        Ok(Event::Output { offset, bytes })
    }

    /// Takes up what is on the disk once the runner is dead for sure.
    async fn read_left(&mut self) -> Result<(), RunnerError> {
        *self.controls.sender.lock().await = None;
        let dead = tokio::time::timeout(DEATH_LIMIT, watch_exit(&self.status.runner)).await;
        if dead.is_err() {
            return Err(broken("it lives, but does not serve its socket"));
        }
        let failed = |source| folder::error("could not read what an agent wrote", &self.folder, source);
        let known = folder::read_status(&self.folder)?.filter(|status| status.run == self.run);
        let Some(status) = known else {
            return Err(RunnerError::NoSuchRun { folder: self.folder.clone() });
        };
        let end = match &status.ended {
            Some(end) => end.clone(),
            None => {
                strays::kill_marked(&self.run).await;
                let stderr = folder::read_stderr(&self.folder, STDERR_TOLD);
                AgentEnd::new(None, EndCause::RunnerDied, stderr)
            }
        };
        let backlog = Backlog::open(&self.folder).map_err(failed)?;
        let (oldest, received) = (backlog.oldest(), backlog.end());
        if self.cursor == FROM_NOW_ON {
            self.cursor = received;
        }
        if self.cursor < oldest || self.cursor > received {
            return Err(RunnerError::Gone { offset: self.cursor, oldest });
        }
        let applied = folder::read_applied(&self.folder);
        self.status = Status { received, oldest, applied, ended: Some(end.clone()), ..status };
        self.left = Some(Left { backlog, end });
        Ok(())
    }

    /// To be called once the end was processed: the runner ends, and what is left of the run is removed.
    ///
    /// # Errors
    /// What the file system says. The files are then found by [`super::runs`].
    pub async fn finish(mut self) -> Result<(), RunnerError> {
        if self.controls.send(&ToRunner::Done).await {
            while let Some(receiver) = &mut self.receiver {
                if !matches!(receiver.receive::<ToClient>().await, Ok(Some(_))) {
                    self.receiver = None;
                }
            }
            // A runner that still lives keeps its folder.
            let _ = tokio::time::timeout(DEATH_LIMIT, watch_exit(&self.status.runner)).await;
        }
        folder::remove(&self.folder)
    }
}

impl Controls {
    /// Everything before `offset` is processed and need not be kept.
    pub async fn acknowledge(&self, offset: u64) {
        self.send(&ToRunner::Acknowledge { offset }).await;
    }

    /// Writes to the agent's standard input. `number` is above 0 and rises from write to write; an input whose number
    /// was applied already is dropped. That too much waits is told by [`Attached::next`].
    pub async fn write(&self, number: u64, bytes: impl Into<Vec<u8>>) {
        self.send(&ToRunner::Input { number, bytes: bytes.into() }).await;
    }

    /// Closes the agent's standard input; numbered as [`Controls::write`].
    pub async fn close_input(&self, number: u64) {
        self.send(&ToRunner::CloseInput { number }).await;
    }

    /// Ends the agent and all it started: SIGTERM, and after the grace SIGKILL. The end comes from [`Attached::next`].
    pub async fn end(&self, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.send(&ToRunner::End { grace_ms }).await;
    }

    /// Whether it was sent. A runner that is gone is noticed by who reads.
    async fn send(&self, message: &ToRunner) -> bool {
        let mut sender = self.sender.lock().await;
        let Some(open) = sender.as_mut() else { return false };
        match open.send(message).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "the runner is gone");
                *sender = None;
                false
            }
        }
    }
}
