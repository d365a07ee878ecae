//! What the code actions ask of an agent: the parameters of `podium.session.start` for a place in a document.
//!
//! The prompt says what to do and where; the text itself, its language and the editor's diagnostics travel in
//! `context`, which the daemon puts in front of the model.

use podium_protocol::Worktree;
use serde_json::{Value, json};
use tower_lsp::ls_types::{Diagnostic, Position, Range};

use crate::documents::Document;
use crate::position::Encoding;
use crate::todo::todo_of;
use crate::uris;

/// Longest text that is sent along, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Lines before and behind a TODO that are sent with it.
const AROUND: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Explain,
    Fix,
    Implement,
    Tests,
    Ask,
}

impl Task {
    pub(crate) const ALL: [Self; 5] = [Self::Fix, Self::Implement, Self::Explain, Self::Tests, Self::Ask];

    /// Whether it changes files, so that the session has to hold the worktree.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Fix | Self::Implement | Self::Tests)
    }
}

/// A place in an open document that something is asked about.
pub(crate) struct Spot<'a> {
    pub(crate) uri: &'a str,
    pub(crate) document: &'a Document,
    pub(crate) range: Range,
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) worktree: Option<&'a Worktree>,
    pub(crate) encoding: Encoding,
}

impl Spot<'_> {
    pub(crate) fn has_selection(&self) -> bool {
        self.range.start != self.range.end
    }

    /// The first line of the range that asks for work, with its text.
    pub(crate) fn todo(&self) -> Option<(usize, &str)> {
        let (first, last) = (self.range.start.line as usize, self.range.end.line as usize);
        // A huge selection is not searched through: nobody means its first TODO.
        (first..=last.min(first.saturating_add(200)))
            .take_while(|line| *line < self.document.line_count())
            .find_map(|line| Some((line, todo_of(self.document.line(line))?)))
    }

    pub(crate) fn offers(&self, task: Task) -> bool {
        match task {
            Task::Explain | Task::Tests => self.has_selection(),
            Task::Fix => !self.diagnostics.is_empty(),
            Task::Implement => self.todo().is_some(),
            Task::Ask => true,
        }
    }

    /// The argument of the command that starts the session.
    pub(crate) fn start(&self, task: Task) -> Value {
        let mut params = json!({
            "uri": self.uri,
            "prompt": self.prompt(task),
            "context": self.context(task),
            "interactive": true,
        });
        if let (true, Some(worktree)) = (task.writes(), self.worktree) {
            params["worktree"] = json!(worktree.name);
        }
        params
    }

    /// The selection, and around a TODO or a mere cursor the lines beside it.
    pub(crate) fn context(&self, task: Task) -> Value {
        let range = match (task, self.todo()) {
            (Task::Implement, Some((line, _))) => self.lines_around(line),
            _ if self.has_selection() && task != Task::Fix => self.range,
            _ => self.lines_around(self.range.start.line as usize),
        };
        let text = self.document.slice(range, self.encoding);
        let mut context = json!({
            "uri": self.uri,
            "range": range,
            "text": &text[..text.floor_char_boundary(MAX_TEXT)],
            "language": self.document.language,
        });
        if task == Task::Fix || (task == Task::Ask && !self.diagnostics.is_empty()) {
            context["diagnostics"] = json!(self.diagnostics);
        }
        context
    }

    fn lines_around(&self, line: usize) -> Range {
        let last = (line + AROUND).min(self.document.line_count().saturating_sub(1));
        let end = self.document.line_range(last, self.encoding).end;
        Range::new(Position::new(u32::try_from(line.saturating_sub(AROUND)).unwrap_or(u32::MAX), 0), end)
    }

    fn prompt(&self, task: Task) -> String {
        let place = self.place();
        match task {
            Task::Explain => format!(
                "Explain the selected code, {place}. Say first what it is for, then how it works, then what is \
                 surprising or risky about it. Change nothing."
            ),
            Task::Fix => format!(
                "Fix what the editor reports here, {place}, with the smallest change that is right, and say in one \
                 sentence what the cause was."
            ),
            Task::Implement => {
                let (line, text) = self.todo().unwrap_or((self.range.start.line as usize, ""));
                let file = self.file();
                let asked = if text.is_empty() { String::new() } else { format!(": \"{text}\"") };
                format!(
                    "Implement the TODO on line {} of `{file}`{asked}. Keep to the style of the code around it, \
                     change only what the TODO asks for, and take the TODO comment away when it is done.",
                    line + 1
                )
            }
            Task::Tests => format!(
                "Write tests for the selected code, {place}. Cover its normal use, its limits and its errors, in \
                 the test framework and layout that this repository uses already."
            ),
            Task::Ask => format!("About the selected code, {place}:\n\n"),
        }
    }

    /// ``lines 3-9 of `src/a.rs` ``
    fn place(&self) -> String {
        let (first, mut last) = (self.range.start.line, self.range.end.line);
        if last > first && self.range.end.character == 0 {
            last -= 1;
        }
        let file = self.file();
        if first == last {
            format!("line {} of `{file}`", first.saturating_add(1))
        } else {
            // Some editors select to the largest line there is.
            format!("lines {}-{} of `{file}`", first.saturating_add(1), last.saturating_add(1))
        }
    }

    /// Path within the worktree, else the file's name.
    fn file(&self) -> String {
        let Some(path) = uris::to_path(self.uri) else { return self.uri.to_owned() };
        let inside = self.worktree.and_then(|w| path.strip_prefix(&w.path).ok());
        let shown =
            inside.map_or_else(|| path.file_name().map(Into::into).unwrap_or_default(), ToOwned::to_owned);
        shown.display().to_string()
    }
}
