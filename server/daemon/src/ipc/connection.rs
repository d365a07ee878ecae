//! One connection: handshake, then requests in any order, answered as they finish.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use podium_protocol::{
    Caller, DaemonStopping, Frame, Hello, MAX_FRAME, Outcome, PROTOCOL_VERSION, Request, Response, Welcome,
    WireError, notify,
};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;

use crate::call::{Call, dispatch};
use crate::home::same_token;
use crate::ipc::Capability;
use crate::ipc::limit::TokenBucket;
use crate::ipc::peer::{Outgoing, Peer};
use crate::state::{Daemon, ended};

type Wire = Framed<UnixStream, LengthDelimitedCodec>;

/// Longest time for the first frame.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Frames that may wait for a slow client. What is behind them waits where it comes from.
const OUTGOING: usize = 256;
/// Requests of one connection that may run at one time.
const IN_FLIGHT: usize = 512;
/// The same for an agent's: what it asks for at once must leave room for everybody else.
const AGENT_IN_FLIGHT: usize = 16;
/// A client that takes nothing for so long is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest first frame, in bytes: who has not proven anything gets little memory.
const MAX_HELLO: usize = 64 * 1024;

/// Serves one client until it leaves or the daemon ends.
pub(crate) async fn serve(daemon: Arc<Daemon>, stream: UnixStream, capability: Option<Capability>) {
    let codec = LengthDelimitedCodec::builder().max_frame_length(MAX_HELLO).new_codec();
    let mut wire = Framed::new(stream, codec);
    let Ok(Some(hello)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, read_hello(&mut wire)).await else {
        return;
    };
    let closed = capability.as_ref().map(|c| c.closed.clone()).unwrap_or_default();
    let caller = match check(&daemon, &hello, capability.map(|c| c.caller)) {
        Ok(caller) => caller,
        Err(error) => {
            tracing::warn!(client = hello.client, pid = hello.pid, %error, "refused a connection");
            let _ = tokio::time::timeout(HANDSHAKE_TIMEOUT, send(&mut wire, Frame::Refused(error))).await;
            return;
        }
    };
    let pid = wire.get_ref().peer_cred().ok().and_then(|c| c.pid()).and_then(|p| u32::try_from(p).ok());
    if send(&mut wire, Frame::Welcome(welcome(&daemon, caller.clone()))).await.is_err() {
        return;
    }
    wire.codec_mut().set_max_frame_length(MAX_FRAME);
    tracing::debug!(client = hello.client, pid, "connected");
    daemon.clients.fetch_add(1, Ordering::Relaxed);
    daemon.activity.notify_waiters();
    let (sink, source) = wire.split();
    let (outgoing, queue) = mpsc::channel(OUTGOING);
    let peer = Arc::new(Peer::new(caller, hello.client, pid.unwrap_or(hello.pid), outgoing));
    let writing = tokio::spawn(write_frames(sink, queue, peer.gone.clone()));
    tokio::select! {
        () = read_frames(&daemon, &peer, source) => {}
        () = closed.cancelled() => {}
    }
    peer.gone.cancel();
    drop(peer);
    let _ = writing.await;
    daemon.clients.fetch_sub(1, Ordering::Relaxed);
    daemon.activity.notify_waiters();
}

async fn read_hello(wire: &mut Wire) -> Option<Hello> {
    match wire.next().await?.map(|bytes| Frame::decode(&bytes)) {
        Ok(Ok(Frame::Hello(hello))) => Some(hello),
        Ok(_) => {
            let error = WireError::user("the first message must be a handshake");
            let _ = send(wire, Frame::Refused(error)).await;
            None
        }
        Err(error) => {
            let error = WireError::user(format!("the first message cannot be read: {error}"));
            let _ = send(wire, Frame::Refused(error)).await;
            None
        }
    }
}

async fn send(wire: &mut Wire, frame: Frame) -> Result<(), std::io::Error> {
    let bytes = frame.encode().map_err(std::io::Error::other)?;
    wire.send(Bytes::from(bytes)).await
}

fn check(daemon: &Daemon, hello: &Hello, capability: Option<Caller>) -> Result<Caller, WireError> {
    if hello.protocol != PROTOCOL_VERSION {
        return Err(WireError::user(format!(
            "the daemon speaks protocol {PROTOCOL_VERSION}, this client {}",
            hello.protocol
        ))
        .hint("use client and daemon of the same version: `podium daemon stop`, then try again"));
    }
    if let Some(caller) = capability {
        return Ok(caller);
    }
    match &hello.token {
        Some(token) if same_token(token, &daemon.token) => Ok(Caller::Person),
        _ => Err(WireError::user("the token is missing or wrong")
            .hint("it lies in the file `token` of PODIUM_HOME, readable by the user only")
            .hint("an agent uses the socket that PODIUM_SOCKET names")),
    }
}

fn welcome(daemon: &Daemon, caller: Caller) -> Welcome {
    Welcome {
        protocol: PROTOCOL_VERSION,
        version: daemon.version.clone(),
        pid: std::process::id(),
        instance: daemon.instance.clone(),
        head_seq: daemon.store.head(),
        caller,
    }
}

/// Requests that run, so that they can be cancelled.
type Running = Arc<Mutex<HashMap<u64, CancellationToken>>>;

