//! The peer of the IPC: a bare tokio ping-pong with the same frames and encoding, its server in a process of its own
//! as the daemon is.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt, StreamExt as _};
use podium_harness::Poll;
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// First argument of this program when it is the peer's server.
pub(crate) const SERVE: &str = "--serve-raw";

type Wire = Framed<UnixStream, LengthDelimitedCodec>;

/// As much as the protocol's own frames of a `ping` hold.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Request { id: u64, method: String, params: Ping },
    Response { id: u64, outcome: Outcome },
}

#[derive(Serialize, Deserialize)]
struct Ping {
    payload: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok(Ping),
}

/// The server's whole life: until it is killed.
pub(crate) fn serve(socket: Option<&str>) -> ExitCode {
    // As many threads as the daemon has.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let (Ok(runtime), Some(socket)) = (runtime, socket) else { return ExitCode::FAILURE };
    let listening = runtime.block_on(async {
        let listener = UnixListener::bind(socket)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(answer_all(stream));
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        Ok::<(), std::io::Error>(())
    });
    if listening.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Answers what has arrived, then writes once.
async fn answer_all(stream: UnixStream) -> Result<()> {
    let mut wire = framed(stream);
    while let Some(frame) = wire.next().await {
        let mut frame = frame?;
        loop {
            let Message::Request { id, params, .. } = rmp_serde::from_slice(&frame)? else {
                bail!("not a request");
            };
            wire.feed(encode(&Message::Response { id, outcome: Outcome::Ok(params) })?).await?;
            match wire.next().now_or_never() {
                Some(Some(next)) => frame = next?,
                _ => break,
            }
        }
        flush(&mut wire).await?;
    }
    Ok(())
}

fn framed(stream: UnixStream) -> Wire {
    Framed::new(stream, LengthDelimitedCodec::builder().max_frame_length(16 << 20).new_codec())
}

/// The codec takes several kinds of bytes, so the kind is said.
async fn flush(wire: &mut Wire) -> std::io::Result<()> {
    SinkExt::<Bytes>::flush(wire).await
}

fn encode(message: &Message) -> Result<Bytes> {
    Ok(Bytes::from(rmp_serde::to_vec_named(message)?))
}

/// The server's process. Ends with this value.
pub(crate) struct RawServer {
    child: Child,
    socket: PathBuf,
}

impl RawServer {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let socket = folder.join("raw.sock");
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(SERVE).arg(&socket).stdin(Stdio::null()).stdout(Stdio::null());
        let server = Self { child: command.spawn()?, socket };
        let listens = || std::os::unix::net::UnixStream::connect(&server.socket).ok();
        Poll::new(Duration::from_secs(10)).until(listens).context("the peer's server does not listen")?;
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) async fn connect(&self) -> Result<RawClient> {
        Ok(RawClient { wire: framed(UnixStream::connect(&self.socket).await?), next_id: 0 })
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct RawClient {
    wire: Wire,
    next_id: u64,
}

impl RawClient {
    /// There and back.
    pub(crate) async fn ping(&mut self, payload: &str) -> Result<()> {
        let request = self.request(payload)?;
        self.wire.send(request).await?;
        let frame = self.wire.next().await.context("the peer is gone")??;
        check(&frame)
    }

    /// So many pings with `window` of them under way.
    pub(crate) async fn pipeline(&mut self, payload: &str, count: usize, window: usize) -> Result<()> {
        let mut sent = 0;
        while sent < count.min(window) {
            let request = self.request(payload)?;
            self.wire.feed(request).await?;
            sent += 1;
        }
        flush(&mut self.wire).await?;
        let mut answered = 0;
        while answered < count {
            let mut frame = self.wire.next().await.context("the peer is gone")??;
            loop {
                check(&frame)?;
                answered += 1;
                if sent < count {
                    let request = self.request(payload)?;
                    self.wire.feed(request).await?;
                    sent += 1;
                }
                match self.wire.next().now_or_never() {
                    Some(Some(next)) => frame = next?,
                    _ => break,
                }
            }
            flush(&mut self.wire).await?;
        }
        Ok(())
    }

    fn request(&mut self, payload: &str) -> Result<Bytes> {
        self.next_id += 1;
        let params = Ping { payload: payload.to_owned() };
        encode(&Message::Request { id: self.next_id, method: "ping".to_owned(), params })
    }
}

fn check(frame: &[u8]) -> Result<()> {
    match rmp_serde::from_slice(frame)? {
        Message::Response { outcome: Outcome::Ok(_), .. } => Ok(()),
        Message::Request { .. } => bail!("not an answer"),
    }
}
