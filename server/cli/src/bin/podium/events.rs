//! `podium events`: the log in the protocol's own form. `bb tail` prints the same as CloudEvents.

use podium_cli::bb::{self, Form};
use podium_cli::context::Context;
use podium_cli::output::Ending;

use crate::args::EventsCommand;

pub(crate) async fn run(context: &Context, command: EventsCommand) -> Ending {
    let EventsCommand::Tail(args) = command;
    bb::tail(context, args, Form::Wire).await
}
