//! What client and runner say to each other: MessagePack behind a 4-byte length.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use super::spec::{AgentEnd, Status};

/// Raised when an older program would misunderstand.
pub(super) const VERSION: u32 = 1;
const MAX_FRAME: usize = 32 << 20;
/// Output in one frame, at most.
pub(super) const PIECE: usize = 256 * 1024;

/// Offset of who wants nothing of what is there.
pub(super) const FROM_NOW_ON: u64 = u64::MAX;

/// From the client.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToRunner {
    /// Everything before `offset` is processed; send what follows.
    Attach {
        offset: u64,
    },
    /// Everything before `offset` is processed.
    Acknowledge {
        offset: u64,
    },
    Input {
        number: u64,
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    CloseInput {
        number: u64,
    },
    /// SIGTERM to all, and SIGKILL to what is left after the grace.
    End {
        grace_ms: u64,
    },
    /// The end was processed: nothing is needed any more.
    Done,
}

/// From the runner.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToClient {
    Hello(Box<Status>),
    Output {
        offset: u64,
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// After all output.
    Ended(AgentEnd),
    /// The input of this number was not taken: too much waits.
    InputFull {
        number: u64,
    },
    Gone {
        offset: u64,
        oldest: u64,
    },
    Displaced,
}

pub(super) struct Receiver<R>(FramedRead<R, LengthDelimitedCodec>);

pub(super) struct Sender<W>(FramedWrite<W, LengthDelimitedCodec>);

pub(super) type SocketReceiver = Receiver<OwnedReadHalf>;
pub(super) type SocketSender = Sender<OwnedWriteHalf>;

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME).new_codec()
}

impl<R: AsyncRead + Unpin> Receiver<R> {
    pub(super) fn new(stream: R) -> Self {
        Self(FramedRead::new(stream, codec()))
    }

    /// `None` at the end of the stream. Cancel-safe.
    pub(super) async fn receive<T: DeserializeOwned>(&mut self) -> std::io::Result<Option<T>> {
        let Some(frame) = self.0.next().await else { return Ok(None) };
        let frame = rmp_serde::from_slice(&frame?);
        frame.map(Some).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
    }
}

impl<W: AsyncWrite + Unpin> Sender<W> {
    pub(super) fn new(stream: W) -> Self {
        Self(FramedWrite::new(stream, codec()))
    }

    pub(super) async fn send<T: Serialize>(&mut self, message: &T) -> std::io::Result<()> {
        let bytes = rmp_serde::to_vec_named(message).map_err(std::io::Error::other)?;
        self.0.send(Bytes::from(bytes)).await
    }
}
