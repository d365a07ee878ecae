//! The runs that are open in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podium_protocol::WireError;
use podium_sessions::{Announced, Sessions};
use tokio::sync::{OwnedMutexGuard, watch};

/// What this process knows of open runs beyond their rows.
pub(crate) struct Runs {
    /// Keeps the claim of each open run, whatever its session does.
    held: Mutex<HashMap<String, Announced>>,
    /// How many follow each.
    followed: Arc<Mutex<HashMap<String, usize>>>,
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

    pub(super) fn is_open(&self, session: &str) -> bool {
        lock(&self.held).contains_key(session)
    }

    pub(super) fn close(&self, session: &str) {
        lock(&self.stuck).remove(session);
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

    /// Another may follow it still: who waits for that one while it has the turn waits forever.
    pub(super) fn follow(&self, session: &str) -> Following {
        *lock(&self.followed).entry(session.to_owned()).or_default() += 1;
        Following {
            followed: Arc::clone(&self.followed),
            session: session.to_owned(),
            changed: self.changed.clone(),
        }
    }

    pub(super) fn is_followed(&self, session: &str) -> bool {
        lock(&self.followed).contains_key(session)
    }

    /// Rises with each change of a run.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

pub(super) struct Following {
    followed: Arc<Mutex<HashMap<String, usize>>>,
    session: String,
    changed: watch::Sender<u64>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut followed = lock(&self.followed);
        if let Some(count) = followed.get_mut(&self.session) {
            *count -= 1;
            if *count == 0 {
                followed.remove(&self.session);
            }
        }
        drop(followed);
        self.changed.send_modify(|count| *count += 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_follows_next_does_not_wait_for_the_one_before() {
        let runs = Runs::default();
        let before = runs.follow("s-1");
        let next = runs.follow("s-1");
        drop(before);
        assert!(runs.is_followed("s-1"));
        drop(next);
        assert!(!runs.is_followed("s-1"));
    }
}
