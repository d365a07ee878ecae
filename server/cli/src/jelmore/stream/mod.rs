//! Following a session to its end: JSON lines, or the text as it comes.
//!
//! The client re-attaches by itself when the daemon dies, from the last item it saw; what is left to do here
//! is to print each item once, in order, and to say how to go on where even that did not help.

mod lines;
mod printer;

use podium_client::Client;
use podium_protocol::{
    RunInfo, SessionCancel, SessionCancelParams, SessionEnd, SessionOutcome, SessionOutcomeParams, WireError,
};

use crate::context::Context;
use crate::interrupt::Interrupts;
use crate::output::{EXIT_SIGINT, Ending, Failure, Output};
use printer::Printer;

/// Which session, and from where on.
pub(super) struct Follow {
    pub(super) id: String,
    pub(super) from_seq: u64,
    /// Somebody else runs it: Ctrl-C only leaves.
    pub(super) joined: bool,
    pub(super) run: Run,
}

/// Whether the session works on a task, whose end is told too.
pub(super) enum Run {
    None,
    /// It may, from an earlier command.
    Perhaps,
    Of(Box<RunInfo>),
}

/// Streams a session until its end.
///
/// # Errors
/// When the session cannot be attached to, or standard output is closed.
pub(super) async fn follow(context: &Context, client: &Client, follow: Follow) -> Ending {
    let mut interrupts = Interrupts::listen()?;
    let joined = follow.joined;
    let mut printer = Printer::new(context.output, &follow);
    printer.announce()?;
    if let Run::Of(run) = &follow.run {
        printer.run(run)?;
    }
    let mut stream = match client.attach(&printer.id, printer.last_seq, true).await {
        Ok(stream) => stream,
        Err(error) => return printer.broken(&error),
    };
    let mut cancelling = false;
    loop {
        tokio::select! {
            update = stream.next() => match update {
                Some(Ok(update)) => {
                    printer.update(&update)?;
                    if let Some(end) = &update.end {
                        return ended(client, &mut printer, end, &follow.run).await;
                    }
                }
                Some(Err(error)) => return printer.broken(&error),
                None => return printer.broken(&WireError::unavailable("the stream ended before the session did")),
            },
            () = interrupts.next() => {
                if cancelling || joined {
                    printer.finish_text();
                    context.output.note(&format!("the session is left: {}", printer.resume_command()));
                    return Err(Failure::Said(EXIT_SIGINT));
                }
                cancelling = true;
                printer.finish_text();
                context.output.note("cancelling; press Ctrl-C again to leave at once");
                spawn_cancel(client.clone(), &printer.id, context.output);
            }
        }
    }
}

/// The session is over; a task is when its work is committed and its worktree free.
async fn ended(client: &Client, printer: &mut Printer, end: &SessionEnd, run: &Run) -> Ending {
    let params = SessionOutcomeParams { id: printer.id.clone(), wait: true };
    let outcome = match run {
        Run::None => None,
        // Most sessions are of no task, and an older daemon knows none.
        Run::Perhaps => client.call::<SessionOutcome>(params).await.ok(),
        Run::Of(started) => Some(match client.call::<SessionOutcome>(params).await {
            Ok(run) => run,
            Err(error) => RunInfo { problem: Some(error.message), ..started.as_ref().clone() },
        }),
    };
    printer.end(end, outcome.as_ref())
}

/// Cancels beside the stream, whose end line tells what came of it.
fn spawn_cancel(client: Client, id: &str, output: Output) {
    let params = SessionCancelParams { id: id.to_owned() };
    tokio::spawn(async move {
        if let Err(error) = client.call::<SessionCancel>(params).await {
            output.note(&format!("cannot cancel: {}", error.message));
        }
    });
}
