//! The handle that callers hold: connects when needed, repeats what may be repeated, comes back after a restart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use podium_protocol::{
    EventPublish, EventsSubscribe, EventsSubscribeParams, Hello, MelodyRunStart, Method, OutgoingRequest,
    PROTOCOL_VERSION, PitAttach, PitAttachParams, Progress, SessionAttach, SessionAttachParams,
    SessionResume, SessionRun, SessionStart, Stop, StopParams, StopReason, TaskListen, TaskListenParams,
    Welcome, WireError, method_info, notify,
};
use serde::Serialize;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, mpsc, watch};

use crate::connection::{CallError, Closed, Connection, OpenError, Told};
use crate::launch;
use crate::options::{ConnectOptions, EnvSource, StartPolicy};
use crate::run_stream::RunStream;
use crate::streams::{EventStream, QueueStream, SessionStream};

/// Longest wait for an old daemon to finish its writes before a newer one takes its place.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Attempts to shake hands with a daemon that keeps going away, and the pause between two.
const DIALS: u32 = 40;
const DIAL_PAUSE: Duration = Duration::from_millis(25);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// Not connected; the next call connects.
    Disconnected,
    Connected {
        instance: String,
        pid: u32,
    },
    /// A person stopped the daemon: nothing starts it again before [`Client::wake`].
    Stopped,
}

/// Handle to the daemon. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    options: ConnectOptions,
    connection: Mutex<Option<Arc<Connection>>>,
    welcome: RwLock<Option<Welcome>>,
    state: watch::Sender<ConnectionState>,
    stopped: AtomicBool,
}

impl Client {
    /// A handle that connects with its first call.
    #[must_use]
    pub fn new(options: ConnectOptions) -> Self {
        let (state, _) = watch::channel(ConnectionState::Disconnected);
        let inner = Inner {
            options,
            connection: Mutex::new(None),
            welcome: RwLock::new(None),
            state,
            stopped: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A handle that is connected.
    ///
    /// # Errors
    /// `unavailable` when no daemon answers and none may or can be started, `user` when it refuses this client.
    pub async fn connect(options: ConnectOptions) -> Result<Self, WireError> {
        let client = Self::new(options);
        client.connection().await?;
        Ok(client)
    }

    /// Calls a method.
    ///
    /// # Errors
    /// What the daemon answers, or `unavailable` when the connection cannot be made or broke.
    pub async fn call<M: Method>(&self, params: M::Params) -> Result<M::Answer, WireError> {
        self.typed::<M>(params, None).await
    }

    /// Calls a method by its name, for code that only forwards.
    ///
    /// # Errors
    /// As [`Client::call`]; a name that is no method is refused without asking the daemon.
    pub async fn call_value(&self, method: &str, params: Value) -> Result<Value, WireError> {
        self.request(method, params, None).await
    }

    /// As [`Client::call`], with the request's progress notifications.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_with_progress<M: Method>(
        &self,
        params: M::Params,
        mut on: impl FnMut(Progress) + Send,
    ) -> Result<M::Answer, WireError> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let call = self.typed::<M>(params, Some(sender));
        tokio::pin!(call);
        loop {
            tokio::select! {
                biased;
                Some(progress) = receiver.recv() => on(progress),
                answer = &mut call => return answer,
            }
        }
    }

    /// Items of a session above `from_seq`: stored ones, then live. Survives the daemon; with `resume` the session
    /// itself is made to go on after a restart.
    ///
    /// # Errors
    /// As [`Client::call`]; `not_found` for an unknown session.
    pub async fn attach(
        &self,
        session: &str,
        from_seq: u64,
        resume: bool,
    ) -> Result<SessionStream, WireError> {
        SessionStream::open(self.clone(), session.to_owned(), from_seq, resume).await
    }

    /// The states of the nodes of a run, above `from_seq`: stored ones, then live. Survives the daemon.
    ///
    /// # Errors
    /// As [`Client::call`]; `not_found` for an unknown run.
    pub async fn follow_run(&self, run: &str, from_seq: u64) -> Result<RunStream, WireError> {
        RunStream::open(self.clone(), run.to_owned(), from_seq).await
    }

