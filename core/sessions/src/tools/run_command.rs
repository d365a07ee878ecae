//! `run_command`.

use std::time::Duration;

use async_trait::async_trait;
use podium_process::Ended;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::confined::{self, Program};
use super::{Output, Tool, ToolContext, ToolError, input};
use crate::workplace::Imported;

const DEFAULT_SECONDS: u64 = 120;
const MOST_SECONDS: u64 = 3_600;
/// Both streams as one, in the order in which they were written.
const MERGED: &str = r#"shell=$(command -v bash || command -v sh); exec "$shell" -c "$1" "$shell" 2>&1"#;

/// Runs a command line.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Command line for bash (sh where there is none).
    command: String,
    /// Folder to run it in, relative to the worktree's root. Default: the root.
    #[serde(default)]
    folder: Option<String>,
    /// Seconds after which it is ended, at most 3600. Default: 120.
    #[serde(default)]
    timeout_seconds: Option<u64>,
}

pub(super) struct RunCommand;

#[async_trait]
impl Tool for RunCommand {
    fn name(&self) -> &'static str {
        "run_command"
    }

    fn description(&self) -> &'static str {
        "Runs a command line in the worktree, confined: only the worktree can be written, other \
              folders of the user are not there, and the network may be out of reach. Nothing can be \
              asked: standard input is empty. Shows standard output and error as one, of long output \
              the beginning and the end. Processes left in the background are ended with the command."
    }

    fn input_schema(&self) -> Value {
        input::schema::<Input>()
    }

    fn reads_only(&self) -> bool {
        false
    }

    async fn run(&self, input: Value, ctx: &ToolContext) -> Result<Output, ToolError> {
        let input: Input = input::read(input)?;
        if input.command.trim().is_empty() {
            return Err(ToolError::Input("`command` is empty".to_owned()));
        }
        let workplace = confined::workplace(ctx)?;
        let seconds = input.timeout_seconds.unwrap_or(DEFAULT_SECONDS).clamp(1, MOST_SECONDS);
        let mut program =
            Program::new(["sh", "-c", MERGED, "sh", &input.command], Duration::from_secs(seconds));
        program.options.folder = input.folder.unwrap_or_default().into();
        let output = confined::run(&workplace, ctx, program).await?;
        // A command may have made commits; that they stayed inside is told, and is no fault of the command.
        let private = workplace.clone();
        let ahead = ctx.blocking(move |_| Ok(private.private().is_ahead().unwrap_or(true))).await?;
        let imported = if ahead { confined::import(&workplace, false).await } else { Ok(None) };
        Ok(told(&output, seconds, imported))
    }
}

fn told(
    output: &podium_process::Output,
    seconds: u64,
    imported: Result<Option<Imported>, ToolError>,
) -> Output {
    let mut text = output.stdout.text();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    // The sandbox itself has something to say only where it fails.
    let stderr = output.stderr.text();
    if !stderr.is_empty() {
        text.push_str(&stderr);
    }
    match output.ended {
        Ended::TimedOut => text.push_str(&format!("[ended after {seconds} s: its time was up]\n")),
        _ => text.push_str(&format!("[{}, {:.1} s]\n", output.exit, output.elapsed.as_secs_f32())),
    }
    let mut data = json!({
        "exitCode": output.exit.code,
        "signal": output.exit.signal,
        "timedOut": output.ended == Ended::TimedOut,
        "elapsedMs": u64::try_from(output.elapsed.as_millis()).unwrap_or(u64::MAX),
        "leftOutBytes": output.stdout.left_out(),
    });
    match imported {
        Ok(None) => {}
        Ok(Some(done)) => {
            let verb = if done.commits == 1 { "commit is" } else { "commits are" };
            text.push_str(&format!("[{} {verb} on branch {} now]\n", done.commits, done.branch));
            data["commit"] = json!(done.new.as_str());
            data["branch"] = json!(done.branch);
        }
        Err(error) => {
            text.push_str(&format!("[commits made here did not reach the branch: {error}]\n"));
            data["importError"] = json!(error.to_string());
        }
    }
    Output { text, data: Some(data), failed: !output.success() }
}
