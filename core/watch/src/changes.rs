use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::inbox::{Command, Inbox};
use crate::options::Mode;

/// More changed paths than this at once are told as one [`Change::Rescan`].
pub(crate) const MAX_PATHS: usize = 1024;

/// Paths that are remembered for [`Revision::since`].
const MAX_RECENT: usize = 256;

/// Something changed on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These were created, edited, renamed or deleted, in no order; at most 1,024, each once. A path is below the root
    /// as it was given (or one of the files as they were given). A path that did not change can be among them.
    Paths(Vec<PathBuf>),
    /// More happened than was counted, or what is ignored changed: look at everything again.
    Rescan,
}

/// Changes that wait to be told: bounded, and a rescan includes every path.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    paths: BTreeSet<PathBuf>,
    rescan: bool,
}

impl Batch {
    pub(crate) fn add(&mut self, path: PathBuf) {
        if self.rescan {
            return;
        }
        self.paths.insert(path);
        if self.paths.len() > MAX_PATHS {
            self.rescan();
        }
    }

    pub(crate) fn rescan(&mut self) {
        self.paths.clear();
        self.rescan = true;
    }

    pub(crate) fn is_rescan(&self) -> bool {
        self.rescan
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.rescan && self.paths.is_empty()
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.paths.iter()
    }

    pub(crate) fn take(&mut self) -> Option<Change> {
        if std::mem::take(&mut self.rescan) {
            return Some(Change::Rescan);
        }
        if self.paths.is_empty() {
            return None;
        }
        Some(Change::Paths(std::mem::take(&mut self.paths).into_iter().collect()))
    }
}

/// Where the service leaves changes for one reader. What the reader has not fetched is merged with what comes, so a
/// slow reader costs a bounded amount of memory and never holds up the service.
#[derive(Debug)]
pub(crate) struct Mailbox {
    content: Mutex<Content>,
    arrived: Notify,
}

#[derive(Debug)]
struct Content {
    batch: Batch,
    mode: Mode,
    closed: bool,
    revision: u64,
    /// The newest paths that were noticed, each with the revision it led to.
    recent: VecDeque<(u64, PathBuf)>,
    /// Paths behind this revision are all among the recent ones.
    complete: u64,
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        let content = Content {
            batch: Batch::default(),
            mode: Mode::Native,
            closed: false,
            revision: 0,
            recent: VecDeque::new(),
            complete: 0,
        };
        Self { content: Mutex::new(content), arrived: Notify::new() }
    }

    /// Empties `staged` into the mailbox.
    pub(crate) fn deliver(&self, staged: &mut Batch) {
        {
            let mut content = self.content();
            match staged.take() {
                None => return,
                Some(Change::Rescan) => content.batch.rescan(),
                Some(Change::Paths(paths)) => paths.into_iter().for_each(|path| content.batch.add(path)),
            }
        }
        self.arrived.notify_one();
    }

    /// Something is about to be told.
    pub(crate) fn raise<'a>(&self, rescan: bool, paths: impl Iterator<Item = &'a PathBuf>) {
        let mut content = self.content();
        content.revision += 1;
        let revision = content.revision;
        if rescan {
            content.recent.clear();
            content.complete = revision;
            return;
        }
        content.recent.extend(paths.map(|path| (revision, path.clone())));
        while content.recent.len() > MAX_RECENT {
            if let Some((gone, _)) = content.recent.pop_front() {
                content.complete = gone;
            }
        }
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.content().mode = mode;
    }

    pub(crate) fn close(&self) {
        self.content().closed = true;
        self.arrived.notify_one();
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // Every critical section leaves the content whole.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The changes of one watch. Dropping it ends the watch.
#[derive(Debug)]
pub struct Changes {
    id: u64,
    mailbox: Arc<Mailbox>,
    inbox: Arc<Inbox>,
}

impl Changes {
    pub(crate) fn new(id: u64, mailbox: Arc<Mailbox>, inbox: Arc<Inbox>) -> Self {
        Self { id, mailbox, inbox }
    }

    /// The next changes. `None` means that the watcher failed and no change will be told any more. A dropped future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            {
                let mut content = self.mailbox.content();
                if let Some(change) = content.batch.take() {
                    return Some(change);
                }
                if content.closed {
                    return None;
                }
            }
            self.mailbox.arrived.notified().await;
        }
    }

    /// A number for what was noticed so far, that outlives the borrow of this.
    pub fn revision(&self) -> Revision {
        Revision(Arc::clone(&self.mailbox))
    }

    /// How changes are noticed now; it can turn from native to polling while the watch lives (a `Rescan` is told then).
    pub fn mode(&self) -> Mode {
        self.mailbox.content().mode.clone()
    }
}

/// How much a watch has noticed: what was read from disk under one number is still true under the same number. It
/// rises as soon as something is noticed, before that is told.
#[derive(Debug, Clone)]
pub struct Revision(Arc<Mailbox>);

impl Revision {
    /// `None` while a change can go unnoticed for long: the watch ended, or it polls.
    pub fn get(&self) -> Option<u64> {
        let content = self.0.content();
        (!content.closed && content.mode == Mode::Native).then_some(content.revision)
    }

    /// The revision now, and every path that was noticed since an earlier one. `None` when these are too many, when
    /// everything has to be looked at again, and where [`Revision::get`] gives `None`.
    pub fn since(&self, earlier: u64) -> Option<(u64, BTreeSet<PathBuf>)> {
        let revision = self.get()?;
        let content = self.0.content();
        if earlier < content.complete || content.revision != revision {
            return None;
        }
        let paths = content.recent.iter().filter(|(at, _)| *at > earlier);
        Some((revision, paths.map(|(_, path)| path.clone()).collect()))
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.mailbox.close();
        // A service that ended has forgotten this watch.
        let _ = self.inbox.command(Command::Unsubscribe(self.id));
    }
}
