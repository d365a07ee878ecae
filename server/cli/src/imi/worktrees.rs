//! Making, listing, finding, removing worktrees.

use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use podium_client::Client;
use podium_protocol::{
    ErrorKind, RepoSelector, Worktree, WorktreeCreate, WorktreeCreateParams, WorktreeListMethod,
    WorktreeListParams, WorktreeLocate, WorktreeLocateParams, WorktreeRemove, WorktreeRemoveParams,
    WorktreeStatusMethod, WorktreeStatusParams, WorktreeSwitch, WorktreeSwitchParams, WorktreeUndo,
    WorktreeUndoParams,
};

use super::args::{CreateArgs, GoArgs, ListArgs, RemoveArgs, StatusArgs, UndoArgs};
use super::{folder_name, free_name, pick, render};
use crate::context::{Context, repo_selector, wire_path};
use crate::output::Ending;
use crate::progress::waiting;
use crate::style::shell_word;

pub(super) async fn create(context: &Context, at: RepoSelector, kind: &str, args: CreateArgs) -> Ending {
    let params = WorktreeCreateParams {
        at,
        kind: Some(kind.to_owned()),
        name: Some(free_name(kind, args.name)),
        agent_id: context.agent(args.agent_id),
        from: args.from,
        pid: args.pid,
        with_submodules: args.with_submodules,
    };
    let client = context.client()?;
    let made = waiting(&context.output, "making the worktree", client.call::<WorktreeCreate>(params)).await?;
    let entered = enter(context, &made.worktree);
    if args.print_path && !context.output.is_json() {
        return print_path(context, &made.worktree);
    }
    context.output.reply(&made, |paint| render::created(&made, entered, paint))?;
    Ok(0)
}

pub(super) async fn go(context: &Context, at: RepoSelector, args: GoArgs) -> Ending {
    let client = context.client()?;
    let ask = |name: String| {
        let params = WorktreeSwitchParams { at: at.clone(), name: Some(name) };
        waiting(&context.output, "looking", client.call::<WorktreeSwitch>(params))
    };
    let found = match ask(args.query).await {
        Err(error) if !error.candidates.is_empty() && pick::can_ask(context) => {
            match pick::one(context, &error.candidates)? {
                Some(name) => ask(name).await?,
                None => return Err(error.into()),
            }
        }
        found => found?,
    };
    let entered = enter(context, &found.worktree);
    if args.print_path && !context.output.is_json() {
        return print_path(context, &found.worktree);
    }
    context.output.reply(&found, |paint| render::switched(&found.worktree, entered, paint))?;
    Ok(0)
}

pub(super) async fn list(context: &Context, at: RepoSelector, args: ListArgs) -> Ending {
    let client = context.client()?;
    let params = WorktreeListParams { at, all: args.all };
    let answer = waiting(&context.output, "listing", client.call::<WorktreeListMethod>(params)).await?;
    context
        .output
        .reply(&answer, |paint| render::list(&answer.worktrees, args.all, Timestamp::now(), paint))?;
    Ok(0)
}

pub(super) async fn status(context: &Context, at: RepoSelector, args: StatusArgs) -> Ending {
    let params = WorktreeStatusParams { at, name: args.name.map(folder_name), short: args.short };
    if args.short {
        return short_status(context, params).await;
    }
    let client = context.client()?;
    let answer = waiting(&context.output, "looking", client.call::<WorktreeStatusMethod>(params)).await?;
    context.output.reply(&answer, |paint| render::status(&answer, Timestamp::now(), paint))?;
    Ok(0)
}

/// For prompts: whatever is missing (daemon, repository) leaves the line empty, and nothing is started.
async fn short_status(context: &Context, params: WorktreeStatusParams) -> Ending {
    match context.client_of_running()?.call::<WorktreeStatusMethod>(params).await {
        Ok(answer) => {
            context.output.reply(&answer, |paint| render::short(&answer.worktree, paint))?;
            Ok(0)
        }
        Err(error) if !context.output.is_json() && error.kind != ErrorKind::Internal => Ok(0),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn remove(context: &Context, at: RepoSelector, args: RemoveArgs) -> Ending {
    let params = WorktreeRemoveParams {
        at,
        name: Some(folder_name(args.name)),
        agent_id: context.agent(args.agent_id),
        token: context.token(args.token)?,
        force: args.force,
        keep_branch: args.keep_branch,
    };
    let client = context.client()?;
    let here = standing_in(&client).await;
    let removed = waiting(&context.output, "removing", client.call::<WorktreeRemove>(params)).await?;
    context.output.reply(&removed, |paint| render::removed(&removed, paint))?;
    if let Some(here) = here.filter(|here| !wire_path(&here.path, here.path_bytes.as_ref()).exists()) {
        leave(context, &here);
    }
    Ok(0)
}

/// The worktree that the shell stands in. Not to know it is no reason to fail.
async fn standing_in(client: &Client) -> Option<Worktree> {
    let at = repo_selector(None).ok()?;
    client.call::<WorktreeLocate>(WorktreeLocateParams { at }).await.ok()?.worktree
}

/// The folder of the shell went to the trash: the shell's function goes to the main worktree, a person is told to.
fn leave(context: &Context, gone: &Worktree) {
    let root = Path::new(&gone.repo.root);
    let gone_to = context.cd_file.as_deref().is_some_and(|file| write_folder(file, root).is_ok());
    if !gone_to {
        context.output.note(&format!("this folder is in the trash now: cd {}", shell_word(&gone.repo.root)));
    }
}

pub(super) async fn undo(context: &Context, at: RepoSelector, args: UndoArgs) -> Ending {
    let client = context.client()?;
    let params = WorktreeUndoParams { at, id: args.id };
    let answer = waiting(&context.output, "restoring", client.call::<WorktreeUndo>(params)).await?;
    context.output.reply(&answer, |paint| render::undone(&answer, paint))?;
    Ok(0)
}

pub(super) fn print_path(context: &Context, worktree: &Worktree) -> Ending {
    context.output.text(&format!("{}\n", worktree.path))?;
    Ok(0)
}

/// Tells the shell function where to go. False when there is none, or it cannot be told.
pub(super) fn enter(context: &Context, worktree: &Worktree) -> bool {
    let path = wire_path(&worktree.path, worktree.path_bytes.as_ref());
    context.cd_file.as_deref().is_some_and(|file| write_folder(file, &path).is_ok())
}

/// Only into a file that exists: the function made it, and a stale variable must not litter.
fn write_folder(file: &Path, folder: &Path) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(file)?;
    file.write_all(folder.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_written_only_into_a_file_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cd");
        assert!(write_folder(&file, Path::new("/a")).is_err());
        std::fs::write(&file, "something longer than the path").unwrap();
        write_folder(&file, Path::new("/a b/ü")).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "/a b/ü");
    }
}
