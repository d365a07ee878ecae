//! Streams that outlive their connection: they remember the last sequence number and go on behind it.

use std::sync::Arc;
use std::time::Duration;

use podium_protocol::{
    ErrorKind, Event, EventNotification, EventsSubscribeParams, EventsSubscribed, SessionAttachParams,
    SessionAttached, SessionEnd, SessionResume, SessionResumeParams, SessionStatus, SessionUpdate,
    TaskListenEnded, TaskListenParams, TaskListening, WireError, notify,
};
use tokio::sync::mpsc;

use crate::client::{Client, EVENT};
use crate::connection::{Connection, Told};

/// Pauses between attempts to get back, in milliseconds; after the last the stream gives up.
pub(crate) const RECONNECT_PAUSES: [u64; 8] = [0, 50, 100, 250, 500, 1000, 2000, 5000];

pub(crate) struct Source {
    pub(crate) subscription: u64,
    pub(crate) connection: Arc<Connection>,
    pub(crate) messages: mpsc::Receiver<Told>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.connection.end_stream(self.subscription);
    }
}

/// The items of one session, each once and in order.
pub struct SessionStream {
    client: Client,
    session: String,
    last_seq: u64,
    resume: bool,
    source: Option<Source>,
    attached: SessionAttached,
    done: bool,
}

impl SessionStream {
    pub(crate) async fn open(
        client: Client,
        session: String,
        from_seq: u64,
        resume: bool,
    ) -> Result<Self, WireError> {
        let (attached, source) = attach(&client, &session, from_seq).await?;
        Ok(Self { client, session, last_seq: from_seq, resume, source: Some(source), attached, done: false })
    }

    /// The session as it was when the stream was (last) attached.
    #[must_use]
    pub fn attached(&self) -> &SessionAttached {
        &self.attached
    }

    /// Sequence number of the last item given.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The next update. `None` behind the one with `end`.
    ///
    /// An error means that the session could not be followed any further; what was given stays valid.
    pub async fn next(&mut self) -> Option<Result<SessionUpdate, WireError>> {
        while !self.done {
            let Some(source) = &mut self.source else {
                if let Err(error) = self.come_back().await {
                    self.done = true;
                    return Some(Err(error));
                }
                continue;
            };
            let Some(message) = source.messages.recv().await else {
                self.source = None;
                continue;
            };
            // Of another shape: a newer daemon's.
            let Told::Session(mut update) = message else { continue };
            update.items.retain(|item| item.seq > self.last_seq);
            if let Some(item) = update.items.last() {
                self.last_seq = item.seq;
            }
            if let Some(end) = update.end.take() {
                if self.goes_on_after(&end) {
                    self.source = None;
                } else {
                    self.done = true;
                    update.end = Some(end);
                }
            }
            let tells = update.progress.is_some() || update.health.is_some() || update.context.is_some();
            if !update.items.is_empty() || tells || update.end.is_some() {
                return Some(Ok(*update));
            }
        }
        None
    }

    /// A daemon that is replaced interrupts its sessions; whoever wants them to go on resumes them in the next one.
    fn goes_on_after(&self, end: &SessionEnd) -> bool {
        self.resume
            && end.status == SessionStatus::Interrupted
            && end.reason.as_deref() == Some("daemon replaced")
    }

    async fn come_back(&mut self) -> Result<(), WireError> {
        let mut last = WireError::unavailable("the daemon went away");
        for pause in RECONNECT_PAUSES {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if self.client.is_stopped() {
                return Err(WireError::unavailable("the daemon was stopped"));
            }
            match self.attach_again().await {
                Ok(()) => return Ok(()),
                Err(error) if error.kind == ErrorKind::NotFound => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn attach_again(&mut self) -> Result<(), WireError> {
        let (mut attached, mut source) = attach(&self.client, &self.session, self.last_seq).await?;
        // What was cancelled or is done stays so, even if its end was not heard.
        if self.resume && attached.session.status == SessionStatus::Interrupted {
            drop(source);
            let params = SessionResumeParams { id: Some(self.session.clone()), ..Default::default() };
            match self.client.call::<SessionResume>(params).await {
                // Somebody else who follows it was faster: it runs already.
                Err(error) if error.kind == ErrorKind::Conflict => {}
                outcome => drop(outcome?),
            }
            (attached, source) = attach(&self.client, &self.session, self.last_seq).await?;
        }
        self.attached = attached;
        self.source = Some(source);
        Ok(())
    }
}

async fn attach(
    client: &Client,
    session: &str,
    from_seq: u64,
) -> Result<(SessionAttached, Source), WireError> {
    let params = SessionAttachParams { id: session.to_owned(), from_seq };
    let (answer, connection, messages) = client.open_session(&params).await?;
    let attached: SessionAttached =
        serde_json::from_value(answer).map_err(|e| WireError::internal(e.to_string()))?;
    let source = Source { subscription: attached.subscription, connection, messages };
    Ok((attached, source))
}

/// The event log, each event once and in order.
pub struct EventStream {
    client: Client,
    types: Vec<String>,
    last_seq: u64,
    source: Option<Source>,
    subscribed: EventsSubscribed,
}

impl EventStream {
    pub(crate) async fn open(
        client: Client,
        from_seq: Option<u64>,
        types: Vec<String>,
    ) -> Result<Self, WireError> {
        let (subscribed, source) = subscribe(&client, from_seq, &types).await?;
        let last_seq = from_seq.unwrap_or(subscribed.head_seq);
        Ok(Self { client, types, last_seq, source: Some(source), subscribed })
    }

    /// The newest answer to the subscription; `missed` tells that the log no longer reached back far enough.
    #[must_use]
    pub fn subscribed(&self) -> &EventsSubscribed {
        &self.subscribed
    }

    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The next event. Waits through restarts of the daemon, and after a deliberate stop until somebody wakes the
    /// client. `None` when the daemon cannot be had again.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let Some(source) = &mut self.source else {
                self.come_back().await?;
                continue;
            };
            let Some(message) = source.messages.recv().await else {
                self.source = None;
                continue;
            };
            let Told::Other(message) = message else { continue };
            if message.method != EVENT {
                continue;
            }
            let Ok(note) = serde_json::from_value::<EventNotification>(message.params) else { continue };
            if note.event.seq > self.last_seq {
                self.last_seq = note.event.seq;
                return Some(note.event);
            }
        }
    }

