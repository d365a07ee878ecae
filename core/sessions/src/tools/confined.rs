//! Programs that tools run in the session's workplace.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use podium_process::{Ended, Output, Stdin};

use super::{ToolContext, ToolError};
use crate::workplace::{CommandOptions, Imported, Workplace, WorkplaceError};

/// Bytes of a program's output that are kept, half of its beginning and half of its end.
const KEPT: usize = 8 * 1024 * 1024;
/// Between the polite signal and the one that nothing survives.
const GRACE: Duration = Duration::from_millis(500);

/// One program to be run.
pub(super) struct Program {
    pub(super) argv: Vec<OsString>,
    pub(super) options: CommandOptions,
    pub(super) stdin: Stdin,
    pub(super) timeout: Duration,
}

impl Program {
    pub(super) fn new<A: Into<OsString>>(argv: impl IntoIterator<Item = A>, timeout: Duration) -> Self {
        let argv = argv.into_iter().map(Into::into).collect();
        Self { argv, options: CommandOptions::default(), stdin: Stdin::Null, timeout }
    }
}

pub(super) fn workplace(ctx: &ToolContext) -> Result<Arc<Workplace>, ToolError> {
    ctx.workplace.clone().map_err(ToolError::Failed)
}

/// Runs it to its end, that of its time, or that of the session; in each case nothing it started lives on.
pub(super) async fn run(
    workplace: &Arc<Workplace>,
    ctx: &ToolContext,
    program: Program,
) -> Result<Output, ToolError> {
    let Program { argv, options, stdin, timeout } = program;
    let place = Arc::clone(workplace);
    let command = tokio::task::spawn_blocking(move || place.command(argv, &options)).await;
    let command = command.unwrap_or(Err(WorkplaceError::CutOff)).map_err(failed)?;
    let command = command.stdin(stdin).timeout(timeout).grace(GRACE).capture(KEPT);
    let output = command.output(&ctx.stop).await.map_err(|error| failed(error.into()))?;
    if output.ended == Ended::Cancelled { Err(ToolError::Stopped) } else { Ok(output) }
}

/// What was committed, by whatever program, goes to the claimed branch.
pub(super) async fn import(workplace: &Workplace, amended: bool) -> Result<Option<Imported>, ToolError> {
    let done = if amended { workplace.import_amended().await } else { workplace.import().await };
    done.map_err(failed)
}

pub(super) fn failed(error: WorkplaceError) -> ToolError {
    let wire = podium_protocol::WireError::from(error);
    let hints = wire.hints.iter().map(|hint| format!("\n{hint}"));
    ToolError::Failed(hints.fold(wire.message, |text, hint| text + &hint))
}
