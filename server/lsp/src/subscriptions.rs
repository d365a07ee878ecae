//! Subscriptions of the client: streams of the daemon, forwarded as notifications under ids of our own, which stay
//! valid when the daemon is restarted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podium_client::{EventStream, SessionStream};
use podium_protocol::{
    EventNotification, EventsSubscribeParams, EventsSubscribed, SessionAttachParams, SessionAttached,
    SessionEnd, SessionStatus, SessionUpdate, Unsubscribed, Usage, WireError,
};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::notifications::{PodiumEvent, PodiumSessionUpdate};
use crate::state::{State, lock};

/// Subscriptions that one client may have at once.
const MAX_SUBSCRIPTIONS: usize = 256;
/// How long a subscription waits for its answer to leave. One that was cancelled meanwhile never leaves.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(crate) struct Subscriptions {
    open: Mutex<HashMap<u64, Open>>,
}

struct Open {
    task: AbortHandle,
    /// Opened when the answer that tells the id has its place on the wire: notifications come after it.
    gate: Option<oneshot::Sender<()>>,
}

impl Subscriptions {
    /// An answer that names subscription `id` is on its way to the client.
    pub(crate) fn answered(&self, id: u64) {
        if let Some(gate) = lock(&self.open).get_mut(&id).and_then(|open| open.gate.take()) {
            let _ = gate.send(());
        }
    }

    pub(crate) fn end(&self, id: u64) -> Unsubscribed {
        let open = lock(&self.open).remove(&id);
        if let Some(open) = &open {
            open.task.abort();
        }
        Unsubscribed { existed: open.is_some() }
    }

    pub(crate) fn end_all(&self) {
        lock(&self.open).drain().for_each(|(_, open)| open.task.abort());
    }
}

impl State {
    pub(crate) async fn subscribe_events(
        self: &Arc<Self>,
        params: EventsSubscribeParams,
    ) -> Result<EventsSubscribed, WireError> {
        self.may_subscribe()?;
        let stream = self.daemon.subscribe(params.from_seq, params.types).await?;
        let id = self.next_number();
        let answer = EventsSubscribed { subscription: id, ..stream.subscribed().clone() };
        self.open(id, forward_events(Arc::clone(self), id, stream));
        Ok(answer)
    }

    pub(crate) async fn attach_session(
        self: &Arc<Self>,
        params: SessionAttachParams,
    ) -> Result<SessionAttached, WireError> {
        self.may_subscribe()?;
        // What this window started goes on after the daemon's restart, whichever of its followers is back first.
        let resume = lock(&self.followed).values().any(|session| *session == params.id);
        let stream = self.daemon.attach(&params.id, params.from_seq, resume).await?;
        let id = self.next_number();
        let answer = SessionAttached { subscription: id, ..stream.attached().clone() };
        self.open(id, forward_session(Arc::clone(self), id, params.id, stream));
        Ok(answer)
    }

    fn may_subscribe(&self) -> Result<(), WireError> {
        if !self.editor.abilities().podium {
            return Err(WireError::user("this client does not take the notifications of a subscription")
                .hint("announce `capabilities.experimental.podium = true` in `initialize`"));
        }
        if lock(&self.subscriptions.open).len() >= MAX_SUBSCRIPTIONS {
            return Err(WireError::busy(format!("{MAX_SUBSCRIPTIONS} subscriptions are open"))
                .hint("end some with `podium/unsubscribe`"));
        }
        Ok(())
    }

    fn open(self: &Arc<Self>, id: u64, forward: impl Future<Output = ()> + Send + 'static) {
        let (gate, answered) = oneshot::channel();
        let state = Arc::clone(self);
        let mut open = lock(&self.subscriptions.open);
        let task = tokio::spawn(async move {
            if matches!(tokio::time::timeout(ANSWER_TIMEOUT, answered).await, Ok(Ok(()))) {
                forward.await;
            }
            state.subscriptions.end(id);
        });
        open.insert(id, Open { task: task.abort_handle(), gate: Some(gate) });
    }
}

async fn forward_events(state: Arc<State>, id: u64, mut stream: EventStream) {
    while let Some(event) = stream.next().await {
        let note = EventNotification { subscription: id, event };
        state.editor.announce_custom::<PodiumEvent>(note).await;
    }
}

async fn forward_session(state: Arc<State>, id: u64, session: String, mut stream: SessionStream) {
    while let Some(update) = stream.next().await {
        match update {
            Ok(mut update) => {
                update.subscription = id;
                state.editor.announce_custom::<PodiumSessionUpdate>(update).await;
            }
            Err(error) => {
                tracing::warn!(%error, session, "a session cannot be followed any further");
                let end = SessionEnd {
                    status: SessionStatus::Interrupted,
                    reason: Some(error.message),
                    usage: Usage::default(),
                    files_changed: Vec::new(),
                    artifact: None,
                };
                let update = SessionUpdate {
                    subscription: id,
                    id: session,
                    items: Vec::new(),
                    progress: None,
                    health: None,
                    context: None,
                    end: Some(end),
                };
                state.editor.announce_custom::<PodiumSessionUpdate>(update).await;
                return;
            }
        }
    }
}
