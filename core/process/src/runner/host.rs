//! The runner's process: from the spec on its standard input to the end of its agent.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixStream},
    process::ExitCode,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use super::{
    RunnerError,
    backlog::Backlog,
    child::{self, EndRequest},
    connection,
    folder::RunFolder,
    spec::{AgentEnd, EndCause, Spec, SpecWire, Status},
    strays, wire,
};
use crate::{Child, ProcessIdentity};

/// Input that may wait for an agent that does not read.
const INPUT_WAITING: usize = 32 << 20;
const GRACE: Duration = Duration::from_secs(1);
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// What the starter hears once the agent runs, or why it does not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Started {
    Running,
    Runs,
    Failed { reason: String },
}

pub(super) enum Input {
    Bytes(Vec<u8>),
    Close,
}

/// What connections and the agent's side share.
pub(super) struct Shared {
    pub(super) folder: RunFolder,
    backlog: Mutex<Backlog>,
    limit: u64,
    /// What never changes of the status.
    fixed: Status,
    pub(super) received: watch::Sender<u64>,
    acknowledged: watch::Sender<u64>,
    applied: Mutex<u64>,
    input: mpsc::UnboundedSender<Input>,
    pub(super) input_waiting: AtomicUsize,
    /// The connection that is attached; 0 for none.
    pub(super) attached: watch::Sender<u64>,
    pub(super) ended: watch::Sender<Option<AgentEnd>>,
    requests: mpsc::UnboundedSender<EndRequest>,
    /// All processes of the agent have ended; its output is read to the end whatever is unacknowledged.
    pub(super) over: CancellationToken,
    pub(super) done: CancellationToken,
}

/// Runs one agent: the whole life of a runner's process. Takes the spec from the socket that is its standard input.
pub fn run_from_stdin() -> ExitCode {
    let Ok((mut starter, spec)) = take_spec() else { return ExitCode::FAILURE };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(async {
            let begun = begin(&spec).await;
            tell(&mut starter, begun.as_ref().err());
            drop(starter);
            match begun {
                Ok((shared, listener, running)) => {
                    live(shared, listener, running, spec.abandoned_after).await;
                    ExitCode::SUCCESS
                }
                Err(_) => ExitCode::FAILURE,
            }
        }),
        Err(_) => ExitCode::FAILURE,
    }
}

fn take_spec() -> io::Result<(UnixStream, Spec)> {
    let mut starter = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut bytes = Vec::new();
    starter.read_to_end(&mut bytes)?;
    // The starter sees the end of the socket when this process is done with it.
    // SAFETY: replaces the standard input by a file that is open; nothing else uses its number.
    unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&File::open("/dev/null")?), 0) };
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let wire: SpecWire = rmp_serde::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    Ok((starter, Spec::try_from(wire).map_err(invalid)?))
}

/// A starter that is gone meanwhile attaches later, or nobody does.
fn tell(starter: &mut UnixStream, error: Option<&RunnerError>) {
    let message = match error {
        None => Started::Running,
        Some(RunnerError::Runs { .. }) => Started::Runs,
        Some(error) => Started::Failed { reason: chain(error) },
    };
    if let Ok(bytes) = rmp_serde::to_vec_named(&message) {
        let _ = starter.write_all(&bytes);
        let _ = starter.shutdown(Shutdown::Both);
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

type Running = tokio::task::JoinHandle<()>;

async fn begin(spec: &Spec) -> Result<(Arc<Shared>, UnixListener, Running), RunnerError> {
    let folder = RunFolder::take(&spec.folder)?;
    let failed = |what| move |source| super::folder::error(what, &spec.folder, source);
    strays::adopt_orphans().map_err(failed("could not become the parent of orphans"))?;
    let listener = folder.listen().map_err(failed("could not open the agent's socket"))?;
    let child = spec.command().map_err(crate::ProcessError::from)?.spawn()?;
    let shared = share(spec, folder, child)?;
    Ok((shared.0, listener, shared.1))
}

fn share(spec: &Spec, folder: RunFolder, child: Child) -> Result<(Arc<Shared>, Running), RunnerError> {
    let failed = |source| super::folder::error("could not open the backlog", &spec.folder, source);
    let (input, input_receiver) = mpsc::unbounded_channel();
    let (requests, request_receiver) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        backlog: Mutex::new(Backlog::open(folder.path()).map_err(failed)?),
        folder,
        limit: spec.backlog.max(1),
        fixed: Status {
            version: wire::VERSION,
            run: spec.run.clone(),
            runner: ProcessIdentity::current()?,
            agent: child.pid(),
            received: 0,
            oldest: 0,
            applied: 0,
            ended: None,
        },
        received: watch::Sender::new(0),
        acknowledged: watch::Sender::new(0),
        applied: Mutex::new(0),
        input,
        input_waiting: AtomicUsize::new(0),
        attached: watch::Sender::new(0),
        ended: watch::Sender::new(None),
        requests,
        over: CancellationToken::new(),
        done: CancellationToken::new(),
    });
    shared.folder.write_status(&shared.fixed).map_err(failed)?;
    let supervised = {
        let shared = Arc::clone(&shared);
        async move {
            let end = child::supervise(Arc::clone(&shared), child, input_receiver, request_receiver).await;
            shared.end(end).await;
        }
    };
    Ok((shared, tokio::spawn(supervised)))
}

