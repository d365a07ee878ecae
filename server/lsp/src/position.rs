//! Between LSP positions and byte offsets, in the encoding that client and server agreed on.

use tower_lsp::ls_types::{Position, PositionEncodingKind, Range};

/// What one unit of `Position::character` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Encoding {
    Utf8,
    #[default]
    Utf16,
    Utf32,
}

impl Encoding {
    /// The first encoding of the client's list that is known; UTF-16, which both sides must speak, without one.
    pub(crate) fn negotiate(offered: Option<&[PositionEncodingKind]>) -> Self {
        offered.unwrap_or_default().iter().find_map(|kind| Self::named(kind.as_str())).unwrap_or_default()
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "utf-8" => Some(Self::Utf8),
            "utf-16" => Some(Self::Utf16),
            "utf-32" => Some(Self::Utf32),
            _ => None,
        }
    }

    pub(crate) fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
            Self::Utf32 => PositionEncodingKind::UTF32,
        }
    }

    fn width(self, c: char) -> usize {
        match self {
            Self::Utf8 => c.len_utf8(),
            Self::Utf16 => c.len_utf16(),
            Self::Utf32 => 1,
        }
    }

    /// Length of `text` in units of this encoding.
    pub(crate) fn length(self, text: &str) -> usize {
        match self {
            Self::Utf8 => text.len(),
            _ => text.chars().map(|c| self.width(c)).sum(),
        }
    }
}

/// Where the lines of a text begin. A line ends with `\n`, `\r\n` or `\r`, as the protocol says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
                starts.push(at + 1);
            }
        }
        Self { starts }
    }

    pub(crate) fn count(&self) -> usize {
        self.starts.len()
    }

    /// Where a line begins, in bytes.
    pub(crate) fn start(&self, line: usize) -> Option<usize> {
        self.starts.get(line).copied()
    }

    /// The line that a byte lies in; the last one for what lies behind the text.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The text of a line without its end. Empty behind the last line.
    pub(crate) fn text<'t>(&self, text: &'t str, line: usize) -> &'t str {
        let Some(start) = self.starts.get(line) else { return "" };
        let end = self.starts.get(line + 1).copied().unwrap_or(text.len());
        text[*start..end].trim_end_matches(['\r', '\n'])
    }

    /// Byte offset of a position. A character behind the line's end is its end, one inside a character its start,
    /// a line behind the last one the end of the text.
    pub(crate) fn offset(&self, text: &str, position: Position, encoding: Encoding) -> usize {
        let line = position.line as usize;
        let Some(start) = self.starts.get(line) else { return text.len() };
        let mut left = position.character as usize;
        let mut offset = *start;
        for c in self.text(text, line).chars() {
            let width = encoding.width(c);
            if left < width {
                break;
            }
            left -= width;
            offset += c.len_utf8();
        }
        offset
    }

    /// Position of a byte; one within a character is its start, one behind the text the end.
    pub(crate) fn position(&self, text: &str, offset: usize, encoding: Encoding) -> Position {
        let offset = text.floor_char_boundary(offset.min(text.len()));
        let line = self.line_of(offset);
        let content = self.text(text, line);
        let inside = (offset - self.starts.get(line).copied().unwrap_or_default()).min(content.len());
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position::new(number(line), number(encoding.length(&content[..inside])))
    }

    /// The bytes of a range; an inverted range is empty at its start.
    pub(crate) fn span(&self, text: &str, range: Range, encoding: Encoding) -> std::ops::Range<usize> {
        let start = self.offset(text, range.start, encoding);
        start..self.offset(text, range.end, encoding).max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32];

    fn offset(text: &str, line: u32, character: u32, encoding: Encoding) -> usize {
        Lines::of(text).offset(text, Position::new(line, character), encoding)
    }

    #[test]
    fn a_character_outside_the_basic_plane_counts_as_each_encoding_says() {
        let text = "a😀b";
        assert_eq!(offset(text, 0, 5, Encoding::Utf8), 5);
        assert_eq!(offset(text, 0, 3, Encoding::Utf16), 5);
        assert_eq!(offset(text, 0, 2, Encoding::Utf32), 5);
    }

    #[test]
    fn a_position_between_two_surrogates_is_the_start_of_the_character() {
        assert_eq!(offset("a😀b", 0, 2, Encoding::Utf16), 1);
    }

    #[test]
    fn a_position_behind_the_line_is_its_end_and_not_in_its_line_break() {
        assert_eq!(offset("ab\r\ncd", 0, 99, Encoding::Utf16), 2);
        assert_eq!(offset("ab\rcd\n", 1, 99, Encoding::Utf16), 5);
        assert_eq!(offset("ab\n", 7, 0, Encoding::Utf16), 3);
    }

    #[test]
    fn the_client_s_first_known_encoding_is_taken() {
        let offered =
            [PositionEncodingKind::new("utf-7"), PositionEncodingKind::UTF32, PositionEncodingKind::UTF8];
        assert_eq!(Encoding::negotiate(Some(&offered)), Encoding::Utf32);
        assert_eq!(Encoding::negotiate(Some(&[])), Encoding::Utf16);
        assert_eq!(Encoding::negotiate(None), Encoding::Utf16);
    }

    fn texts() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![
                Just('a'),
                Just('\n'),
                Just('\r'),
                Just('😀'),
                Just('é'),
                Just('\u{301}'),
                any::<char>()
            ],
            0..60,
        )
        .prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn an_offset_survives_the_way_to_a_position_and_back(text in texts(), at in 0usize..200) {
            let lines = Lines::of(&text);
            let at = text.floor_char_boundary(at.min(text.len()));
            // Inside `\r\n` there is no position.
            prop_assume!(!(text[..at].ends_with('\r') && text[at..].starts_with('\n')));
            for encoding in ALL {
                let position = lines.position(&text, at, encoding);
                prop_assert_eq!(lines.offset(&text, position, encoding), at);
            }
        }

        #[test]
        fn any_range_is_a_valid_slice(text in texts(), a in any::<(u8, u8)>(), b in any::<(u8, u8)>()) {
            let lines = Lines::of(&text);
            let range = Range::new(Position::new(a.0.into(), a.1.into()), Position::new(b.0.into(), b.1.into()));
            for encoding in ALL {
                let span = lines.span(&text, range, encoding);
                prop_assert!(text.get(span).is_some());
            }
        }

        #[test]
        fn lines_together_are_the_text(text in texts()) {
            let lines = Lines::of(&text);
            let length: usize = (0..lines.count()).map(|line| lines.text(&text, line).len()).sum();
            let breaks = text.len() - length;
            prop_assert!(breaks >= lines.count() - 1 && breaks <= 2 * (lines.count() - 1));
        }
    }
}
