//! Project folders, and the way back.

use std::path::{Path, PathBuf};

use podium_protocol::{
    InitKind, RepoForget, RepoForgetParams, RepoForgotten, RepoInit, RepoInitParams, RepoInited,
    RepoSelector, WireError,
};

use super::args::{DeinitArgs, InitArgs};
use super::render::cd_hint;
use super::worktrees::enter;
use crate::context::{Context, repo_selector, selector_of};
use crate::output::{Ending, Failure};
use crate::progress::{pieces, waiting};
use crate::style::{Painter, one_line, printable};

pub(super) async fn init(context: &Context, at: RepoSelector, args: InitArgs) -> Ending {
    let params = params(at, args)?;
    let client = context.client()?;
    let inited = if params.url.is_some() {
        let bar = pieces(&context.output, 0);
        bar.set_message("cloning");
        let moving = bar.clone();
        let answer = client.call_with_progress::<RepoInit>(params, move |progress| {
            moving.set_length(progress.total);
            moving.set_position(progress.done);
            moving.set_message(one_line(&progress.message));
        });
        let answer = answer.await;
        bar.finish_and_clear();
        answer?
    } else {
        waiting(&context.output, "moving", client.call::<RepoInit>(params)).await?
    };
    let entered = enter(context, &inited.worktree);
    context.output.reply(&inited, |paint| shown(&inited, entered, paint))?;
    Ok(0)
}

pub(super) async fn deinit(context: &Context, at: RepoSelector, args: DeinitArgs) -> Ending {
    let client = context.client()?;
    let params = RepoForgetParams { at, force: args.force, layout: !args.keep_layout };
    let answer = waiting(&context.output, "taking back", client.call::<RepoForget>(params)).await?;
    context.output.reply(&answer, |paint| taken_back(&answer, paint))?;
    Ok(0)
}

fn params(at: RepoSelector, args: InitArgs) -> Result<RepoInitParams, Failure> {
    let Some(source) = args.source else {
        return Ok(RepoInitParams { at, ..RepoInitParams::default() });
    };
    let local = Path::new(&source);
    let there = local.exists();
    if there && args.folder.is_none() && !is_bare(local) {
        if args.branch.is_some() {
            return Err(WireError::user("--branch is for a clone; this one has a branch").into());
        }
        return Ok(RepoInitParams { at: repo_selector(Some(local))?, ..RepoInitParams::default() });
    }
    if !there && !is_url(&source) {
        let error = WireError::not_found(format!("there is no folder {source}, and it is no URL"));
        return Err(error.hint("imi init https://host/owner/name").into());
    }
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|error| WireError::user(error.to_string()));
    let url = if there { absolute(local)?.to_string_lossy().into_owned() } else { source.clone() };
    let folder = match args.folder {
        Some(folder) => folder,
        None => name_of(&source).map(PathBuf::from).ok_or_else(|| {
            WireError::user(format!("{source} does not tell a name")).hint("imi init URL FOLDER")
        })?,
    };
    let folder = selector_of(&absolute(&folder)?);
    let (folder, folder_bytes) = (folder.repo, folder.repo_bytes);
    Ok(RepoInitParams {
        url: Some(url),
        folder,
        folder_bytes,
        branch: args.branch,
        ..RepoInitParams::default()
    })
}

fn is_bare(path: &Path) -> bool {
    path.join("HEAD").is_file() && path.join("objects").is_dir()
}

/// `scheme://...` or `host:path`.
fn is_url(text: &str) -> bool {
    text.contains("://") || text.split('/').next().is_some_and(|first| first.contains(':'))
}

/// The folder that git would choose.
fn name_of(source: &str) -> Option<String> {
    let source = source.split(['?', '#']).next().unwrap_or(source).trim_end_matches('/');
    let source = source.strip_suffix("/.git").unwrap_or(source);
    let last = source.rsplit(['/', ':']).next()?;
    let name = last.strip_suffix(".git").unwrap_or(last);
    (!name.is_empty() && name != "." && name != "..").then(|| name.to_owned())
}

fn shown(inited: &RepoInited, entered: bool, paint: Painter) -> String {
    let what = match inited.how {
        InitKind::Cloned => "cloned into the project folder",
        InitKind::Converted => "moved into the project folder",
        InitKind::Unchanged => "is the project folder already:",
    };
    let (tick, name) = (paint.green("✓"), paint.bold(&one_line(&inited.worktree.name)));
    let ms = paint.dim(&format!("({:.0} ms)", inited.elapsed_ms));
    let mut text = match inited.how {
        InitKind::Unchanged => format!("{tick} {} {ms}\n", printable(&format!("{what} {}", inited.project))),
        _ => format!("{tick} {name} {what} {} {ms}\n", printable(&inited.project)),
    };
    text += &format!("  {}\n", printable(&inited.worktree.path));
    if let Some(undo) = &inited.undo {
        text += &format!("  {}\n", paint.dim(&format!("back: imi undo {}", one_line(undo))));
    }
    for note in &inited.notes {
        text += &format!("{} {}\n", paint.yellow("note:"), printable(note));
    }
    text + &cd_hint(&inited.worktree, entered, paint)
}

fn taken_back(answer: &RepoForgotten, paint: Painter) -> String {
    let mut text = String::new();
    for line in &answer.undone {
        text += &format!("{} {}\n", paint.green("✓"), printable(line));
    }
    text + &format!("{} Podium knows nothing of {} any more", paint.green("✓"), printable(&answer.repo.root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_tells_the_folder_as_with_git() {
        for (source, name) in [
            ("https://host/owner/app.git", Some("app")),
            ("https://host/owner/app/", Some("app")),
            ("git@host:app.git", Some("app")),
            ("/srv/app/.git", Some("app")),
            ("https://host/app.git?x=1", Some("app")),
            ("..", None),
        ] {
            assert_eq!(name_of(source).as_deref(), name, "{source}");
        }
        for url in ["ssh://host/x", "host:x", "git@host:a/b"] {
            assert!(is_url(url), "{url}");
        }
        for path in ["a/b", "./x:y", "app"] {
            assert!(!is_url(path), "{path}");
        }
    }
}
