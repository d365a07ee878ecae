//! The arbiter as nodes meet it: ask, wait, have, give back.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::book::{Book, Ended, Settings};
use super::decision::{Decision, DecisionSink, Reason, Refusal};
use super::paths::PathError;
use super::request::{Capacity, Request, Spent};
use crate::time::Clock;

/// Decides who gets what; see the [module](super).
#[derive(Clone)]
pub struct Arbiter(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    sink: Arc<dyn DecisionSink>,
    runtime: Handle,
}

struct State {
    book: Book,
    asking: HashMap<u64, oneshot::Sender<Result<Grant, Refusal>>>,
    /// The pass that a timer will make.
    planned: Option<Duration>,
}

type Answer = (oneshot::Sender<Result<Grant, Refusal>>, Result<Grant, Refusal>);

impl Arbiter {
    /// Timers run on `runtime`; grants may be given back anywhere.
    #[must_use]
    pub fn new(
        capacity: Capacity,
        settings: Settings,
        clock: Arc<dyn Clock>,
        sink: Arc<dyn DecisionSink>,
        runtime: Handle,
    ) -> Self {
        let book = Book::new(capacity, settings, clock.now());
        let state = State { book, asking: HashMap::new(), planned: None };
        Self(Arc::new(Inner { state: Mutex::new(state), clock, sink, runtime }))
    }

    /// Waits until all that is asked for can be had at once. Dropping the future takes the request back.
    ///
    /// # Errors
    /// What can never be granted, at once or as soon as that is known.
    pub async fn acquire(&self, request: Request) -> Result<Grant, Refusal> {
        let (answer, answered) = oneshot::channel();
        // In this order: when the future is dropped, an answer that came meanwhile is given back by the receiver.
        let id = self.0.change(|state, now| -> Result<u64, Refusal> {
            let id = state.book.submit(now, request)?;
            state.asking.insert(id, answer);
            Ok(id)
        })?;
        let mut asking = Asking { inner: &self.0, id: Some(id) };
        let answer = answered.await;
        asking.id = None;
        answer.unwrap_or_else(|_| Err(Refusal::new(Reason::ResourceUnavailable, "the arbiter is gone")))
    }

    /// Records that a request was not made, since a place that it would write is none that it may.
    #[must_use]
    pub fn refuse_path(&self, request: &Request, error: &PathError) -> Refusal {
        let refusal = Refusal::new(Reason::PolicyViolation, error.to_string());
        self.0.change(|state, now| state.book.refuse(now, request, refusal.clone()));
        refusal
    }

    /// The weight of a user among all; 1 without.
    pub fn set_weight(&self, user: &Arc<str>, weight: u32) {
        self.0.change(|state, _| state.book.set_weight(user, weight));
    }

    /// What a user had spent before this arbiter was made, in millionths of a dollar.
    pub fn add_spent(&self, user: &Arc<str>, cost: u64) {
        self.0.change(|state, _| state.book.add_spent(user, cost));
    }

    /// Looks again, by the clock. Timers do this by themselves; a test that moves its clock calls it.
    pub fn tick(&self) {
        self.0.change(|_, _| ());
    }
}

/// What a node has, until it is dropped.
#[must_use = "dropping a grant gives everything back"]
pub struct Grant {
    inner: Arc<Inner>,
    id: u64,
    spent: Option<Spent>,
}

impl Grant {
    /// The number that decisions name it by.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Tells what the node has used in fact of tokens and money. Without, what it asked for counts as used.
    pub fn spend(&mut self, spent: Spent) {
        self.spent = Some(spent);
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.inner.change(|state, now| state.book.release(now, self.id, self.spent));
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("id", &self.id).finish_non_exhaustive()
    }
}

/// One who waits; dropped without an answer, the request is taken back.
struct Asking<'a> {
    inner: &'a Arc<Inner>,
    id: Option<u64>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.inner.change(|state, now| {
                state.asking.remove(&id);
                state.book.withdraw(now, id);
            });
        }
    }
}

impl Inner {
    /// Changes something and grants what can be granted then. What others are told is told without the lock.
    fn change<T>(self: &Arc<Self>, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut state, now);
        let ended = state.book.pass(now);
        let answers: Vec<Answer> = ended.into_iter().filter_map(|end| self.answer(&mut state, end)).collect();
        let log: Vec<Decision> = state.book.take_log();
        self.plan(&mut state, now);
        drop(state);
        log.iter().for_each(|decision| self.sink.decided(decision));
        for (sender, answer) in answers {
            // Who stopped waiting gives back by dropping what it was sent.
            drop(sender.send(answer));
        }
        changed
    }

    fn answer(self: &Arc<Self>, state: &mut State, (id, end): Ended) -> Option<Answer> {
        let sender = state.asking.remove(&id)?;
        let grant = end.map(|()| Grant { inner: self.clone(), id, spent: None });
        Some((sender, grant))
    }

    /// Sees to it that the next pass is made, if one is due by time alone.
    fn plan(self: &Arc<Self>, state: &mut State, now: Duration) {
        state.planned = state.planned.filter(|planned| *planned > now);
        let Some(wake) = state.book.wake() else { return };
        if state.planned.is_some_and(|planned| planned <= wake) {
            return;
        }
        state.planned = Some(wake);
        let inner = Arc::downgrade(self);
        let wait = self.clock.sleep(wake.saturating_sub(now));
        self.runtime.spawn(async move {
            wait.await;
            if let Some(inner) = inner.upgrade() {
                inner.change(|_, _| ());
            }
        });
    }
}

impl fmt::Debug for Arbiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arbiter").finish_non_exhaustive()
    }
}
