//! What worktrees are given: ports, hooks, submodules.

use podium_protocol::{
    HookApprove, HookApproveParams, HookList, HookListMethod, HookListParams, RepoSelector, WorktreeEnv,
    WorktreeEnvMethod, WorktreeEnvParams, WorktreeSubmodules, WorktreeSubmodulesMethod,
    WorktreeSubmodulesParams,
};

use super::args::{EnvArgs, HooksArgs, HooksCommand, SubmodulesArgs};
use super::folder_name;
use crate::context::Context;
use crate::output::Ending;
use crate::progress::waiting;
use crate::style::{Painter, one_line, printable, shell_word};

pub(super) async fn env(context: &Context, at: RepoSelector, args: EnvArgs) -> Ending {
    let params = WorktreeEnvParams { at, name: args.name.map(folder_name) };
    let client = context.client()?;
    let env = waiting(&context.output, "asking", client.call::<WorktreeEnvMethod>(params)).await?;
    context.output.reply(&env, |_| if args.export { exports(&env) } else { shown(&env) })?;
    Ok(0)
}

fn exports(env: &WorktreeEnv) -> String {
    let lines = env.variables.iter().map(|(key, value)| format!("export {key}={}", shell_word(value)));
    lines.collect::<Vec<_>>().join("\n")
}

fn shown(env: &WorktreeEnv) -> String {
    if env.ports.is_empty() && env.database.is_none() {
        return format!(
            "{} has no ports or database of its own; `worktree.ports` and `worktree.database` give them",
            one_line(&env.worktree)
        );
    }
    let lines = env.variables.iter().map(|(key, value)| format!("{key}={}", one_line(value)));
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) async fn hooks(context: &Context, at: RepoSelector, args: HooksArgs) -> Ending {
    let client = context.client()?;
    let list = match args.command {
        HooksCommand::List => {
            let ask = client.call::<HookListMethod>(HookListParams { at });
            waiting(&context.output, "asking", ask).await?
        }
        HooksCommand::Approve { hook, hash } => {
            let ask = client.call::<HookApprove>(HookApproveParams { at, hook, hash });
            waiting(&context.output, "approving", ask).await?
        }
    };
    context.output.reply(&list, |paint| listed(&list, paint))?;
    Ok(0)
}

fn listed(list: &HookList, paint: Painter) -> String {
    if list.hooks.is_empty() {
        return format!(
            "no hooks are configured\n{} section [hooks] in the project's .podium/config.toml",
            paint.cyan("hint:")
        );
    }
    let line = |hook: &podium_protocol::HookInfo| {
        let state = match &hook.approved_by {
            Some(by) => paint.green(&format!("approved by {}", one_line(by))),
            None => paint.yellow("not approved: it is skipped"),
        };
        let hash: String = hook.hash.chars().take(12).collect();
        format!("{}  {state}  {}\n  {}", paint.bold(&hook.hook), paint.dim(&hash), printable(&hook.command))
    };
    list.hooks.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) async fn submodules(context: &Context, at: RepoSelector, args: SubmodulesArgs) -> Ending {
    let params = WorktreeSubmodulesParams { at, name: args.name.map(folder_name) };
    let client = context.client()?;
    let ask = client.call::<WorktreeSubmodulesMethod>(params);
    let done = waiting(&context.output, "checking out submodules", ask).await?;
    context.output.reply(&done, |paint| checked_out(&done, paint))?;
    Ok(0)
}

fn checked_out(done: &WorktreeSubmodules, paint: Painter) -> String {
    let mut text = format!("{} {}: ", paint.green("✓"), one_line(&done.worktree));
    text += &match done.submodules.len() {
        0 => "no submodules".to_owned(),
        _ => done.submodules.iter().map(|path| one_line(path)).collect::<Vec<_>>().join(", "),
    };
    if done.large_files {
        text += "; large files fetched";
    }
    text
}
