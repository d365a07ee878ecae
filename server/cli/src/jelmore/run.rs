//! `jelmore run`: a task as one command.

use clap::Args;
use podium_protocol::{NewWorktree, RepoSelector, SessionRun, SessionRunParams};

use super::start::prompt;
use super::stream::{self, Follow, Run};
use crate::context::Context;
use crate::output::{Ending, Failure, usage};
use crate::progress::waiting;

pub(super) const RUN_HELP: &str = "\
Examples:
  jelmore run --task \"Add a login form\" --agent-id claude-1
  jelmore run --task \"Fix #12\" --prompt - --agent-id claude-1 --new fix/12 < issue.md
  jelmore run --task \"Write tests\" --agent-id b --worktree feat-x --wait 600      wait for whoever has it
  jelmore run --task \"Write tests\" --agent-id b --worktree feat-x --elsewhere     else another one

What the agent leaves uncommitted is committed in its name, and the worktree is free again. Where the daemon dies in the
middle, the command goes on by itself; without it, the work is committed and the worktree freed after a while.
Exit: 0 done, 1 failed or cancelled, 3 somebody else has the worktree, 5 interrupted or waiting for a person.";

#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// What is to be done; heads the commit, and names the worktree where none is given
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub task: String,
    /// Who works [env: PODIUM_AGENT_ID]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
    /// What the agent is told; `-` reads it from standard input [default: the task]
    #[arg(long, short, value_name = "TEXT", allow_hyphen_values = true)]
    pub prompt: Option<String>,
    /// Worktree to work in [default: a new one, named after the task]
    #[arg(long, value_name = "NAME")]
    pub worktree: Option<String>,
    /// Worktree to make, or to enter where it exists: feat/login
    #[arg(long, value_name = "TYPE/NAME", conflicts_with = "worktree", value_parser = new_worktree)]
    pub new: Option<NewWorktree>,
    /// Where somebody else has the worktree, wait so long for it
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub wait: Option<u32>,
    /// Where somebody else has the worktree, take another free one, or make one
    #[arg(long, conflicts_with = "wait")]
    pub elsewhere: bool,
    /// Keep the worktree claimed for the agent
    #[arg(long)]
    pub keep_claim: bool,
    /// Leave uncommitted what the agent does not commit itself
    #[arg(long)]
    pub no_commit: bool,
    /// local, anthropic (or claude), openai, ... [default: the first usable one]
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Model of the provider
    #[arg(long)]
    pub model: Option<String>,
    /// Id to give the session
    #[arg(long, value_name = "ID")]
    pub session_id: Option<String>,
    #[command(flatten)]
    pub bounds: RunBounds,
    #[command(flatten)]
    pub limits: super::args::LimitArgs,
}

/// As for a session; here there always is a prompt.
#[derive(Debug, Clone, Args)]
pub struct RunBounds {
    /// Seed of a local model: same seed, same text
    #[arg(long)]
    pub seed: Option<u64>,
    /// Upper bound of the answer, in tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: Option<u32>,
    /// 0 to 2; 0 takes the likeliest token always
    #[arg(long, value_name = "T", value_parser = super::args::temperature)]
    pub temperature: Option<f64>,
}

fn new_worktree(text: &str) -> Result<NewWorktree, String> {
    match text.split_once('/') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {
            Ok(NewWorktree { kind: kind.to_owned(), name: name.to_owned() })
        }
        _ => Err("TYPE/NAME is needed, such as feat/login".to_owned()),
    }
}

pub(super) async fn run(context: &Context, at: RepoSelector, args: RunArgs) -> Ending {
    let params = params(context, at, args)?;
    let client = context.client()?;
    let waits = if params.wait.is_some() { "waiting for the worktree" } else { "starting the task" };
    let started = waiting(&context.output, waits, client.call::<SessionRun>(params)).await?;
    let follow =
        Follow { id: started.session.id, from_seq: 0, joined: false, run: Run::Of(Box::new(started.run)) };
    stream::follow(context, &client, follow).await
}

fn params(context: &Context, at: RepoSelector, args: RunArgs) -> Result<SessionRunParams, Failure> {
    let Some(agent_id) = context.agent(args.agent_id) else {
        return Err(usage("a task needs an agent", "give --agent-id ID, or set PODIUM_AGENT_ID"));
    };
    if args.task.trim().is_empty() {
        return Err(usage("the task is empty", "say with --task TEXT what is to be done"));
    }
    Ok(SessionRunParams {
        at,
        task: args.task,
        prompt: prompt(args.prompt)?,
        agent_id,
        session_id: args.session_id,
        retry: false,
        worktree: args.worktree,
        new: args.new,
        wait: args.wait,
        elsewhere: args.elsewhere,
        keep_claim: args.keep_claim,
        no_commit: args.no_commit,
        provider: args.provider,
        model: args.model,
        seed: args.bounds.seed,
        max_tokens: args.bounds.max_tokens,
        temperature: args.bounds.temperature,
        max_cost_usd: args.limits.max_cost,
        max_total_tokens: args.limits.max_total_tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_worktree_has_a_type_and_a_name() {
        let new = new_worktree("feat/a/b").unwrap();
        assert_eq!((new.kind.as_str(), new.name.as_str()), ("feat", "a/b"));
        assert!(["feat", "/x", "feat/"].iter().all(|text| new_worktree(text).is_err()));
    }
}
