//! What a server sent: kept for ever, marked when a test has looked at it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Everything that came in, and what to answer to the server's requests.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) messages: Vec<Message>,
    pub(super) answers: HashMap<i64, Value>,
    /// Answers that a test laid ready, by method.
    pub(super) replies: HashMap<String, VecDeque<Value>>,
    /// Answers to no request of ours.
    pub(super) stray: Vec<Value>,
    pub(super) ended: bool,
    /// What broke the protocol.
    pub(super) broken: Option<String>,
}

pub(super) struct Message {
    pub(super) value: Value,
    pub(super) handled: bool,
}

impl Inbox {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells whoever waits.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `look` gives a value. `None` when the stream ended, or nothing came in time.
    pub(super) fn wait<T>(
        &self,
        timeout: Duration,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&mut state) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.ended {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    /// The answer of a client without a person in front of it.
    pub(super) fn reply_to(&mut self, request: &Value, knows: &[&str]) -> Value {
        let method = request["method"].as_str().unwrap_or_default();
        if let Some(reply) = self.replies.get_mut(method).and_then(VecDeque::pop_front) {
            return json!({"jsonrpc": "2.0", "id": request["id"], "result": reply});
        }
        if !knows.contains(&method) {
            let error = json!({"code": -32601, "message": "method not found"});
            return json!({"jsonrpc": "2.0", "id": request["id"], "error": error});
        }
        let result = match method {
            "window/showDocument" => json!({"success": true}),
            "workspace/applyEdit" => json!({"applied": true}),
            "workspace/configuration" => {
                json!(request["params"]["items"].as_array().map(|items| vec![Value::Null; items.len()]))
            }
            _ => Value::Null,
        };
        json!({"jsonrpc": "2.0", "id": request["id"], "result": result})
    }

    /// The first message that nobody looked at and that matches; marks it.
    pub(super) fn take(&mut self, matches: impl Fn(&Value) -> bool) -> Option<Value> {
        let message = self.messages.iter_mut().find(|message| !message.handled && matches(&message.value))?;
        message.handled = true;
        Some(message.value.clone())
    }
}
