//! Shell completions: words of the command line, and the names of worktrees and sessions there are.

mod names;
mod script;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

pub use names::Names;

use crate::context::Context;
use crate::output::{Failure, usage};

#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// Shell to print completions for
    #[arg(value_enum)]
    pub shell: Option<Shell>,
    /// Print what there is instead, one name a line: what the scripts ask for
    #[arg(long, value_enum, hide = true)]
    pub names: Option<Names>,
}

/// Prints the completion script of a command line.
///
/// # Errors
/// When no shell is named, and when standard output is closed or cannot be written.
pub async fn print<C: CommandFactory>(
    context: &Context,
    name: &str,
    args: &CompletionsArgs,
) -> Result<u8, Failure> {
    let output = &context.output;
    if let Some(names) = args.names {
        output.text(&names::lines(context, names).await)?;
        return Ok(0);
    }
    let Some(shell) = args.shell else {
        return Err(usage("a shell is missing", format!("{name} completions bash, zsh or fish")));
    };
    let script = script::of(shell, &mut C::command(), name);
    if output.is_json() {
        let data = serde_json::json!({ "shell": shell.to_string(), "script": script });
        output.reply(&data, |_| String::new())?;
    } else {
        output.text(&script)?;
    }
    Ok(0)
}
