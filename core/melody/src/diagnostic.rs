//! What is wrong with a melody, and where.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of the text, end excluded.
pub type Span = std::ops::Range<usize>;

/// A fault, or something that is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// Which fault.
    pub code: Code,
    /// Whether it keeps the melody from running.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The node concerned.
    pub node: Option<String>,
    /// Lines and columns.
    pub range: Range,
    /// The nodes of a cycle, the first again at the end; empty for every other fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// The same place in bytes.
    #[serde(skip)]
    pub span: Span,
}

impl Diagnostic {
    /// Whether the melody cannot run with it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Which fault. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Code {
    /// Not TOML or JSON.
    Syntax,
    /// A key that nothing reads.
    UnknownField,
    /// A key that has to be there.
    MissingField,
    /// A value of the wrong form.
    InvalidField,
    /// Two nodes of one id.
    DuplicateNodeId,
    /// `uses` of an instrument names no provider.
    UnknownInstrument,
    /// `uses` of an operator or control names none.
    UnknownOperator,
    /// A param that is missing, unknown, or of the wrong form.
    InvalidParam,
    /// `{{name}}` is neither an input of the melody nor of the node.
    UnknownName,
    /// An edge from or to nothing, a second one into the same port, a condition that is none.
    InvalidEdge,
    /// An edge between ports of types that do not fit.
    TypeMismatch,
    /// An input port that needs a value and gets none.
    MissingRequiredInput,
    /// An input that nothing feeds although it is used, or that leads nowhere.
    DisconnectedInput,
    /// A node that no edge touches.
    OrphanNode,
    /// Nodes that wait for each other, or for themselves.
    CycleDetected,
    /// More than a melody may have, or than its own limits allow.
    ResourceExceeded,
}

impl Code {
    /// Whether it can be told although a part of the text could not be read.
    #[must_use]
    pub(crate) fn is_certain(self) -> bool {
        !matches!(
            self,
            Self::MissingField
                | Self::MissingRequiredInput
                | Self::DisconnectedInput
                | Self::OrphanNode
                | Self::InvalidEdge
                | Self::UnknownName
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Whether a melody can run with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot run.
    Error,
    /// It can, but this is probably not meant.
    Warning,
}

/// A place as people count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// From one position to another, end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Range {
    /// Where it begins.
    pub start: Position,
    /// Behind its last character.
    pub end: Position,
}

/// Finds the line of a byte.
#[derive(Debug)]
pub struct LineIndex<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> LineIndex<'t> {
    /// Reads the text once.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// The position of a byte; a byte within a character or behind the end counts as the one before.
    #[must_use]
    pub fn position(&self, byte: usize) -> Position {
        let byte = self.text.floor_char_boundary(byte.min(self.text.len()));
        let line = self.starts.partition_point(|start| *start <= byte).saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or_default();
        let column = self.text.get(start..byte).map_or(0, |before| before.chars().count());
        Position { line: line + 1, column: column + 1 }
    }

    /// The range of a span.
    #[must_use]
    pub fn range(&self, span: &Span) -> Range {
        Range { start: self.position(span.start), end: self.position(span.end.max(span.start)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_never_fall_out_of_the_text() {
        let lines = LineIndex::new("ab\nübc\n");
        assert_eq!(lines.position(0), Position { line: 1, column: 1 });
        assert_eq!(lines.position(5), Position { line: 2, column: 2 });
        assert_eq!(lines.position(4), Position { line: 2, column: 1 }, "within a character");
        assert_eq!(lines.position(99), Position { line: 3, column: 1 });
    }
}
