//! The arguments of `imi`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::completions::CompletionsArgs;
use crate::parse::OutputArgs;

/// Git worktrees for people and agents: each has one owner at a time.
#[derive(Debug, Parser)]
#[command(
    name = "imi",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  imi feat user-auth                            make (or enter) the worktree feat-user-auth
  imi claim feat-user-auth --agent-id claude-1  take it; others are refused until it is released
  imi list                                      every worktree with owner and changes
  eval \"$(imi shell-init bash)\"                 let `imi feat` and `imi go` change the folder"
)]
pub struct ImiCli {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub imi: ImiArgs,
}

#[derive(Debug, Clone, Args)]
pub struct ImiArgs {
    /// Any path inside the repository [default: the current folder]
    #[arg(long, global = true, value_name = "PATH", display_order = 901)]
    pub repo: Option<PathBuf>,
    #[command(subcommand)]
    pub command: ImiCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum ImiCommand {
    /// Make a project folder: clone into one, or move this clone into one
    #[command(after_help = "\
A project folder holds `trunk-BRANCH/`, every other worktree and `sync/` beside each other.

Examples:
  imi init https://github.com/owner/app     clone to app/trunk-main, with app/sync
  imi init git@host:app.git work/app        to another folder
  imi init                                  this clone: app becomes app/trunk-main, with its worktrees
  imi undo                                  back to a plain clone")]
    Init(InitArgs),
    /// Take back everything that Podium left in this repository; worktrees and branches stay
    #[command(after_help = "\
A clone that `imi init` moved goes back to its place, with its worktrees.

Examples:
  imi deinit
  imi deinit --keep-layout     the project folder stays as it is
  imi deinit --force           although worktrees are claimed, or removed ones could still come back")]
    Deinit(DeinitArgs),
    /// Make a worktree for a feature, or enter the one of that name
    #[command(after_help = "\
Examples:
  imi feat user-auth                       worktree and branch feat-user-auth, from fresh trunk
  imi feat user-auth --agent-id claude-1   and claim it in the same step
  imi feat hotfix --from v1.2              from a tag, branch or commit")]
    Feat(CreateArgs),
    /// Make a worktree for a fix, or enter the one of that name
    #[command(after_help = "Example:\n  imi fix login-loop")]
    Fix(CreateArgs),
    /// Make a worktree for work on agents and their rules
    #[command(after_help = "Example:\n  imi aiops reviewer-prompt")]
    Aiops(CreateArgs),
    /// Make a worktree for build, release and infrastructure
    #[command(after_help = "Example:\n  imi devops faster-ci")]
    Devops(CreateArgs),
    /// Open a pull request in a worktree of its own, or enter and update it
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        after_help = "\
Examples:
  imi review 123                  worktree review-123 with the request's newest commits; again: update it
  imi review 123 --remote fork    of another remote
  imi review suggestions 123      what reviewers suggest in their comments
  imi review suggestions 123 --apply    and as commits in review-123
  imi review push 123             commits made there, to the request's own branch where its author lets you
  imi review push 123 --remote origin --branch my-suggestions
  imi remove review-123           done with it"
    )]
    Review(ReviewArgs),
    /// Worktrees with owner and changes
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  imi list                this repository's
  imi list --all          of every repository Podium knows
  imi list --json | jq -r '.data.worktrees[].path'"
    )]
    List(ListArgs),
    /// One worktree with its changed files
    #[command(after_help = "\
Examples:
  imi status              the worktree this folder lies in
  imi status feat-x
  imi status --short      feat-x +1 ~2 ?3 !1 ↑4 ↓5 claimed:claude-1: staged, modified, untracked and
                          conflicted files, commits ahead of and behind trunk, owner
  PS1='$(imi status --short) $ '     in a prompt: starts no daemon, prints nothing without one")]
    Status(StatusArgs),
    /// Watch the worktrees live: owners, changes, commits, sessions, conflicts
    #[command(after_help = "\
Examples:
  imi monitor             a dashboard in the terminal; ? shows its keys, q ends it
  imi monitor --all       of every repository Podium knows
  imi monitor --once      what it shows now, as text
  imi monitor --json      one line with the lists, then a line for each event, until Ctrl-C
  imi monitor --once --json | jq '.data.worktrees[].status'")]
    Monitor(MonitorArgs),
    /// Worktrees whose work would not merge, with files and lines
    #[command(after_help = "\
