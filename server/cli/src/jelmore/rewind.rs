//! Places of a session to go back to: checkpoints, rewind, fork, export, diff and revert.

use std::io::Write as _;
use std::path::Path;

use podium_client::Client;
use podium_protocol::{
    Checkpoint, CheckpointKind, FileDiff, FileStatus, HunkState, SessionCheckpointsMethod,
    SessionCheckpointsParams, SessionDiff, SessionDiffMethod, SessionDiffParams, SessionExport,
    SessionExportParams, SessionExported, SessionFork, SessionForkParams, SessionRevert, SessionRevertParams,
    SessionRewind, SessionRewindParams, WireError,
};
use serde_json::json;

use super::args::{
    SessionDiffArgs, SessionExportArgs, SessionForkArgs, SessionIdArgs, SessionRevertArgs, SessionRewindArgs,
};
use super::now;
use crate::context::Context;
use crate::output::Ending;
use crate::progress::waiting;
use crate::style::{Painter, one_line, printable, shortened};
use crate::table::Rows;
use crate::time::ago;

pub(super) async fn checkpoints(context: &Context, args: SessionIdArgs) -> Ending {
    let client = context.client()?;
    let params = SessionCheckpointsParams { id: Some(args.id) };
    let answer = waiting(&context.output, "reading", client.call::<SessionCheckpointsMethod>(params)).await?;
    context.output.reply(&answer, |paint| table(&answer.checkpoints, paint))?;
    Ok(0)
}

fn table(checkpoints: &[Checkpoint], paint: Painter) -> String {
    if checkpoints.is_empty() {
        return "no checkpoints".to_owned();
    }
    let mut rows = Rows::new(&["CHECKPOINT", "WHEN", "AGE", "ITEM", "FILES", "TURN"]);
    for checkpoint in checkpoints {
        let when = match checkpoint.kind {
            CheckpointKind::TurnStart => "before",
            CheckpointKind::Turn => "within",
            CheckpointKind::TurnEnd => "after",
            CheckpointKind::Rewind => "before a rewind",
        };
        let files = checkpoint.snapshot.as_ref().map_or("", |_| "kept");
        rows.push([
            checkpoint.id.clone(),
            when.to_owned(),
            ago(&checkpoint.created_at, now()),
            checkpoint.seq.to_string(),
            files.to_owned(),
            format!("{}: {}", checkpoint.turn, shortened(&one_line(&checkpoint.title), 50)),
        ]);
    }
    rows.render(paint)
}

pub(super) async fn rewind(context: &Context, args: SessionRewindArgs) -> Ending {
    let client = context.client()?;
    let params = SessionRewindParams { id: args.id, to: args.to, commits: args.commits };
    let answer = waiting(&context.output, "going back", client.call::<SessionRewind>(params)).await?;
    context.output.reply(&answer, |paint| {
        let mut text = format!("{} is back behind item {}\n", answer.id, answer.seq);
        for path in &answer.files_changed {
            text += &format!("  changed {}\n", one_line(path));
        }
        for path in &answer.kept {
            text += &format!("  {} {}\n", paint.yellow("left as it is:"), one_line(path));
        }
        text += &notes(&answer.notes, paint);
        text + &format!(
            "{} take it back with `jelmore sessions rewind {} --to {}`",
            paint.cyan("hint:"),
            answer.id,
            answer.undo
        )
    })?;
    Ok(0)
}

pub(super) async fn fork(context: &Context, args: SessionForkArgs) -> Ending {
    let client = context.client()?;
    let params =
        SessionForkParams { id: args.id, at: args.at, worktree: args.worktree, session_id: args.session_id };
    let answer = waiting(&context.output, "forking", client.call::<SessionFork>(params)).await?;
    context.output.reply(&answer, |paint| {
        let place =
            answer.worktree.as_ref().map_or_else(String::new, |name| format!(" in {}", one_line(name)));
        let mut text =
            format!("{} begins with {} items of {}{place}\n", answer.id, answer.last_seq, answer.from);
        text += &notes(&answer.notes, paint);
        text + &format!(
            "{} go on with `jelmore sessions resume {} --prompt \"...\"`",
            paint.cyan("hint:"),
            answer.id
        )
    })?;
    Ok(0)
}

fn notes(notes: &[String], paint: Painter) -> String {
    notes.iter().map(|note| format!("{} {}\n", paint.yellow("note:"), printable(note))).collect()
}

