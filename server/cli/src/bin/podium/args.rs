//! The arguments of `podium`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use podium_cli::bb::{BbArgs, TailArgs};
use podium_cli::completions::CompletionsArgs;
use podium_cli::imi::ImiArgs;
use podium_cli::jelmore::JelmoreArgs;
use podium_cli::parse::OutputArgs;

use crate::pit::args::RunsCommand;

/// Many AI agents, one git repository, nobody tramples on anybody.
#[derive(Debug, Parser)]
#[command(
    name = "podium",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  podium try                  see the main job done on this repository, in a temporary copy
  podium setup neovim         what it takes to connect an editor; --write does it
  podium doctor               is everything well, and what to do if not"
)]
pub(crate) struct PodiumCli {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Do the main job on this repository, in a temporary copy, and clean up
    #[command(after_help = "\
Examples:
  podium try                 claims, streams, kills the daemon in mid-answer, resumes, compares
  podium try --keep ~/app    leaves its folder and says where")]
    Try(TryArgs),
    /// Each part: ok, degraded, broken or off, and what to do
    #[command(
        after_help = "Example:\n  podium doctor --json | jq '.data.parts[] | select(.state != \"ok\")'"
    )]
    Doctor,
    /// How the daemon is; starts one where none runs
    #[command(after_help = "Example:\n  podium status")]
    Status,
    /// The daemon: start, status, stop, logs
    #[command(after_help = "\
Examples:
  podium daemon                  start one in the background, where none runs
  podium daemon --foreground     run it here; Ctrl-C stops it
  podium daemon logs -f          follow its log")]
    Daemon(DaemonArgs),
    /// The language server, on standard input and output
    #[command(after_help = "Editors start it; `podium setup EDITOR` tells them how.")]
    Lsp(LspArgs),
    /// The server of the Model Context Protocol (MCP), on standard input and output
    #[command(after_help = crate::mcp::HELP)]
    Mcp(crate::mcp::McpArgs),
    /// Connect an editor: prints what it would do, --write does it
    #[command(after_help = "\
Examples:
  podium setup vscode            what would be installed, and how
  podium setup neovim --write    install the plugin; what was there is kept as a backup
  podium setup helix --write     merge the language server into languages.toml")]
    Setup(SetupArgs),
    /// The configuration, and where each value comes from
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Local models: list, fetch, verify, remove
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Stored answers and files: search, get, list
    #[command(subcommand)]
    Artifacts(ArtifactsCommand),
    /// Melodies, the workflow files: run, validate, show, list, fmt, graph, save
    #[command(subcommand)]
    Melody(crate::melody::MelodyCommand),
    /// Runs of melodies: list, show, follow, control
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Models, providers and agents that runs and sessions use
    #[command(after_help = "Example:
  podium pool")]
    Pool,
    /// The event log
    #[command(subcommand)]
    Events(EventsCommand),
    /// Keep one agent running; started by the daemon, which hands over what to run
    #[command(hide = true)]
    RunAgent,
    /// Take back everything: locks, excludes, state
    #[command(after_help = "\
