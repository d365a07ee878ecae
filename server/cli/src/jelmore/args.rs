//! The arguments of `jelmore`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use podium_protocol::{ExportFormat, InboxDecision, InboxScope, SessionStatus};

use super::listen::{LISTEN_HELP, ListenArgs};
use super::run::{RUN_HELP, RunArgs};
use super::search::SessionSearchArgs;
use crate::completions::CompletionsArgs;
use crate::parse::OutputArgs;

/// AI sessions that survive: streamed, stored before they are shown, resumed where they stopped.
#[derive(Debug, Parser)]
#[command(
    name = "jelmore",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  jelmore start --prompt \"What does this project do?\"      the first usable provider answers
  git diff | jelmore start local --prompt -                the prompt comes from standard input
  jelmore sessions list
  jelmore sessions resume ID                               go on where it stopped"
)]
pub struct JelmoreCli {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub jelmore: JelmoreArgs,
}

#[derive(Debug, Clone, Args)]
pub struct JelmoreArgs {
    /// Any path inside the repository [default: the current folder; of lists outside of all: everything]
    #[arg(long, global = true, value_name = "PATH", display_order = 901)]
    pub repo: Option<PathBuf>,
    #[command(subcommand)]
    pub command: JelmoreCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum JelmoreCommand {
    /// Providers, whether each can be used, and how to make it so
    #[command(after_help = "Example:\n  jelmore providers")]
    Providers,
    /// Start a session and stream its answer
    #[command(after_help = "\
Examples:
  jelmore start local --prompt \"Explain src/main.rs\"
  jelmore start claude --prompt \"Write the tests\" --worktree feat-x --agent-id claude-1
  jelmore start --continue --prompt \"Shorter, please\"

Ctrl-C cancels the session and waits for its end; a second Ctrl-C leaves at once.")]
    Start(StartArgs),
    /// Work on a task: take a worktree, have an agent work there, commit, give the worktree back
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Take tasks from a queue: each is worked on as `jelmore run` does
    #[command(after_help = LISTEN_HELP)]
    Listen(ListenArgs),
    /// Sessions: list, show, search, resume, cancel, fork, rewind, export, diff
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Tokens and cost by day, provider and worktree
    #[command(after_help = "Examples:\n  jelmore usage\n  jelmore usage --days 7 --json")]
    Usage(UsageArgs),
    /// Questions of agents that a person answers
    #[command(after_help = "\
Examples:
  jelmore inbox                    open questions; on a terminal live, answered by keys
  jelmore inbox list               the same as a list
  jelmore inbox answer ID allow
  jelmore inbox --watch            questions as they come
  jelmore inbox ask \"May I push?\"  as an agent; waits for the answer with --wait")]
    Inbox(InboxArgs),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  jelmore completions zsh > ~/.zfunc/_jelmore")]
    Completions(CompletionsArgs),
}

#[derive(Debug, Clone, Args)]
pub struct StartArgs {
    /// local, anthropic (or claude), openai, ... [default: the first usable one]
    pub provider: Option<String>,
    /// What to ask; `-` reads it from standard input
    #[arg(long, short, value_name = "TEXT", allow_hyphen_values = true)]
    pub prompt: Option<String>,
    /// Who works [env: PODIUM_AGENT_ID] [default: the person]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
    /// Id to give the session
    #[arg(long, value_name = "ID")]
    pub session_id: Option<String>,
    /// Go on with the newest session that is not over, or with --session-id
    #[arg(long = "continue")]
    pub go_on: bool,
    /// Worktree to work in; it is claimed for the session
    #[arg(long, value_name = "NAME")]
    pub worktree: Option<String>,
    #[arg(long)]
    /// Model of the provider
    pub model: Option<String>,
    #[command(flatten)]
    pub bounds: BoundsArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// What holds for the turn that a prompt begins, and for those after it.
#[derive(Debug, Clone, Args)]
pub struct BoundsArgs {
    /// Seed of a local model: same seed, same text
    #[arg(long, requires = "prompt")]
    pub seed: Option<u64>,
    /// Upper bound of the answer, in tokens
    #[arg(long, value_name = "N", requires = "prompt", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: Option<u32>,
    /// 0 to 2; 0 takes the likeliest token always
    #[arg(long, value_name = "T", requires = "prompt", value_parser = temperature)]
    pub temperature: Option<f64>,
}

/// What the whole session may use; it waits for a person then.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Most that the session may cost, in US dollars
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    pub max_cost: Option<f64>,
    /// Most tokens of the session, asked and answered
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_total_tokens: Option<u64>,
}

fn dollars(text: &str) -> Result<f64, String> {
    match text.trim_start_matches('$').parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("a number of US dollars is needed, not below 0".to_owned()),
    }
}

pub(super) fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=2.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 2 is needed".to_owned()),
    }
}

