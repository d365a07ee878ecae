//! Groups records into batches for the journal, and tells when they are durable.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use tokio::sync::{Notify, watch};

use super::journal::{Batch, Durability, Journal, JournalError, Record};
use super::names::RunId;

/// The most records of one batch.
const LARGEST: usize = 8_192;

/// The records of one run, on their way. Whatever comes while a batch is written makes up the next one.
#[derive(Debug)]
pub(crate) struct Ledger {
    buffer: Mutex<Buffer>,
    filled: Notify,
    written: watch::Sender<Written>,
}

#[derive(Debug, Default)]
struct Buffer {
    records: Vec<Record>,
    /// Nodes that go on once the records are durable.
    held: Vec<u32>,
    strict: bool,
    /// How many records came so far.
    came: u64,
    /// Nothing is taken any more.
    broken: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Written {
    records: u64,
    broken: bool,
}

/// A number that is reached when the record and all before it are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

/// The journal failed: nothing becomes durable any more.
#[derive(Debug)]
pub(crate) struct Broken;

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { buffer: Mutex::default(), filled: Notify::new(), written: watch::Sender::default() }
    }

    pub(crate) fn append(&self, record: Record, durability: Durability) -> Mark {
        let mark = {
            let mut buffer = self.lock();
            buffer.records.push(record);
            buffer.strict |= durability == Durability::Strict;
            buffer.came += 1;
            Mark(buffer.came)
        };
        self.filled.notify_one();
        mark
    }

    /// Takes all records and the nodes that wait for them; false if nobody would ever let these go on.
    pub(crate) fn append_all(
        &self,
        records: &mut Vec<Record>,
        held: &mut Vec<u32>,
        durability: Durability,
    ) -> bool {
        {
            let mut buffer = self.lock();
            if buffer.broken {
                return false;
            }
            buffer.came += records.len() as u64;
            buffer.records.append(records);
            buffer.held.append(held);
            buffer.strict |= durability == Durability::Strict;
        }
        self.filled.notify_one();
        true
    }

    pub(crate) async fn durable(&self, mark: Mark) -> Result<(), Broken> {
        let mut written = self.written.subscribe();
        let reached = written.wait_for(|written| written.broken || written.records >= mark.0).await;
        match reached {
            Ok(written) if !written.broken => Ok(()),
            _ => Err(Broken),
        }
    }

    /// Writes batches for as long as it is polled, and hands over the nodes that waited for each. Ends only
    /// with an error, and the number of nodes that wait in vain.
    pub(crate) async fn write(
        &self,
        run: &RunId,
        journal: &Arc<dyn Journal>,
        go_on: impl Fn(&[u32]),
    ) -> (JournalError, usize) {
        loop {
            let Some((batch, held)) = self.take(run) else {
                self.filled.notified().await;
                continue;
            };
            let count = batch.records.len() as u64;
            let appended = AssertUnwindSafe(async { journal.append(batch).await }).catch_unwind().await;
            match appended.unwrap_or_else(|_| Err(JournalError("the journal panicked".into()))) {
                Ok(()) => self.written.send_modify(|written| written.records += count),
                Err(error) => {
                    let mut buffer = self.lock();
                    buffer.broken = true;
                    self.written.send_modify(|written| written.broken = true);
                    return (error, held.len() + std::mem::take(&mut buffer.held).len());
                }
            }
            if !held.is_empty() {
                go_on(&held);
            }
        }
    }

    fn take(&self, run: &RunId) -> Option<(Batch, Vec<u32>)> {
        let mut buffer = self.lock();
        if buffer.records.is_empty() {
            return None;
        }
        let durability = if buffer.strict { Durability::Strict } else { Durability::Lax };
        let (records, held) = if buffer.records.len() <= LARGEST {
            buffer.strict = false;
            (std::mem::take(&mut buffer.records), std::mem::take(&mut buffer.held))
        } else {
            // Who waits, waits for the last of them.
            let rest = buffer.records.split_off(LARGEST);
            (std::mem::replace(&mut buffer.records, rest), Vec::new())
        };
        Some((Batch { run: run.clone(), records, durability }, held))
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
