//! What the service's thread is told: by the operating system's watcher and by those who begin or end a watch.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind};

use tokio::sync::oneshot;

use crate::changes::Mailbox;
use crate::error::WatchError;
use crate::files::FileSet;
use crate::tree::TreeKey;

/// More unprocessed events than this are dropped for one rescan of everything.
const MAX_EVENTS: usize = 8192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Appeared,
    Gone,
    Changed,
    /// The system did not say: look.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OsEvent {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    /// Whether it is (or was) a folder, where the system says so.
    pub(crate) is_dir: Option<bool>,
}

#[derive(Debug)]
pub(crate) enum Source {
    /// `prefix` is the root as the caller wrote it: what paths begin with when they are told.
    Tree {
        key: Arc<TreeKey>,
        prefix: PathBuf,
    },
    Files(FileSet),
}

#[derive(Debug)]
pub(crate) struct Subscribe {
    pub(crate) id: u64,
    pub(crate) source: Source,
    pub(crate) debounce: std::time::Duration,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) reply: SyncSender<Result<(), WatchError>>,
}

#[derive(Debug)]
pub(crate) enum Command {
    Subscribe(Box<Subscribe>),
    Unsubscribe(u64),
    /// Answered once everything that happened before is taken in; dropped when that cannot be told.
    Fence(oneshot::Sender<()>),
}

#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) commands: VecDeque<Command>,
    pub(crate) events: Vec<OsEvent>,
    /// Events were lost, by the system or here.
    pub(crate) overflow: bool,
    closed: bool,
}

impl Pending {
    fn is_idle(&self) -> bool {
        self.commands.is_empty() && self.events.is_empty() && !self.overflow
    }

    fn event(&mut self, event: OsEvent) {
        // One write makes several equal events in a row.
        if self.overflow || self.events.last() == Some(&event) {
            return;
        }
        if self.events.len() == MAX_EVENTS {
            self.overflow();
        } else {
            self.events.push(event);
        }
    }

    fn overflow(&mut self) {
        self.events = Vec::new();
        self.overflow = true;
    }
}

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pending: Mutex<Pending>,
    arrived: Condvar,
}

impl Inbox {
    /// Gives the command back when nobody reads it any more. Never blocks for long: ending a watch happens in `Drop`,
    /// beginning one under the watcher's lock.
    pub(crate) fn command(&self, command: Command) -> Result<(), Command> {
        let mut pending = self.pending();
        if pending.closed {
            return Err(command);
        }
        pending.commands.push_back(command);
        self.arrived.notify_one();
        Ok(())
    }

    /// Called on the system watcher's thread, which must never wait for the service: the service waits for it.
    pub(crate) fn os_event(&self, event: notify::Result<Event>) {
        let mut pending = self.pending();
        match event {
            Err(error) => {
                tracing::warn!(%error, "the file watcher lost events");
                pending.overflow();
            }
            // It can come without any path.
            Ok(event) if event.need_rescan() => pending.overflow(),
            Ok(event) => {
                let Some((kind, is_dir)) = classify(&event.kind) else { return };
                for path in event.paths {
                    pending.event(OsEvent { path, kind, is_dir });
                }
            }
        }
        if !pending.is_idle() {
            self.arrived.notify_one();
        }
    }

    /// What has arrived; waits for something until `deadline`, or forever without one.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Pending {
        let mut pending = self.pending();
        while pending.is_idle() {
            match deadline {
                None => pending = self.arrived.wait(pending).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let patience = deadline.saturating_duration_since(Instant::now());
                    if patience.is_zero() {
                        break;
                    }
                    let woken = self.arrived.wait_timeout(pending, patience);
                    pending = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        std::mem::take(&mut *pending)
    }

    pub(crate) fn has_commands(&self) -> bool {
        !self.pending().commands.is_empty()
    }

    /// Nobody reads any more. Waiting callers learn it by their reply channel's end.
    pub(crate) fn close(&self) {
        let mut pending = self.pending();
        *pending = Pending { closed: true, ..Pending::default() };
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Every critical section leaves the queue whole.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` for what changes nothing: reading, and the summary of a rename whose two halves were told.
fn classify(kind: &EventKind) -> Option<(Kind, Option<bool>)> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some((Kind::Changed, Some(false))),
        EventKind::Access(_) => None,
        EventKind::Create(CreateKind::File) => Some((Kind::Appeared, Some(false))),
        EventKind::Create(CreateKind::Folder) => Some((Kind::Appeared, Some(true))),
        EventKind::Create(_) => Some((Kind::Appeared, None)),
        EventKind::Remove(RemoveKind::File) => Some((Kind::Gone, Some(false))),
        EventKind::Remove(RemoveKind::Folder) => Some((Kind::Gone, Some(true))),
        EventKind::Remove(_) => Some((Kind::Gone, None)),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Some((Kind::Gone, None)),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some((Kind::Appeared, None)),
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) if cfg!(target_os = "linux") => None,
        EventKind::Modify(ModifyKind::Data(_)) => Some((Kind::Changed, Some(false))),
        EventKind::Modify(ModifyKind::Metadata(_)) => Some((Kind::Changed, None)),
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => Some((Kind::Unknown, None)),
    }
}
