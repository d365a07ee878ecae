//! Merging, closing, and keeping a repository in order.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use jiff::Timestamp;
use podium_protocol::{
    DiskUse, Finding, MergeMode, Progress, PruneReason, RepoDoctor, RepoDoctorParams, RepoReconcile,
    RepoReconcileParams, RepoRepair, RepoRepairParams, RepoSelector, UndoKind, UndoListMethod,
    UndoListParams, WireError, WorktreeClose, WorktreeCloseParams, WorktreeDu, WorktreeDuParams,
    WorktreeMerge, WorktreeMergeParams, WorktreeMerged, WorktreePrune, WorktreePruneParams, WorktreesPruned,
};

use super::args::{CloseArgs, MergeArgs, PruneArgs, RepairArgs};
use super::{folder_name, render};
use crate::context::Context;
use crate::output::Ending;
use crate::progress::{pieces, waiting};
use crate::style::{Painter, count, one_line, printable};
use crate::table::Rows;
use crate::time::ago;

pub(super) async fn merge(context: &Context, at: RepoSelector, args: MergeArgs) -> Ending {
    let params = WorktreeMergeParams {
        at,
        name: args.name.map(folder_name),
        agent_id: context.agent(args.agent_id),
        token: context.token(args.token)?,
        squash: args.squash,
        no_ff: args.no_ff,
        keep: args.keep,
        message: args.message,
    };
    let client = context.client()?;
    let merged = waiting(&context.output, "merging", client.call::<WorktreeMerge>(params)).await?;
    context.output.reply(&merged, |paint| of_merge(&merged, paint))?;
    Ok(0)
}

pub(super) async fn close(context: &Context, at: RepoSelector, args: CloseArgs) -> Ending {
    let params = WorktreeCloseParams {
        at,
        name: args.name.map(folder_name),
        agent_id: context.agent(args.agent_id),
        token: context.token(args.token)?,
        force: args.force,
    };
    let client = context.client()?;
    let closed = waiting(&context.output, "closing", client.call::<WorktreeClose>(params)).await?;
    context.output.reply(&closed, |paint| render::removed(&closed, paint))?;
    Ok(0)
}

pub(super) async fn undos(context: &Context, at: RepoSelector) -> Ending {
    let list = context.client()?.call::<UndoListMethod>(UndoListParams { at }).await?;
    context.output.reply(&list, |paint| {
        let mut rows = Rows::new(&["ID", "WHAT", "WORKTREE", "WHEN", "SIZE", "BY"]);
        for undo in &list.undos {
            let what = match undo.what {
                UndoKind::Removal => "removal",
                UndoKind::Merge => "merge",
                UndoKind::Layout => "layout",
            };
            rows.push([
                undo.id.clone(),
                what.to_owned(),
                undo.name.clone(),
                ago(&undo.at, Timestamp::now()),
                size(undo.bytes),
                one_line(&undo.by),
            ]);
        }
        if list.undos.is_empty() { "nothing to take back".to_owned() } else { rows.render(paint) }
    })?;
    Ok(0)
}

/// Shows first, and does it only when somebody said so.
pub(super) async fn prune(context: &Context, at: RepoSelector, args: PruneArgs) -> Ending {
    let client = context.client()?;
    let ask = |apply: bool| client.call::<WorktreePrune>(WorktreePruneParams { at: at.clone(), apply });
    if args.yes {
        let done = waiting(&context.output, "pruning", ask(true)).await?;
        context.output.reply(&done, |paint| pruned(&done, paint))?;
        return Ok(0);
    }
    let told = waiting(&context.output, "looking", ask(false)).await?;
    let can_ask = std::io::stdin().is_terminal() && !context.output.is_json();
    if args.dry_run || told.pruned.is_empty() {
        context.output.reply(&told, |paint| pruned(&told, paint))?;
        return Ok(0);
    }
    if !can_ask {
        let text = format!("{} would go", count(told.pruned.len() as u64, "worktree"));
        let error = WireError::user(text).hint("`imi prune --dry-run` shows them");
        return Err(error.hint("`imi prune --yes` removes them").into());
    }
    context.output.reply(&told, |paint| pruned(&told, paint))?;
    context.output.text("Remove them? [y/N] ")?;
    let _ = std::io::stdout().flush();
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    if matches!(line.trim(), "y" | "Y" | "yes") {
        let done = waiting(&context.output, "pruning", ask(true)).await?;
        context.output.reply(&done, |paint| pruned(&done, paint))?;
    }
    Ok(0)
}

pub(super) async fn repair(context: &Context, at: RepoSelector, args: RepairArgs) -> Ending {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let moved = args.moved.iter().map(|path| absolute(path).to_string_lossy().into_owned()).collect();
    let client = context.client()?;
    let asked = client.call::<RepoRepair>(RepoRepairParams { at, moved });
    let answer = waiting(&context.output, "mending", asked).await?;
    context.output.reply(&answer, |paint| {
        let mut text = String::new();
        for line in &answer.mended {
            text += &format!("{} {}\n", paint.green("✓"), printable(line));
        }
        if answer.mended.is_empty() {
            text += "nothing had to be mended\n";
        }
        text + &findings(&answer.left, paint)
    })?;
    Ok(0)
}

