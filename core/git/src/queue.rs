//! One change at a time for each repository, first come first served.
//!
//! Two `git worktree add` at once fail on `config.lock`. The queue is keyed by the common folder, so that every
//! [`crate::Repo`] of one repository in this process shares it.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::error::{GitError, Result};

/// What may run beside each other in one repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Changes,
    /// A fetch may take minutes, and git guards each reference by itself.
    Fetches,
}

type Queues = HashMap<(PathBuf, Lane), Weak<Queue>>;

static QUEUES: LazyLock<Mutex<Queues>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Tickets>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Tickets {
    next: u64,
    line: VecDeque<u64>,
}

impl Queue {
    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, ticket: u64) {
        self.tickets().line.retain(|other| *other != ticket);
        self.moved.notify_all();
    }
}

/// The turn of one caller; the next gets it on drop.
#[derive(Debug)]
pub struct RepoLock {
    queue: Arc<Queue>,
    ticket: u64,
}

impl RepoLock {
    /// Waits for the turn to change the repository with this common folder (canonical path).
    ///
    /// # Errors
    /// `QueueBusy` when it does not come in time.
    pub fn acquire(common_dir: &Path, wait: Duration) -> Result<Self> {
        Self::acquire_lane(common_dir, Lane::Changes, wait)
    }

    pub(crate) fn acquire_lane(common_dir: &Path, lane: Lane, wait: Duration) -> Result<Self> {
        let queue = queue_of(common_dir, lane);
        let deadline = Instant::now() + wait;
        let mut tickets = queue.tickets();
        let ticket = tickets.next;
        tickets.next += 1;
        tickets.line.push_back(ticket);
        while tickets.line.front() != Some(&ticket) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(tickets);
                queue.leave(ticket);
                return Err(GitError::QueueBusy { waited: wait });
            }
            (tickets, _) = queue.moved.wait_timeout(tickets, left).unwrap_or_else(PoisonError::into_inner);
        }
        drop(tickets);
        Ok(Self { queue, ticket })
    }
}

impl Drop for RepoLock {
    fn drop(&mut self) {
        self.queue.leave(self.ticket);
    }
}

fn queue_of(common_dir: &Path, lane: Lane) -> Arc<Queue> {
    let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    queues.retain(|_, queue| queue.strong_count() > 0);
    let key = (common_dir.to_owned(), lane);
    if let Some(queue) = queues.get(&key).and_then(Weak::upgrade) {
        return queue;
    }
    let queue = Arc::new(Queue::default());
    queues.insert(key, Arc::downgrade(&queue));
    queue
}
