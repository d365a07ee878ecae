//! `jelmore`: AI sessions and the inbox.

mod args;
mod inbox;
mod listen;
mod render;
mod rewind;
mod run;
mod search;
mod sessions;
mod start;
mod stream;
mod usage;
mod view;

use args::InboxArgs;
pub use args::{JelmoreArgs, JelmoreCli, JelmoreCommand, SessionsCommand};

use jiff::Timestamp;
use podium_protocol::{ProviderListMethod, ProviderListParams};

use crate::completions;
use crate::context::{Context, list_scope, repo_selector};
use crate::output::{Ending, Output};
use crate::progress::waiting;

/// Output for a command, so that a command that streams also fails in lines.
#[must_use]
pub fn output_for(command: &JelmoreCommand, output: Output) -> Output {
    match command {
        JelmoreCommand::Start(_)
        | JelmoreCommand::Run(_)
        | JelmoreCommand::Listen(_)
        | JelmoreCommand::Sessions(SessionsCommand::Resume(_)) => output.streaming(),
        JelmoreCommand::Inbox(InboxArgs { watch: true, .. }) => output.streaming(),
        _ => output,
    }
}

/// Runs one command.
///
/// # Errors
/// What the daemon answers, wrong usage, or a closed standard output.
pub async fn run(context: &Context, args: JelmoreArgs) -> Ending {
    let repo = args.repo.as_deref();
    match args.command {
        JelmoreCommand::Providers => providers(context).await,
        JelmoreCommand::Start(start) => start::start(context, repo_selector(repo)?, start).await,
        JelmoreCommand::Run(args) => run::run(context, repo_selector(repo)?, args).await,
        JelmoreCommand::Listen(args) => listen::listen(context, repo_selector(repo)?, args).await,
        JelmoreCommand::Sessions(command) => match command {
            SessionsCommand::List(list) => sessions::list(context, list_scope(repo, list.all)?, list).await,
            SessionsCommand::Show(show) => sessions::show(context, show).await,
            SessionsCommand::Search(search) => {
                // Words are looked for everywhere, unless a place is named.
                search::search(context, list_scope(repo, repo.is_none())?, search).await
            }
            SessionsCommand::Resume(resume) => start::resume(context, repo_selector(repo)?, resume).await,
            SessionsCommand::Checkpoints(id) => rewind::checkpoints(context, id).await,
            SessionsCommand::Rewind(args) => rewind::rewind(context, args).await,
            SessionsCommand::Fork(args) => rewind::fork(context, args).await,
            SessionsCommand::Export(args) => rewind::export(context, args).await,
            SessionsCommand::Diff(args) => rewind::diff(context, args).await,
            SessionsCommand::Revert(args) => rewind::revert(context, args).await,
            SessionsCommand::Cancel(id) => sessions::cancel(context, id).await,
            SessionsCommand::Capability(id) => sessions::capability(context, id).await,
        },
        JelmoreCommand::Usage(usage) => usage::show(context, usage).await,
        JelmoreCommand::Inbox(inbox) => inbox::run(context, inbox).await,
        JelmoreCommand::Completions(shell) => {
            completions::print::<JelmoreCli>(context, "jelmore", &shell).await
        }
    }
}

async fn providers(context: &Context) -> Ending {
    let client = context.client()?;
    let call = client.call::<ProviderListMethod>(ProviderListParams {});
    let answer = waiting(&context.output, "asking the providers", call).await?;
    context.output.reply(&answer, |paint| render::providers(&answer.providers, paint))?;
    Ok(0)
}

fn now() -> Timestamp {
    Timestamp::now()
}