    /// The event log above `from_seq` (`None`: only what is new). Survives the daemon.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn subscribe(
        &self,
        from_seq: Option<u64>,
        types: Vec<String>,
    ) -> Result<EventStream, WireError> {
        EventStream::open(self.clone(), from_seq, types).await
    }

    /// Listens to a queue of tasks. Survives the daemon.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn listen(&self, params: TaskListenParams) -> Result<QueueStream, WireError> {
        QueueStream::open(self.clone(), params).await
    }

    #[must_use]
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.inner.state.subscribe()
    }

    /// A person acted: a daemon may be started again after a deliberate stop.
    pub fn wake(&self) {
        self.inner.stopped.store(false, Ordering::Release);
        self.inner.state.send_if_modified(|state| {
            let was = *state == ConnectionState::Stopped;
            if was {
                *state = ConnectionState::Disconnected;
            }
            was
        });
    }

    /// Whether a person has deliberately stopped the daemon this client was attached to.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::Acquire)
    }

    /// The newest handshake.
    #[must_use]
    pub fn welcome(&self) -> Option<Welcome> {
        self.inner.welcome.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[must_use]
    pub fn options(&self) -> &ConnectOptions {
        &self.inner.options
    }

    /// A call whose parameters are of the method's own type.
    async fn typed<M: Method>(
        &self,
        params: M::Params,
        progress: Option<mpsc::UnboundedSender<Progress>>,
    ) -> Result<M::Answer, WireError> {
        let made_repeatable = matches!(
            M::NAME,
            SessionStart::NAME
                | SessionRun::NAME
                | SessionResume::NAME
                | MelodyRunStart::NAME
                | EventPublish::NAME
        );
        let answer = if made_repeatable {
            let params = serde_json::to_value(params).map_err(|e| WireError::internal(e.to_string()))?;
            self.request(M::NAME, params, progress).await?
        } else {
            self.exchange(M::NAME, &params, is_repeatable(M::NAME), progress).await?
        };
        decode(answer)
    }

    async fn request(
        &self,
        method: &str,
        mut params: Value,
        progress: Option<mpsc::UnboundedSender<Progress>>,
    ) -> Result<Value, WireError> {
        let repeatable = make_repeatable(method, &mut params);
        self.exchange(method, &params, repeatable, progress).await
    }

    /// Sends a request and waits for its answer; once more over a new connection where it may be repeated.
    async fn exchange(
        &self,
        method: &str,
        params: &(impl Serialize + Sync),
        repeatable: bool,
        progress: Option<mpsc::UnboundedSender<Progress>>,
    ) -> Result<Value, WireError> {
        let Some(info) = method_info(method) else { return Err(WireError::unknown_method(method)) };
        let env = if info.needs_env { self.env() } else { BTreeMap::new() };
        let encode = |id| OutgoingRequest { id, method, params, env: &env }.encode();
        for _ in 0..if repeatable { 2 } else { 1 } {
            let connection = self.connection().await?;
            match connection.call(&encode, progress.clone()).await {
                Ok(value) => return Ok(value),
                Err(CallError::Answered(error)) => return Err(error),
                Err(CallError::Broken) => {}
            }
        }
        Err(lost(method))
    }

    pub(crate) async fn open_session(
        &self,
        params: &SessionAttachParams,
    ) -> Result<(Value, Arc<Connection>, mpsc::Receiver<Told>), WireError> {
        self.open_stream(SessionAttach::NAME, params).await
    }

    pub(crate) async fn open_events(
        &self,
        params: &EventsSubscribeParams,
    ) -> Result<(Value, Arc<Connection>, mpsc::Receiver<Told>), WireError> {
        self.open_stream(EventsSubscribe::NAME, params).await
    }

    pub(crate) async fn open_run(
        &self,
        params: &PitAttachParams,
    ) -> Result<(Value, Arc<Connection>, mpsc::Receiver<Told>), WireError> {
        self.open_stream(PitAttach::NAME, params).await
    }

    pub(crate) async fn open_queue(
        &self,
        params: &TaskListenParams,
    ) -> Result<(Value, Arc<Connection>, mpsc::Receiver<Told>), WireError> {
        self.open_stream(TaskListen::NAME, params).await
    }

    async fn open_stream(
        &self,
        method: &str,
        params: &(impl Serialize + Sync),
    ) -> Result<(Value, Arc<Connection>, mpsc::Receiver<Told>), WireError> {
        let needs_env = method_info(method).is_some_and(|info| info.needs_env);
        let env = if needs_env { self.env() } else { BTreeMap::new() };
        let encode = |id| OutgoingRequest { id, method, params, env: &env }.encode();
        for _ in 0..2 {
            let connection = self.connection().await?;
            match connection.open_stream(&encode).await {
                Ok((answer, receiver)) => return Ok((answer, connection, receiver)),
                Err(CallError::Answered(error)) => return Err(error),
                Err(CallError::Broken) => {}
            }
        }
        Err(lost(method))
    }

    fn env(&self) -> BTreeMap<String, String> {
        match &self.inner.options.env {
            EnvSource::Process => crate::options::relevant_env(),
            EnvSource::Fixed(env) => env.clone(),
        }
    }

    /// The open connection, or a new one.
    async fn connection(&self) -> Result<Arc<Connection>, WireError> {
        let mut slot = self.inner.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|c| c.is_open()) {
            return Ok(Arc::clone(connection));
        }
        *slot = None;
        if self.is_stopped() {
            return Err(
                WireError::unavailable("the daemon was stopped").hint("any Podium command starts it again")
            );
        }
        let connection = Arc::new(self.establish().await?);
        self.watch_close(&connection);
        let welcome = connection.welcome.clone();
        *self.inner.welcome.write().unwrap_or_else(PoisonError::into_inner) = Some(welcome.clone());
        self.inner
            .state
            .send_replace(ConnectionState::Connected { instance: welcome.instance, pid: welcome.pid });
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Publishes the end of a connection as soon as it is known, not with the next call.
    fn watch_close(&self, connection: &Arc<Connection>) {
        let (mut closed, inner) = (connection.closed(), Arc::downgrade(&self.inner));
        tokio::spawn(async move {
            let reason = closed.wait_for(|c| *c != Closed::No).await.map_or(Closed::Lost, |c| *c);
            let Some(inner) = inner.upgrade() else { return };
            if reason == Closed::Stopped(StopReason::Deliberate) {
                inner.stopped.store(true, Ordering::Release);
                inner.state.send_replace(ConnectionState::Stopped);
            } else {
                inner.state.send_replace(ConnectionState::Disconnected);
            }
        });
    }

    async fn establish(&self) -> Result<Connection, WireError> {
        let connection = self.dial().await?;
        if !self.replaces(&connection.welcome) {
            return Ok(connection);
        }
        let old = connection.welcome.pid;
        tracing::info!(old, version = connection.welcome.version, "replacing an older daemon");
        let (params, env) = (StopParams { reason: StopReason::Replace }, BTreeMap::new());
        let stop = |id| OutgoingRequest { id, method: Stop::NAME, params: &params, env: &env }.encode();
        let _ = connection.call(&stop, None).await;
        let mut closed = connection.closed();
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, closed.wait_for(|c| *c != Closed::No)).await;
        drop(connection);
        self.dial().await
    }

    /// Only a newer client that may start daemons replaces one.
    fn replaces(&self, welcome: &Welcome) -> bool {
        let options = &self.inner.options;
        if options.start == StartPolicy::Never || options.socket.is_some() {
            return false;
        }
        match (semver::Version::parse(&options.version), semver::Version::parse(&welcome.version)) {
            (Ok(mine), Ok(theirs)) => mine > theirs,
            _ => false,
        }
    }

    /// Connects and shakes hands. A daemon that goes away in between is looked for again: it was killed, and its
    /// socket outlived it by a moment, or it was just ending.
    async fn dial(&self) -> Result<Connection, WireError> {
        for _ in 0..DIALS {
            match Connection::open(self.reach().await?, self.hello()?).await {
                Ok(connection) => return Ok(connection),
                Err(OpenError::Refused(error)) => return Err(error),
                Err(OpenError::Gone) => tokio::time::sleep(DIAL_PAUSE).await,
            }
        }
        Err(WireError::unavailable("the daemon closes every connection during the handshake")
            .hint(format!("read the log in {}", self.inner.options.home.logs().display())))
    }

    async fn reach(&self) -> Result<UnixStream, WireError> {
        let options = &self.inner.options;
        let path = options.socket.clone().unwrap_or_else(|| options.home.socket());
        match UnixStream::connect(&path).await {
            Ok(stream) => Ok(stream),
            Err(_) if options.start == StartPolicy::OnDemand => launch::start(options).await,
            Err(error) => Err(WireError::unavailable(format!("no daemon answers: {error}"))
                .hint("start it with `podium daemon`")),
        }
    }

    fn hello(&self) -> Result<Hello, WireError> {
        let options = &self.inner.options;
        let token = match options.socket {
            Some(_) => None,
            None => Some(read_token(&options.home.token_file())?),
        };
        Ok(Hello {
            protocol: PROTOCOL_VERSION,
            version: options.version.clone(),
            client: options.name.clone(),
            pid: std::process::id(),
            token,
        })
    }
}