#[derive(Debug, Clone, Subcommand)]
pub enum SessionsCommand {
    /// Sessions, newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  jelmore sessions list\n  jelmore sessions list --status interrupted\n  jelmore sessions list --all"
    )]
    List(SessionListArgs),
    /// A session with its transcript
    #[command(
        after_help = "Examples:\n  jelmore sessions show        the newest one\n  jelmore sessions show ID --json"
    )]
    Show(SessionShowArgs),
    /// Sessions whose transcript holds these words, and where
    #[command(after_help = "\
Examples:
  jelmore sessions search lighthouse
  jelmore sessions search cargo test --repo .      all words, in this repository
  jelmore sessions search --json migration         with the numbers of the items")]
    Search(SessionSearchArgs),
    /// Replay a session and go on where it stopped, or add a turn
    #[command(after_help = "\
Examples:
  jelmore sessions resume ID                          all of it, then what is missing
  jelmore sessions resume ID --from-seq 42            only what comes after item 42
  jelmore sessions resume ID --prompt \"And in Rust?\"  one more turn
  jelmore sessions resume ID --again                  finish an answer that was cancelled")]
    Resume(SessionResumeArgs),
    /// Places of a session to go back to
    #[command(after_help = "Example:\n  jelmore sessions checkpoints ID")]
    Checkpoints(SessionIdArgs),
    /// Go back to a checkpoint: files and conversation
    #[command(after_help = "\
Examples:
  jelmore sessions rewind ID --to CHECKPOINT            files come back, commits stay
  jelmore sessions rewind ID --to CHECKPOINT --commits  the branch goes back as well

What is there before is kept in a checkpoint of its own: rewinding to that takes the rewind back.
Ignored files, and what somebody changes meanwhile, stay as they are.")]
    Rewind(SessionRewindArgs),
    /// Make a session of its own out of another one's beginning
    #[command(after_help = "\
Examples:
  jelmore sessions fork ID                                      as it is now, in the same worktree
  jelmore sessions fork ID --at CHECKPOINT --worktree feat-try  with the files of then, in a new worktree")]
    Fork(SessionForkArgs),
    /// The transcript as a document
    #[command(after_help = "\
Examples:
  jelmore sessions export ID
  jelmore sessions export ID --format html --output talk.html")]
    Export(SessionExportArgs),
    /// What a session changed in its worktree
    #[command(after_help = "\
Examples:
  jelmore sessions diff ID                     everything since it began
  jelmore sessions diff ID --turn 2            by its second turn
  jelmore sessions diff ID --from CHECKPOINT   since a checkpoint")]
    Diff(SessionDiffArgs),
    /// Take back what a session changed in one file, or single hunks of it
    #[command(after_help = "\
Examples:
  jelmore sessions revert ID src/main.rs
  jelmore sessions revert ID src/main.rs --hunk 0 --hunk 2    as `sessions diff` counts them

Refused where the file was changed since in that place.")]
    Revert(SessionRevertArgs),
    /// End a running session; what it said stays
    #[command(after_help = "Example:\n  jelmore sessions cancel ID")]
    Cancel(SessionIdArgs),
    /// Open the socket on which the session's agent speaks for itself
    #[command(
        after_help = "Example:\n  jelmore sessions capability ID      prints the variables to give to the agent"
    )]
    Capability(SessionIdArgs),
}

#[derive(Debug, Clone, Args)]
pub struct SessionIdArgs {
    /// Id of the session
    pub id: String,
}

#[derive(Debug, Clone, Args)]
pub struct SessionListArgs {
    /// Only sessions in this state
    #[arg(long, value_enum)]
    pub status: Option<StatusFilter>,
    /// Only sessions of this worktree
    #[arg(long, value_name = "NAME")]
    pub worktree: Option<String>,
    /// Of every repository, and of none
    #[arg(long, short)]
    pub all: bool,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, Args)]
pub struct SessionShowArgs {
    /// Id of the session [default: the newest]
    pub id: Option<String>,
    /// Only items above this number
    #[arg(long, value_name = "N")]
    pub from_seq: Option<u64>,
}

#[derive(Debug, Clone, Args)]
pub struct SessionResumeArgs {
    /// Id of the session [default: the newest that is not over]
    pub id: Option<String>,
    /// Replay only items above this number
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from_seq: u64,
    /// Next turn; `-` reads it from standard input
    #[arg(long, short, value_name = "TEXT", allow_hyphen_values = true)]
    pub prompt: Option<String>,
    /// Finish an answer that was cancelled
    #[arg(long, conflicts_with = "prompt")]
    pub again: bool,
    #[command(flatten)]
    pub bounds: BoundsArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Clone, Args)]
pub struct UsageArgs {
    /// Of the newest so many days on which something was used
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub days: u32,
}

