//! `imi`: worktrees and who holds them.

mod args;
mod claims;
mod conflicts;
mod guard;
mod init;
mod monitor;
mod pick;
mod provide;
mod render;
mod reviews;
mod shell;
mod sync;
mod types;
mod upkeep;
mod worktrees;

pub use args::{ImiArgs, ImiCli, ImiCommand};

use crate::completions;
use crate::context::{Context, repo_selector};
use crate::output::Ending;

/// Runs one command.
///
/// # Errors
/// What the daemon answers, wrong usage, or a closed standard output.
pub async fn run(context: &Context, args: ImiArgs) -> Ending {
    match &args.command {
        ImiCommand::ShellInit(init) => return shell::print(context, init.shell),
        ImiCommand::Completions(shell) => return completions::print::<ImiCli>(context, "imi", shell).await,
        _ => {}
    }
    let at = match repo_selector(args.repo.as_deref()) {
        Ok(at) => at,
        Err(failure) => return Err(claims::with_own_code(&args.command, failure)),
    };
    match args.command {
        ImiCommand::Init(init) => init::init(context, at, init).await,
        ImiCommand::Deinit(deinit) => init::deinit(context, at, deinit).await,
        ImiCommand::Feat(create) => worktrees::create(context, at, "feat", create).await,
        ImiCommand::Fix(create) => worktrees::create(context, at, "fix", create).await,
        ImiCommand::Aiops(create) => worktrees::create(context, at, "aiops", create).await,
        ImiCommand::Devops(create) => worktrees::create(context, at, "devops", create).await,
        ImiCommand::Review(review) => reviews::run(context, at, review).await,
        ImiCommand::List(list) => worktrees::list(context, at, list).await,
        ImiCommand::Status(status) => worktrees::status(context, at, status).await,
        ImiCommand::Monitor(monitor) => monitor::run(context, at, monitor).await,
        ImiCommand::Conflicts(args) => conflicts::list(context, at, args).await,
        ImiCommand::Go(go) => worktrees::go(context, at, go).await,
        ImiCommand::Env(env) => provide::env(context, at, env).await,
        ImiCommand::Hooks(hooks) => provide::hooks(context, at, hooks).await,
        ImiCommand::Submodules(submodules) => provide::submodules(context, at, submodules).await,
        ImiCommand::Remove(remove) => worktrees::remove(context, at, remove).await,
        ImiCommand::Undo(undo) if undo.list => upkeep::undos(context, at).await,
        ImiCommand::Merge(merge) => upkeep::merge(context, at, merge).await,
        ImiCommand::Close(close) => upkeep::close(context, at, close).await,
        ImiCommand::Prune(prune) => upkeep::prune(context, at, prune).await,
        ImiCommand::Repair(repair) => upkeep::repair(context, at, repair).await,
        ImiCommand::Reconcile => upkeep::reconcile(context, at).await,
        ImiCommand::Doctor => upkeep::doctor(context, at).await,
        ImiCommand::Du => upkeep::disk_use(context, at).await,
        ImiCommand::Types(types) => types::run(context, types.command).await,
        ImiCommand::OfType(words) => types::create(context, at, words).await,
        ImiCommand::Undo(undo) => worktrees::undo(context, at, undo).await,
        ImiCommand::Claim(claim) => claims::claim(context, at, claim).await,
        ImiCommand::Release(release) => claims::release(context, at, release).await,
        ImiCommand::VerifyLock(verify) => claims::verify_lock(context, at, verify).await,
        ImiCommand::Heartbeat(heartbeat) => claims::heartbeat(context, at, heartbeat).await,
        ImiCommand::Guard(args) => guard::guard(context, at, args).await,
        ImiCommand::Sync(args) => sync::sync(context, at, args).await,
        // Answered above, before anything asks where the repository is.
        ImiCommand::ShellInit(_) | ImiCommand::Completions(_) => Ok(0),
    }
}

/// The name of an existing worktree as its folder has it: `feat/x` and `feat-x` are the same one.
fn folder_name(name: String) -> String {
    const TYPES: [&str; 6] = ["feat", "fix", "aiops", "devops", "review", "trunk"];
    match name.split_once('/') {
        Some((kind, rest)) if TYPES.contains(&kind) && !rest.is_empty() => {
            format!("{kind}-{}", rest.replace('/', "-"))
        }
        _ => name,
    }
}

/// The free name in `feat-x` or `feat/x` given to `imi feat`.
fn free_name(kind: &str, name: String) -> String {
    let rest = name.strip_prefix(kind).and_then(|r| r.strip_prefix('-').or_else(|| r.strip_prefix('/')));
    match rest {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worktree_is_named_by_folder_or_branch() {
        for (given, name) in [
            ("feat-x", "feat-x"),
            ("feat/x", "feat-x"),
            ("feat/x/y", "feat-x-y"),
            ("other/x", "other/x"),
            ("feat/", "feat/"),
        ] {
            assert_eq!(folder_name(given.into()), name);
        }
    }

    #[test]
    fn a_type_in_front_of_a_new_name_is_not_doubled() {
        for (given, name) in [
            ("x", "x"),
            ("feat-x", "x"),
            ("feat/x", "x"),
            ("feature", "feature"),
            ("feat-", "feat-"),
            ("fix-x", "fix-x"),
            ("../x", "../x"),
            ("", ""),
        ] {
            assert_eq!(free_name("feat", given.into()), name);
        }
    }
}