pub(super) async fn reconcile(context: &Context, at: RepoSelector) -> Ending {
    let client = context.client()?;
    let asked = client.call::<RepoReconcile>(RepoReconcileParams { at });
    let answer = waiting(&context.output, "looking", asked).await?;
    context.output.reply(&answer, |_| {
        let lists = [("new", &answer.appeared), ("moved", &answer.moved), ("gone", &answer.gone)];
        let lines = lists.iter().filter(|(_, names)| !names.is_empty());
        let lines: Vec<String> = lines.map(|(what, names)| format!("{what}: {}", names.join(", "))).collect();
        let known = count(answer.worktrees.len() as u64, "worktree");
        if lines.is_empty() { format!("nothing had changed; {known}") } else { lines.join("\n") }
    })?;
    Ok(0)
}

pub(super) async fn doctor(context: &Context, at: RepoSelector) -> Ending {
    let client = context.client()?;
    let asked = client.call::<RepoDoctor>(RepoDoctorParams { at });
    let answer = waiting(&context.output, "looking", asked).await?;
    context.output.reply(&answer, |paint| {
        if answer.findings.is_empty() {
            return format!("{} nothing is off here", paint.green("✓"));
        }
        findings(&answer.findings, paint)
    })?;
    Ok(0)
}

pub(super) async fn disk_use(context: &Context, at: RepoSelector) -> Ending {
    let client = context.client()?;
    let bar = pieces(&context.output, 0);
    let moving = bar.clone();
    let on = move |progress: Progress| {
        moving.set_length(progress.total);
        moving.set_position(progress.done);
        moving.set_message(one_line(&progress.message));
    };
    let answer = client.call_with_progress::<WorktreeDu>(WorktreeDuParams { at }, on).await;
    bar.finish_and_clear();
    let answer = answer?;
    context.output.reply(&answer, |paint| of_disk(&answer, paint))?;
    Ok(0)
}

fn of_merge(merged: &WorktreeMerged, paint: Painter) -> String {
    let how = match merged.mode {
        MergeMode::FastForward => "moved forward",
        MergeMode::Merge => "has a merge commit",
        MergeMode::Squash => "has one commit more",
    };
    let gone = if merged.removed { "; the worktree and its branch are gone" } else { "" };
    let mut text = format!(
        "{} {} of {} merged: {} {how}{gone}\n",
        paint.green("✓"),
        count(u64::from(merged.commits), "commit"),
        paint.bold(&one_line(&merged.name)),
        one_line(&merged.trunk),
    );
    for note in &merged.notes {
        text += &format!("{} {}\n", paint.yellow("note:"), printable(note));
    }
    text + &format!("{} `imi undo {}` takes it back", paint.cyan("hint:"), one_line(&merged.undo))
}

fn pruned(answer: &WorktreesPruned, paint: Painter) -> String {
    let mut text = String::new();
    for one in &answer.pruned {
        let why = match one.reason {
            PruneReason::Merged => "merged",
            PruneReason::Unused => "never used",
            PruneReason::Missing => "its folder is gone",
        };
        let done = if answer.applied { "removed" } else { "goes" };
        text += &format!("{} {} {done}: {why}\n", paint.green("✓"), paint.bold(&one_line(&one.name)));
    }
    for one in &answer.kept {
        text += &paint.dim(&format!("  {} stays: {}\n", one_line(&one.name), printable(&one.why)));
    }
    if answer.pruned.is_empty() {
        text += "nothing to prune";
    }
    text
}

fn findings(found: &[Finding], paint: Painter) -> String {
    let line = |one: &Finding| {
        format!(
            "{} {}\n  {}\n{} {}\n",
            paint.yellow("!"),
            printable(&one.message),
            printable(&one.path),
            paint.cyan("hint:"),
            printable(&one.hint)
        )
    };
    found.iter().map(line).collect()
}

fn of_disk(found: &DiskUse, paint: Painter) -> String {
    let mut rows = Rows::new(&["WHAT", "SIZE", "OF IT IGNORED"]);
    for tree in &found.worktrees {
        rows.push([tree.name.clone(), size(tree.bytes), size(tree.ignored)]);
    }
    for (what, bytes) in [("trash", found.trash), ("spares", found.spares), ("git", found.objects)] {
        rows.push([what.to_owned(), size(bytes), String::new()]);
    }
    rows.push(["total".to_owned(), size(found.total), String::new()]);
    let mut text = format!("{}\n{} free on this disk", rows.render(paint), size(found.free));
    for note in &found.notes {
        text += &format!("\n{} {}", paint.yellow("note:"), printable(note));
    }
    text
}

/// `1.2 GB`, in powers of ten.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_250_000), "1.2 MB");
        assert_eq!(size(21_000_000_000), "21.0 GB");
    }
}
