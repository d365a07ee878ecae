//! Mutexes by name: one piece of work at a time for each worktree, name or repository.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Gate = tokio::sync::Mutex<()>;

#[derive(Debug, Default)]
pub(crate) struct Gates {
    gates: Mutex<HashMap<String, Weak<Gate>>>,
}

impl Gates {
    /// Waits for the turn, first come first served; it ends when the guard goes.
    pub(crate) async fn enter(&self, name: String) -> OwnedMutexGuard<()> {
        self.gate(name).lock_owned().await
    }

    fn gate(&self, name: String) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(&name).and_then(Weak::upgrade) {
            return gate;
        }
        // Those that nobody holds or waits for are gone; only their names are left.
        if gates.len() >= 1_024 {
            gates.retain(|_, gate| gate.strong_count() > 0);
        }
        let gate = Arc::new(Gate::default());
        gates.insert(name, Arc::downgrade(&gate));
        gate
    }
}
