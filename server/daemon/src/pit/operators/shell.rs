//! `shell`: a command line, run in the folder of the run.

use std::collections::BTreeMap;
use std::time::Duration;

use podium_pit::dag::{FailureKind, NodeCall, NodeError};
use podium_process::{Command, Ended, Output};
use serde_json::json;

use super::{Arguments, Bench, Outputs};

/// Bytes kept of each stream; of longer output the middle is left out.
const CAPTURE: usize = 1024 * 1024;
/// Time between the request to end and the end.
const GRACE: Duration = Duration::from_secs(2);

/// Outputs `stdout`, `stderr` and `status`. Acts at least once: a command that the daemon's death cut off runs again,
/// with the same `PODIUM_IDEMPOTENCY_KEY`.
pub(super) async fn run(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let command = args.command_line("command")?;
    let allowed = args.flag("allow_failure")?;
    bench.permit(call, "runs a command", Some(&command)).await?;
    let output = execute(bench, call, &command, args.table("env")?).await?;
    if output.ended != Ended::ByItself || !(allowed || output.exit.success()) {
        return Err(failure(&command, &output));
    }
    let mut outputs = Outputs::new();
    for (port, captured) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        outputs.insert(port.to_owned(), bench.keep(port, "text/plain", "log", captured.text().into()).await?);
    }
    outputs.insert("status".to_owned(), json!(output.exit.code.unwrap_or(-1)));
    Ok(outputs)
}

/// Runs a command line to its end and keeps what it said as the node's log.
pub(super) async fn execute(
    bench: &Bench,
    call: &NodeCall,
    command: &str,
    variables: BTreeMap<String, String>,
) -> Result<Output, NodeError> {
    let program = Command::new("sh")
        .args(["-c", command])
        .cwd(bench.folder())
        .envs(bench.variables())
        .envs(variables)
        .env("PODIUM_IDEMPOTENCY_KEY", call.key.as_str())
        .env("PODIUM_RUN", call.run.as_str())
        .env("PODIUM_NODE", call.node.as_str())
        .env("PODIUM_ATTEMPT", call.attempt.to_string())
        .capture(CAPTURE)
        .grace(GRACE);
    let output = program.output(&call.cancel).await.map_err(|error| {
        NodeError::new(FailureKind::Unavailable, format!("the command cannot be started: {error}"))
    })?;
    for (stream, captured) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        bench.log(call, stream, &captured.text()).await;
    }
    Ok(output)
}

fn failure(command: &str, output: &Output) -> NodeError {
    let shown: String = command.chars().take(80).collect();
    match output.ended {
        Ended::TimedOut => NodeError::new(FailureKind::TimedOut, format!("`{shown}` took too long")),
        Ended::Cancelled => NodeError::new(FailureKind::Cancelled, format!("`{shown}` was ended")),
        Ended::ByItself => {
            let said = output.stderr.text();
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let last: String = last.chars().take(300).collect();
            let message = match last.is_empty() {
                true => format!("`{shown}` ended with {}", output.exit),
                false => format!("`{shown}` ended with {}: {last}", output.exit),
            };
            NodeError::new(FailureKind::Failed, message)
        }
    }
}
