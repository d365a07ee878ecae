use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::redactor::mark;
use crate::{
    Redactor,
    patterns::{LONGEST_NAME, Place, Swallow, Verdict},
};

/// Redacts a text that comes in pieces. However it is cut, the parts returned join to what [`Redactor::redact`] makes of
/// the whole. Only what could still turn out to be part of a secret is held back: ordinary text passes at once. At most
/// the longest known value, or about 16 KiB in the middle of a JSON web token, is held back.
pub struct StreamRedactor {
    redactor: Arc<Redactor>,
    state: StreamState,
}

/// Where a stream stands, to be saved with a session and resumed. Holds raw text that was not shown: protect it like the
/// secret that it may be the start of.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    pending: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<char>,
    #[serde(default)]
    line: Line,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    swallow: Option<Swallow>,
}

/// What came before on the current line.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// So far this may be a variable's name.
    Start(String),
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Start(String::new())
    }
}

impl StreamRedactor {
    pub fn new(redactor: Arc<Redactor>) -> Self {
        Self::with_state(redactor, StreamState::default())
    }

    /// Goes on where `state` was taken, also with a redactor that knows more values.
    pub fn with_state(redactor: Arc<Redactor>, state: StreamState) -> Self {
        Self { redactor, state }
    }

    pub fn state(&self) -> &StreamState {
        &self.state
    }

    /// Raw text that was pushed and not returned yet.
    pub fn pending(&self) -> &str {
        &self.state.pending
    }

    /// Takes the next piece and returns what can be shown.
    #[must_use]
    pub fn push(&mut self, piece: &str) -> String {
        self.state.advance(&self.redactor, piece, false)
    }

    /// Returns the rest: the text is complete.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.state.advance(&self.redactor, "", true)
    }
}

impl StreamState {
    pub(crate) fn advance(&mut self, redactor: &Redactor, piece: &str, whole: bool) -> String {
        let mut text = std::mem::take(&mut self.pending);
        text.push_str(piece);
        let mut pass =
            Pass { redactor, state: self, text: &text, at: 0, line_from: Some(0), out: String::new() };
        pass.run(whole);
        let (at, out) = (pass.end(), pass.out);
        text.drain(..at);
        self.pending = text;
        out
    }
}

impl fmt::Debug for StreamRedactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamRedactor")
            .field("redactor", &self.redactor)
            .field("state", &self.state)
            .finish()
    }
}

impl fmt::Debug for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamState").field("pending_bytes", &self.pending.len()).finish_non_exhaustive()
    }
}

/// One walk over the text at hand.
struct Pass<'a> {
    redactor: &'a Redactor,
    state: &'a mut StreamState,
    text: &'a str,
    /// All before is decided.
    at: usize,
    /// From where on `text` may tell the start of a line: 0 goes together with `state.line`, `None` if the last redaction
    /// lies on the current line.
    line_from: Option<usize>,
    out: String,
}

impl Pass<'_> {
    fn run(&mut self, whole: bool) {
        // Both are looked for again only when they are passed: each byte is searched once.
        let (mut candidate, mut open) = (None, if whole { Some(usize::MAX) } else { None });
        loop {
            if let Some(swallow) = self.state.swallow.take() {
                let (length, rest) = swallow.consume(&self.text[self.at..]);
                self.at += length;
                self.line_from = None;
                self.state.swallow = rest;
                if self.state.swallow.is_some() {
                    return;
                }
            }
            if candidate.is_none_or(|candidate| candidate < self.at) {
                candidate = Some(self.redactor.next_candidate(self.text, self.at).unwrap_or(usize::MAX));
            }
            let next = candidate.filter(|at| *at < self.text.len());
            if open.is_none_or(|open| open < self.at) {
                open = Some(self.redactor.open_end(self.text, self.at).unwrap_or(usize::MAX));
            }
            // The rest of the text could be the start of a known value that begins before the candidate.
            if let Some(open) = open.filter(|open| *open < next.unwrap_or(self.text.len())) {
                return self.show_to(open);
            }
            let Some(next) = next else { return self.show_to(self.text.len()) };
            self.show_to(next);
            if !self.decide(whole) {
                return;
            }
        }
    }

    /// Decides about the text at the current position; false if more of it is needed.
    fn decide(&mut self, whole: bool) -> bool {
        let rest = &self.text[self.at..];
        let line = self.line();
        let previous = self.text[..self.at].chars().next_back().or(self.state.previous);
        match self.redactor.judge(&Place { rest, whole, previous, line: line.as_deref() }) {
            Verdict::NeedMore => return false,
            Verdict::No => self.show_to(self.at + rest.chars().next().map_or(0, char::len_utf8)),
            Verdict::Secret(found) => {
                // What a shape shows of itself, such as the user of a URL, may hold a known value.
                self.out.push_str(&self.redactor.without_known(&rest[..found.shown]));
                self.out.push_str(&mark(&found.name));
                self.at += found.length;
                self.state.swallow = found.rest;
                self.line_from = None;
            }
        }
        true
    }

    fn show_to(&mut self, end: usize) {
        let shown = &self.text[self.at..end];
        if self.line_from.is_none() {
            self.line_from = shown.find('\n').map(|newline| self.at + newline + 1);
        }
        self.out.push_str(shown);
        self.at = end;
    }

    /// What stands before the current position on its line, if that may be a name.
    fn line(&self) -> Option<String> {
        let from = self.line_from?;
        let before = &self.text[from..self.at];
        let (head, here) = match (before.rfind('\n'), &self.state.line) {
            (Some(newline), _) => ("", &before[newline + 1..]),
            (None, Line::Start(head)) if from == 0 => (head.as_str(), before),
            (None, Line::Other) if from == 0 => return None,
            (None, _) => ("", before),
        };
        (head.len() + here.len() <= LONGEST_NAME && may_be_name(here)).then(|| format!("{head}{here}"))
    }

    /// Writes down what the next pass needs to know, and says how much of the text is done.
    fn end(&mut self) -> usize {
        self.state.line = self.line().map_or(Line::Other, Line::Start);
        self.state.previous = self.text[..self.at].chars().next_back().or(self.state.previous);
        self.at
    }
}

fn may_be_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b' ' | b'\t'))
}
