//! `podium try`: the main job on a real repository, from an empty home to an empty home.
//!
//! Everything happens in one temporary folder: a home of its own, a clone, its worktrees. Only the model's
//! weights are the user's. Whatever ends it (success, a failing step, Ctrl-C), the daemon is stopped and the
//! folder removed.

mod job;
mod progress;
mod report;
mod source;
mod stage;

use std::time::Instant;

use podium_cli::context::Context;
use podium_cli::output::{EXIT_SIGINT, Ending, Failure};
use podium_protocol::WireError;

use crate::args::TryArgs;
use progress::Show;
use report::TryReport;
use stage::Stage;

pub(crate) async fn run(context: &Context, args: TryArgs) -> Ending {
    let began = Instant::now();
    let source = source::Source::find(args.path.as_deref())?;
    let stage = Stage::set_up()?;
    let mut show = Show::new(context.output);
    let done = tokio::select! {
        done = job::run(&mut show, &stage, &source) => done,
        () = interrupted() => Err(Failure::Coded(Box::new(WireError::user("interrupted")), EXIT_SIGINT)),
    };
    show.clear();
    // A second Ctrl-C ends the process at once; what is left behind then says so itself.
    let cleaned = tokio::select! {
        cleaned = stage.clean_up(args.keep) => cleaned,
        () = interrupted() => return Err(Failure::Said(EXIT_SIGINT)),
    };
    let mut report = show.into_report();
    report.total_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.home = cleaned.as_ref().ok().and_then(Clone::clone);
    done.map_err(|failure| with_report(failure, &report))?;
    cleaned?;
    context.output.reply(&report, |paint| report::render(&report, paint))?;
    Ok(0)
}

/// A failed step is reported together with the steps before it.
fn with_report(failure: Failure, report: &TryReport) -> Failure {
    match failure {
        Failure::Wire(error) => Failure::Partly(error, serde_json::to_value(report).unwrap_or_default()),
        failure => failure,
    }
}

/// Ctrl-C, or a polite request to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut term), Ok(mut hangup)) =
            (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
        {
            tokio::select! {
                _ = term.recv() => {}
                _ = hangup.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
