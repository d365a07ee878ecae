//! The record of runs over the store: what happened, its events and the counts of the run in one transaction.
//!
//! While a transaction runs, what comes meanwhile becomes the next batch, so that a run of 10,000 nodes that do nothing
//! takes a few transactions. For the same reason the nodes of a batch that came to the same end share one event.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use podium_pit::dag::{
    Batch, Durability as Wanted, Journal, JournalError, NodePath, Outcome, Record, RunId, RunState,
};
use podium_protocol::MelodyRunStatus;
use podium_store::rusqlite::params;
use podium_store::{Durability, NewEvent, Store, StoreError, Tx};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::rows;

/// Names of nodes that one event tells; of more it tells how many there are.
const NAMED: usize = 100;

/// A run that this daemon works on.
pub(super) struct Slot {
    pub(super) id: String,
    pub(super) number: i64,
    melody: String,
    /// Nodes whose work a session does.
    instruments: HashSet<String>,
    next_seq: AtomicU64,
    /// Rises with what is stored.
    told: watch::Sender<u64>,
    /// Time that earlier daemons worked on it, microseconds.
    before: u64,
    since: Instant,
}

impl Slot {
    pub(super) fn new(row: &rows::RunRow, instruments: HashSet<String>, last_seq: u64) -> Arc<Self> {
        Arc::new(Self {
            id: row.id.clone(),
            number: row.number,
            melody: row.melody.clone(),
            instruments,
            next_seq: AtomicU64::new(last_seq + 1),
            told: watch::channel(last_seq).0,
            before: row.elapsed_us,
            since: Instant::now(),
        })
    }

    /// Wakes with what is stored of the run. Ends with the run.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    /// The row of the run changed.
    pub(super) fn tell(&self) {
        self.told.send_modify(|_| {});
    }

    pub(super) fn elapsed_us(&self) -> u64 {
        self.before + u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX / 2)
    }

    fn session_of(&self, node: &NodePath, key: &str) -> Option<String> {
        let id = node.as_str().split('[').next().unwrap_or_default();
        self.instruments.contains(id).then(|| super::operators::session_of_key(key))
    }
}

/// The journal of all runs.
pub(super) struct StoreJournal {
    store: Store,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    suspended: AtomicBool,
}

impl StoreJournal {
    pub(super) fn new(store: Store) -> Self {
        Self { store, slots: Mutex::default(), suspended: AtomicBool::new(false) }
    }

    /// From now on records of this run are taken.
    pub(super) fn open(&self, slot: Arc<Slot>) {
        self.table().insert(slot.id.clone(), slot);
    }

    pub(super) fn close(&self, run: &str) {
        self.table().remove(run);
    }

    pub(super) fn slot(&self, run: &str) -> Option<Arc<Slot>> {
        self.table().get(run).cloned()
    }

    /// The daemon ends: what happens from now on happens again in the next one.
    pub(super) fn suspend(&self) {
        self.suspended.store(true, Ordering::Release);
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Acquire)
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for StoreJournal {
    fn append(&self, batch: Batch) -> BoxFuture<'static, Result<(), JournalError>> {
        let (store, slot) =
            (self.store.clone(), self.slot(batch.run.as_str()).filter(|_| !self.is_suspended()));
        async move {
            let slot = slot.ok_or_else(|| unknown(&batch.run))?;
            let durability = match batch.durability {
                Wanted::Lax => Durability::Process,
                Wanted::Strict => Durability::Power,
            };
            let lines: Vec<Line> = batch.records.iter().map(|record| Line::of(&slot, record)).collect();
            let last = lines.last().map_or(0, |line| line.seq);
            let written = Arc::clone(&slot);
            let write = store.write::<(), StoreError>(durability, move |tx| write(tx, &written, &lines));
            write.await.map_err(|error| JournalError(Box::new(error)))?;
            slot.told.send_replace(last);
            Ok(())
        }
        .boxed()
    }
}

fn unknown(run: &RunId) -> JournalError {
    JournalError(format!("the run {run} is not open").into())
}

/// A record as its row.
struct Line {
    seq: u64,
    node: Option<String>,
    state: &'static str,
    attempt: u32,
    took: Option<u64>,
    at: u64,
    session: Option<String>,
    text: String,
    change: Change,
}

/// What it does to the counts and states that the row of the run tells.
enum Change {
    None,
    Ended,
    Forgotten,
    Run(RunState, Option<String>),
}

impl Line {
    fn of(slot: &Slot, record: &Record) -> Self {
        let mut line = Self {
            seq: slot.next_seq.fetch_add(1, Ordering::Relaxed),
            node: None,
            state: "run",
            attempt: 0,
            took: None,
            at: 0,
            session: None,
            text: serde_json::to_string(record).unwrap_or_default(),
            change: Change::None,
        };
        match record {
            Record::Run { state, at, error } => {
                line.at = *at;
                line.change = Change::Run(*state, error.clone());
            }
            Record::Started { node, attempt, key, at } => {
                line.session = slot.session_of(node, key.as_str());
                line.about(node, "executing", *attempt, *at);
            }
            Record::Retrying { node, attempt, at, .. } => line.about(node, "retrying", *attempt, *at),
            Record::GaveUp { node, attempt, at, .. } => line.about(node, "retrying", *attempt, *at),
            Record::Ended(ended) => {
                let state = match ended.outcome {
                    Outcome::Completed { .. } => "completed",
                    Outcome::Failed { .. } => "failed",
                    Outcome::Skipped { .. } => "skipped",
                    Outcome::Cancelled => "cancelled",
                };
                line.about(&ended.node, state, ended.attempt, ended.end);
                line.took = Some(ended.took / 1_000);
                line.change = Change::Ended;
            }
            Record::Forgotten { at, .. } => {
                (line.state, line.at, line.change) = ("forgotten", *at, Change::Forgotten);
            }
        }
        line
    }

