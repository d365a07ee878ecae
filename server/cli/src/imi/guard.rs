//! The guard against commits in somebody else's worktree.

use podium_protocol::{GuardAction, GuardReport, GuardRun, GuardRunParams, GuardState, RepoSelector};

use super::args::{GuardArgs, GuardWhat};
use super::folder_name;
use crate::context::Context;
use crate::output::Ending;
use crate::style::{Painter, one_line};

pub(super) async fn guard(context: &Context, at: RepoSelector, args: GuardArgs) -> Ending {
    let action = match args.what {
        GuardWhat::Status => GuardAction::Status,
        GuardWhat::Install => GuardAction::Install,
        GuardWhat::Remove => GuardAction::Remove,
    };
    let params = GuardRunParams { at, worktree: args.name.map(folder_name), action };
    let report = context.client()?.call::<GuardRun>(params).await?;
    context.output.reply(&report, |paint| shown(&report, paint))?;
    Ok(0)
}

fn shown(report: &GuardReport, paint: Painter) -> String {
    let mut text = String::new();
    for tree in &report.worktrees {
        let (mark, state) = match tree.state {
            GuardState::Installed => (paint.green("✓"), "guarded"),
            GuardState::Absent => (paint.dim("-"), "not guarded"),
            GuardState::Replaced => (paint.yellow("!"), "core.hooksPath was set to something else"),
            GuardState::Altered => (paint.yellow("!"), "hooks were replaced by another tool"),
        };
        text += &format!("{mark} {}  {state}\n", paint.bold(&one_line(&tree.name)));
        if let Some(hooks) = &tree.user_hooks {
            text += &format!("    your hooks: {}\n", one_line(hooks));
        }
    }
    if report.worktrees.is_empty() {
        text += "no linked worktrees\n";
    }
    text + if report.enabled { "worktrees are guarded when they are claimed\n" } else { "the guard is off\n" }
}
