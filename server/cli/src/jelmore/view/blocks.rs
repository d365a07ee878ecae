//! Markdown that comes in pieces, taken apart into blocks that are complete.

use pulldown_cmark::{Event, Parser};

use super::markdown::OPTIONS;

/// Text that waits for the end of its block; beyond it whole lines go on their own.
const WAITS: usize = 16 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// One or more blocks.
    Markdown(String),
    /// Lines of code follow.
    CodeBegins,
    Code(String),
}

/// What came and is not given yet.
#[derive(Default)]
pub(super) struct Blocks {
    text: String,
    fence: Option<Fence>,
}

/// An open block of code at the top level, whose lines need not wait for its end.
#[derive(Clone, Copy)]
struct Fence {
    mark: char,
    length: usize,
}

impl Blocks {
    /// Adds text; gives what is complete now.
    pub(super) fn push(&mut self, text: &str) -> Vec<Piece> {
        self.text.push_str(text);
        let mut pieces = Vec::new();
        if !text.contains('\n') {
            return pieces;
        }
        while self.take(&mut pieces) {}
        pieces
    }

    /// The rest.
    pub(super) fn finish(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while self.take(&mut pieces) {}
        let rest = std::mem::take(&mut self.text);
        match self.fence.take() {
            Some(fence) if !fence.is_closed_by(&rest) && !rest.is_empty() => pieces.push(Piece::Code(rest)),
            None if !rest.trim().is_empty() => pieces.push(Piece::Markdown(rest)),
            _ => {}
        }
        pieces
    }

    /// The newest words of what is not complete.
    pub(super) fn open_words(&self) -> &str {
        self.text.trim_end().rsplit('\n').next().unwrap_or_default().trim()
    }

    /// Takes one step; whether another may follow.
    fn take(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if let Some(fence) = self.fence {
            let Some(line) = self.take_line() else { return false };
            if fence.is_closed_by(&line) {
                self.fence = None;
            } else {
                pieces.push(Piece::Code(line));
            }
            return true;
        }
        let complete = complete(&self.text);
        if complete > 0 {
            let block: String = self.text.drain(..complete).collect();
            if !block.trim().is_empty() {
                pieces.push(Piece::Markdown(block));
            }
        }
        let opens = self.text.split_once('\n').and_then(|(line, _)| Fence::opened_by(line));
        if let Some(fence) = opens {
            self.take_line();
            self.fence = Some(fence);
            pieces.push(Piece::CodeBegins);
            return true;
        }
        if self.text.len() > WAITS
            && let Some(end) = self.text.rfind('\n')
        {
            pieces.push(Piece::Markdown(self.text.drain(..=end).collect()));
        }
        false
    }

    /// A whole line, without its end.
    fn take_line(&mut self) -> Option<String> {
        let end = self.text.find('\n')?;
        let mut line: String = self.text.drain(..=end).collect();
        line.pop();
        Some(line)
    }
}

/// Bytes up to the last block, or all of it where that cannot go on either.
fn complete(text: &str) -> usize {
    let (mut depth, mut last, mut is_paragraph) = (0_usize, None, false);
    for (event, range) in Parser::new_ext(text, OPTIONS).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    last = Some(range.start);
                    is_paragraph = matches!(tag, pulldown_cmark::Tag::Paragraph);
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            _ if depth == 0 => {
                last = Some(range.start);
                is_paragraph = false;
            }
            _ => {}
        }
    }
    // Nothing can be added to a paragraph behind an empty line.
    if is_paragraph && text.ends_with("\n\n") {
        return text.len();
    }
    // Up to the beginning of its line: what stands before it there is of the block.
    last.map_or(0, |last| text[..last].rfind('\n').map_or(0, |end| end + 1))
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let bare = line.trim_start_matches(' ');
        let mark = bare.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let length = bare.chars().take_while(|c| *c == mark).count();
        let info = &bare[length..];
        let opens = length >= 3 && line.len() - bare.len() <= 3 && !(mark == '`' && info.contains('`'));
        opens.then_some(Self { mark, length })
    }

    fn is_closed_by(self, line: &str) -> bool {
        let bare = line.trim();
        line.len() - line.trim_start_matches(' ').len() <= 3
            && bare.chars().count() >= self.length
            && bare.chars().all(|c| c == self.mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "# Title\nSome *words*\nof one paragraph.\n\n- one\n- two\n\n  more of two\n\n1. a\n\n\
        ```rust\nfn main() {}\n\n# no heading\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nlast `words`";

    fn all(pieces: &[&str]) -> Vec<Piece> {
        let mut blocks = Blocks::default();
        let mut given: Vec<Piece> = pieces.iter().flat_map(|piece| blocks.push(piece)).collect();
        given.extend(blocks.finish());
        given
    }

    fn joined(pieces: &[Piece]) -> String {
        let text = |piece: &Piece| match piece {
            // Whole at once, code is a block as any other.
            Piece::Markdown(text) => text.replace("```rust\n", "<code>").replace("```\n", ""),
            Piece::CodeBegins => "<code>".to_owned(),
            Piece::Code(line) => format!("{line}\n"),
        };
        words(&pieces.iter().map(text).collect::<String>())
    }

    /// Empty lines only part blocks: how many there are is seen by nobody.
    fn words(text: &str) -> String {
        text.lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn nothing_is_lost_or_doubled_however_the_text_is_cut() {
        let whole = joined(&all(&[ANSWER]));
        assert_eq!(whole, words(&ANSWER.replace("```rust\n", "<code>").replace("```\n", "")));
        for size in [1, 2, 3, 7, 20] {
            let letters: Vec<char> = ANSWER.chars().collect();
            let parts: Vec<String> = letters.chunks(size).map(|part| part.iter().collect()).collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            assert_eq!(joined(&all(&parts)), whole, "cut into {size}");
        }
    }

    #[test]
    fn a_block_is_given_when_the_next_begins_and_code_by_the_line() {
        let mut blocks = Blocks::default();
        assert_eq!(blocks.push("one\ntwo\n"), []);
        assert_eq!(blocks.open_words(), "two");
        assert_eq!(blocks.push("\n"), [Piece::Markdown("one\ntwo\n\n".into())]);
        assert_eq!(blocks.push("- a\n- b\n\n"), [], "the list may go on");
        let begun = blocks.push("```sh\nls\n");
        let code = [Piece::CodeBegins, Piece::Code("ls".into())];
        assert_eq!(begun[0], Piece::Markdown("- a\n- b\n\n".into()));
        assert_eq!(begun[1..], code);
        assert_eq!(blocks.push("pwd\n```\n"), [Piece::Code("pwd".into())]);
        assert_eq!(blocks.finish(), []);
    }
}
