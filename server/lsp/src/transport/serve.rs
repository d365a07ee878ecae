//! The loop between the wire and the service: reads, dispatches in order, never waits for a handler.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use podium_protocol::WireError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower_lsp::jsonrpc::{Error, Id, Request, Response};
use tower_lsp::{ClientSocket, ExitedError, LanguageServer, LspService};
use tower_service::Service as _;

use super::framing::{FrameReader, Incoming};
use super::sieve::{Sifted, sift};
use super::writer::{Outgoing, OutputClosed, Queue};
use crate::to_lsp::to_error;

/// Requests that may be under way at once; more are answered `busy`.
const MAX_CONCURRENT: usize = 256;
/// Longest time for a client to take the last answers.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Why serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Exit,
    InputClosed,
    OutputClosed,
    ParentDied,
}

type Answer = Pin<Box<dyn Future<Output = Result<Option<Response>, ExitedError>> + Send>>;

/// Serves until the client leaves; `way` is all that goes out. `queued` is told of each answer once its place on the wire is
/// taken: what is sent from there on arrives after it.
pub(crate) async fn serve<S: LanguageServer>(
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
    (out, queue): (Outgoing, Queue),
    (service, socket): (LspService<S>, ClientSocket),
    queued: Arc<dyn Fn(&Response) + Send + Sync>,
    parent_died: impl Future<Output = ()>,
) -> Ended {
    let mut writer = tokio::spawn(queue.write_to(output));
    let (mut to_client, from_client) = socket.split();
    let pump = tokio::spawn({
        let out = out.clone();
        async move {
            while let Some(request) = to_client.next().await {
                if out.send(&request).await.is_err() {
                    break;
                }
            }
        }
    });
    let dispatcher = Dispatcher {
        service,
        from_client,
        running: JoinSet::new(),
        slots: Arc::new(Semaphore::new(MAX_CONCURRENT)),
        exit: Exit { out: out.clone(), queued },
    };
    let ended = tokio::select! {
        ended = dispatcher.read(FrameReader::new(input)) => ended,
        () = parent_died => Ended::ParentDied,
        () = out.closed() => Ended::OutputClosed,
    };
    pump.abort();
    drop(out);
    let _ = pump.await;
    if tokio::time::timeout(FLUSH_TIMEOUT, &mut writer).await.is_err() {
        writer.abort();
    }
    ended
}

/// Where answers leave.
#[derive(Clone)]
struct Exit {
    out: Outgoing,
    queued: Arc<dyn Fn(&Response) + Send + Sync>,
}

impl Exit {
    async fn answer(&self, response: Response) -> Result<(), OutputClosed> {
        self.out.send(&response).await?;
        (self.queued)(&response);
        Ok(())
    }
}

struct Dispatcher<S: LanguageServer, K> {
    service: LspService<S>,
    from_client: K,
    running: JoinSet<()>,
    slots: Arc<Semaphore>,
    exit: Exit,
}

impl<S: LanguageServer, K: futures_util::Sink<Response> + Unpin> Dispatcher<S, K> {
    async fn read(mut self, mut reader: FrameReader<impl AsyncRead + Unpin>) -> Ended {
        loop {
            let incoming = match reader.next().await {
                Ok(Some(incoming)) => incoming,
                Ok(None) => return Ended::InputClosed,
                Err(error) => {
                    tracing::warn!(%error, "the input broke");
                    return Ended::InputClosed;
                }
            };
            match self.take(incoming).await {
                Ok(true) => {}
                Ok(false) => return Ended::Exit,
                Err(OutputClosed) => return Ended::OutputClosed,
            }
            while self.running.try_join_next().is_some() {}
        }
    }

    /// Handles one message. False when it was `exit`.
    async fn take(&mut self, incoming: Incoming) -> Result<bool, OutputClosed> {
        self.exit.out.has_room().await?;
        let body = match incoming {
            Incoming::Body(body) => body,
            Incoming::Fault(fault) => {
                tracing::warn!(%fault, "a message was refused");
                let mut error = Error::parse_error();
                error.message = fault.to_string().into();
                self.exit.answer(Response::from_error(Id::Null, error)).await?;
                return Ok(true);
            }
        };
        match sift(&body) {
            Sifted::Request(request) => return self.dispatch(request).await,
            Sifted::Response(response) => {
                let _ = self.from_client.send(response).await;
            }
            Sifted::Refused(response) => {
                tracing::warn!(error = ?response.error(), "a message was refused");
                self.exit.answer(response).await?;
            }
            Sifted::Ignored => tracing::warn!("a response cannot be understood"),
        }
        Ok(true)
    }

    async fn dispatch(&mut self, request: Request) -> Result<bool, OutputClosed> {
        let (id, method) = (request.id().cloned(), request.method().to_owned());
        let permit = match &id {
            None => None,
            Some(id) => match Arc::clone(&self.slots).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    let busy = WireError::busy(format!("{MAX_CONCURRENT} requests are under way"));
                    self.exit.answer(Response::from_error(id.clone(), to_error(&busy))).await?;
                    return Ok(true);
                }
            },
        };
        let mut answer: Answer = self.service.call(request);
        if method == "exit" {
            let _ = answer.await;
            return Ok(false);
        }
        // Polled once right here: all that a handler does before its first await happens in the order of arrival.
        match first_poll(&mut answer).await {
            Some(outcome) => {
                if let Some(response) = settle(id, outcome) {
                    self.exit.answer(response).await?;
                }
            }
            None => {
                let exit = self.exit.clone();
                self.running.spawn(async move {
                    let outcome = AssertUnwindSafe(answer).catch_unwind().await;
                    if let Some(response) = settle(id, outcome.map_err(|_| Panicked)) {
                        let _ = exit.answer(response).await;
                    }
                    drop(permit);
                });
            }
        }
        Ok(true)
    }
}

struct Panicked;

type Outcome = Result<Result<Option<Response>, ExitedError>, Panicked>;

async fn first_poll(answer: &mut Answer) -> Option<Outcome> {
    std::future::poll_fn(|context| {
        Poll::Ready(match std::panic::catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(outcome)) => Some(Ok(outcome)),
            Err(_) => Some(Err(Panicked)),
        })
    })
    .await
}

/// What goes out for a request: each gets exactly one answer.
fn settle(id: Option<Id>, outcome: Outcome) -> Option<Response> {
    match outcome {
        Ok(Ok(Some(response))) => Some(response),
        // The service swallows unknown `$/` requests; the specification wants them answered.
        Ok(Ok(None)) => id.map(|id| Response::from_error(id, Error::method_not_found())),
        Ok(Err(ExitedError { .. })) => id.map(|id| Response::from_error(id, Error::invalid_request())),
        Err(Panicked) => {
            tracing::error!("a handler failed unexpectedly");
            id.map(|id| Response::from_error(id, Error::internal_error()))
        }
    }
}
