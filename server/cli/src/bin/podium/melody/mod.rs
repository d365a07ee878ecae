//! `podium melody`: workflow files.

mod args;
mod excerpt;
mod files;
mod graph;
mod layout;
mod list;
mod save;
mod show;
mod validate;

use podium_cli::context::Context;
use podium_cli::output::Ending;

pub(crate) use args::MelodyCommand;

pub(crate) async fn run(context: &Context, command: MelodyCommand) -> Ending {
    match command {
        MelodyCommand::Run(args) => crate::pit::run(context, args).await,
        MelodyCommand::Validate { file } => validate::run(context, &file),
        MelodyCommand::Show { file } => show::run(context, &file),
        MelodyCommand::List { repo } => list::run(context, repo.as_deref()),
        MelodyCommand::Fmt { files, check, write } => layout::run(context, &files, check, write),
        MelodyCommand::Graph { file, format, output } => {
            graph::run(context, &file, format, output.as_deref())
        }
        MelodyCommand::Save { file } => save::run(context, &file).await,
    }
}