Examples:
  imi conflicts           every pair of worktrees, and each against trunk; uncommitted work counts
  imi conflicts feat-x    only with this one
  imi conflicts --json | jq -r '.data.pairs[] | \"\\(.a) \\(.b)\"'")]
    Conflicts(ConflictsArgs),
    /// Go to a worktree by name, branch or part of either
    #[command(after_help = "\
Examples:
  imi go auth             prints the folder; with the function of `imi shell-init` the shell goes there
  cd \"$(imi go auth --print-path)\"")]
    Go(GoArgs),
    /// Claim a worktree: one owner at a time
    #[command(after_help = "\
Examples:
  imi claim feat-x --agent-id claude-1              exit 3, with the owner, when it is somebody else's
  imi claim feat-x --agent-id claude-1 --pid $$     free again when that process is gone
  imi claim feat-x --agent-id claude-1 --wait 60    wait for it, first come first served")]
    Claim(ClaimArgs),
    /// Give a claim back
    #[command(after_help = "\
Examples:
  imi release feat-x --agent-id claude-1
  PODIUM_CLAIM_TOKEN=17 imi release feat-x --agent-id claude-1
  imi release feat-x --agent-id claude-1 --allow-dirty    although files are not committed")]
    Release(ReleaseArgs),
    /// Whether one may write here: exit 0 mine or free, 1 somebody else's, 2 error
    #[command(after_help = "\
Example, in a hook:
  imi verify-lock feat-x --agent-id claude-1 || exit 1")]
    VerifyLock(VerifyArgs),
    /// Keep a claim alive that no process is bound to
    #[command(
        after_help = "Examples:\n  imi heartbeat feat-x              as a person\n  imi heartbeat feat-x --token 17   as the agent that holds it"
    )]
    Heartbeat(HeartbeatArgs),
    /// Ports and database name that a worktree has of its own
    #[command(after_help = "\
Examples:
  imi env                 of the worktree this folder lies in
  eval \"$(imi env --export)\"     into the shell")]
    Env(EnvArgs),
    /// Hooks of the project's configuration: what runs, and what may
    #[command(after_help = "\
Examples:
  imi hooks list                   what would run, and whether it was approved
  imi hooks approve                let all that were shown run, until they change
  imi hooks approve post-create")]
    Hooks(HooksArgs),
    /// Check out a worktree's submodules and large files, which new worktrees come without
    #[command(after_help = "Examples:\n  imi submodules feat-x\n  imi feat x --with-submodules")]
    Submodules(SubmodulesArgs),
    /// Remove a worktree; `imi undo` brings it back
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  imi remove feat-x                 refused when dirty, claimed or with commits found nowhere else
  imi remove feat-x --force         all the same; undo restores untracked files too
  imi remove feat-x --keep-branch"
    )]
    Remove(RemoveArgs),
    /// Bring a removed worktree back: files, untracked ones, branch; or take a merge back
    #[command(after_help = "\
Examples:
  imi undo            the newest removal or merge
  imi undo ID         the one that `imi remove` or `imi merge` named
  imi undo --list     what can be taken back, and the disk it keeps in use")]
    Undo(UndoArgs),
    /// The guard against commits in somebody else's worktree
    #[command(after_help = "\
A worktree gets it when it is claimed: `core.hooksPath` of that worktree alone. Your own hooks run as before. A person
goes on with PODIUM_OVERRIDE=1 before the command, which is recorded.

Examples:
  imi guard                     how it is in each worktree
  imi guard install             everywhere, and mended where another tool replaced it
  imi guard remove              out of this repository, until `install`")]
    Guard(GuardArgs),
    /// Link the files that all worktrees share, and repair the links
    #[command(after_help = "\
Shared files lie in `.podium/sync/` of a clone, or in `sync/repo/` beside the worktrees of a project folder; in
`global/` beside or in it, those for every repository, in `worktrees/NAME/` those for one worktree, which win.

Examples:
  imi sync                      what replaced a link is kept, and linked again
  imi sync --check              only look; exit 1 when something is off
  imi sync --adopt .env         what replaced the link becomes the shared file
  imi sync --backups            what was replaced, and where it is kept")]
    Sync(SyncArgs),
    /// Merge a worktree's branch into trunk; worktree and branch go then
    #[command(after_help = "\
