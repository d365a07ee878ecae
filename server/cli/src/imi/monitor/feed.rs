//! The monitor as text, for where there is no terminal to draw on.

use jiff::Timestamp;

use super::model::Model;
use crate::style::Painter;
use crate::table::Rows;
use crate::time::ago;

/// Events under the table.
const EVENTS: usize = 10;

pub(super) fn text(model: &Model, now: Timestamp, paint: Painter) -> String {
    if model.worktrees.is_empty() {
        return format!("no worktrees yet\n{} imi feat NAME makes one", paint.cyan("hint:"));
    }
    let mut rows =
        Rows::new(&["NAME", "BRANCH", "OWNER", "", "CHANGES", "TRUNK", "ACTIVE", "LAST COMMIT", "NOTE"]);
    for row in model.rows(now) {
        let branch = if row.branch == row.name { String::new() } else { row.branch };
        let holder = row.holder.word().to_owned();
        rows.push([
            row.name,
            branch,
            row.owner,
            holder,
            row.changes,
            row.trunk,
            row.activity,
            row.commit,
            row.note,
        ]);
    }
    let mut text = rows.render(paint);
    for event in model.feed.iter().rev().take(EVENTS) {
        let (kind, what) = model.told(event);
        text += &format!(
            "\n{} {} {what}",
            paint.dim(&format!("{:>4}", ago(&event.time, now))),
            paint.cyan(&kind)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::{model, now};
    use super::*;

    #[test]
    fn a_snapshot_has_the_worktrees_and_the_newest_events() {
        insta::assert_snapshot!(text(&model(), now(), Painter::new(false)));
    }
}
