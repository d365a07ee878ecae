//! `podium`: the daemon, the language server, and what keeps both well.

mod args;
mod artifacts;
mod config;
mod daemon;
mod editors;
mod events;
mod health;
mod language_server;
mod logs;
mod mcp;
mod melody;
mod models;
mod pit;
mod setup;
mod try_out;
mod uninstall;

use std::process::ExitCode;

use podium_cli::context::{Context, block_on};
use podium_cli::output::{Ending, Output};
use podium_cli::parse::parse;
use podium_cli::{bb, completions, imi, jelmore};

use args::{Command, DaemonCommand, PodiumCli};
use melody::MelodyCommand;
use pit::args::RunsCommand;

fn main() -> ExitCode {
    let cli = match parse::<PodiumCli>(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    run(cli)
}

fn run(cli: PodiumCli) -> ExitCode {
    let output = output_for(&cli.command, Output::from_process(cli.output.json));
    match cli.command {
        // These own their process: runtime, signals, streams.
        Command::Daemon(daemon) if daemon.command.is_none() && daemon.foreground => {
            daemon::foreground(output)
        }
        Command::Lsp(_) => language_server::run(output),
        #[cfg(target_os = "linux")]
        Command::RunAgent => podium_process::runner::run_from_stdin(),
        command => {
            let context = Context::from_process("podium", output);
            output.end(block_on(dispatch(&context, command)))
        }
    }
}

/// Commands that stream also fail in lines.
fn output_for(command: &Command, output: Output) -> Output {
    match command {
        Command::Jelmore(args) => jelmore::output_for(&args.command, output),
        Command::Bb(args) => bb::output_for(&args.command, output),
        Command::Events(_) => output.streaming(),
        Command::Melody(MelodyCommand::Run(_)) | Command::Runs(RunsCommand::Watch { .. }) => {
            output.streaming()
        }
        Command::Daemon(args) if matches!(args.command, Some(DaemonCommand::Logs(_))) => output.streaming(),
        _ => output,
    }
}

async fn dispatch(context: &Context, command: Command) -> Ending {
    match command {
        Command::Daemon(args) => daemon::run(context, args).await,
        Command::Status => daemon::status(context).await,
        Command::Doctor => health::doctor(context).await,
        Command::Config(command) => config::run(context, command).await,
        Command::Models(command) => models::run(context, command).await,
        Command::Artifacts(command) => artifacts::run(context, command).await,
        Command::Runs(command) => pit::runs(context, command).await,
        Command::Pool => pit::pool(context).await,
        Command::Events(command) => events::run(context, command).await,
        Command::Melody(command) => melody::run(context, command).await,
        Command::Mcp(args) => mcp::run(context, args).await,
        Command::Setup(args) => setup::run(context, &args),
        Command::Uninstall(args) => uninstall::run(context, args).await,
        Command::Try(args) => try_out::run(context, args).await,
        Command::Completions(shell) => completions::print::<PodiumCli>(context, "podium", &shell).await,
        Command::Imi(args) => imi::run(context, args).await,
        Command::Jelmore(args) => jelmore::run(context, args).await,
        Command::Bb(args) => bb::run(context, args).await,
        // Answered by `run`, which gives them the whole process.
        Command::Lsp(_) | Command::RunAgent => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_arguments_are_consistent() {
        PodiumCli::command().debug_assert();
        imi::ImiCli::command().debug_assert();
        jelmore::JelmoreCli::command().debug_assert();
        bb::BbCli::command().debug_assert();
    }

    #[test]
    fn the_other_command_lines_pass_through() {
        let cli =
            PodiumCli::try_parse_from(["podium", "imi", "claim", "feat-x", "--agent-id", "a", "--json"])
                .unwrap();
        assert!(cli.output.json && matches!(cli.command, Command::Imi(_)));
        let cli = PodiumCli::try_parse_from(["podium", "--json", "jelmore", "sessions", "list"]).unwrap();
        assert!(cli.output.json && matches!(cli.command, Command::Jelmore(_)));
    }

    #[test]
    fn json_may_stand_before_every_word() {
        for line in [
            &["daemon", "status"][..],
            &["daemon", "logs", "-n", "3"],
            &["imi", "feat", "x", "--agent-id", "a"],
            &["imi", "list", "--all"],
            &["bb", "publish", "deploy.finished"],
            &["bb", "dlq", "list"],
            &["jelmore", "inbox", "list"],
            &["jelmore", "inbox", "answer", "q", "allow"],
            &["jelmore", "sessions", "resume", "s", "--from-seq", "4"],
            &["jelmore", "start", "local", "--prompt", "x"],
            &["models", "fetch"],
            &["artifacts", "search", "x"],
            &["events", "tail", "--until-now"],
            &["melody", "run", "m.melody.toml", "--input", "a=b"],
            &["runs", "show", "r"],
            &["runs", "metrics", "--prometheus"],
            &["pool"],
            &["config", "set", "k", "v"],
            &["melody", "validate", "x.melody.toml"],
            &["try", "--keep"],
            &["doctor"],
        ] {
            for at in 0..=line.len() {
                // Behind an option that takes a value it would be that value.
                if at > 0
                    && line[at - 1].starts_with('-')
                    && !matches!(line[at - 1], "--all" | "--until-now" | "--keep" | "--prometheus")
                {
                    continue;
                }
                let words = [&["podium"], &line[..at], &["--json"], &line[at..]].concat();
                let cli = PodiumCli::try_parse_from(&words);
                assert!(cli.as_ref().is_ok_and(|c| c.output.json), "{words:?} {:?}", cli.err());
            }
        }
    }

    fn help(mut command: clap::Command, prefix: &str, out: &mut String) {
        let name = format!("{prefix}{}", command.get_name());
        *out += &format!("## {name}\n{}\n", command.render_help());
        for sub in command.get_subcommands().cloned().collect::<Vec<_>>() {
            if !sub.is_hide_set() && !matches!(sub.get_name(), "bb" | "imi" | "jelmore") {
                help(sub, &format!("{name} "), out);
            }
        }
    }

    fn help_of<C: CommandFactory>() -> String {
        let mut text = String::new();
        let mut command = C::command().term_width(100);
        command.build();
        help(command, "", &mut text);
        text
    }

    #[test]
    fn help_reads_well_and_has_examples() {
        for (name, text) in [
            ("help_podium", help_of::<PodiumCli>()),
            ("help_imi", help_of::<imi::ImiCli>()),
            ("help_jelmore", help_of::<jelmore::JelmoreCli>()),
            ("help_bb", help_of::<bb::BbCli>()),
        ] {
            insta::assert_snapshot!(name, text);
        }
    }
}
