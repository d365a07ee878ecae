//! Bytes of a program become chunks. Whatever is not understood yet stays unread, so that a new daemon reads it again.

use serde::{Deserialize, Serialize};

use super::json::Lines;
use crate::child::Format;
use crate::provider::Chunk;

/// Longest line that is understood; longer ones are left out.
const LONGEST_LINE: usize = 16 << 20;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) enum Reader {
    #[default]
    Text,
    Json {
        lines: Lines,
        /// Within a line that is too long.
        skipping: bool,
    },
}

impl Reader {
    pub(super) fn of(format: Format) -> Self {
        match format {
            Format::Json => Self::Json { lines: Lines::default(), skipping: false },
            Format::Text | Format::Acp => Self::Text,
        }
    }

    /// Reads what is complete of `bytes`, all of it `at_end`. How many bytes that was, and what they say.
    pub(super) fn read(&mut self, bytes: &[u8], at_end: bool) -> (usize, Vec<Chunk>) {
        match self {
            Self::Text => read_text(bytes, at_end),
            Self::Json { lines, skipping } => read_lines(lines, skipping, bytes, at_end),
        }
    }

    /// What the program says went wrong.
    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Text => None,
            Self::Json { lines, .. } => lines.error.as_deref(),
        }
    }
}

/// A character whose last bytes are still to come is left.
fn read_text(bytes: &[u8], at_end: bool) -> (usize, Vec<Chunk>) {
    let used = if at_end { bytes.len() } else { bytes.len() - unfinished(bytes) };
    if used == 0 {
        return (0, Vec::new());
    }
    let text = String::from_utf8_lossy(&bytes[..used]).into_owned();
    (used, vec![Chunk::Text { text, tokens: Vec::new() }])
}

/// Bytes at the end that begin a character and may go on to be one.
fn unfinished(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    for (at, byte) in tail.iter().enumerate().rev() {
        let needed = match byte {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            // Goes on with a character that began before.
            0x80..=0xBF => continue,
            _ => return 0,
        };
        let there = tail.len() - at;
        return if there < needed { there } else { 0 };
    }
    0
}

fn read_lines(lines: &mut Lines, skipping: &mut bool, bytes: &[u8], at_end: bool) -> (usize, Vec<Chunk>) {
    let (mut used, mut chunks) = (0, Vec::new());
    while let Some(length) = bytes[used..].iter().position(|byte| *byte == b'\n') {
        if !std::mem::take(skipping) && length <= LONGEST_LINE {
            lines.read(&bytes[used..used + length], &mut chunks);
        }
        used += length + 1;
    }
    let rest = &bytes[used..];
    if at_end && !rest.is_empty() {
        if !*skipping {
            lines.read(rest, &mut chunks);
        }
        used = bytes.len();
    } else if *skipping || rest.len() > LONGEST_LINE {
        if !*skipping {
            tracing::warn!(bytes = rest.len(), "a line of an agent is too long and left out");
        }
        *skipping = true;
        used = bytes.len();
    }
    (used, chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(chunks: &[Chunk]) -> String {
        let text = |chunk: &Chunk| match chunk {
            Chunk::Text { text, .. } => text.clone(),
            _ => String::new(),
        };
        chunks.iter().map(text).collect()
    }

    /// Reads in pieces, as a pipe gives them.
    fn in_pieces(mut reader: Reader, bytes: &[u8], size: usize) -> String {
        let (mut rest, mut said) = (Vec::new(), String::new());
        for piece in bytes.chunks(size) {
            rest.extend(piece);
            let (used, chunks) = reader.read(&rest, false);
            rest.drain(..used);
            said += &text_of(&chunks);
        }
        said + &text_of(&reader.read(&rest, true).1)
    }

    #[test]
    fn characters_survive_any_cut() {
        let text = "aä€𝄞 ends";
        for size in 1..=text.len() {
            assert_eq!(in_pieces(Reader::Text, text.as_bytes(), size), text, "pieces of {size}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_hold_nothing_up() {
        let bytes = b"a\xff\xfeb\xe2\x82c\xf0\x9f";
        let expected = String::from_utf8_lossy(bytes);
        for size in 1..=bytes.len() {
            assert_eq!(in_pieces(Reader::Text, bytes, size), expected, "pieces of {size}");
        }
        let (used, _) = Reader::Text.read(b"abc\x80\x80\x80", false);
        assert_eq!(used, 6, "what begins no character is not waited for");
    }

    #[test]
    fn lines_survive_any_cut_and_a_last_one_without_an_end_counts() {
        let lines =
            b"{\"type\":\"text\",\"text\":\"one \"}\nnoise\n\n{\"type\":\"text\",\"text\":\"t\xc3\xa4o\"}";
        for size in 1..=lines.len() {
            assert_eq!(in_pieces(Reader::of(Format::Json), lines, size), "one täo", "pieces of {size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_and_the_next_is_read() {
        let mut bytes = b"{\"type\":\"text\",\"text\":\"".to_vec();
        bytes.resize(LONGEST_LINE + 100, b'x');
        bytes.extend(b"\"}\n{\"type\":\"text\",\"text\":\"after\"}\n");
        assert_eq!(in_pieces(Reader::of(Format::Json), &bytes, 1 << 20), "after");
    }
}