pub(super) async fn export(context: &Context, args: SessionExportArgs) -> Ending {
    let client = context.client()?;
    let params = SessionExportParams { id: args.id, format: args.format.into(), from_seq: None };
    let whole = waiting(&context.output, "reading", whole_export(&client, params)).await?;
    let Some(path) = args.output else {
        if context.output.is_json() {
            context.output.reply(&whole, |_| String::new())?;
        } else {
            context.output.text(&whole.content)?;
        }
        return Ok(0);
    };
    write_new(&path, whole.content.as_bytes())?;
    let shown = path.display().to_string();
    let data = json!({
        "id": whole.id,
        "format": whole.format,
        "mediaType": whole.media_type,
        "path": shown,
        "bytes": whole.content.len(),
    });
    context.output.reply(&data, |_| format!("wrote {}", one_line(&shown)))?;
    Ok(0)
}

/// All pieces of the document.
async fn whole_export(
    client: &Client,
    mut params: SessionExportParams,
) -> Result<SessionExported, WireError> {
    let mut whole = client.call::<SessionExport>(params.clone()).await?;
    while let Some(next) = whole.next {
        params.id = Some(whole.id.clone());
        params.from_seq = Some(next);
        let piece = client.call::<SessionExport>(params.clone()).await?;
        whole.content += &piece.content;
        whole.next = piece.next;
    }
    Ok(whole)
}

/// Nothing that exists is overwritten.
fn write_new(path: &Path, content: &[u8]) -> Result<(), WireError> {
    let written = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(content));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            WireError::conflict(format!("{} exists already", path.display())).hint("give another --output")
        }
        _ => WireError::user(format!("{} cannot be written: {error}", path.display())),
    })
}

pub(super) async fn diff(context: &Context, args: SessionDiffArgs) -> Ending {
    let client = context.client()?;
    let params =
        SessionDiffParams { id: args.id, turn: args.choice.turn, from: args.choice.from, to: args.choice.to };
    let answer = waiting(&context.output, "comparing", client.call::<SessionDiffMethod>(params)).await?;
    context.output.reply(&answer, |paint| patch(&answer, paint))?;
    Ok(0)
}

fn patch(diff: &SessionDiff, paint: Painter) -> String {
    if diff.files.is_empty() {
        return "nothing changed".to_owned();
    }
    let mut text: String = diff.files.iter().map(|file| file_patch(file, paint)).collect();
    if diff.truncated {
        text += &format!("{} there is more than is shown here\n", paint.yellow("note:"));
    }
    text
}

fn file_patch(file: &FileDiff, paint: Painter) -> String {
    let what = match file.status {
        FileStatus::Added => "added",
        FileStatus::Deleted => "deleted",
        FileStatus::Modified => "modified",
        FileStatus::Renamed => "renamed",
        FileStatus::TypeChanged => "another kind of file",
    };
    let from = file.old_path.as_ref().map_or_else(String::new, |old| format!("{} -> ", one_line(old)));
    let mut text = paint.bold(&format!("{from}{} ({what})", one_line(&file.path))) + "\n";
    if let (Some(old), Some(new)) = (&file.old_mode, &file.new_mode)
        && old != new
    {
        text += &format!("  mode {old} -> {new}\n");
    }
    if let Some(why) = &file.omitted {
        text += &format!("  {}\n", paint.dim(&format!("(no lines are shown: {})", why.replace('_', " "))));
    }
    for (index, hunk) in file.hunks.iter().enumerate() {
        let state = match hunk.state {
            HunkState::There => "",
            HunkState::Gone => ", taken back",
            HunkState::Changed => ", changed since",
        };
        let head = format!(
            "@@ -{},{} +{},{} @@ hunk {index}{state}",
            hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines
        );
        text += &format!("{}\n", paint.cyan(&head));
        for line in &hunk.lines {
            let shown = printable(line);
            let shown = match line.chars().next() {
                Some('+') => paint.green(&shown),
                Some('-') => paint.red(&shown),
                _ => shown,
            };
            text += &format!("{shown}\n");
        }
    }
    text
}

pub(super) async fn revert(context: &Context, args: SessionRevertArgs) -> Ending {
    let client = context.client()?;
    let params = SessionRevertParams {
        id: args.id,
        path: args.path,
        path_bytes: None,
        hunks: (!args.hunks.is_empty()).then_some(args.hunks),
        turn: args.choice.turn,
        from: args.choice.from,
        to: args.choice.to,
    };
    let answer = waiting(&context.output, "taking back", client.call::<SessionRevert>(params)).await?;
    context.output.reply(&answer, |_| match answer.files_changed.as_slice() {
        [] => "it had been taken back before".to_owned(),
        paths => paths.iter().map(|path| format!("changed {}\n", one_line(path))).collect(),
    })?;
    Ok(0)
}