async fn read_frames(daemon: &Arc<Daemon>, peer: &Arc<Peer>, mut source: SplitStream<Wire>) {
    let mut bucket = bucket(daemon, peer);
    let agent = matches!(peer.caller, Caller::Agent { .. });
    let slots = Arc::new(Semaphore::new(if agent { AGENT_IN_FLIGHT } else { IN_FLIGHT }));
    let running = Running::default();
    let mut ending = daemon.ending.subscribe();
    let mut told = false;
    // Registered once, not anew with every frame.
    let (end, gone) = (ended(&mut ending), peer.gone.cancelled());
    tokio::pin!(end, gone);
    loop {
        let frame = tokio::select! {
            biased;
            reason = &mut end, if !told => {
                told = true;
                peer.notify_lossy(notify::DAEMON_STOPPING, &DaemonStopping { reason });
                continue;
            }
            () = &mut gone => return,
            frame = source.next() => frame,
        };
        let bytes = match frame {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => {
                tracing::warn!(client = peer.client, pid = peer.pid, %error, "closing a connection");
                return;
            }
            None => return,
        };
        match Frame::decode(&bytes) {
            Ok(Frame::Request(request)) => {
                let id = request.id;
                if !bucket.take(Instant::now()) {
                    answer(peer, id, Err(busy("too many requests in a short time"))).await;
                } else if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
                    run(daemon, peer, &running, request, slot).await;
                } else {
                    answer(peer, id, Err(busy("too many requests at one time"))).await;
                }
            }
            Ok(Frame::Cancel(id)) => {
                if let Some(token) = running.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
                    token.cancel();
                }
            }
            Ok(_) => tracing::debug!(client = peer.client, "ignored a message that no client sends"),
            Err(error) => {
                tracing::warn!(client = peer.client, pid = peer.pid, %error, "closing a connection");
                return;
            }
        }
    }
}

async fn run(
    daemon: &Arc<Daemon>,
    peer: &Arc<Peer>,
    running: &Running,
    request: Request,
    slot: tokio::sync::OwnedSemaphorePermit,
) {
    let Request { id, method, params, env } = request;
    // Variables decide which programs run and with whose settings: those of an agent are not taken.
    let env = if matches!(peer.caller, Caller::Person) { env } else { BTreeMap::new() };
    let call = Call { daemon: Arc::clone(daemon), peer: Arc::clone(peer), request: id, env };
    if method == "ping" {
        // Answered in place: what measures the way should not measure the scheduler.
        answer(peer, id, dispatch(call, &method, params).await).await;
        return;
    }
    let token = peer.gone.child_token();
    let entry = Arc::clone(running);
    entry.lock().unwrap_or_else(PoisonError::into_inner).insert(id, token.clone());
    let peer = Arc::clone(peer);
    tokio::spawn(async move {
        let _slot = slot;
        let outcome = if may_be_dropped(&method) {
            tokio::select! {
                outcome = dispatch(call, &method, params) => Some(outcome),
                () = token.cancelled() => None,
            }
        } else {
            // A change that has begun is finished, whether or not anybody still waits for the answer.
            Some(dispatch(call, &method, params).await)
        };
        entry.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let answered = outcome.is_some();
        if let Some(outcome) = outcome {
            answer(&peer, id, outcome).await;
        }
        peer.settled(id, answered);
    });
}

/// Requests that wait for something and may be given up in the middle.
fn may_be_dropped(method: &str) -> bool {
    matches!(method, "claim/acquire" | "model/fetch" | "model/verify" | "session/attach" | "events/subscribe")
}

async fn answer(peer: &Peer, id: u64, outcome: Result<serde_json::Value, WireError>) {
    let outcome = match outcome {
        Ok(value) => Outcome::Ok(value),
        Err(error) => Outcome::Err(error),
    };
    peer.send(Frame::Response(Response { id, outcome })).await;
}

fn busy(message: &str) -> WireError {
    WireError::busy(message).hint("wait for answers before sending more")
}

fn bucket(daemon: &Daemon, peer: &Peer) -> TokenBucket {
    let key = match peer.caller {
        Caller::Person => "daemon.requests_per_second",
        Caller::Agent { .. } => "daemon.agent_requests_per_second",
    };
    let rate = f64::from(i32::try_from(daemon.config.get().integer(key)).unwrap_or(i32::MAX));
    TokenBucket::new(rate, Instant::now())
}

async fn write_frames(
    mut sink: SplitSink<Wire, Bytes>,
    mut queue: mpsc::Receiver<Outgoing>,
    gone: CancellationToken,
) {
    while let Some(frame) = queue.recv().await {
        let mut next = Some(frame);
        while let Some(Outgoing { bytes, .. }) = next {
            if !in_time(|cx| sink.poll_ready_unpin(cx)).await || sink.start_send_unpin(bytes).is_err() {
                gone.cancel();
                return;
            }
            next = queue.try_recv().ok();
        }
        if !in_time(|cx| sink.poll_flush_unpin(cx)).await {
            gone.cancel();
            return;
        }
    }
}

/// False for a broken connection, and for a client that takes nothing for too long. While there is room, no timer is
/// made: the usual way of a small answer.
async fn in_time(mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<(), std::io::Error>>) -> bool {
    if let Some(done) = poll_fn(&mut poll).now_or_never() {
        return done.is_ok();
    }
    matches!(tokio::time::timeout(WRITE_TIMEOUT, poll_fn(poll)).await, Ok(Ok(())))
}
