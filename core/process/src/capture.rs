use std::{borrow::Cow, collections::VecDeque};

/// Output of a child within a byte limit: the first half of the limit and the last half are kept, what lies between is
/// counted. A failing program tells its reason at the end, and what it was doing at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
    head_limit: usize,
    tail_limit: usize,
    incomplete: bool,
}

impl Captured {
    /// Keeps at most `limit` bytes.
    pub(crate) fn with_limit(limit: usize) -> Self {
        let head_limit = limit.div_ceil(2);
        Self { head_limit, tail_limit: limit - head_limit, ..Self::default() }
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        let room = self.head_limit - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        bytes = rest;
        if bytes.len() > self.tail_limit {
            let skipped = bytes.len() - self.tail_limit;
            self.left_out += (self.tail.len() + skipped) as u64;
            self.tail.clear();
            bytes = &bytes[skipped..];
        }
        let surplus = (self.tail.len() + bytes.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..surplus);
        self.left_out += surplus as u64;
        self.tail.extend(bytes);
    }

    pub(crate) fn mark_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Bytes that were written but not kept.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether the middle is missing.
    pub fn truncated(&self) -> bool {
        self.left_out > 0
    }

    /// Whether a process that escaped its group still held the pipe, so that the end may be missing.
    pub fn incomplete(&self) -> bool {
        self.incomplete
    }

    /// Everything that was kept, without a mark where bytes are missing: for machine formats, after checking
    /// [`Captured::truncated`].
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        if self.tail.is_empty() {
            return Cow::Borrowed(&self.head);
        }
        let mut all = self.head.clone();
        all.extend(&self.tail);
        Cow::Owned(all)
    }

    /// For people: invalid UTF-8 replaced, and a line in the middle that says how much is missing.
    pub fn text(&self) -> String {
        if !self.truncated() {
            return String::from_utf8_lossy(&self.bytes()).into_owned();
        }
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        format!(
            "{}\n[... {} bytes left out ...]\n{}",
            String::from_utf8_lossy(&self.head),
            self.left_out,
            String::from_utf8_lossy(&tail)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Captured;

    #[test]
    fn output_within_the_limit_is_whole() {
        let mut captured = Captured::with_limit(10);
        for chunk in ["abc", "defg", "hij"] {
            captured.push(chunk.as_bytes());
        }
        assert_eq!(captured.bytes().as_ref(), b"abcdefghij");
        assert!(!captured.truncated());
    }

    #[test]
    fn head_and_tail_are_the_same_for_any_chunking() {
        let text: Vec<u8> = (b'a'..=b'z').collect();
        for size in 1..=text.len() {
            let mut captured = Captured::with_limit(7);
            for chunk in text.chunks(size) {
                captured.push(chunk);
            }
            assert_eq!(captured.bytes().as_ref(), b"abcdxyz", "chunks of {size}");
            assert_eq!(captured.left_out(), 19, "chunks of {size}");
        }
        let mut none = Captured::with_limit(0);
        none.push(&text);
        assert_eq!((none.bytes().len(), none.left_out()), (0, 26));
    }

    #[test]
    fn text_says_how_much_is_missing() {
        let mut captured = Captured::with_limit(4);
        captured.push(b"abcdefgh");
        assert_eq!(captured.text(), "ab\n[... 4 bytes left out ...]\ngh");
    }
}
