//! Files that all worktrees share.

use std::path::Path;

use podium_protocol::{
    RepoSelector, SyncBackups, SyncBackupsMethod, SyncBackupsParams, SyncFile, SyncReport, SyncRun,
    SyncRunParams, SyncState,
};

use super::args::SyncArgs;
use super::folder_name;
use crate::context::Context;
use crate::output::Ending;
use crate::progress::waiting;
use crate::style::{Painter, count, one_line, printable};

pub(super) async fn sync(context: &Context, at: RepoSelector, args: SyncArgs) -> Ending {
    let client = context.client()?;
    if args.backups {
        let params = SyncBackupsParams { at };
        let kept = client.call::<SyncBackupsMethod>(params).await?;
        context.output.reply(&kept, |paint| backups(&kept, paint))?;
        return Ok(0);
    }
    let params = SyncRunParams {
        at,
        worktree: args.worktree.map(folder_name),
        check: args.check,
        adopt: args.adopt.map(|path| path.to_string_lossy().into_owned()),
        force: args.force,
    };
    let report = waiting(&context.output, "synchronising", client.call::<SyncRun>(params)).await?;
    context.output.reply(&report, |paint| shown(&report, paint))?;
    Ok(u8::from(report.check && report.off > 0))
}

fn shown(report: &SyncReport, paint: Painter) -> String {
    let mut text = String::new();
    for tree in &report.worktrees {
        let told: Vec<&SyncFile> = tree.files.iter().filter(|file| file.state != SyncState::Ok).collect();
        let mark = if tree.off == 0 { paint.green("✓") } else { paint.yellow("!") };
        text += &format!(
            "{mark} {}  {}\n",
            paint.bold(&one_line(&tree.name)),
            count(tree.files.len() as u64, "file")
        );
        for file in told {
            text += &line(file, paint);
        }
    }
    for note in &report.notes {
        text += &format!("{} {}\n", paint.yellow("note:"), printable(note));
    }
    if report.sources == 0 && report.worktrees.iter().all(|tree| tree.files.is_empty()) {
        let folder = printable(&report.folder);
        text += &format!("nothing is shared\n{} files in {folder} are\n", paint.cyan("hint:"));
    }
    text + &hints(report, paint)
}

fn line(file: &SyncFile, paint: Painter) -> String {
    let state = file.state.name().replace('_', " ");
    let state = if file.state.is_well() { paint.dim(&state) } else { paint.yellow(&state) };
    let mut text = format!("    {}  {state}", one_line(&file.path));
    if let Some(detail) = &file.detail {
        text += &format!(" ({})", one_line(detail));
    }
    if let Some(backup) = &file.backup {
        text += &format!("\n      what was there is kept in {}", printable(backup));
    }
    text + "\n"
}

fn hints(report: &SyncReport, paint: Painter) -> String {
    let any = |state| report.worktrees.iter().flat_map(|tree| &tree.files).any(|file| file.state == state);
    let mut text = String::new();
    let mut hint = |line: &str| text += &format!("{} {line}\n", paint.cyan("hint:"));
    if any(SyncState::Replaced) {
        hint(
            "`imi sync` keeps what replaced a link and links again; `imi sync --adopt PATH` shares it instead",
        );
    }
    if any(SyncState::Own) {
        hint("`imi sync --adopt PATH --worktree NAME` shares a worktree's own file; --force puts it aside");
    }
    if any(SyncState::Tracked) {
        hint("what git tracks is never linked over: untrack it there, or take it out of the shared files");
    }
    text
}

fn backups(kept: &SyncBackups, paint: Painter) -> String {
    if kept.backups.is_empty() {
        return "nothing was replaced".to_owned();
    }
    let line = |backup: &podium_protocol::SyncBackup| {
        format!(
            "{}  {} {}\n  {}\n",
            paint.dim(&backup.time),
            one_line(&backup.worktree),
            one_line(&backup.path),
            printable(&Path::new(&backup.kept).display().to_string())
        )
    };
    kept.backups.iter().map(line).collect()
}
