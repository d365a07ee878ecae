//! Copies the log back into the database beside the writer, so that no request waits for it.

use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

/// Transactions from one copying to the next.
const EVERY: u32 = 1_000;
/// Pages of the log at which the writer copies by itself, which lets the log begin anew: the copying beside it never
/// comes to the end of a log that grows all the time. 64 MiB.
const MOST_PAGES: u32 = 16_384;

pub(crate) struct Checkpointer {
    /// Of transactions since the last copying.
    count: u32,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(crate) fn of(path: &Path, writer: &Connection) -> Self {
        let (wake, woken) = mpsc::sync_channel(1);
        let path = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&path, &woken))
            .inspect_err(|error| tracing::warn!(%error, "the writer copies the log by itself"))
            .ok();
        // Without the thread, SQLite's own way stays.
        if thread.is_some()
            && let Err(error) = writer.pragma_update(None, "wal_autocheckpoint", MOST_PAGES)
        {
            tracing::warn!(%error, "the writer copies the log by itself");
        }
        Self { count: 0, wake: Some(wake), thread }
    }

    /// One more transaction.
    pub(crate) fn committed(&mut self) {
        self.count += 1;
        if self.count >= EVERY
            && let Some(wake) = &self.wake
        {
            self.count = 0;
            // One that is under way goes as far as it began.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(path: &Path, woken: &mpsc::Receiver<()>) {
    let mut conn = None;
    while woken.recv().is_ok() {
        let outcome = match &conn {
            Some(conn) => copy(conn),
            None => open(path).and_then(|opened| copy(conn.insert(opened))),
        };
        if let Err(error) = outcome {
            // What is committed stays in the log, where it is read from.
            tracing::warn!(%error, "the log could not be copied into the database");
            conn = None;
        }
    }
}

fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let conn = Connection::open(path)?;
    conn.busy_timeout(Duration::from_secs(1))?;
    Ok(conn)
}

/// As far as it goes without keeping anybody waiting.
pub(crate) fn copy(conn: &Connection) -> Result<(), rusqlite::Error> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
