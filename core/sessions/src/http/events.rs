//! A stream of server-sent events: one POST, read to its end, never repeated by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use eventsource_client::{Client as _, ClientBuilder, Error as SseError, ReconnectOptions, SSE};
use futures::future::ready;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use launchdarkly_sdk_transport::{ByteStream, HttpTransport, ResponseFuture, TransportError};
use sync_wrapper::SyncStream;

use super::retry::{Fault, Refusal};

/// Longest stream that is read, in bytes: many times the longest answers of models. An endless one ends here.
const MAX_STREAM: usize = 64 * 1024 * 1024;
/// Longest event, in bytes.
const MAX_EVENT: usize = 8 * 1024 * 1024;
/// Of an error's body.
const MAX_ERROR: usize = 64 * 1024;

/// A POST whose answer is a stream.
pub(crate) struct Request {
    pub(crate) client: reqwest::Client,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// Longest silence.
    pub(crate) stall: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) data: String,
}

/// Why a stream that had begun gave no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The other side ended it.
    Over,
    Broken(String),
    Stalled(Duration),
    /// It is alive, and says nothing of use.
    Nudged,
    /// It goes over all bounds.
    TooLong,
}

impl Cut {
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Over => "the connection ended in mid-answer".to_owned(),
            Self::Broken(why) => format!("the connection broke: {why}"),
            Self::Stalled(time) => format!("nothing came for {} s", time.as_secs()),
            Self::Nudged => "nothing of use came".to_owned(),
            Self::TooLong => "what it sends does not end".to_owned(),
        }
    }
}

pub(crate) struct EventStream {
    events: BoxStream<'static, Result<SSE, SseError>>,
    stall: Duration,
    too_long: Arc<AtomicBool>,
}

impl EventStream {
    /// Sends the request and waits until the answer begins.
    ///
    /// # Errors
    /// What the server said instead, or that it cannot be reached.
    pub(crate) async fn open(request: Request) -> Result<Self, Fault> {
        let stall = request.stall;
        let broken = |error: SseError| Fault::Unreachable(plain(&error));
        let mut builder = ClientBuilder::for_url(&request.url)
            .map_err(|_| Fault::Invalid(format!("`{}` is no address", request.url)))?
            .method("POST".to_owned())
            .body(request.body)
            .redirect_limit(0)
            .reconnect(ReconnectOptions::reconnect(false).retry_initial(false).build());
        for (name, value) in &request.headers {
            let odd = |_| Fault::Invalid(format!("the value of `{name}` cannot be sent"));
            builder = builder.header(name, value).map_err(odd)?;
        }
        let too_long = Arc::new(AtomicBool::new(false));
        let transport = Transport { client: request.client, too_long: Arc::clone(&too_long) };
        let mut events = builder.build_with_transport(transport).stream();
        match tokio::time::timeout(stall, events.next()).await {
            Err(_) => Err(Fault::Silent(Cut::Stalled(stall).reason())),
            Ok(Some(Ok(_))) => Ok(Self { events: events.boxed(), stall, too_long }),
            Ok(Some(Err(SseError::UnexpectedResponse(response, body)))) => {
                let retry_after = response.get_header_value("retry-after").ok().flatten().map(str::to_owned);
                let status = response.status();
                let body = read_error(body.into_stream(), stall).await;
                Err(Fault::Refused(Refusal { status, body, retry_after }))
            }
            Ok(Some(Err(error))) => Err(broken(error)),
            Ok(None) => Err(Fault::Unreachable("the server gave no answer".to_owned())),
        }
    }

    /// The next event; comments are passed over.
    pub(crate) async fn next(&mut self) -> Result<Event, Cut> {
        loop {
            let next = tokio::time::timeout(self.stall, self.events.next()).await;
            match next.map_err(|_| Cut::Stalled(self.stall))? {
                Some(Ok(SSE::Event(event))) => return Ok(Event { kind: event.event_type, data: event.data }),
                Some(Ok(_)) => {}
                Some(Err(_)) if self.too_long.load(Ordering::Relaxed) => return Err(Cut::TooLong),
                Some(Err(SseError::Eof)) | None => return Err(Cut::Over),
                Some(Err(error)) => return Err(Cut::Broken(plain(&error))),
            }
        }
    }
}

/// The chain of causes. Addresses are left out: they may carry secrets.
fn plain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

async fn read_error(mut body: ByteStream, within: Duration) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while let Some(Ok(part)) = body.next().await {
            bytes.extend_from_slice(&part);
            if bytes.len() >= MAX_ERROR {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(within, read).await;
    bytes.truncate(MAX_ERROR);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The event source over our own HTTP client.
#[derive(Clone)]
struct Transport {
    client: reqwest::Client,
    /// Set before the body is given up for its length.
    too_long: Arc<AtomicBool>,
}

impl HttpTransport for Transport {
    fn request(&self, request: launchdarkly_sdk_transport::Request<Option<Bytes>>) -> ResponseFuture {
        let (client, too_long) = (self.client.clone(), Arc::clone(&self.too_long));
        // A task of its own: the client's request cannot be shared between threads as the trait asks.
        let answer = tokio::spawn(async move {
            let request = request.map(|body| reqwest::Body::from(body.unwrap_or_default()));
            let request = reqwest::Request::try_from(request).map_err(TransportError::new)?;
            let response = client.execute(request).await.map_err(without_url)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body: ByteStream = Box::pin(SyncStream::new(bounded(response, too_long)));
            let mut answer = launchdarkly_sdk_transport::Response::new(body);
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok(answer)
        });
        Box::pin(async move {
            let abort = AbortOnDrop(answer.abort_handle());
            let answer = answer.await.unwrap_or_else(|_| Err(ended()));
            drop(abort);
            answer
        })
    }
}

/// The body until it ends or is too much.
fn bounded(
    response: reqwest::Response,
    too_long: Arc<AtomicBool>,
) -> impl Stream<Item = Result<Bytes, TransportError>> + Send {
    let mut bounds = Bounds::default();
    response.bytes_stream().map_err(without_url).and_then(move |bytes| {
        if bounds.hold(&bytes) {
            return ready(Ok(bytes));
        }
        too_long.store(true, Ordering::Relaxed);
        ready(Err(TransportError::new(std::io::Error::other("the answer is too long"))))
    })
}

#[derive(Default)]
struct Bounds {
    all: usize,
    line: usize,
}

impl Bounds {
    /// Whether the stream is within them, this part included.
    fn hold(&mut self, part: &[u8]) -> bool {
        self.all += part.len();
        match part.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => self.line = part.len() - at - 1,
            None => self.line += part.len(),
        }
        self.all <= MAX_STREAM && self.line <= MAX_EVENT
    }
}

fn without_url(error: reqwest::Error) -> TransportError {
    TransportError::new(error.without_url())
}

fn ended() -> TransportError {
    TransportError::new(std::io::Error::other("the reading task ended"))
}

/// A request that nobody waits for any more is not sent on.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