Examples:
  imi merge feat-x               fast-forward, or a merge commit where trunk has moved
  imi merge feat-x --squash      as one commit
  imi merge feat-x --keep        worktree and branch stay
Refused, with the files, where both sides change the same lines; nothing is changed then.")]
    Merge(MergeArgs),
    /// Remove a worktree and its branch once trunk has its work
    #[command(after_help = "Example:\n  imi close feat-x")]
    Close(CloseArgs),
    /// Remove worktrees that are merged or were never used, clean and unclaimed
    #[command(after_help = "\
Examples:
  imi prune --dry-run     what would go, and why the others stay
  imi prune               shows it and asks
  imi prune --yes         in scripts; `imi undo` brings each of them back")]
    Prune(PruneArgs),
    /// Mend links of moved worktrees, git's locks, and what a crash left
    #[command(after_help = "Examples:\n  imi repair\n  imi repair --moved /new/place/feat-x")]
    Repair(RepairArgs),
    /// Follow what others did with git: worktrees made, moved or taken away
    #[command(after_help = "Example:\n  imi reconcile")]
    Reconcile,
    /// What is off in this repository, and what to do
    #[command(after_help = "Example:\n  imi doctor --json | jq -r '.data.findings[].hint'")]
    Doctor,
    /// Disk that worktrees, trash and spares take
    #[command(after_help = "Example:\n  imi du")]
    Du,
    /// Types of worktrees: list, add, remove
    #[command(after_help = "\
Examples:
  imi types
  imi types add docs --about \"texts for people\"      then: imi docs NAME
  imi types remove docs")]
    Types(TypesArgs),
    /// Print the function that lets `imi feat` and `imi go` change the shell's folder
    #[command(after_help = "\
Examples:
  eval \"$(imi shell-init bash)\"        in ~/.bashrc
  eval \"$(imi shell-init zsh)\"         in ~/.zshrc
  imi shell-init fish | source         in ~/.config/fish/config.fish")]
    ShellInit(ShellInitArgs),
    #[command(external_subcommand)]
    OfType(Vec<OsString>),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  imi completions zsh > ~/.zfunc/_imi")]
    Completions(CompletionsArgs),
}

#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// What to clone, or the clone to move [default: the one this folder lies in]
    #[arg(value_name = "URL|PATH")]
    pub source: Option<String>,
    /// Project folder of a clone [default: as git would call it]
    pub folder: Option<PathBuf>,
    /// Branch to check out in a clone [default: the remote's own]
    #[arg(long, short)]
    pub branch: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct DeinitArgs {
    /// Although worktrees are claimed or removed ones could still be brought back: those are given up
    #[arg(long)]
    pub force: bool,
    /// Leave the project folder as it is
    #[arg(long)]
    pub keep_layout: bool,
}

#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// Free name; becomes TYPE-NAME as folder and branch
    pub name: String,
    /// Claim it for this agent [env: PODIUM_AGENT_ID]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
    /// Bind the claim to this process
    #[arg(long)]
    pub pid: Option<u32>,
    /// Revision to start from [default: trunk, freshly fetched where a remote answers]
    #[arg(long, value_name = "REVISION")]
    pub from: Option<String>,
    /// Check out submodules and large files too
    #[arg(long)]
    pub with_submodules: bool,
    /// Print the path and nothing else
    #[arg(long)]
    pub print_path: bool,
}

#[derive(Debug, Clone, Args)]
pub struct EnvArgs {
    /// Worktree [default: the one this folder lies in]
    pub name: Option<String>,
    /// Print lines for a shell
    #[arg(long)]
    pub export: bool,
}