fn read_token(path: &std::path::Path) -> Result<String, WireError> {
    std::fs::read_to_string(path).map(|token| token.trim().to_owned()).map_err(|error| {
        WireError::user(format!("the token file {} cannot be read: {error}", path.display()))
            .hint("only the user who runs the daemon may use it; an agent uses the socket in PODIUM_SOCKET")
    })
}

/// Whether a request may be sent a second time when its connection broke before the answer. A start gets an id, so
/// that the second one finds the session of the first.
fn make_repeatable(method: &str, params: &mut Value) -> bool {
    if method == SessionRun::NAME || (method == SessionStart::NAME && params["continue"] != true) {
        if params["sessionId"].is_null() && params.is_object() {
            params["sessionId"] = Value::String(uuid::Uuid::now_v7().to_string());
            params["retry"] = Value::Bool(true);
        }
        return true;
    }
    if method == MelodyRunStart::NAME {
        if params["run"].is_null() && params.is_object() {
            params["run"] = Value::String(uuid::Uuid::now_v7().to_string());
        }
        return true;
    }
    if method == EventPublish::NAME && params.is_object() {
        if params["id"].is_null() {
            params["id"] = Value::String(uuid::Uuid::now_v7().to_string());
        }
        return true;
    }
    // With a prompt it adds a turn: twice would be two.
    if matches!(method, SessionStart::NAME | SessionResume::NAME) {
        return params["prompt"].is_null();
    }
    is_repeatable(method)
}

/// Whether asking twice does no more than asking once.
fn is_repeatable(method: &str) -> bool {
    !matches!(
        method,
        "worktree/remove"
            | "worktree/undo"
            | "inbox/ask"
            | "inbox/answer"
            | "artifact/put"
            | "stop"
            | "repo/forget"
            | "pit/control"
            | "event/publish"
            | "task/retry"
    )
}

fn lost(method: &str) -> WireError {
    WireError::unavailable(format!("the daemon went away during `{method}`"))
        .hint("what it had stored is kept; look at the state before you try again")
}

fn decode<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, WireError> {
    serde_json::from_value(value).map_err(|e| {
        WireError::internal(format!("the daemon's answer has another shape than expected: {e}"))
            .hint("daemon and client may be of different versions: run `podium daemon stop` and try again")
    })
}

/// Name of the notification that carries events, for the streams.
pub(crate) const EVENT: &str = notify::EVENT;