    fn about(&mut self, node: &NodePath, state: &'static str, attempt: u32, at: u64) {
        self.node = Some(node.as_str().to_owned());
        (self.state, self.attempt, self.at) = (state, attempt, at);
    }

    /// Whether it counts as one of the run's nodes: a time of a `map` or `loop` does not.
    fn counted(&self) -> bool {
        self.node.as_ref().is_some_and(|node| !node.contains('['))
    }
}

fn write(tx: &Tx<'_>, slot: &Slot, lines: &[Line]) -> Result<(), StoreError> {
    let sql = "INSERT INTO melody_records (run, seq, node, state, attempt, took, at, session, record)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let mut insert = tx.prepare_cached(sql)?;
    for line in lines {
        insert.execute(params![
            slot.number,
            line.seq,
            line.node,
            line.state,
            line.attempt,
            line.took,
            line.at,
            line.session,
            line.text
        ])?;
    }
    count(tx, slot, lines)?;
    for line in lines {
        if let Change::Run(state, error) = &line.change {
            set_status(tx, slot, *state, error.as_deref())?;
        }
    }
    announce(tx, slot, lines)
}

fn count(tx: &Tx<'_>, slot: &Slot, lines: &[Line]) -> Result<(), StoreError> {
    let ended = |state: &str| {
        lines.iter().filter(|l| matches!(l.change, Change::Ended) && l.counted() && l.state == state).count()
    };
    let sql =
        "UPDATE melody_runs SET completed = completed + ?2, failed = failed + ?3, skipped = skipped + ?4,
        elapsed_us = ?5 WHERE number = ?1";
    let (completed, failed, skipped) = (ended("completed"), ended("failed"), ended("skipped"));
    tx.prepare_cached(sql)?.execute(params![slot.number, completed, failed, skipped, slot.elapsed_us()])?;
    if lines.iter().any(|line| matches!(line.change, Change::Forgotten)) {
        rows::recount(tx, slot.number)?;
    }
    Ok(())
}

fn set_status(tx: &Tx<'_>, slot: &Slot, state: RunState, error: Option<&str>) -> Result<(), StoreError> {
    let Some(status) = status_of(state) else { return Ok(()) };
    // Its end is written with its outputs.
    if status.is_over() {
        return Ok(());
    }
    let sql = "UPDATE melody_runs SET status = ?2, error = ?3 WHERE number = ?1 AND ended_at IS NULL";
    tx.prepare_cached(sql)?.execute(params![slot.number, status.as_str(), error])?;
    let kind = match status {
        MelodyRunStatus::Executing => "run.executing",
        MelodyRunStatus::Paused => "run.paused",
        _ => return Ok(()),
    };
    tx.emit(&event(kind, slot, json!({ "run": slot.id, "melody": slot.melody })))?;
    Ok(())
}

/// One event for a node that acts; those of one batch that came to the same end share one.
fn announce(tx: &Tx<'_>, slot: &Slot, lines: &[Line]) -> Result<(), StoreError> {
    let mut by_state: BTreeMap<&'static str, Vec<&Line>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.node.is_some()) {
        by_state.entry(line.state).or_default().push(line);
    }
    for (state, lines) in by_state {
        let kind = match state {
            "executing" => "node.started",
            "retrying" => "node.retrying",
            "completed" => "node.completed",
            "failed" => "node.failed",
            "skipped" => "node.skipped",
            _ => "node.cancelled",
        };
        let nodes: Vec<Value> = lines.iter().take(NAMED).map(|line| json!(line.node)).collect();
        let data = json!({
            "run": slot.id, "melody": slot.melody, "nodes": nodes, "count": lines.len(), "attempt": lines[0].attempt,
        });
        tx.emit(&event(kind, slot, data))?;
    }
    Ok(())
}

pub(super) fn event(kind: &'static str, slot: &Slot, data: Value) -> NewEvent {
    NewEvent::new(kind, format!("run/{}", slot.id), data).correlated(slot.id.clone())
}

/// As the protocol calls it; `None` before it is queued.
pub(super) fn status_of(state: RunState) -> Option<MelodyRunStatus> {
    Some(match state {
        RunState::Draft | RunState::Validating | RunState::Ready => return None,
        RunState::Queued => MelodyRunStatus::Queued,
        RunState::Executing => MelodyRunStatus::Executing,
        RunState::Paused => MelodyRunStatus::Paused,
        RunState::Completed => MelodyRunStatus::Completed,
        RunState::Failed => MelodyRunStatus::Failed,
        RunState::Cancelled => MelodyRunStatus::Cancelled,
    })
}
