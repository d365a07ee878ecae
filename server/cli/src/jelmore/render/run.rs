//! Runs, and what a search finds.

use jiff::Timestamp;
use podium_protocol::{RunInfo, SessionHit};

use super::status;
use crate::style::{Painter, count, one_line, shortened};
use crate::time::ago;

/// Paths that are named one by one.
const NAMED: usize = 20;
/// Longest title, in characters.
const TITLE: usize = 60;

/// Where a task is worked on.
pub(in crate::jelmore) fn run(run: &RunInfo) -> String {
    let branch = run.branch.as_deref().map(|branch| format!(", branch {}", one_line(branch)));
    format!("in {}{}", one_line(&run.worktree), branch.unwrap_or_default())
}

/// What came of it.
pub(in crate::jelmore) fn run_end(run: &RunInfo, paint: Painter) -> String {
    let name = one_line(&run.worktree);
    let commits = count(u64::try_from(run.commits.len()).unwrap_or(u64::MAX), "commit");
    let mut text = match run.commits.last() {
        Some(last) => format!("  {commits} in {name}, the last {}", last.get(..10).unwrap_or(last)),
        None => format!("  no commit in {name}"),
    };
    for path in run.uncommitted.iter().take(NAMED) {
        text += &format!("\n  {} {}", paint.yellow("uncommitted"), one_line(path));
    }
    if run.uncommitted.len() > NAMED {
        text += &format!("\n  and {} more", run.uncommitted.len() - NAMED);
    }
    if let Some(problem) = &run.problem {
        text += &format!("\n{} {}", paint.yellow("note:"), one_line(problem));
    }
    let claim = if run.released { "is free again" } else { "stays claimed" };
    text + &format!("\n  {name} {claim}")
}

/// Sessions with the places that were found.
pub(in crate::jelmore) fn hits(hits: &[SessionHit], now: Timestamp, paint: Painter) -> String {
    if hits.is_empty() {
        return "nothing found".to_owned();
    }
    let mut text = String::new();
    for SessionHit { session, matches } in hits {
        let head =
            format!("{} {} {}", session.provider, status(session.status), ago(&session.updated_at, now));
        let title = shortened(&one_line(&session.title), TITLE);
        text += &format!("{} {title} {}\n", paint.bold(&session.id), paint.dim(&head));
        for found in matches {
            let place = format!("{:>6} {}", found.seq, found.kind.as_str().replace('_', " "));
            text += &format!("{}  {}\n", paint.dim(&place), one_line(&found.snippet));
        }
    }
    text + &format!("{} jelmore sessions show ID", paint.cyan("hint:"))
}