#[derive(Debug, Clone, Args)]
pub struct HooksArgs {
    #[command(subcommand)]
    pub command: HooksCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum HooksCommand {
    /// What would run, and whether it was approved
    List,
    /// Let hooks run, as long as command and scripts stay the same
    Approve {
        /// pre-create, post-create, pre-remove or post-switch [default: all]
        hook: Option<String>,
        /// Beginning of the hash that was read; refused when it is another by now
        #[arg(long)]
        hash: Option<String>,
    },
}

#[derive(Debug, Clone, Args)]
pub struct SubmodulesArgs {
    /// Worktree [default: the one this folder lies in]
    pub name: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct ReviewArgs {
    /// Number of the pull request or merge request
    #[arg(required = true)]
    pub number: Option<String>,
    /// Remote that has it [default: upstream, else origin]
    #[arg(long, value_name = "NAME")]
    pub remote: Option<String>,
    /// Claim it for this agent [env: PODIUM_AGENT_ID]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
    /// Print the path and nothing else
    #[arg(long)]
    pub print_path: bool,
    #[command(subcommand)]
    pub command: Option<ReviewCommand>,
}

#[derive(Debug, Clone, Subcommand)]
pub enum ReviewCommand {
    /// Suggestions in the comments of a review; with --apply they become commits in its worktree
    Suggestions(ReviewSuggestionsArgs),
    /// Push commits made in a review's worktree: to the request's own branch, or to one that is named
    Push(ReviewPushArgs),
}

#[derive(Debug, Clone, Args)]
pub struct ReviewSuggestionsArgs {
    /// Number of the request [default: the one of the worktree this folder lies in]
    pub number: Option<String>,
    /// Take them into the worktree, each as a commit of its own
    #[arg(long)]
    pub apply: bool,
    /// Only of this comment; more than once for several
    #[arg(long, value_name = "COMMENT")]
    pub id: Vec<u64>,
    /// Who applies [env: PODIUM_AGENT_ID] [default: the person]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct ReviewPushArgs {
    /// Number of the request [default: the one of the worktree this folder lies in]
    pub number: Option<String>,
    /// Push to this remote instead
    #[arg(long, value_name = "NAME")]
    pub remote: Option<String>,
    /// Push to this branch [default: review-N-suggestions where a remote is named]
    #[arg(long, value_name = "BRANCH")]
    pub branch: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Of every repository Podium knows
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Clone, Args)]
pub struct MonitorArgs {
    /// Of every repository Podium knows
    #[arg(long)]
    pub all: bool,
    /// Once, and not live
    #[arg(long)]
    pub once: bool,
}

#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Worktree [default: the one this folder lies in]
    pub name: Option<String>,
    /// One short line, for a prompt; starts no daemon
    #[arg(long)]
    pub short: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ConflictsArgs {
    /// Only conflicts with this worktree
    pub name: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct GoArgs {
    /// Name, branch, or part of either
    #[arg(value_name = "QUERY")]
    pub query: String,
    /// Print the path and nothing else
    #[arg(long)]
    pub print_path: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ClaimArgs {
    /// Worktree: feat-x or feat/x
    pub name: String,
    /// Who claims [env: PODIUM_AGENT_ID] [default: the person]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
    /// Bind to this process: its death frees the claim for others
    #[arg(long)]
    pub pid: Option<u32>,
    /// Wait this long for it, first come first served
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub wait: Option<u32>,
    /// Take it from an owner that is not proven dead; recorded
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ReleaseArgs {
    /// Worktree: feat-x or feat/x
    pub name: String,
    /// Who releases [env: PODIUM_AGENT_ID] [default: the person]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
    /// The claim's token [env: PODIUM_CLAIM_TOKEN]
    #[arg(long)]
    pub token: Option<u64>,
    /// Although files are not committed
    #[arg(long)]
    pub allow_dirty: bool,
    /// Somebody else's claim, or in the middle of a merge; recorded
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Worktree [default: the one this folder lies in]
    pub name: Option<String>,
    /// Who asks [env: PODIUM_AGENT_ID] [default: the person]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
    /// The claim's token [env: PODIUM_CLAIM_TOKEN]
    #[arg(long)]
    pub token: Option<u64>,
}

#[derive(Debug, Clone, Args)]
pub struct HeartbeatArgs {
    /// Worktree [default: the one this folder lies in]
    pub name: Option<String>,
    /// The claim's token, which an agent needs [env: PODIUM_CLAIM_TOKEN]
    #[arg(long)]
    pub token: Option<u64>,
}

#[derive(Debug, Clone, Args)]
pub struct RemoveArgs {
    /// Worktree: feat-x or feat/x
    pub name: String,
    /// Who removes [env: PODIUM_AGENT_ID] [default: the person]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
    /// Although dirty, claimed, worked in by a session (which is interrupted) or with commits found nowhere else
    #[arg(long)]
    pub force: bool,
    /// Leave the branch
    #[arg(long)]
    pub keep_branch: bool,
    /// The claim's token [env: PODIUM_CLAIM_TOKEN]
    #[arg(long)]
    pub token: Option<u64>,
}

#[derive(Debug, Clone, Args)]
pub struct UndoArgs {
    /// What `imi remove` or `imi merge` named [default: the newest]
    pub id: Option<String>,
    /// Show what can be taken back
    #[arg(long, conflicts_with = "id")]
    pub list: bool,
}

#[derive(Debug, Clone, Args)]
pub struct MergeArgs {
    /// Worktree [default: the one this folder lies in]
    pub name: Option<String>,
    /// One commit with everything
    #[arg(long, conflicts_with = "no_ff")]
    pub squash: bool,
    /// A merge commit although trunk could simply move forward
    #[arg(long)]
    pub no_ff: bool,
    /// Leave worktree and branch
    #[arg(long)]
    pub keep: bool,
    /// Message of the commit that is made
    #[arg(long, short, value_name = "TEXT")]
    pub message: Option<String>,
    /// Who merges [env: PODIUM_AGENT_ID] [default: the person]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
    /// The claim's token [env: PODIUM_CLAIM_TOKEN]
    #[arg(long)]
    pub token: Option<u64>,
}

#[derive(Debug, Clone, Args)]
pub struct CloseArgs {
    /// Worktree [default: the one this folder lies in]
    pub name: Option<String>,
    /// Although trunk has not all of its work
    #[arg(long)]
    pub force: bool,
    /// Who closes [env: PODIUM_AGENT_ID] [default: the person]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
    /// The claim's token [env: PODIUM_CLAIM_TOKEN]
    #[arg(long)]
    pub token: Option<u64>,
}

#[derive(Debug, Clone, Args)]
pub struct PruneArgs {
    /// Only show what would go
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Do it without asking
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Clone, Args)]
pub struct RepairArgs {
    /// New place of a worktree that was moved by hand; more than once for several
    #[arg(long, value_name = "PATH")]
    pub moved: Vec<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct TypesArgs {
    #[command(subcommand)]
    pub command: Option<TypesCommand>,
}

#[derive(Debug, Clone, Subcommand)]
pub enum TypesCommand {
    /// Show them
    List,
    /// Add one: `imi NAME x` makes the worktree NAME-x
    Add {
        name: String,
        /// What such a worktree is for
        #[arg(long, value_name = "TEXT")]
        about: Option<String>,
    },
    /// Drop one; worktrees of it stay
    Remove { name: String },
}

/// The arguments of `imi TYPE NAME`, for a type that a person added.
#[derive(Debug, Parser)]
#[command(name = "imi", no_binary_name = true)]
pub(super) struct OfTypeCli {
    /// Read before, from all words: it is accepted here and says nothing more.
    #[command(flatten)]
    _output: OutputArgs,
    #[command(flatten)]
    pub(super) create: CreateArgs,
    #[arg(long, value_name = "PATH")]
    pub(super) repo: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct GuardArgs {
    #[arg(value_enum, default_value_t = GuardWhat::Status)]
    pub what: GuardWhat,
    /// Only this worktree: feat-x or feat/x
    pub name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GuardWhat {
    Status,
    Install,
    Remove,
}

#[derive(Debug, Clone, Args)]
pub struct SyncArgs {
    /// Only look; exit 1 when something is off
    #[arg(long, conflicts_with_all = ["adopt", "force", "backups"])]
    pub check: bool,
    /// Share the file at this path, relative to the top of its worktree; the old shared one is kept
    #[arg(long, value_name = "PATH", conflicts_with_all = ["force", "backups"])]
    pub adopt: Option<PathBuf>,
    /// Only this worktree: feat-x or feat/x
    #[arg(long, value_name = "NAME")]
    pub worktree: Option<String>,
    /// Also where a worktree has a file of its own; it is kept
    #[arg(long)]
    pub force: bool,
    /// List what was replaced
    #[arg(long)]
    pub backups: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ShellInitArgs {
    #[arg(value_enum)]
    pub shell: InitShell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InitShell {
    Bash,
    Zsh,
    Fish,
}
