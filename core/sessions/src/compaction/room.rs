//! How much of a model's window a conversation takes.

use crate::provider::{Message, ToolSpec, Turn, Window};

use super::size;

/// Tokens for a byte, before a provider has counted anything: rather too many, since a refused question costs more.
const AT_FIRST: f64 = 1.0 / 3.0;
const FEWEST: f64 = 0.15;
const MOST: f64 = 0.6;

/// Estimates tokens from bytes, by what the provider counted last.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    per_byte: f64,
}

impl Default for Room {
    fn default() -> Self {
        Self { per_byte: AT_FIRST }
    }
}

impl Room {
    /// The provider counted a question of this size.
    pub(crate) fn learn(&mut self, bytes: usize, tokens: u64) {
        if tokens > 0 && bytes > 0 {
            self.per_byte = (tokens as f64 / bytes as f64).clamp(FEWEST, MOST);
        }
    }

    fn bytes(&self, tokens: u64) -> usize {
        (tokens as f64 / self.per_byte) as usize
    }

    /// Bytes that the messages of this turn may take; `None` where nobody knows.
    pub(crate) fn for_messages(&self, turn: &Turn, window: Option<Window>) -> Option<usize> {
        Some(self.bytes(window?.question()).saturating_sub(around(turn)))
    }
}

/// Bytes of a whole question.
pub(crate) fn question(turn: &Turn) -> usize {
    around(turn) + said(&turn.messages)
}

pub(crate) fn said(messages: &[Message]) -> usize {
    messages.iter().map(size).sum()
}

/// What goes along with the messages.
fn around(turn: &Turn) -> usize {
    let tool =
        |tool: &ToolSpec| tool.name.len() + tool.description.len() + tool.input_schema.to_string().len();
    turn.system.len() + turn.tools.iter().map(tool).sum::<usize>()
}
