//! The runs that are open in this process.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podium_protocol::WireError;
use podium_sessions::{Announced, Sessions};
use tokio::sync::{OwnedMutexGuard, watch};

/// What this process knows of open runs beyond their rows.
pub(crate) struct Runs {
    /// Keeps the claim of each open run, whatever its session does.
    held: Mutex<HashMap<String, Announced>>,
    followed: Arc<Mutex<HashSet<String>>>,
    /// One at a time takes a session up or finishes its run.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Runs that could not be finished, and why.
    stuck: Mutex<HashMap<String, WireError>>,
    changed: watch::Sender<u64>,
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            held: Mutex::default(),
            followed: Arc::default(),
            turns: Mutex::default(),
            stuck: Mutex::default(),
            changed: watch::channel(0).0,
        }
    }
}

impl Runs {
    pub(crate) fn open(&self, sessions: &Sessions, session: &str) {
        lock(&self.stuck).remove(session);
        let mut held = lock(&self.held);
        if !held.contains_key(session) {
            held.insert(session.to_owned(), sessions.announce(session));
        }
    }

    pub(super) fn close(&self, session: &str) {
        let held = lock(&self.held).remove(session);
        drop(held);
        self.tell();
    }

    pub(super) fn set_stuck(&self, session: &str, error: WireError) {
        lock(&self.stuck).insert(session.to_owned(), error);
        self.tell();
    }

    pub(super) fn stuck(&self, session: &str) -> Option<WireError> {
        lock(&self.stuck).get(session).cloned()
    }

    /// The turn to decide about a session's run.
    pub(crate) async fn turn(&self, session: &str) -> OwnedMutexGuard<()> {
        let turn = Arc::clone(lock(&self.turns).entry(session.to_owned()).or_default());
        turn.lock_owned().await
    }

    /// Takes the place of the one who follows it; waits while there is another.
    pub(super) async fn follow(&self, session: &str) -> Following {
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            if lock(&self.followed).insert(session.to_owned()) {
                return Following {
                    followed: Arc::clone(&self.followed),
                    session: session.to_owned(),
                    changed: self.changed.clone(),
                };
            }
            // The sender lives as long as this does.
            let _ = changes.changed().await;
        }
    }

    pub(super) fn is_followed(&self, session: &str) -> bool {
        lock(&self.followed).contains(session)
    }

    /// Rises with each change of a run.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

pub(super) struct Following {
    followed: Arc<Mutex<HashSet<String>>>,
    session: String,
    changed: watch::Sender<u64>,
}

impl Drop for Following {
    fn drop(&mut self) {
        lock(&self.followed).remove(&self.session);
        self.changed.send_modify(|count| *count += 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
