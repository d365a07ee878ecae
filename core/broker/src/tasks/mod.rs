//! The queues: a table, and who of this process works on what.

mod change;
mod handler;
mod listener;
mod look;
mod row;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podium_protocol::{TaskAssignment, TaskOutcome};
use podium_store::Store;
use tokio::sync::watch;

pub use handler::{TaskHandler, Worked};
pub use listener::{ListenOptions, Patience, listen};

/// The queues of this daemon. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    /// Ids of the tasks that this process works on. A task that runs and is not among them was left by another process.
    held: Mutex<HashSet<String>>,
    /// One at a time looks for what nobody holds.
    taking: tokio::sync::Mutex<()>,
    changed: watch::Sender<u64>,
}

/// A task as it is worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub id: String,
    pub queue: String,
    pub assignment: TaskAssignment,
    /// Attempts that came to nothing.
    pub attempts: u32,
    /// How often a process ended while it was worked on.
    pub cuts: u32,
    pub listener: String,
    /// Id of its session, the same for each attempt.
    pub session: String,
    /// Worktree of an earlier session, before the task was assigned again.
    pub worktree: Option<String>,
    /// Why the newest attempt came to nothing.
    pub reason: Option<String>,
}

/// A task that was taken. Dropping it without an outcome lets the next one take it.
pub struct Given {
    pub task: Task,
    _held: Held,
}

struct Held {
    tasks: Tasks,
    id: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.tasks.held().remove(&self.id);
        self.tasks.tell();
    }
}

impl Tasks {
    #[must_use]
    pub fn new(store: Store) -> Self {
        let inner = Inner {
            store,
            held: Mutex::default(),
            taking: tokio::sync::Mutex::default(),
            changed: watch::channel(0).0,
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Wakes whoever looks for tasks.
    pub(crate) fn tell(&self) {
        self.inner.changed.send_modify(|count| *count += 1);
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    fn held(&self) -> MutexGuard<'_, HashSet<String>> {
        self.inner.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, task: Task) -> Given {
        self.held().insert(task.id.clone());
        let held = Held { tasks: self.clone(), id: task.id.clone() };
        Given { task, _held: held }
    }
}

impl Task {
    /// What is to be told of it, with what came of it.
    fn outcome(&self, of_work: TaskOutcome, reason: Option<String>, dead: bool) -> TaskOutcome {
        TaskOutcome {
            id: self.id.clone(),
            queue: self.queue.clone(),
            task: self.assignment.task.clone(),
            session: of_work.session,
            attempts: self.attempts,
            reason: reason.or(of_work.reason),
            dead,
            agent_id: of_work.agent_id,
            worktree: of_work.worktree,
            branch: of_work.branch,
            commits: of_work.commits,
            files_changed: of_work.files_changed,
        }
    }
}
