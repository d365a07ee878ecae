//! The arguments of `podium melody run`, `podium runs` and `podium pool`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct MelodyRunArgs {
    /// File of the melody: *.melody.toml or *.melody.json
    pub(crate) file: PathBuf,
    /// Value of an input; JSON where the melody wants something else than text
    #[arg(long = "input", short, value_name = "NAME=VALUE")]
    pub(crate) inputs: Vec<String>,
    /// Where it works [default: the worktree of the current folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) repo: Option<PathBuf>,
    /// Print the id of the run and leave; it goes on by itself
    #[arg(long, short)]
    pub(crate) detach: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Runs, newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  podium runs list\n  podium runs list --open --melody review"
    )]
    List {
        /// Of this melody only
        #[arg(long, value_name = "ID")]
        melody: Option<String>,
        /// Only those that are not over
        #[arg(long)]
        open: bool,
        /// At most so many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: Option<u32>,
    },
    /// A run with the states of its nodes
    #[command(after_help = "Example:\n  podium runs show ID")]
    Show(RunArgs),
    /// What its nodes said
    #[command(after_help = "Examples:\n  podium runs logs ID\n  podium runs logs ID --node tests")]
    Logs {
        #[command(flatten)]
        run: RunArgs,
        /// Of this node only
        #[arg(long, value_name = "NODE")]
        node: Option<String>,
    },
    /// How long runs of its melody and their nodes take
    #[command(after_help = "Examples:\n  podium runs metrics ID\n  podium runs metrics --prometheus")]
    Metrics {
        /// Id of a run of the melody, or its unique beginning [default: all melodies]
        run: Option<String>,
        /// As text for Prometheus
        #[arg(long)]
        prometheus: bool,
    },
    /// Follow a run to its end; Ctrl-C leaves it running
    #[command(after_help = "Example:\n  podium runs watch ID")]
    Watch {
        #[command(flatten)]
        run: RunArgs,
        /// Only what changes behind this number
        #[arg(long, value_name = "N", default_value_t = 0)]
        from_seq: u64,
    },
    /// Begin nothing new; what runs comes to its end
    #[command(after_help = "Example:\n  podium runs pause ID")]
    Pause(RunArgs),
    /// Go on after a pause
    #[command(after_help = "Example:\n  podium runs resume ID")]
    Resume(RunArgs),
    /// End a run and what runs in it
    #[command(after_help = "Example:\n  podium runs cancel ID")]
    Cancel(RunArgs),
    /// Run again what failed, and what was left out because of it
    #[command(after_help = "Examples:\n  podium runs retry ID\n  podium runs retry ID --node tests")]
    Retry {
        #[command(flatten)]
        run: RunArgs,
        /// This node only [default: all that failed]
        #[arg(long, value_name = "NODE")]
        node: Option<String>,
    },
    /// Run a node again, and everything behind it
    #[command(after_help = "Example:\n  podium runs rerun ID --node tests")]
    Rerun {
        #[command(flatten)]
        run: RunArgs,
        /// Node to begin at
        #[arg(long, value_name = "NODE")]
        node: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Id of the run, or its unique beginning (8 characters at least)
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}