/// Serves until nobody needs this process any more.
async fn live(shared: Arc<Shared>, listener: UnixListener, running: Running, abandoned_after: Duration) {
    let terminated = ask_on_signals(&shared);
    let (mut attached, mut ended) = (shared.attached.subscribe(), shared.ended.subscribe());
    let mut connections = 0;
    loop {
        let nobody = *attached.borrow_and_update() == 0;
        if nobody && ended.borrow_and_update().is_some() {
            break;
        }
        let abandoned = async {
            match nobody {
                true => tokio::time::sleep(abandoned_after).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections += 1;
                    tokio::spawn(connection::serve(Arc::clone(&shared), stream, connections));
                }
                Err(_) => tokio::time::sleep(BUSY_PAUSE).await,
            },
            () = shared.done.cancelled() => break,
            () = abandoned => shared.request(EndRequest { grace: GRACE, cause: EndCause::Abandoned }),
            _ = attached.changed() => {}
            _ = ended.changed() => {}
        }
    }
    terminated.abort();
    running.abort();
}

/// A system that shuts down asks by SIGTERM.
fn ask_on_signals(shared: &Arc<Shared>) -> tokio::task::JoinHandle<()> {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        // Handled so that they do not end the runner.
        let _others = (signal(SignalKind::hangup()), signal(SignalKind::interrupt()));
        while terminate.recv().await.is_some() {
            shared.request(EndRequest { grace: GRACE, cause: EndCause::Asked });
        }
    })
}

impl Shared {
    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut backlog = lock(&self.backlog);
        backlog.append(bytes)?;
        self.received.send_replace(backlog.end());
        Ok(())
    }

    pub(super) fn read(&self, offset: u64) -> io::Result<Vec<u8>> {
        lock(&self.backlog).read(offset, wire::PIECE)
    }

    pub(super) fn oldest(&self) -> u64 {
        lock(&self.backlog).oldest()
    }

    /// Waits until the agent may write on.
    pub(super) async fn room(&self) {
        let mut acknowledged = self.acknowledged.subscribe();
        let received = *self.received.borrow();
        tokio::select! {
            _ = acknowledged.wait_for(|offset| received.saturating_sub(*offset) < self.limit) => {}
            () = self.over.cancelled() => {}
        }
    }

    /// Never takes back what was acknowledged.
    pub(super) fn acknowledge(&self, offset: u64) {
        let offset = offset.min(*self.received.borrow());
        let risen = self.acknowledged.send_if_modified(|known| {
            let rises = offset > *known;
            *known = offset.max(*known);
            rises
        });
        if risen && let Err(error) = lock(&self.backlog).release(offset) {
            tracing::warn!(%error, "acknowledged output could not be removed");
        }
    }

    /// Takes an input unless it was taken already. False if too much waits.
    pub(super) fn apply(&self, number: u64, input: Input) -> bool {
        let mut applied = lock(&self.applied);
        if number <= *applied {
            return true;
        }
        if let Input::Bytes(bytes) = &input {
            let waiting = self.input_waiting.load(Ordering::Relaxed);
            if waiting > 0 && waiting + bytes.len() > INPUT_WAITING {
                return false;
            }
            self.input_waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        }
        // What is taken reaches the agent as long as it lives, and it does not outlive this process.
        let _ = self.input.send(input);
        *applied = number;
        if let Err(error) = self.folder.write_applied(number) {
            tracing::warn!(%error, "the number of the last input could not be stored");
        }
        true
    }

    pub(super) fn request(&self, request: EndRequest) {
        // After the end there is nobody to ask.
        let _ = self.requests.send(request);
    }

    pub(super) fn status(&self) -> Status {
        Status {
            received: *self.received.borrow(),
            oldest: self.oldest(),
            applied: *lock(&self.applied),
            ended: self.ended.borrow().clone(),
            ..self.fixed.clone()
        }
    }

    async fn end(&self, end: AgentEnd) {
        let status = Status { ended: Some(end.clone()), ..self.status() };
        while let Err(error) = self.folder.write_status(&status) {
            // Whoever removed the folder wants nothing of the run any more.
            if error.kind() == io::ErrorKind::NotFound {
                break;
            }
            tracing::warn!(%error, "the end of an agent can not be stored; trying again");
            tokio::time::sleep(BUSY_PAUSE).await;
        }
        self.ended.send_replace(Some(end));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
