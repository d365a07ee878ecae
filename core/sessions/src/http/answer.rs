//! One answer of a server, over as many streams as it takes.

use async_trait::async_trait;
use podium_protocol::SessionProgress;
use tokio::sync::mpsc;

use super::events::{Cut, Event, EventStream, Request};
use super::retry::{Backoff, Fault, Refusal};
use crate::hub::TurnLink;
use crate::provider::{Chunk, ProviderError, TurnOutcome};

/// Streams of one answer that may be cut without a word in between.
const CUTS: u32 = 4;
/// Longest answer over all its streams, in bytes of text and thoughts: a server that never comes to an end is left.
const LONGEST: usize = 16 * 1024 * 1024;
/// Times that a server may want to be asked again to go on.
const AGAIN: u32 = 50;

/// What a stream came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Done(TurnOutcome),
    /// The server wants to be asked again to go on.
    Again,
    /// It ended too early.
    Cut(String),
    /// It says nothing any more.
    Silent(String),
}

/// How one kind of server is spoken with. It keeps what was said in this answer.
#[async_trait]
pub(crate) trait Dialect: Send {
    /// For errors.
    fn name(&self) -> &'static str;

    /// The question, with what was said so far.
    async fn request(&self) -> Result<Request, ProviderError>;

    /// A stream begins.
    fn begin(&mut self);

    /// What an event says, and whether the stream is over with it.
    ///
    /// # Errors
    /// An error of the server that no further attempt would mend.
    fn event(&mut self, event: &Event) -> Result<(Vec<Chunk>, Option<Step>), ProviderError>;

    /// The stream ended by itself: what is complete may stand.
    fn at_end(&mut self) -> (Vec<Chunk>, Option<Step>);

    /// Rises with all that is worth another attempt.
    fn progress(&self) -> usize;

    /// Whether the request is to be made anew at once, otherwise than before.
    fn adapts_to(&mut self, _refusal: &Refusal) -> bool {
        false
    }
}

/// Asks until the answer is complete. What is cut goes on behind what was said, what passes is waited for; a server that
/// is silent too often is left to a person.
pub(crate) async fn answer(
    dialect: &mut dyn Dialect,
    out: &mpsc::Sender<Chunk>,
    link: &TurnLink,
) -> Result<TurnOutcome, ProviderError> {
    let (mut backoff, mut cuts, mut again, mut length) = (Backoff::default(), 0, 0, 0);
    loop {
        let before = dialect.progress();
        let request = dialect.request().await?;
        let opened = tokio::select! {
            opened = EventStream::open(request) => opened,
            () = link.nudged() => Err(Fault::Silent("the server took the request and says nothing".to_owned())),
        };
        let ended = match opened {
            Ok(mut stream) => read(dialect, &mut stream, out, (&mut length, link)).await?,
            Err(Fault::Silent(why)) => Step::Silent(why),
            Err(fault) => {
                after(dialect, fault, &mut backoff, out).await?;
                continue;
            }
        };
        match ended {
            Step::Done(outcome) => return Ok(outcome),
            Step::Again if again < AGAIN => again += 1,
            Step::Again => return Ok(TurnOutcome::Cut),
            Step::Cut(ref why) | Step::Silent(ref why) => {
                let progressed = dialect.progress() > before;
                cuts = if progressed { 0 } else { cuts + 1 };
                if cuts >= CUTS {
                    return Err(given_up(dialect, &ended, why));
                }
                if progressed {
                    backoff.progressed();
                }
                after(dialect, Fault::Unreachable(why.clone()), &mut backoff, out).await?;
            }
        }
    }
}

/// A server that says nothing may answer tomorrow.
fn given_up(dialect: &dyn Dialect, ended: &Step, why: &str) -> ProviderError {
    match ended {
        Step::Silent(_) => {
            let reason = format!("silent: {}: {why}, {CUTS} times; resume goes on with it", dialect.name());
            ProviderError::Parked { reason }
        }
        _ => failed(dialect, why),
    }
}

async fn read(
    dialect: &mut dyn Dialect,
    stream: &mut EventStream,
    out: &mpsc::Sender<Chunk>,
    (length, link): (&mut usize, &TurnLink),
) -> Result<Step, ProviderError> {
    dialect.begin();
    loop {
        let next = tokio::select! {
            next = stream.next() => next,
            () = link.nudged() => Err(Cut::Nudged),
        };
        let (chunks, step) = match next {
            Ok(event) => {
                let (chunks, step) = dialect.event(&event)?;
                // A call that is being written is no chunk yet. Pings only keep a connection open.
                if chunks.is_empty() && event.kind != "ping" {
                    link.alive();
                }
                (chunks, step)
            }
            Err(Cut::TooLong) => return Err(failed(dialect, &Cut::TooLong.reason())),
            Err(cut) => {
                let (chunks, step) = dialect.at_end();
                let reason = cut.reason();
                let silent = matches!(cut, Cut::Stalled(_) | Cut::Nudged);
                let ended = if silent { Step::Silent(reason) } else { Step::Cut(reason) };
                (chunks, Some(step.unwrap_or(ended)))
            }
        };
        *length += chunks.iter().map(text_length).sum::<usize>();
        if *length > LONGEST {
            return Err(failed(dialect, &Cut::TooLong.reason()));
        }
        for chunk in chunks {
            // The reader is gone only when the turn is being ended.
            out.send(chunk).await.map_err(|_| ProviderError::Stopped)?;
        }
        if let Some(step) = step {
            return Ok(step);
        }
    }
}

/// Waits before the next attempt, or says why there is none.
async fn after(
    dialect: &mut dyn Dialect,
    fault: Fault,
    backoff: &mut Backoff,
    out: &mpsc::Sender<Chunk>,
) -> Result<(), ProviderError> {
    if let Fault::Refused(refusal) = &fault {
        if dialect.adapts_to(refusal) {
            return Ok(());
        }
        if refusal.is_too_long() {
            let reason = format!("{}: {}", dialect.name(), fault.reason());
            return Err(ProviderError::TooLong { reason });
        }
        if matches!(refusal.status, 401 | 403) {
            let reason = format!("needs_key: the key was refused: {}", refusal.message());
            return Err(ProviderError::Parked { reason });
        }
    }
    let Some(wait) = backoff.after(&fault) else { return Err(failed(dialect, &fault.reason())) };
    tracing::info!(wait_ms = wait.as_millis(), reason = fault.reason(), "asking again");
    // Rounded up: without a length it would be a wait for a person.
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let waiting = SessionProgress { phase: "waiting".to_owned(), done: 0, total: seconds };
    let _ = out.send(Chunk::Progress(waiting)).await;
    tokio::time::sleep(wait).await;
    Ok(())
}

fn text_length(chunk: &Chunk) -> usize {
    match chunk {
        Chunk::Text { text, .. } | Chunk::Thinking(text) => text.len(),
        _ => 0,
    }
}

fn failed(dialect: &dyn Dialect, reason: &str) -> ProviderError {
    ProviderError::Failed { reason: format!("{}: {reason}", dialect.name()) }
}
