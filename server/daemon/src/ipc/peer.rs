//! The other side of a connection, as handlers reach it: its identity, its subscriptions, and the way to it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use podium_protocol::{Caller, Frame, MAX_FRAME, Outcome, OutgoingNotify, Response, WireError};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Subscriptions one connection may have open.
const MAX_SUBSCRIPTIONS: usize = 256;

/// Bytes of answers and notifications that may wait for a slow client: two frames of the largest kind.
const ROOM: usize = 2 * MAX_FRAME;

/// A frame on its way out. Its room is free again when it is written.
pub(crate) struct Outgoing {
    pub(crate) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

pub(crate) struct Peer {
    pub(crate) caller: Caller,
    /// Name of the client program, for logs.
    pub(crate) client: String,
    pub(crate) pid: u32,
    /// Ends everything that was started for this connection.
    pub(crate) gone: CancellationToken,
    outgoing: mpsc::Sender<Outgoing>,
    /// Bytes that may still be queued.
    room: Arc<Semaphore>,
    next_subscription: AtomicU64,
    subscriptions: Mutex<HashMap<u64, AbortHandle>>,
    /// Subscriptions that begin once the request that opened them is answered, by that request.
    waiting: Mutex<HashMap<u64, oneshot::Sender<()>>>,
}

impl Peer {
    pub(crate) fn new(caller: Caller, client: String, pid: u32, outgoing: mpsc::Sender<Outgoing>) -> Self {
        Self {
            caller,
            client,
            pid,
            gone: CancellationToken::new(),
            outgoing,
            room: Arc::new(Semaphore::new(ROOM)),
            next_subscription: AtomicU64::new(1),
            subscriptions: Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    /// Sends a frame, waiting while the client is slow. False when the connection is gone.
    pub(crate) async fn send(&self, frame: Frame) -> bool {
        self.send_bytes(encode(frame)).await
    }

    /// Sends a notification, waiting while the client is slow. False when the connection is gone.
    pub(crate) async fn notify(&self, method: &str, params: &impl Serialize) -> bool {
        match encode_notify(method, params) {
            Some(bytes) => self.send_bytes(bytes).await,
            None => false,
        }
    }

    /// Sends a notification that may be left out when the client is slow.
    pub(crate) fn notify_lossy(&self, method: &str, params: &impl Serialize) {
        let Some(bytes) = encode_notify(method, params) else { return };
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(needed(&bytes)) {
            let _ = self.outgoing.try_send(Outgoing { bytes, _room: room });
        }
    }

    async fn send_bytes(&self, bytes: Bytes) -> bool {
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(needed(&bytes)).await else { return false };
        self.outgoing.send(Outgoing { bytes, _room: room }).await.is_ok()
    }

    /// A number for a new subscription; `None` when there are too many.
    pub(crate) fn reserve(&self) -> Option<u64> {
        if self.table().len() >= MAX_SUBSCRIPTIONS {
            return None;
        }
        Some(self.next_subscription.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs a subscription until it ends by itself, is ended, or the connection is gone. It begins when its request is
    /// answered: a notification that overtook the answer would be nobody's.
    pub(crate) fn run(
        self: &Arc<Self>,
        request: u64,
        id: u64,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let peer = Arc::clone(self);
        let (gate, answered) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(request, gate);
        let task = async move {
            if answered.await.is_ok() {
                task.await;
            }
        };
        let mut table = self.table();
        let handle = tokio::spawn(async move {
            tokio::select! {
                () = task => {}
                () = peer.gone.cancelled() => {}
            }
            peer.table().remove(&id);
        });
        table.insert(id, handle.abort_handle());
    }

    /// The request was answered, or never will be: the subscription that it opened begins, or ends.
    pub(crate) fn settled(&self, request: u64, answered: bool) {
        let gate = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&request);
        if let Some(gate) = gate.filter(|_| answered) {
            let _ = gate.send(());
        }
    }

    /// Ends a subscription. False when there is none of this number.
    pub(crate) fn end(&self, id: u64) -> bool {
        self.table().remove(&id).is_some_and(|handle| {
            handle.abort();
            true
        })
    }

    fn table(&self) -> MutexGuard<'_, HashMap<u64, AbortHandle>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that is too large for a frame becomes an error that says so.
fn encode(frame: Frame) -> Bytes {
    let id = match &frame {
        Frame::Response(response) => Some(response.id),
        _ => None,
    };
    let bytes = frame.encode().or_else(|error| {
        tracing::error!(%error, "a message could not be sent");
        let error = WireError::internal(format!("the answer cannot be sent: {error}"));
        Frame::Response(Response { id: id.unwrap_or(0), outcome: Outcome::Err(error) }).encode()
    });
    Bytes::from(bytes.unwrap_or_default())
}

/// One that is too large for a frame is nobody's.
fn encode_notify(method: &str, params: &impl Serialize) -> Option<Bytes> {
    let bytes = OutgoingNotify { method, params }.encode();
    bytes
        .map(Bytes::from)
        .inspect_err(|error| tracing::error!(method, %error, "a notification is not sent"))
        .ok()
}

fn needed(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len().min(ROOM)).unwrap_or(u32::MAX)
}
