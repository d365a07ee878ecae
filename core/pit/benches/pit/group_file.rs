//! A journal that is one file: each batch is written and synced by one thread.

use std::fs::File;
use std::io::Write as _;
use std::sync::mpsc;
use std::thread;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use podium_pit::dag::{Batch, Journal, JournalError, Record};
use tokio::sync::oneshot;

pub(crate) struct GroupFile(mpsc::Sender<(Batch, oneshot::Sender<std::io::Result<()>>)>);

impl GroupFile {
    pub(crate) fn new(mut file: File) -> Self {
        let (sender, batches) = mpsc::channel::<(Batch, oneshot::Sender<_>)>();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            for (batch, done) in batches {
                bytes.clear();
                batch.records.iter().for_each(|record| encode(record, &mut bytes));
                let _ = done.send(file.write_all(&bytes).and_then(|()| file.sync_data()));
            }
        });
        Self(sender)
    }
}

impl Journal for GroupFile {
    fn append(&self, batch: Batch) -> BoxFuture<'static, Result<(), JournalError>> {
        let (sender, done) = oneshot::channel();
        let sent = self.0.send((batch, sender)).is_ok();
        async move {
            match done.await {
                Ok(Ok(())) if sent => Ok(()),
                Ok(Err(error)) => Err(JournalError(Box::new(error))),
                _ => Err(JournalError("the file is closed".into())),
            }
        }
        .boxed()
    }
}

/// As many bytes as a row of the store has, roughly.
pub(crate) const RECORD: usize = 48;

fn encode(record: &Record, bytes: &mut Vec<u8>) {
    let end = bytes.len() + RECORD;
    if let Record::Ended(ended) = record {
        bytes.extend_from_slice(&ended.end.to_le_bytes());
        bytes.extend_from_slice(&ended.took.to_le_bytes());
        bytes.extend_from_slice(&ended.attempt.to_le_bytes());
        bytes.extend_from_slice(ended.node.as_str().as_bytes());
    }
    bytes.resize(end, 0);
}
