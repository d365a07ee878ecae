//! `test.run`: a command whose status is the result and no fault.

use podium_pit::dag::{FailureKind, NodeCall, NodeError};
use podium_process::Ended;
use serde_json::json;

use super::shell::execute;
use super::{Arguments, Bench, Outputs};

/// Outputs `passed`, `report` and `status`.
pub(super) async fn run(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let command = args.command_line("command")?;
    bench.permit(call, "runs tests", Some(&command)).await?;
    let output = execute(bench, call, &command, args.table("env")?).await?;
    match output.ended {
        Ended::ByItself => {}
        Ended::TimedOut => return Err(NodeError::new(FailureKind::TimedOut, "the tests took too long")),
        Ended::Cancelled => return Err(NodeError::new(FailureKind::Cancelled, "the tests were ended")),
    }
    let report = format!("{}{}", output.stdout.text(), output.stderr.text());
    let report = bench.keep("report of tests", "text/plain", "tests", report.into()).await?;
    Ok(Outputs::from_iter([
        ("passed".to_owned(), json!(output.exit.success())),
        ("report".to_owned(), report),
        ("status".to_owned(), json!(output.exit.code.unwrap_or(-1))),
    ]))
}
