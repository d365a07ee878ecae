//! The one thread that writes. It drains its queue into one transaction at a time.

use std::cell::Cell;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use rusqlite::{Connection, params};
use tokio::sync::watch;

use crate::{NewEvent, StoreError, now_ms};

/// Requests in one transaction. Bounds how long the first of them waits.
const MAX_BATCH: usize = 512;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The death of the process. Pieces of an answer.
    Process,
    /// The loss of power. Claims, checkpoints, ends.
    Power,
}

/// One request's view of the transaction: a connection, and the log.
pub struct Tx<'a> {
    conn: &'a Connection,
    /// One time for all rows and events of the request, milliseconds.
    pub now: i64,
    newest: Cell<u64>,
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.conn
    }
}

impl Tx<'_> {
    /// Appends an event. Subscribers see it after the commit, never before.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn emit(&self, event: &NewEvent) -> Result<u64, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO events (id, type, time, subject, data_version, data, correlation, causation)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        statement.execute(params![
            uuid::Uuid::now_v7().to_string(),
            event.kind,
            self.now,
            event.subject,
            event.data_version,
            event.data.to_string(),
            event.correlation,
            event.causation,
        ])?;
        let seq = u64::try_from(self.conn.last_insert_rowid()).unwrap_or_default();
        self.newest.set(seq);
        Ok(seq)
    }

    /// The next value of a sequence that only rises.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn next_in(&self, sequence: &str) -> Result<u64, StoreError> {
        let sql = "UPDATE sequences SET value = value + 1 WHERE name = ?1 RETURNING value";
        Ok(self.conn.prepare_cached(sql)?.query_row([sequence], |row| row.get(0))?)
    }
}

/// Tells the requester how its commit went.
pub(crate) type Finish = Box<dyn FnOnce(Result<(), String>) + Send>;
/// Runs inside the transaction. `Err` rolls this request back; the requester is answered either way.
pub(crate) type Work = Box<dyn FnOnce(&Tx<'_>) -> (bool, Finish) + Send>;

pub(crate) struct Job {
    pub(crate) durability: Durability,
    pub(crate) work: Work,
}

pub(crate) fn run(conn: &Connection, jobs: &mpsc::Receiver<Job>, head: &watch::Sender<u64>) {
    let mut set = None;
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
        let durability = batch.iter().map(|job| job.durability).max().unwrap_or(Durability::Power);
        if set != Some(durability) {
            let level = if durability == Durability::Power { "FULL" } else { "NORMAL" };
            set = conn.pragma_update(None, "synchronous", level).is_ok().then_some(durability);
        }
        commit(conn, batch, head);
    }
    // Folds the log of the database back into it, so that a stopped Podium is one file.
    let _ = conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

/// Requests that ran and wait for the commit.
#[derive(Default)]
struct Ran {
    finishers: Vec<Finish>,
    newest: u64,
}

impl Ran {
    fn finish(self, outcome: &Result<(), String>) {
        for finish in self.finishers {
            finish(outcome.clone());
        }
    }
}

fn commit(conn: &Connection, batch: Vec<Job>, head: &watch::Sender<u64>) {
    let mut ran = Ran::default();
    for job in batch {
        if conn.is_autocommit()
            && let Err(error) = conn.execute_batch("BEGIN IMMEDIATE")
        {
            tracing::error!(%error, "no transaction could be begun");
            // The requester's channel closes, which it reports as a transaction that was not committed.
            continue;
        }
        run_one(conn, job.work, &mut ran);
        if conn.is_autocommit() {
            // SQLite gave up the whole transaction, as it may on a full disk: what ran before is undone too.
            let lost = Err("an error of the disk undid the transaction".to_owned());
            std::mem::take(&mut ran).finish(&lost);
        }
    }
    if conn.is_autocommit() {
        return;
    }
    let outcome = conn.execute_batch("COMMIT").map_err(|error| {
        tracing::error!(%error, "a transaction was not committed");
        let _ = conn.execute_batch("ROLLBACK");
        error.to_string()
    });
    if outcome.is_ok() && ran.newest > 0 {
        head.send_if_modified(|seen| {
            let rises = ran.newest > *seen;
            *seen = ran.newest.max(*seen);
            rises
        });
    }
    ran.finish(&outcome);
}

/// Runs one request in a savepoint. One that panics, or whose savepoint fails, is not answered: its channel closes.
fn run_one(conn: &Connection, work: Work, ran: &mut Ran) {
    if let Err(error) = conn.execute_batch("SAVEPOINT request") {
        tracing::error!(%error, "a savepoint could not be made");
        return;
    }
    let tx = Tx { conn, now: now_ms(), newest: Cell::new(0) };
    let Ok((keep, finish)) = catch_unwind(AssertUnwindSafe(|| work(&tx))) else {
        tracing::error!("a request to the store panicked and was rolled back");
        let _ = conn.execute_batch("ROLLBACK TO request; RELEASE request");
        return;
    };
    let end = if keep { "RELEASE request" } else { "ROLLBACK TO request; RELEASE request" };
    match conn.execute_batch(end) {
        Ok(()) if keep => ran.newest = ran.newest.max(tx.newest.get()),
        Ok(()) => {}
        // The transaction is gone already; the request's own error says why.
        Err(_) if !keep => {}
        Err(error) => {
            tracing::error!(%error, "a savepoint could not be ended");
            return;
        }
    }
    ran.finishers.push(finish);
}
