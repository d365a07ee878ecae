//! What an agent's model may do: each tool with its description, and how a call of it is run.
//!
//! [`run`] never fails: an unknown tool, invalid JSON and a path outside of the worktree are results that the model
//! can read and act on. Every path goes through [`Tree`], which opens nothing outside of the worktree, and everything
//! that a model is shown is redacted and bounded.

mod change;
mod commit;
mod confined;
mod context;
mod edit_file;
mod error;
mod input;
mod list_files;
mod marks;
mod open;
mod read_file;
mod redacted;
mod run_command;
mod search;
pub(crate) mod served;
mod shown;
mod toolbox;
mod tree;
mod walk;
mod write_file;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use podium_store::NewEvent;
use serde_json::{Value, json};

pub use context::{PathPolicy, ToolContext};
pub use error::ToolError;
pub use marks::ReadMarks;
pub(crate) use shown::redact_data;
pub use toolbox::PermittedTools;
pub use tree::Tree;

pub use crate::provider::{ToolCall, ToolResult, ToolSpec};

/// A call that was run.
#[derive(Debug)]
pub struct Ran {
    pub result: ToolResult,
    /// The whole text where the result shows a part of it only. Redacted.
    pub overflow: Option<Vec<u8>>,
    /// What the log has to tell of it, in the transaction that stores the result.
    pub event: Option<NewEvent>,
}

/// What a tool answers before it is redacted and bounded.
#[derive(Debug, Default)]
pub struct Output {
    pub text: String,
    pub data: Option<Value>,
    /// The tool did its work, and tells of a failure: a command that exits with 1.
    pub failed: bool,
}

impl From<String> for Output {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

/// One tool.
#[async_trait]
pub trait Tool: Send + Sync {
    fn name(&self) -> &'static str;

    /// What the model is told it does.
    fn description(&self) -> &'static str;

    /// JSON Schema of the input.
    fn input_schema(&self) -> Value;

    /// Whether it changes nothing.
    fn reads_only(&self) -> bool;

    async fn run(&self, input: Value, ctx: &ToolContext) -> Result<Output, ToolError>;

    /// What a person is shown before they allow it: a diff, where that can be told without doing it.
    async fn preview(&self, _input: Value, _ctx: &ToolContext) -> Option<String> {
        None
    }
}

/// Every tool. A new one is a file of this folder and a row here.
static TOOLS: &[&dyn Tool] = &[
    &read_file::ReadFile,
    &list_files::ListFiles,
    &search::Search,
    &edit_file::EditFile,
    &write_file::WriteFile,
    &run_command::RunCommand,
    &commit::Commit,
];

/// What providers are told of.
#[must_use]
pub fn specs() -> Vec<ToolSpec> {
    let spec = |tool: &&dyn Tool| ToolSpec {
        name: tool.name().to_owned(),
        description: tool.description().to_owned(),
        input_schema: tool.input_schema(),
    };
    TOOLS.iter().map(spec).collect()
}

/// Whether a tool of this name only reads.
#[must_use]
pub fn reads_only(name: &str) -> bool {
    find(name).is_some_and(|tool| tool.reads_only())
}

/// Runs a call. Whatever goes wrong is told to the model.
pub async fn run(call: &ToolCall, ctx: &ToolContext) -> Ran {
    let outcome = match find(&call.name) {
        None => Err(ToolError::Unknown { name: call.name.clone(), known: names() }),
        Some(tool) => match input::object(&call.input) {
            Ok(input) => tool.run(input, ctx).await,
            Err(error) => Err(error),
        },
    };
    match outcome {
        Ok(output) => finish(call, ctx, output, None),
        Err(error) => {
            let event = denied(call, ctx, &error);
            let data = error.reason().map(|reason| json!({ "denied": reason }));
            finish(call, ctx, Output { text: error.for_model(), data, failed: true }, event)
        }
    }
}

/// What a call would change, as a person is shown it before.
pub(crate) async fn preview(call: &ToolCall, ctx: &ToolContext) -> Option<String> {
    find(&call.name)?.preview(input::object(&call.input).ok()?, ctx).await
}

/// Where a path leads within the worktree, through its links.
pub(crate) async fn real_path(ctx: &ToolContext, path: String) -> Result<PathBuf, ToolError> {
    // Whether the person's rules let it is judged by them; here it is only found.
    ctx.blocking(move |ctx| Tree::open(&ctx.root, Arc::default())?.locate_any(&path)).await
}

fn finish(call: &ToolCall, ctx: &ToolContext, output: Output, event: Option<NewEvent>) -> Ran {
    let (text, overflow) = shown::bound(ctx.redactor.redact(&output.text), ctx.shown_bytes);
    let data = output.data.map(|data| redact_data(&ctx.redactor, data));
    let result = ToolResult { id: call.id.clone(), text, is_error: output.failed, data };
    Ran { result, overflow, event }
}

/// What was refused for what it would reach goes to the log, where a person sees it.
fn denied(call: &ToolCall, ctx: &ToolContext, error: &ToolError) -> Option<NewEvent> {
    let reason = error.reason()?;
    let path = error.path().map(|path| ctx.redactor.redact(path));
    tracing::warn!(session = ctx.session, tool = call.name, path, reason, "a tool call was denied");
    let data =
        json!({ "id": ctx.session, "tool": call.name, "call": call.id, "path": path, "reason": reason });
    let event = NewEvent::new("tool.denied", format!("session/{}", ctx.session), data);
    Some(event.correlated(ctx.session.clone()))
}

fn find(name: &str) -> Option<&'static dyn Tool> {
    TOOLS.iter().copied().find(|tool| tool.name() == name)
}

fn names() -> Vec<&'static str> {
    TOOLS.iter().map(|tool| tool.name()).collect()
}
