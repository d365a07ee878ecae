//! Those who wait for a worktree, first come first served.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use podium_protocol::WireError;
use tokio::sync::watch;

use crate::service::lock;

/// Waiters of one worktree.
const LONGEST: usize = 1_000;

#[derive(Debug, Clone, Default)]
pub(crate) struct Queues {
    lines: Arc<Mutex<HashMap<String, Line>>>,
}

#[derive(Debug)]
struct Line {
    next: u64,
    waiting: VecDeque<u64>,
    /// Rises whenever somebody should look again.
    moved: watch::Sender<u64>,
}

/// A place in the line. It is left when this goes, whatever ends the waiting.
#[derive(Debug)]
pub(crate) struct Place {
    queues: Queues,
    worktree: String,
    ticket: u64,
    moved: watch::Receiver<u64>,
}

impl Queues {
    pub(crate) fn join(&self, worktree: &str) -> Result<Place, WireError> {
        let mut lines = lock(&self.lines);
        let line = lines.entry(worktree.to_owned()).or_insert_with(|| Line {
            next: 0,
            waiting: VecDeque::new(),
            moved: watch::channel(0).0,
        });
        if line.waiting.len() >= LONGEST {
            return Err(WireError::busy(format!("{LONGEST} others wait for this worktree already")));
        }
        let ticket = line.next;
        line.next += 1;
        line.waiting.push_back(ticket);
        let moved = line.moved.subscribe();
        Ok(Place { queues: self.clone(), worktree: worktree.to_owned(), ticket, moved })
    }

    /// Whether somebody waits: who comes later is behind them.
    pub(crate) fn is_waited_for(&self, worktree: &str) -> bool {
        lock(&self.lines).contains_key(worktree)
    }

    /// The claim ended, its owner died, or the worktree went.
    pub(crate) fn wake(&self, worktree: &str) {
        if let Some(line) = lock(&self.lines).get(worktree) {
            line.moved.send_modify(|count| *count += 1);
        }
    }
}

impl Place {
    /// Notes what has happened so far; to be called before the look that it shall make current.
    pub(crate) fn mark(&mut self) {
        self.moved.mark_unchanged();
    }

    pub(crate) fn is_first(&self) -> bool {
        let lines = lock(&self.queues.lines);
        lines.get(&self.worktree).and_then(|line| line.waiting.front()) == Some(&self.ticket)
    }

    /// Waits until something has happened since [`Place::mark`].
    pub(crate) async fn moved(&mut self) {
        // The sender lives as long as this place is in its line.
        let _ = self.moved.changed().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = lock(&self.queues.lines);
        let Some(line) = lines.get_mut(&self.worktree) else { return };
        line.waiting.retain(|ticket| *ticket != self.ticket);
        if line.waiting.is_empty() {
            lines.remove(&self.worktree);
        } else {
            line.moved.send_modify(|count| *count += 1);
        }
    }
}
