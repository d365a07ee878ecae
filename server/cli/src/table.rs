//! Tables for people.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use podium_protocol::RepoRef;

use crate::style::{Painter, one_line, shortened};

/// Columns that are never cut.
const WHOLE: &[&str] = &["ID", "NAME", "WORKTREE", "MODEL", "LICENCE", "KEY", "TYPE"];
/// What is left of a column that is cut, in characters.
const NARROWEST: usize = 4;
/// Spaces between two columns.
const BETWEEN: usize = 2;

/// A table without lines: a row of titles, two spaces between columns. Fits the terminal where there is one.
#[derive(Debug)]
pub struct Rows {
    titles: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Rows {
    #[must_use]
    pub fn new(titles: &[&'static str]) -> Self {
        Self { titles: titles.to_vec(), rows: Vec::new(), right: Vec::new() }
    }

    /// Aligns a column of numbers.
    #[must_use]
    pub fn right(mut self, column: usize) -> Self {
        self.right.push(column);
        self
    }

    pub fn push<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.iter().map(|c| one_line(c)).collect());
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Widths of the used columns. Where there is too little room, the widest of those that may be cut gives way first;
    /// what a person copies (ids, names) stays whole, even if its line is too long then.
    fn widths(&self, used: &[usize], room: usize) -> Vec<usize> {
        let natural = |c: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count());
            cells.chain([self.titles[c].chars().count()]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = used.iter().map(|c| natural(*c)).collect();
        let gaps = BETWEEN * used.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > room {
            let may_be_cut = |at: &usize| !WHOLE.contains(&self.titles[used[*at]]) && widths[*at] > NARROWEST;
            let Some(widest) = (0..widths.len()).filter(may_be_cut).max_by_key(|at| widths[*at]) else {
                break;
            };
            widths[widest] -= 1;
        }
        widths
    }

    /// The table as text. Columns in which every row is empty are left out.
    #[must_use]
    pub fn render(&self, paint: Painter) -> String {
        let width = if paint.paints() { Table::new().width() } else { None };
        self.render_within(width, paint)
    }

    fn render_within(&self, width: Option<u16>, paint: Painter) -> String {
        let used: Vec<usize> = (0..self.titles.len())
            .filter(|c| self.rows.iter().any(|r| r.get(*c).is_some_and(|t| !t.is_empty())))
            .collect();
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        // Fitted to a terminal only: a pipe gets each row whole, whatever terminal is behind it.
        let room = width.map_or(usize::MAX, usize::from);
        let widths = self.widths(&used, room);
        let fitted = |text: &str, at: usize| shortened(text, widths[at]);
        table.set_header(used.iter().enumerate().map(|(at, c)| fitted(self.titles[*c], at)));
        for row in &self.rows {
            let cell = |(at, c): (usize, &usize)| fitted(row.get(*c).map_or("", String::as_str), at);
            table.add_row(used.iter().enumerate().map(cell));
        }
        for (at, column) in used.iter().enumerate() {
            if let Some(shown) = table.column_mut(at) {
                shown.set_padding((0, 2));
                if self.right.contains(column) {
                    shown.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        let text = table.to_string();
        let mut lines = text.lines().map(str::trim_end);
        let mut shown = paint.dim(lines.next().unwrap_or_default());
        for line in lines {
            shown.push('\n');
            shown += line;
        }
        shown
    }
}

/// Whether rows are of more than one repository: only then is a column of them worth its room.
#[must_use]
pub fn several_repos<'a>(repos: impl Iterator<Item = Option<&'a RepoRef>>) -> bool {
    let mut roots: Vec<Option<&str>> = repos.map(|repo| repo.map(|r| r.root.as_str())).collect();
    roots.sort_unstable();
    roots.dedup();
    roots.len() > 1
}

/// Name of the repository's folder.
#[must_use]
pub fn repo_name(repo: &RepoRef) -> String {
    let name = std::path::Path::new(&repo.root).file_name();
    name.map_or_else(|| repo.root.clone(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_empty_ones_are_left_out() {
        let mut rows = Rows::new(&["NAME", "NOTHING", "BYTES"]).right(2);
        rows.push(["a".into(), String::new(), "1".into()]);
        rows.push(["longer\nname".into(), String::new(), "1234567".into()]);
        insta::assert_snapshot!(rows.render(Painter::new(false)), @r"
        NAME           BYTES
        a                  1
        longer name  1234567
        ");
    }

    #[test]
    fn a_narrow_terminal_cuts_what_is_told_and_never_what_is_copied() {
        let id = "019a5c2e-0000-7000-8000-000000000001";
        let mut rows = Rows::new(&["ID", "STATUS", "WORKTREE", "TITLE"]);
        let title = "A long title of a session that nobody needs in full".to_owned();
        rows.push([id.into(), "completed".into(), "feat-a-long-name".into(), title.clone()]);
        let wide = rows.render_within(Some(200), Painter::new(false));
        assert!(wide.contains(&title), "{wide}");
        for width in [100, 80, 40] {
            let text = rows.render_within(Some(width), Painter::new(false));
            assert_eq!(text.lines().count(), 2, "{text}");
            assert!(text.contains(id) && text.contains("feat-a-long-name"), "{text}");
            let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= usize::from(width).max(id.len() + 16 + 4 + 4 + 6), "{width}: {text}");
        }
        let text = rows.render_within(Some(80), Painter::new(false));
        assert!(text.contains('…') && !text.contains(&title), "{text}");
    }
}
