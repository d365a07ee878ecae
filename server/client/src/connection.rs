//! One live connection: a task that reads, a task that writes, and the table of who waits for what.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use podium_protocol::{
    DaemonStopping, Frame, FrameError, Hello, Incoming, MAX_FRAME, Notify, Outcome, OutgoingRequest,
    PROTOCOL_VERSION, Progress, SessionUpdate, StopReason, Welcome, WireError, notify,
};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

type Wire = Framed<UnixStream, LengthDelimitedCodec>;

/// Longest time for the daemon's answer to a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that may wait for the socket; more make the caller wait.
const OUTGOING: usize = 256;
/// Notifications of one subscription that may wait for their reader. One that falls further behind is cut off and
/// reads on from the store, so that a slow reader costs neither memory nor the other requests their answers.
const SUBSCRIPTION_BACKLOG: usize = 4096;

/// Why the connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    No,
    Lost,
    Stopped(StopReason),
}

pub(crate) struct Connection {
    pub(crate) welcome: Welcome,
    outgoing: mpsc::Sender<Bytes>,
    waiting: Arc<Mutex<Waiting>>,
    closed: watch::Receiver<Closed>,
    next_id: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    calls: HashMap<u64, Call>,
    subscriptions: HashMap<u64, mpsc::Sender<Told>>,
    ended: bool,
}

/// What a subscription is told.
pub(crate) enum Told {
    Session(Box<SessionUpdate>),
    Other(Notify),
}

struct Call {
    reply: oneshot::Sender<Outcome>,
    progress: Option<mpsc::UnboundedSender<Progress>>,
    /// Receives the notifications of the subscription that the answer opens.
    stream: Option<mpsc::Sender<Told>>,
}

/// A handshake failed: by the daemon's refusal, or because what had accepted the connection went away.
pub(crate) enum OpenError {
    Refused(WireError),
    /// A daemon that was just killed: its socket still took the connection.
    Gone,
}

/// Makes the frame of a request of this id.
pub(crate) type EncodeRequest<'a> = &'a (dyn Fn(u64) -> Result<Vec<u8>, FrameError> + Sync);

/// A call failed: by the daemon's answer, or because the connection broke before one came.
pub(crate) enum CallError {
    Answered(WireError),
    Broken,
}

impl Connection {
    /// Shakes hands and starts the two tasks.
    pub(crate) async fn open(stream: UnixStream, hello: Hello) -> Result<Self, OpenError> {
        let codec = LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME).new_codec();
        let mut wire = Framed::new(stream, codec);
        let welcome =
            tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake(&mut wire, hello)).await.map_err(|_| {
                OpenError::Refused(WireError::unavailable("the daemon does not answer the handshake"))
            })??;
        let (sink, source) = wire.split();
        let (outgoing, queue) = mpsc::channel(OUTGOING);
        let (close, closed) = watch::channel(Closed::No);
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        tokio::spawn(write_frames(sink, queue));
        tokio::spawn(read_frames(source, Arc::clone(&waiting), close));
        Ok(Self { welcome, outgoing, waiting, closed, next_id: AtomicU64::new(1) })
    }

    pub(crate) fn closed(&self) -> watch::Receiver<Closed> {
        self.closed.clone()
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.closed.borrow() == Closed::No
    }

    /// Sends the request that `encode` makes of an id and waits for its answer. Dropping the future tells the daemon
    /// to stop.
    pub(crate) async fn call(
        &self,
        encode: EncodeRequest<'_>,
        progress: Option<mpsc::UnboundedSender<Progress>>,
    ) -> Result<Value, CallError> {
        self.send(encode, progress, None).await
    }

    /// As [`Connection::call`], for a method that opens a subscription.
    pub(crate) async fn open_stream(
        &self,
        encode: EncodeRequest<'_>,
    ) -> Result<(Value, mpsc::Receiver<Told>), CallError> {
        let (sender, receiver) = mpsc::channel(SUBSCRIPTION_BACKLOG);
        let answer = self.send(encode, None, Some(sender)).await?;
        Ok((answer, receiver))
    }

    async fn send(
        &self,
        encode: EncodeRequest<'_>,
        progress: Option<mpsc::UnboundedSender<Progress>>,
        stream: Option<mpsc::Sender<Told>>,
    ) -> Result<Value, CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = encode(id).map_err(|error| {
            CallError::Answered(WireError::user(format!("the request cannot be sent: {error}")))
        })?;
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = lock(&self.waiting);
            if waiting.ended {
                return Err(CallError::Broken);
            }
            waiting.calls.insert(id, Call { reply, progress, stream });
        }
        let guard = CancelOnDrop { connection: self, id, armed: true };
        self.outgoing.send(Bytes::from(request)).await.map_err(|_| CallError::Broken)?;
        let outcome = answer.await;
        guard.disarm();
        match outcome {
            Ok(Outcome::Ok(value)) => Ok(value),
            Ok(Outcome::Err(error)) => Err(CallError::Answered(error)),
            Err(_) => Err(CallError::Broken),
        }
    }

    /// Forgets a subscription; the daemon is told without waiting.
    pub(crate) fn end_stream(&self, subscription: u64) {
        lock(&self.waiting).subscriptions.remove(&subscription);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let params = serde_json::json!({ "subscription": subscription });
        let env = BTreeMap::new();
        let request = OutgoingRequest { id, method: "unsubscribe", params: &params, env: &env };
        self.try_send(request.encode());
    }

    /// Sends what nobody waits for, while there is room.
    fn try_send(&self, frame: Result<Vec<u8>, FrameError>) {
        if let Ok(bytes) = frame {
            let _ = self.outgoing.try_send(Bytes::from(bytes));
        }
    }
}

