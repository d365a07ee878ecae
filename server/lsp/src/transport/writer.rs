//! The way out: one queue, bounded in messages and bytes, and the task that empties it.

use std::sync::Arc;

use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc};

/// Messages that may wait for a client that does not read.
const MAX_MESSAGES: usize = 1024;
/// Bytes that may wait for it. A single larger message passes alone.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Bytes from which on a write takes no further message along.
const ONE_WRITE: usize = 64 * 1024;

/// The client closed its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputClosed;

/// Where messages are put for the client. All clones share one queue, whose order is the order on the wire.
#[derive(Clone)]
pub(crate) struct Outgoing {
    queue: mpsc::Sender<Vec<u8>>,
    room: Arc<Semaphore>,
}

pub(crate) struct Queue {
    queue: mpsc::Receiver<Vec<u8>>,
    room: Arc<Semaphore>,
}

pub(crate) fn outgoing() -> (Outgoing, Queue) {
    let (sender, receiver) = mpsc::channel(MAX_MESSAGES);
    let room = Arc::new(Semaphore::new(MAX_BYTES));
    (Outgoing { queue: sender, room: Arc::clone(&room) }, Queue { queue: receiver, room })
}

/// As [`Outgoing`], of those who stay when it is closed.
pub(crate) struct WayOut {
    queue: mpsc::WeakSender<Vec<u8>>,
    room: Arc<Semaphore>,
}

impl WayOut {
    /// As [`Outgoing::send`].
    pub(crate) async fn send(&self, message: &impl Serialize) -> Result<(), OutputClosed> {
        let queue = self.queue.upgrade().ok_or(OutputClosed)?;
        Outgoing { queue, room: Arc::clone(&self.room) }.send(message).await
    }
}

impl Outgoing {
    pub(crate) fn way_out(&self) -> WayOut {
        WayOut { queue: self.queue.downgrade(), room: Arc::clone(&self.room) }
    }

    /// Queues a message; waits while the client is behind.
    pub(crate) async fn send(&self, message: &impl Serialize) -> Result<(), OutputClosed> {
        let body = serde_json::to_vec(message).map_err(|_| OutputClosed)?;
        let permits = self.room.acquire_many(weight(&body)).await.map_err(|_| OutputClosed)?;
        permits.forget();
        self.queue.send(body).await.map_err(|_| OutputClosed)
    }

    /// Waits until the client has taken enough for another message to be worth reading.
    pub(crate) async fn has_room(&self) -> Result<(), OutputClosed> {
        drop(self.room.acquire().await.map_err(|_| OutputClosed)?);
        drop(self.queue.reserve().await.map_err(|_| OutputClosed)?);
        Ok(())
    }

    pub(crate) async fn closed(&self) {
        self.queue.closed().await;
    }
}

fn weight(body: &[u8]) -> u32 {
    u32::try_from(body.len().clamp(1, MAX_BYTES)).unwrap_or(u32::MAX)
}

impl Queue {
    /// Writes until all senders are gone or the client closed its end. What waits goes out in one write.
    pub(crate) async fn write_to(mut self, mut output: impl AsyncWrite + Unpin) {
        let mut wire = Vec::new();
        while let Some(body) = self.queue.recv().await {
            let mut permits = 0;
            let mut next = Some(body);
            while let Some(body) = next {
                wire.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
                wire.extend_from_slice(&body);
                permits += weight(&body) as usize;
                next = if wire.len() < ONE_WRITE { self.queue.try_recv().ok() } else { None };
            }
            let wrote = async {
                output.write_all(&wire).await?;
                output.flush().await
            };
            if let Err(error) = wrote.await {
                tracing::info!(%error, "the client no longer reads");
                break;
            }
            self.room.add_permits(permits);
            wire.clear();
            wire.shrink_to(ONE_WRITE);
        }
        self.room.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_stops_the_sender_and_not_the_memory() {
        let (out, queue) = outgoing();
        let (_client, server) = tokio::io::duplex(1024);
        tokio::spawn(queue.write_to(server));
        let big = "x".repeat(MAX_BYTES / 4);
        let sender = out.clone();
        let sent = tokio::spawn(async move {
            for _ in 0..100 {
                sender.send(&big).await.unwrap();
            }
        });
        tokio::task::yield_now().await;
        while out.room.available_permits() > MAX_BYTES / 4 {
            tokio::task::yield_now().await;
        }
        assert!(!sent.is_finished());
        sent.abort();
    }

    #[tokio::test]
    async fn what_waits_goes_out_whole_and_in_order() {
        let (out, queue) = outgoing();
        let bodies: Vec<String> = (0..200).map(|n| format!("{n}{}", "é".repeat(n * 10))).collect();
        for body in &bodies {
            out.send(body).await.unwrap();
        }
        drop(out);
        let mut wire = Vec::new();
        queue.write_to(&mut wire).await;
        let framed = |body: &String| {
            let body = serde_json::to_string(body).unwrap();
            format!("Content-Length: {}\r\n\r\n{body}", body.len())
        };
        assert_eq!(String::from_utf8(wire).unwrap(), bodies.iter().map(framed).collect::<String>());
    }

    #[tokio::test]
    async fn who_stays_does_not_keep_the_way_open() {
        let (out, queue) = outgoing();
        let staying = out.way_out();
        staying.send(&"x").await.unwrap();
        drop(out);
        let mut wire = Vec::new();
        queue.write_to(&mut wire).await;
        assert_eq!(
            (wire.as_slice(), staying.send(&"y").await),
            (b"Content-Length: 3\r\n\r\n\"x\"".as_slice(), Err(OutputClosed))
        );
    }

    #[tokio::test]
    async fn a_closed_output_is_told_to_the_sender() {
        let (out, queue) = outgoing();
        let (client, server) = tokio::io::duplex(64);
        drop(client);
        tokio::spawn(queue.write_to(server));
        while out.send(&"x").await.is_ok() {}
        assert_eq!(out.has_room().await, Err(OutputClosed));
    }
}
