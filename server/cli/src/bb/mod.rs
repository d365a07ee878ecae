//! `bb`: the event log, events of one's own, and tasks that failed.

mod args;
mod dlq;
mod publish;
mod render;
mod replay;
mod show;
mod tail;

pub use args::{BbArgs, BbCli, BbCommand, TailArgs};
pub(crate) use tail::read;
pub use tail::{Form, tail};

use crate::completions;
use crate::context::Context;
use crate::output::{Ending, Output};

/// Output for a command, so that a command that streams also fails in lines.
#[must_use]
pub fn output_for(command: &BbCommand, output: Output) -> Output {
    match command {
        BbCommand::Tail(_) | BbCommand::Replay(_) => output.streaming(),
        _ => output,
    }
}

/// Runs one command.
///
/// # Errors
/// What the daemon answers, wrong usage, or a closed standard output.
pub async fn run(context: &Context, args: BbArgs) -> Ending {
    match args.command {
        BbCommand::Publish(args) => publish::publish(context, args).await,
        BbCommand::Tail(args) => tail(context, args, Form::Cloud).await,
        BbCommand::Replay(args) => replay::replay(context, args).await,
        BbCommand::Types { kind } => show::types(context, kind).await,
        BbCommand::Show { id } => show::event(context, id).await,
        BbCommand::Dlq(command) => dlq::run(context, command).await,
        BbCommand::Completions(shell) => completions::print::<BbCli>(context, "bb", &shell).await,
    }
}
