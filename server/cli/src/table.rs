//! Tables for people.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use podium_protocol::RepoRef;

use crate::style::{Painter, one_line};

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

    /// The table as text. Columns in which every row is empty are left out.
    #[must_use]
    pub fn render(&self, paint: Painter) -> String {
        let used: Vec<usize> = (0..self.titles.len())
            .filter(|c| self.rows.iter().any(|r| r.get(*c).is_some_and(|t| !t.is_empty())))
            .collect();
        let mut table = Table::new();
        // Fitted to a terminal only: a pipe gets each row on one line, whatever terminal is behind it.
        let fit = if paint.paints() { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
        table.load_style(presets::NOTHING).set_content_arrangement(fit);
        table.set_header(used.iter().map(|c| self.titles[*c]));
        for row in &self.rows {
            table.add_row(used.iter().map(|c| row.get(*c).map_or("", String::as_str)));
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
}