struct CancelOnDrop<'a> {
    connection: &'a Connection,
    id: u64,
    armed: bool,
}

impl CancelOnDrop<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            lock(&self.connection.waiting).calls.remove(&self.id);
            self.connection.try_send(Frame::Cancel(self.id).encode());
        }
    }
}

async fn handshake(wire: &mut Wire, hello: Hello) -> Result<Welcome, OpenError> {
    let bytes = Frame::Hello(hello).encode();
    let bytes = bytes.map_err(|e| OpenError::Refused(WireError::internal(e.to_string())))?;
    wire.send(Bytes::from(bytes)).await.map_err(|_| OpenError::Gone)?;
    let answer = wire.next().await.ok_or(OpenError::Gone)?.map_err(|_| OpenError::Gone)?;
    match Frame::decode(&answer) {
        Ok(Frame::Welcome(welcome)) => Ok(welcome),
        Ok(Frame::Refused(error)) => Err(OpenError::Refused(error)),
        _ => Err(OpenError::Refused(WireError::unavailable(format!(
            "what answers on the daemon's socket does not speak protocol {PROTOCOL_VERSION}"
        )))),
    }
}

async fn write_frames(mut sink: SplitSink<Wire, Bytes>, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(frame) = queue.recv().await {
        // Frames that wait already go out in one write.
        let mut next = Some(frame);
        while let Some(frame) = next {
            if sink.feed(frame).await.is_err() {
                return;
            }
            next = queue.try_recv().ok();
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

async fn read_frames(
    mut source: SplitStream<Wire>,
    waiting: Arc<Mutex<Waiting>>,
    close: watch::Sender<Closed>,
) {
    let mut reason = Closed::Lost;
    while let Some(Ok(bytes)) = source.next().await {
        match Incoming::decode(&bytes) {
            Ok(Incoming::Session(update)) => {
                deliver_to(&waiting, update.subscription, Told::Session(Box::new(update)));
            }
            Ok(Incoming::Frame(Frame::Response(response))) => answer(&waiting, response.id, response.outcome),
            Ok(Incoming::Frame(Frame::Notify(message))) if message.method == notify::DAEMON_STOPPING => {
                let stopping = serde_json::from_value::<DaemonStopping>(message.params);
                reason = Closed::Stopped(stopping.map_or(StopReason::Deliberate, |s| s.reason));
            }
            Ok(Incoming::Frame(Frame::Notify(message))) => deliver(&waiting, message),
            Ok(Incoming::Frame(_)) => {}
            Err(error) => {
                tracing::error!(%error, "the daemon sent what cannot be read");
                break;
            }
        }
    }
    {
        let mut waiting = lock(&waiting);
        waiting.ended = true;
        waiting.calls.clear();
        waiting.subscriptions.clear();
    }
    close.send_replace(reason);
}

fn answer(waiting: &Mutex<Waiting>, id: u64, outcome: Outcome) {
    let mut waiting = lock(waiting);
    let Some(call) = waiting.calls.remove(&id) else { return };
    // Registered before the next frame is read, so that no notification of the new subscription is missed.
    if let (Some(stream), Outcome::Ok(value)) = (call.stream, &outcome)
        && let Some(subscription) = value["subscription"].as_u64()
    {
        waiting.subscriptions.insert(subscription, stream);
    }
    let _ = call.reply.send(outcome);
}

fn deliver(waiting: &Mutex<Waiting>, message: Notify) {
    if message.method == notify::PROGRESS {
        if let Ok(progress) = serde_json::from_value::<Progress>(message.params)
            && let Some(Call { progress: Some(channel), .. }) = lock(waiting).calls.get(&progress.request)
        {
            let _ = channel.send(progress);
        }
        return;
    }
    let Some(subscription) = message.params["subscription"].as_u64() else { return };
    deliver_to(waiting, subscription, Told::Other(message));
}

/// A subscription that does not keep up is cut off.
fn deliver_to(waiting: &Mutex<Waiting>, subscription: u64, told: Told) {
    let mut waiting = lock(waiting);
    if let Some(channel) = waiting.subscriptions.get(&subscription)
        && channel.try_send(told).is_err()
    {
        waiting.subscriptions.remove(&subscription);
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
