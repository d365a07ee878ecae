//! What is to survive the loss of power is synced by a thread of its own: whoever waits for the disk keeps nobody else from
//! writing, and all who wait at the same time share one sync.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::writer::Finish;

/// Commits whose requesters are answered when the disk has them.
pub(crate) struct Synced {
    pub(crate) finishers: Vec<Finish>,
    /// The newest event among them; 0 for none.
    pub(crate) newest: u64,
}

pub(crate) struct Syncer {
    head: watch::Sender<u64>,
    queue: Option<mpsc::Sender<Synced>>,
    thread: Option<JoinHandle<()>>,
    broken: Arc<AtomicBool>,
}

impl Syncer {
    /// `path`: of the database, which was written to. Where it has no log, as on some file systems of networks, its commits
    /// have to be synced by SQLite.
    pub(crate) fn start(path: &Path, head: watch::Sender<u64>) -> Self {
        let (queue, commits) = mpsc::channel();
        let (publisher, broken) = (head.clone(), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&broken);
        let thread = open(path).and_then(|log| {
            let named = std::thread::Builder::new().name("store-sync".to_owned());
            named.spawn(move || run(&log, &commits, &publisher, &told))
        });
        match thread {
            Ok(thread) => Self { head, queue: Some(queue), thread: Some(thread), broken },
            Err(error) => {
                tracing::warn!(%error, "the database's log cannot be synced apart");
                Self { head, queue: None, thread: None, broken }
            }
        }
    }

    /// Whether commits need not be synced by whoever makes them.
    pub(crate) fn is_apart(&self) -> bool {
        self.thread.is_some()
    }

    /// Whether the disk refused a sync. What it had not taken then it may have forgotten, so that a later sync would say
    /// nothing about it: nothing more is written until the next start reads what there is.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// A transaction is committed: its requesters are answered when the disk has it.
    pub(crate) fn committed(&self, commit: Synced) {
        // Without a queue SQLite has synced it. With one whose thread is gone nobody has, nor will.
        let (commit, outcome) = match &self.queue {
            None => (commit, Ok(())),
            Some(queue) => match queue.send(commit) {
                Ok(()) => return,
                Err(unsent) => {
                    self.broken.store(true, Ordering::Release);
                    (unsent.0, Err("nothing syncs the log any more".to_owned()))
                }
            },
        };
        self.publish(commit.newest);
        commit.finishers.into_iter().for_each(|finish| finish(outcome.clone()));
    }

    /// Tells the readers of the log.
    pub(crate) fn publish(&self, newest: u64) {
        publish(&self.head, newest);
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The log lies beside the database, under the same name for as long as a connection is open.
fn open(path: &Path) -> std::io::Result<File> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    OpenOptions::new().read(true).write(true).open(PathBuf::from(log))
}

fn run(log: &File, commits: &mpsc::Receiver<Synced>, head: &watch::Sender<u64>, broken: &AtomicBool) {
    while let Ok(first) = commits.recv() {
        // What was committed before the sync begins is synced with it.
        let waiting: Vec<Synced> = std::iter::once(first).chain(commits.try_iter()).collect();
        let synced = match log.sync_data() {
            Ok(()) if !broken.load(Ordering::Acquire) => Ok(()),
            Ok(()) => Err("an earlier change did not reach the disk".to_owned()),
            Err(error) => {
                broken.store(true, Ordering::Release);
                tracing::error!(%error, "the disk did not take what was committed; nothing more is written");
                Err(format!("it would not survive a loss of power: {error}"))
            }
        };
        for Synced { finishers, newest } in waiting {
            publish(head, newest);
            for finish in finishers {
                finish(synced.clone());
            }
        }
    }
}

fn publish(head: &watch::Sender<u64>, newest: u64) {
    head.send_if_modified(|seen| {
        let rises = newest > *seen;
        *seen = newest.max(*seen);
        rises
    });
}