Examples:
  podium uninstall           lists what would go, and asks
  podium uninstall --yes     does not ask; worktrees and branches stay")]
    Uninstall(UninstallArgs),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  podium completions zsh > ~/.zfunc/_podium")]
    Completions(CompletionsArgs),
    /// The command line `imi`: worktrees and claims
    Imi(ImiArgs),
    /// The command line `jelmore`: AI sessions
    Jelmore(JelmoreArgs),
    /// The command line `bb`: events and queues of tasks
    Bb(BbArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TryArgs {
    /// Repository to do it on [default: the one this folder lies in]
    pub(crate) path: Option<PathBuf>,
    /// Leave its temporary folder, and say where
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LspArgs {
    /// What editors pass; standard input and output are used anyway
    #[arg(long, hide = true)]
    pub(crate) stdio: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DaemonArgs {
    #[command(subcommand)]
    pub(crate) command: Option<DaemonCommand>,
    /// Run it in this terminal
    #[arg(long)]
    pub(crate) foreground: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Process, memory, connections of the running daemon; starts none
    #[command(after_help = "Example:\n  podium daemon status --json | jq .data.pid")]
    Status,
    /// Stop it; running sessions can be resumed, editors wait for you
    #[command(after_help = "Example:\n  podium daemon stop")]
    Stop,
    /// Its log
    #[command(after_help = "Examples:\n  podium daemon logs -n 100\n  podium daemon logs -f")]
    Logs(LogsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Go on as it grows, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// So many lines from the end
    #[arg(short = 'n', long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) lines: u32,
}

#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    #[arg(value_enum)]
    pub(crate) editor: Editor,
    /// Do it; whatever is replaced is kept as a backup
    #[arg(long)]
    pub(crate) write: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Editor {
    Vscode,
    Neovim,
    Helix,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Values with their sources
    #[command(after_help = "Examples:\n  podium config get\n  podium config get KEY")]
    Get {
        /// Dotted key [default: all]
        key: Option<String>,
    },
    /// Change a value in the user's configuration file; takes effect at once
    #[command(
        after_help = "Example:\n  podium config set KEY VALUE      a number, true, false, a list in JSON, or text"
    )]
    Set {
        /// Dotted key
        key: String,
        /// Read as JSON where it is JSON, else as text
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Take a value out of the user's configuration file
    #[command(after_help = "Example:\n  podium config unset KEY")]
    Unset {
        /// Dotted key
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Known models and what of them is on the disk
    #[command(visible_alias = "ls", after_help = "Example:\n  podium models list")]
    List,
    /// Fetch and verify a model; goes on where an earlier fetch stopped
    #[command(
        after_help = "Examples:\n  podium models fetch            the default model\n  podium models fetch NAME"
    )]
    Fetch(ModelArgs),
    /// Read a model's file and compare its checksum
    #[command(after_help = "Example:\n  podium models verify")]
    Verify(ModelArgs),
    /// Delete a model's file
    #[command(visible_alias = "rm", after_help = "Example:\n  podium models remove NAME")]
    Remove(ModelArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// Name of the model [default: the default model]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ArtifactFilter {
    /// code, docs, tests, config, log or report
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Only of this session
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// Only of this worktree
    #[arg(long, value_name = "NAME")]
    pub(crate) worktree: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ArtifactsCommand {
    /// Full-text search
    #[command(
        after_help = "Examples:\n  podium artifacts search lighthouse\n  podium artifacts search \"token bucket\" --kind code"
    )]
    Search {
        /// Words to look for
        query: String,
        #[command(flatten)]
        filter: ArtifactFilter,
    },
    /// Print an artifact
    #[command(
        after_help = "Examples:\n  podium artifacts get ID > answer.md\n  podium artifacts get ID --path"
    )]
    Get {
        /// Id, its unique beginning, or the full hash
        id: String,
        /// Print the path of its file instead
        #[arg(long)]
        path: bool,
    },
    /// Artifacts, newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  podium artifacts list --worktree feat-x\n  podium artifacts list --all"
    )]
    List {
        /// Any path inside the repository [default: the current folder; outside of all: everything]
        #[arg(long, value_name = "PATH")]
        repo: Option<PathBuf>,
        /// Of every repository, and of none
        #[arg(long, short, conflicts_with = "repo")]
        all: bool,
        #[command(flatten)]
        filter: ArtifactFilter,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// Print events as they happen
    #[command(after_help = "\
Examples:
  podium events tail                            what happens from now on, until Ctrl-C
  podium events tail --from-seq 0 --until-now   the whole log
  podium events tail --type 'worktree.*'")]
    Tail(TailArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UninstallArgs {
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Also where worktrees are claimed
    #[arg(long)]
    pub(crate) force: bool,
}
