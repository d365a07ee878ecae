//! The one thread that writes. It drains its queue into one transaction at a time, and waits for no disk: others sync the
//! log (`sync.rs`) and copy it into the database (`checkpoint.rs`).

use std::cell::Cell;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc;

use rusqlite::{Connection, params};
use tokio::sync::watch;

use crate::checkpoint::{self, Checkpointer};
use crate::sync::{Synced, Syncer};
use crate::{NewEvent, StoreError, now_ms};

/// Requests in one transaction. Bounds how long the first of them waits.
const MAX_BATCH: usize = 512;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The death of the process. Pieces of an answer.
    Process,
    /// The loss of power, from the answer on: others may see it a moment before. Claims, checkpoints, ends.
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
            "INSERT INTO events (id, type, time, subject, data_version, data, correlation, causation, origin)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        statement.execute(params![
            event.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
            event.kind,
            self.now,
            (!event.subject.is_empty()).then_some(&event.subject),
            event.data_version,
            event.data.to_string(),
            event.correlation,
            event.causation,
            event.origin,
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

/// What the writer works with.
pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) path: PathBuf,
    pub(crate) head: watch::Sender<u64>,
}

impl Writer {
    /// Works until all who may send are gone.
    pub(crate) fn run(self, jobs: &mpsc::Receiver<Job>) {
        let Self { conn, path, head } = self;
        let syncer = Syncer::start(&path, head);
        let level = if syncer.is_apart() { "NORMAL" } else { "FULL" };
        if let Err(error) = conn.pragma_update(None, "synchronous", level) {
            tracing::error!(%error, "the database cannot be set up");
            return;
        }
        let mut checkpointer = Checkpointer::of(&path, &conn);
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            commit(&conn, batch, &syncer);
            checkpointer.committed();
        }
        // Everybody is answered, and nobody else works on the file any more.
        drop((syncer, checkpointer));
        // Folds the log of the database back into it, so that a stopped Podium is one file.
        let _ = conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }
}

/// Requests that ran and wait for the commit.
#[derive(Default)]
struct Ran {
    finishers: Vec<(Durability, Finish)>,
    newest: u64,
}

impl Ran {
    fn fail(self, reason: &str) {
        for (_, finish) in self.finishers {
            finish(Err(reason.to_owned()));
        }
    }

    /// Answers those that survive what they asked for; the others are answered once they do.
    fn committed(self, syncer: &Syncer) {
        let newest = self.newest;
        let (now, later): (Vec<_>, Vec<_>) =
            self.finishers.into_iter().partition(|(durability, _)| *durability == Durability::Process);
        if !now.is_empty() || later.is_empty() {
            // Whoever is answered finds its events.
            syncer.publish(newest);
        }
        now.into_iter().for_each(|(_, finish)| finish(Ok(())));
        if !later.is_empty() {
            let finishers = later.into_iter().map(|(_, finish)| finish).collect();
            syncer.committed(Synced { finishers, newest });
        }
    }
}

fn commit(conn: &Connection, batch: Vec<Job>, syncer: &Syncer) {
    if syncer.is_broken() {
        tracing::error!("requests are refused since the disk failed; start the daemon again");
        // Their channels close, which they report as transactions that were not committed.
        return;
    }
    let mut ran = Ran::default();
    // One request alone is undone together with its transaction.
    let alone = batch.len() == 1;
    for job in batch {
        if conn.is_autocommit()
            && let Err(error) = step(conn, "BEGIN IMMEDIATE")
        {
            tracing::error!(%error, "no transaction could be begun");
            // The requester's channel closes, which it reports as a transaction that was not committed.
            continue;
        }
        if alone {
            run_alone(conn, job, &mut ran);
        } else {
            run_one(conn, job, &mut ran);
        }
        if conn.is_autocommit() && !alone {
            // SQLite gave up the whole transaction, as it may on a full disk: what ran before is undone too.
            std::mem::take(&mut ran).fail("an error of the disk undid the transaction");
        }
    }
    if conn.is_autocommit() {
        return;
    }
    match step(conn, "COMMIT") {
        Ok(()) => ran.committed(syncer),
        Err(error) => {
            tracing::error!(%error, "a transaction was not committed");
            let _ = conn.execute_batch("ROLLBACK");
            // What the log holds is copied, so that it can begin anew: a full disk still takes small changes.
            let _ = checkpoint::copy(conn);
            ran.fail(&error.to_string());
        }
    }
}

/// Each is parsed once.
fn step(conn: &Connection, sql: &'static str) -> Result<(), rusqlite::Error> {
    conn.prepare_cached(sql)?.execute([]).map(drop)
}

/// Runs the only request of a transaction.
fn run_alone(conn: &Connection, job: Job, ran: &mut Ran) {
    let tx = Tx { conn, now: now_ms(), newest: Cell::new(0) };
    match catch_unwind(AssertUnwindSafe(|| (job.work)(&tx))) {
        Ok((true, finish)) if !conn.is_autocommit() => {
            ran.newest = tx.newest.get();
            ran.finishers.push((job.durability, finish));
        }
        Ok((true, finish)) => finish(Err("an error of the disk undid the transaction".to_owned())),
        Ok((false, finish)) => {
            let _ = conn.execute_batch("ROLLBACK");
            finish(Ok(()));
        }
        Err(_) => {
            tracing::error!("a request to the store panicked and was rolled back");
            let _ = conn.execute_batch("ROLLBACK");
        }
    }
}

/// Runs one request in a savepoint. One that panics, or whose savepoint fails, is not answered: its channel closes.
fn run_one(conn: &Connection, job: Job, ran: &mut Ran) {
    if let Err(error) = step(conn, "SAVEPOINT request") {
        tracing::error!(%error, "a savepoint could not be made");
        return;
    }
    let tx = Tx { conn, now: now_ms(), newest: Cell::new(0) };
    let Ok((keep, finish)) = catch_unwind(AssertUnwindSafe(|| (job.work)(&tx))) else {
        tracing::error!("a request to the store panicked and was rolled back");
        let _ = conn.execute_batch("ROLLBACK TO request; RELEASE request");
        return;
    };
    let ended = if keep {
        step(conn, "RELEASE request")
    } else {
        conn.execute_batch("ROLLBACK TO request; RELEASE request")
    };
    match ended {
        Ok(()) if keep => ran.newest = ran.newest.max(tx.newest.get()),
        Ok(()) => {}
        // The transaction is gone already; the request's own error says why.
        Err(_) if !keep => {}
        Err(error) => {
            tracing::error!(%error, "a savepoint could not be ended");
            return;
        }
    }
    let survives = if keep { job.durability } else { Durability::Process };
    ran.finishers.push((survives, finish));
}
