//! The sessions that run now, and how those who follow them are told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podium_protocol::{
    ContextUse, HealthState, SessionEnd, SessionHealth, SessionInfo, SessionItem, SessionProgress,
};
use podium_store::{now_ms, rfc3339};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::StopCause;
use crate::pulse::{Busy, Pulse};

/// Updates that a slow follower may be behind before it reads on from the store.
const BACKLOG: usize = 256;

/// What happened in a running session. Items are stored before they come here.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// Those of one transaction, shared by all who follow.
    Items(Arc<[SessionItem]>),
    Progress(SessionProgress),
    Health(SessionHealth),
    Context(ContextUse),
    End(SessionEnd),
}

/// Follows one session.
#[derive(Debug)]
pub enum Attachment {
    /// Live updates from the moment of attaching; what was before is in the store.
    Live(broadcast::Receiver<Update>),
    /// The session does not run; the store has all of it.
    Over,
}

/// Reaches one running turn.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) updates: broadcast::Sender<Update>,
    pub(crate) stop: CancellationToken,
    cause: Arc<Mutex<Option<StopCause>>>,
    /// The provider's state as it is stored.
    stored: watch::Sender<Vec<u8>>,
    pulse: Arc<Pulse>,
    health: Arc<Mutex<SessionHealth>>,
}

impl Running {
    fn new() -> Self {
        Self {
            updates: broadcast::channel(BACKLOG).0,
            stop: CancellationToken::new(),
            cause: Arc::default(),
            stored: watch::Sender::default(),
            pulse: Arc::default(),
            health: Arc::new(Mutex::new(healthy())),
        }
    }

    /// Asks the turn to end. The first cause stands.
    pub(crate) fn stop(&self, cause: StopCause) {
        lock(&self.cause).get_or_insert(cause);
        self.stop.cancel();
    }

    pub(crate) fn cause(&self) -> Option<StopCause> {
        *lock(&self.cause)
    }

    pub(crate) fn link(&self) -> TurnLink {
        let (cause, pulse) = (Arc::clone(&self.cause), Arc::clone(&self.pulse));
        TurnLink { stored: self.stored.subscribe(), cause, pulse }
    }

    pub(crate) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    pub(crate) fn health(&self) -> SessionHealth {
        lock(&self.health).clone()
    }

    /// Tells of it where it is another than before.
    pub(crate) fn set_health(&self, state: HealthState, tool: Option<&str>, revived: u32) {
        let now = {
            let mut health = lock(&self.health);
            if (health.state, health.tool.as_deref(), health.revived) == (state, tool, revived) {
                return;
            }
            *health = SessionHealth { state, tool: tool.map(str::to_owned), revived, ..healthy() };
            health.clone()
        };
        self.tell(Update::Health(now));
    }

    pub(crate) fn stored(&self, state: &[u8]) {
        self.stored.send_replace(state.to_vec());
    }

    pub(crate) fn tell(&self, update: Update) {
        // Nobody may be following.
        let _ = self.updates.send(update);
    }
}

fn healthy() -> SessionHealth {
    SessionHealth { state: HealthState::Working, since: rfc3339(now_ms()), tool: None, revived: 0 }
}

/// What a running turn tells its provider, and how it hears that the provider lives.
#[derive(Debug, Clone)]
pub struct TurnLink {
    stored: watch::Receiver<Vec<u8>>,
    cause: Arc<Mutex<Option<StopCause>>>,
    pulse: Arc<Pulse>,
}

/// Of a turn that is never stored and never stopped.
impl Default for TurnLink {
    fn default() -> Self {
        Self { stored: watch::channel(Vec::new()).1, cause: Arc::default(), pulse: Arc::default() }
    }
}

impl TurnLink {
    /// Why the turn is stopped, once it is.
    #[must_use]
    pub fn cause(&self) -> Option<StopCause> {
        *lock(&self.cause)
    }

    /// A sign of life that is no chunk.
    pub fn alive(&self) {
        self.pulse.beat();
    }

    /// As long as this is held, the provider does something for the agent, whose silence is no fault.
    #[must_use]
    pub fn busy(&self) -> Busy {
        Busy::of(&self.pulse)
    }

    /// Resolves when the turn was silent for too long. Heard by who waits at that time. Cancel-safe.
    pub async fn nudged(&self) {
        self.pulse.nudged().await;
    }

    /// The next state that is stored. A state may be stored together with a later one. Cancel-safe.
    pub async fn stored(&mut self) -> Vec<u8> {
        if self.stored.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.stored.borrow_and_update().clone()
    }

    /// Waits until this state is the one that is stored.
    pub async fn wait_stored(mut self, state: &[u8]) {
        if self.stored.wait_for(|stored| stored == state).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// All running turns, by session.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    running: Mutex<HashMap<String, Running>>,
}

impl Hub {
    /// Takes the session for one turn. `None` when it runs already.
    pub(crate) fn begin(&self, session: &str) -> Option<Running> {
        let mut running = lock(&self.running);
        if running.contains_key(session) {
            return None;
        }
        let turn = Running::new();
        running.insert(session.to_owned(), turn.clone());
        Some(turn)
    }

    /// Gives the session free. Its end must be stored before.
    pub(crate) fn end(&self, session: &str) {
        lock(&self.running).remove(session);
    }

    pub(crate) fn get(&self, session: &str) -> Option<Running> {
        lock(&self.running).get(session).cloned()
    }

    /// The same with what only a running turn knows.
    pub(crate) fn enliven(&self, info: SessionInfo) -> SessionInfo {
        let health = self.get(&info.id).map(|running| running.health());
        SessionInfo { health, ..info }
    }

    pub(crate) fn attach(&self, session: &str) -> Attachment {
        lock(&self.running)
            .get(session)
            .map_or(Attachment::Over, |running| Attachment::Live(running.updates.subscribe()))
    }

    pub(crate) fn all(&self) -> Vec<(String, Running)> {
        lock(&self.running).iter().map(|(id, running)| (id.clone(), running.clone())).collect()
    }

    /// Stops these turns and waits for their ends to be stored. Returns how many.
    pub(crate) async fn stop(&self, which: impl Fn(&str) -> bool, cause: StopCause) -> u32 {
        let mut waits = Vec::new();
        for (_, running) in self.all().into_iter().filter(|(id, _)| which(id)) {
            waits.push(running.updates.subscribe());
            running.stop(cause);
        }
        let count = u32::try_from(waits.len()).unwrap_or(u32::MAX);
        for mut updates in waits {
            while let Ok(update) = updates.recv().await {
                if matches!(update, Update::End(_)) {
                    break;
                }
            }
        }
        count
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.running).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
