//! Where an agent's requests come together: who it is, where it works, what it holds.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use podium_client::Client;
use podium_protocol::RepoSelector;
use tokio::sync::broadcast;

/// Changes that a slow subscriber may be behind.
const BACKLOG: usize = 256;

pub(super) struct Desk {
    pub(super) client: Client,
    /// `None` on a capability socket that says itself whose it is.
    pub(super) agent: Option<String>,
    pub(super) at: RepoSelector,
    /// The daemon knows the session that asks.
    pub(super) by_session: bool,
    /// Tokens of the claims that were made here, by path of the worktree.
    tokens: Mutex<HashMap<String, u64>>,
    subscribed: Mutex<HashSet<String>>,
    /// Resources that changed.
    pub(super) changes: broadcast::Sender<String>,
}

impl Desk {
    pub(super) fn new(client: Client, agent: Option<String>, at: RepoSelector, by_session: bool) -> Self {
        Self {
            client,
            agent,
            at,
            by_session,
            tokens: Mutex::default(),
            subscribed: Mutex::default(),
            changes: broadcast::channel(BACKLOG).0,
        }
    }

    /// The process that claims live by: they end with the agent's server.
    pub(super) fn pid(&self) -> Option<u32> {
        (!self.by_session).then(std::process::id)
    }

    /// The repository that a call names, else the one this server was started for.
    pub(super) fn place(&self, repo: Option<String>) -> RepoSelector {
        match repo {
            Some(repo) => RepoSelector { repo: Some(repo), ..RepoSelector::default() },
            None => self.at.clone(),
        }
    }

    pub(super) fn claimed(&self, path: &str, token: u64) {
        lock(&self.tokens).insert(path.to_owned(), token);
    }

    pub(super) fn token(&self, path: &str) -> Option<u64> {
        lock(&self.tokens).get(path).copied()
    }

    pub(super) fn released(&self, path: &str) {
        lock(&self.tokens).remove(path);
    }

    pub(super) fn subscribe(&self, uri: String) {
        lock(&self.subscribed).insert(uri);
    }

    pub(super) fn unsubscribe(&self, uri: &str) {
        lock(&self.subscribed).remove(uri);
    }

    pub(super) fn is_subscribed(&self, uri: &str) -> bool {
        lock(&self.subscribed).contains(uri)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
