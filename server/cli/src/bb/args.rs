//! The arguments of `bb`.

use clap::{Args, Parser, Subcommand};

use crate::completions::CompletionsArgs;
use crate::parse::OutputArgs;

/// Events: what happened, in order, for whoever listens; and tasks that agents take from queues.
#[derive(Debug, Parser)]
#[command(
    name = "bb",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  bb tail                                        what happens from now on
  bb publish deploy.finished --data '{\"version\":\"1.2\"}'
  bb publish task.assigned --data '{\"id\":\"t-1\",\"task\":\"Write the tests\"}'
                                                 `jelmore listen` takes it
  bb dlq list                                    tasks that failed as often as they may"
)]
pub struct BbCli {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub bb: BbArgs,
}

#[derive(Debug, Clone, Args)]
pub struct BbArgs {
    #[command(subcommand)]
    pub command: BbCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum BbCommand {
    /// Publish an event of your own, or assign a task
    #[command(after_help = "\
Examples:
  bb publish deploy.finished --data '{\"version\":\"1.2\"}' --subject service/shop
  bb publish build.failed --data - < report.json
  bb publish task.assigned --data '{\"id\":\"t-1\",\"task\":\"Fix #12\",\"type\":\"fix\",\"name\":\"12\"}'

A type is a noun and what has happened to it. Types of Podium itself (worktree.*, session.*, ...) are refused; `bb types`
lists those with a known shape. A task of the same id is the same task: publishing it again changes nothing.
Known secrets in the data are redacted. An agent may publish events of its own, but assign no tasks.")]
    Publish(PublishArgs),
    /// Print events as they happen, as CloudEvents
    #[command(after_help = "\
Examples:
  bb tail                                what happens from now on, until Ctrl-C
  bb tail --from-seq 0 --until-now       the whole log
  bb tail --from-seq 120 --type 'task.*' --json

It goes on by itself, without gap or repeat, when the daemon ends and comes back.")]
    Tail(TailArgs),
    /// Print a part of the log once more, or publish it again
    #[command(after_help = "\
Examples:
  bb replay --from-seq 100 --to-seq 200
  bb replay --from-seq 100 --to-seq 200 --type 'deploy.*' --publish

Printing changes nothing. With --publish, events that people and agents published are published again, as new events that
name the old ones as their cause; what Podium itself told of did not happen twice and is passed over. A task that is assigned
again under its id is not done again: `bb dlq retry` does that with one that failed.")]
    Replay(ReplayArgs),
    /// Types of events: who may publish them, the shape of their data, how many the log has
    #[command(after_help = "Examples:\n  bb types\n  bb types task.assigned        with its JSON Schema")]
    Types {
        /// Only this one, with its schema
        #[arg(value_name = "TYPE")]
        kind: Option<String>,
    },
    /// Show one event
    #[command(after_help = "Examples:\n  bb show 42\n  bb show 0197f3c2")]
    Show {
        /// Its number in the log, its id, or the unique beginning of the id
        #[arg(value_name = "ID|SEQ")]
        id: String,
    },
    /// Dead letters: tasks that failed as often as they may
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  bb completions zsh > ~/.zfunc/_bb")]
    Completions(CompletionsArgs),
}

#[derive(Debug, Clone, Args)]
pub struct PublishArgs {
    /// `noun.past_participle`
    #[arg(value_name = "TYPE")]
    pub kind: String,
    /// A JSON object; `-` reads it from standard input [default: {}]
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub data: Option<String>,
    /// What it is about
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    /// What it belongs to: the id of a request or a task
    #[arg(long, value_name = "ID")]
    pub correlation: Option<String>,
    /// Id of the event that led to it
    #[arg(long, value_name = "ID")]
    pub causation: Option<String>,
    /// A UUID for the event: the same event again under it changes nothing [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub id: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct TailArgs {
    /// Start behind this event [default: only what is new]
    #[arg(long, value_name = "N")]
    pub from_seq: Option<u64>,
    /// Stop at the newest event of now
    #[arg(long)]
    pub until_now: bool,
    /// Go on as they come; what happens anyway
    #[arg(long, short, conflicts_with = "until_now")]
    pub follow: bool,
    /// Only events of this type; a trailing .* takes all below; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// First event
    #[arg(long, value_name = "A")]
    pub from_seq: u64,
    /// Last event [default: the newest of now]
    #[arg(long, value_name = "B")]
    pub to_seq: Option<u64>,
    /// Only events of this type; a trailing .* takes all below; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Publish them again
    #[arg(long)]
    pub publish: bool,
}

#[derive(Debug, Clone, Subcommand)]
pub enum DlqCommand {
    /// Dead letters, newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  bb dlq list\n  bb dlq list --all     every task, however it stands"
    )]
    List {
        /// Every task, however it stands
        #[arg(long, short)]
        all: bool,
        /// Only of this queue
        #[arg(long, value_name = "Q")]
        queue: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: Option<u32>,
    },
    /// Show a task: how it was assigned, how it stands, why it failed
    #[command(after_help = "Example:\n  bb dlq show t-1")]
    Show {
        /// Its id, or the unique beginning of it
        id: String,
    },
    /// Assign failed tasks again, in a new session in the same worktree
    #[command(after_help = "Examples:\n  bb dlq retry t-1\n  bb dlq retry --all")]
    Retry {
        /// Their ids, or unique beginnings
        #[arg(required_unless_present = "all", value_name = "ID")]
        ids: Vec<String>,
        /// Every dead letter
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}