#[derive(Debug, Clone, Args)]
pub struct SessionRewindArgs {
    /// Id of the session
    pub id: String,
    /// Checkpoint to go back to
    #[arg(long, value_name = "CHECKPOINT")]
    pub to: String,
    /// The worktree's branch goes back to the commit it was at
    #[arg(long)]
    pub commits: bool,
}

#[derive(Debug, Clone, Args)]
pub struct SessionForkArgs {
    /// Id of the session
    pub id: String,
    /// Checkpoint to begin from [default: the session as it is now]
    #[arg(long, value_name = "CHECKPOINT")]
    pub at: Option<String>,
    /// Worktree to make for it, with the files of the checkpoint [default: the same worktree]
    #[arg(long, value_name = "NAME")]
    pub worktree: Option<String>,
    /// Id to give the new session
    #[arg(long, value_name = "ID")]
    pub session_id: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct SessionExportArgs {
    /// Id of the session [default: the newest]
    pub id: Option<String>,
    #[arg(long, value_enum, default_value = "markdown")]
    pub format: Format,
    /// File to write, which must not exist [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What two places of a session are compared.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// Of this turn only, from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "from")]
    pub turn: Option<u64>,
    /// Since this checkpoint
    #[arg(long, value_name = "CHECKPOINT")]
    pub from: Option<String>,
    /// Until this checkpoint [default: the newest]
    #[arg(long, value_name = "CHECKPOINT")]
    pub to: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct SessionDiffArgs {
    /// Id of the session [default: the newest]
    pub id: Option<String>,
    #[command(flatten)]
    pub choice: DiffArgs,
}

#[derive(Debug, Clone, Args)]
pub struct SessionRevertArgs {
    /// Id of the session
    pub id: String,
    /// Path, relative to the worktree
    pub path: String,
    /// Only this hunk, from 0; may be given several times
    #[arg(long = "hunk", value_name = "N")]
    pub hunks: Vec<u32>,
    #[command(flatten)]
    pub choice: DiffArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Markdown,
    Json,
    Html,
}

impl From<Format> for ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Markdown => Self::Markdown,
            Format::Json => Self::Json,
            Format::Html => Self::Html,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub struct InboxArgs {
    #[command(subcommand)]
    pub command: Option<InboxCommand>,
    /// Answered and withdrawn questions too
    #[arg(long)]
    pub all: bool,
    /// Show questions and answers as they come, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

#[derive(Debug, Clone, Subcommand)]
pub enum InboxCommand {
    /// Open questions
    List {
        /// Answered and withdrawn questions too
        #[arg(long)]
        all: bool,
    },
    /// A question with all that it is about: the command, or the change
    #[command(after_help = "Example:\n  jelmore inbox show ID")]
    Show {
        /// Id of the question
        id: String,
    },
    /// Answer a question, once
    #[command(after_help = "\
Examples:
  jelmore inbox answer ID deny
  jelmore inbox answer ID allow --scope session    and the same later in this session")]
    Answer {
        /// Id of the question
        id: String,
        #[arg(value_enum)]
        decision: Decision,
        /// How far the answer reaches
        #[arg(long, value_enum, default_value = "once")]
        scope: Scope,
    },
    /// Answers that hold for later questions
    #[command(after_help = "Example:\n  jelmore inbox rules")]
    Rules,
    /// Take such an answer back: the next time is asked again
    #[command(after_help = "Example:\n  jelmore inbox forget ID")]
    Forget {
        /// Id of the lasting answer
        id: String,
    },
    /// Put a question to the person
    #[command(after_help = "Example:\n  jelmore inbox ask \"May I push?\" --wait && git push")]
    Ask {
        /// At most 2,000 characters
        question: String,
        /// Who asks [env: PODIUM_AGENT_ID] [default: the person]
        #[arg(long, value_name = "ID", alias = "yi-id")]
        agent_id: Option<String>,
        /// Wait for the answer: exit 0 allowed, 1 denied
        #[arg(long)]
        wait: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Decision {
    Allow,
    Deny,
}

impl From<Decision> for InboxDecision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allow => Self::Allow,
            Decision::Deny => Self::Deny,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    Once,
    Session,
    Project,
}

impl From<Scope> for InboxScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Once => Self::Once,
            Scope::Session => Self::Session,
            Scope::Project => Self::Project,
        }
    }
}

/// The states of a session, by the names they have on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum StatusFilter {
    InProgress,
    Interrupted,
    Completed,
    Failed,
    Cancelled,
    Parked,
}

impl From<StatusFilter> for SessionStatus {
    fn from(filter: StatusFilter) -> Self {
        match filter {
            StatusFilter::InProgress => Self::InProgress,
            StatusFilter::Interrupted => Self::Interrupted,
            StatusFilter::Completed => Self::Completed,
            StatusFilter::Failed => Self::Failed,
            StatusFilter::Cancelled => Self::Cancelled,
            StatusFilter::Parked => Self::Parked,
        }
    }
}