    async fn come_back(&mut self) -> Option<()> {
        let mut pauses = RECONNECT_PAUSES.iter().copied().chain(std::iter::repeat(5000));
        loop {
            let mut state = self.client.state();
            if self.client.is_stopped() {
                state.wait_for(|s| *s != crate::ConnectionState::Stopped).await.ok()?;
            }
            tokio::time::sleep(Duration::from_millis(pauses.next()?)).await;
            match subscribe(&self.client, Some(self.last_seq), &self.types).await {
                Ok((subscribed, source)) => {
                    self.subscribed = subscribed;
                    self.source = Some(source);
                    return Some(());
                }
                Err(error) => tracing::debug!(%error, "the event stream tries again"),
            }
        }
    }
}

async fn subscribe(
    client: &Client,
    from_seq: Option<u64>,
    types: &[String],
) -> Result<(EventsSubscribed, Source), WireError> {
    let params = EventsSubscribeParams { from_seq, types: types.to_vec() };
    let (answer, connection, messages) = client.open_events(&params).await?;
    let subscribed: EventsSubscribed =
        serde_json::from_value(answer).map_err(|e| WireError::internal(e.to_string()))?;
    let source = Source { subscription: subscribed.subscription, connection, messages };
    Ok((subscribed, source))
}

/// A queue that is listened to, by one listener through all restarts of the daemon.
pub struct QueueStream {
    client: Client,
    params: TaskListenParams,
    source: Option<Source>,
    listening: TaskListening,
}

impl QueueStream {
    pub(crate) async fn open(client: Client, mut params: TaskListenParams) -> Result<Self, WireError> {
        if params.listener.is_empty() {
            params.listener = uuid::Uuid::now_v7().to_string();
        }
        let (listening, source) = listen(&client, &params).await?;
        Ok(Self { client, params, source: Some(source), listening })
    }

    /// The newest answer.
    #[must_use]
    pub fn listening(&self) -> &TaskListening {
        &self.listening
    }

    /// Id of the listener.
    #[must_use]
    pub fn listener(&self) -> &str {
        &self.params.listener
    }

    /// Takes no more tasks.
    pub fn leave(&mut self) {
        self.source = None;
    }

    /// Waits until there is enough. An error is one that another attempt would not mend.
    ///
    /// # Errors
    /// What the daemon answers to a listener that comes back.
    pub async fn ended(&mut self) -> Result<TaskListenEnded, WireError> {
        loop {
            let Some(source) = &mut self.source else {
                self.come_back().await?;
                continue;
            };
            let Some(message) = source.messages.recv().await else {
                self.source = None;
                continue;
            };
            let Told::Other(message) = message else { continue };
            if message.method == notify::TASK_END
                && let Ok(end) = serde_json::from_value(message.params)
            {
                return Ok(end);
            }
        }
    }

    async fn come_back(&mut self) -> Result<(), WireError> {
        for pause in RECONNECT_PAUSES.iter().copied().chain(std::iter::repeat(5000)) {
            let mut state = self.client.state();
            if self.client.is_stopped() {
                let woken = state.wait_for(|s| *s != crate::ConnectionState::Stopped).await;
                woken.map_err(|_| WireError::unavailable("the daemon was stopped"))?;
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
            match listen(&self.client, &self.params).await {
                Ok((listening, source)) => {
                    self.listening = listening;
                    self.source = Some(source);
                    return Ok(());
                }
                Err(error) if error.kind == ErrorKind::User => return Err(error),
                Err(error) => tracing::debug!(%error, "the listener tries again"),
            }
        }
        Ok(())
    }
}

async fn listen(client: &Client, params: &TaskListenParams) -> Result<(TaskListening, Source), WireError> {
    let (answer, connection, messages) = client.open_queue(params).await?;
    let listening: TaskListening =
        serde_json::from_value(answer).map_err(|e| WireError::internal(e.to_string()))?;
    let source = Source { subscription: listening.subscription, connection, messages };
    Ok((listening, source))
}
