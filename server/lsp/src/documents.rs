//! The documents the editor has open: the only state of the language server's own.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use tower_lsp::ls_types::{Position, Range, TextDocumentContentChangeEvent, TextEdit};

use crate::position::{Encoding, Lines};

/// Text of all open documents together that is kept, in bytes. A document beyond it is known by name only.
const MAX_TOTAL: usize = 256 * 1024 * 1024;

#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) language: String,
    pub(crate) version: i32,
    pub(crate) text: String,
    lines: Lines,
    /// Print of the text that was last known to be on the disk too.
    saved: Option<u64>,
}

impl Document {
    fn new(language: String, version: i32, text: String) -> Self {
        let lines = Lines::of(&text);
        Self { language, version, text, lines, saved: None }
    }

    pub(crate) fn line_count(&self) -> usize {
        self.lines.count()
    }

    pub(crate) fn line(&self, line: usize) -> &str {
        self.lines.text(&self.text, line)
    }

    pub(crate) fn slice(&self, range: Range, encoding: Encoding) -> &str {
        &self.text[self.lines.span(&self.text, range, encoding)]
    }

    /// The range of a whole line without its end.
    pub(crate) fn line_range(&self, line: usize, encoding: Encoding) -> Range {
        let number = u32::try_from(line).unwrap_or(u32::MAX);
        let end = u32::try_from(encoding.length(self.line(line))).unwrap_or(u32::MAX);
        Range::new(Position::new(number, 0), Position::new(number, end))
    }

    /// The range of bytes of the text.
    pub(crate) fn range_of(&self, span: &std::ops::Range<usize>, encoding: Encoding) -> Range {
        let at = |offset| self.lines.position(&self.text, offset, encoding);
        Range::new(at(span.start), at(span.end))
    }

    /// The byte of a position.
    pub(crate) fn offset_of(&self, position: Position, encoding: Encoding) -> usize {
        self.lines.offset(&self.text, position, encoding)
    }

    /// Whether nothing in it waits to be written.
    pub(crate) fn is_clean(&self) -> bool {
        self.saved == Some(print(&self.text))
    }

    /// What makes another text of it: one run of whole lines.
    pub(crate) fn edit_to(&self, new: &str, encoding: Encoding) -> TextEdit {
        let same = |a: &mut dyn Iterator<Item = (u8, u8)>| a.take_while(|(a, b)| a == b).count();
        let prefix = same(&mut self.text.bytes().zip(new.bytes()));
        let first = self.lines.line_of(prefix);
        let start = self.lines.start(first).unwrap_or_default();
        let most = self.text.len().min(new.len()) - start;
        let suffix = same(&mut self.text.bytes().rev().zip(new.bytes().rev()).take(most));
        // The line that begins behind the last change; else the end.
        let behind = self.lines.line_of(self.text.len() - suffix);
        let behind =
            if self.lines.start(behind) == Some(self.text.len() - suffix) { behind } else { behind + 1 };
        let number = |line: usize| u32::try_from(line).unwrap_or(u32::MAX);
        let (end, rest) = match self.lines.start(behind) {
            Some(end) => (Position::new(number(behind), 0), self.text.len() - end),
            None => (self.line_range(self.line_count().saturating_sub(1), encoding).end, 0),
        };
        let range = Range::new(Position::new(number(first), 0), end);
        TextEdit::new(range, new[start..new.len() - rest].to_owned())
    }

    fn apply(&mut self, change: TextDocumentContentChangeEvent, encoding: Encoding) {
        match change.range {
            Some(range) => {
                let span = self.lines.span(&self.text, range, encoding);
                self.text.replace_range(span, &change.text);
            }
            None => self.text = change.text,
        }
        self.lines = Lines::of(&self.text);
    }
}

/// Open documents by URI, and which of them the person looks at.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    /// Shared with the requests that read them, so that a request sees the text as it was when it arrived.
    open: HashMap<String, Arc<Document>>,
    total: usize,
    focused: Option<String>,
    touched: Option<String>,
}

impl Documents {
    pub(crate) fn open(&mut self, uri: String, language: String, version: i32, text: String) {
        self.forget(&uri);
        let text = if self.total + text.len() > MAX_TOTAL {
            tracing::warn!(
                uri,
                bytes = text.len(),
                "too much text is open: this document is known by name only"
            );
            String::new()
        } else {
            text
        };
        self.total += text.len();
        self.open.insert(uri.clone(), Arc::new(Document::new(language, version, text)));
        self.touched = Some(uri);
    }

    pub(crate) fn change(
        &mut self,
        uri: &str,
        version: i32,
        changes: Vec<TextDocumentContentChangeEvent>,
        encoding: Encoding,
    ) {
        let Some(document) = self.open.get_mut(uri) else {
            tracing::warn!(uri, "a change of a document that is not open");
            return;
        };
        let document = Arc::make_mut(document);
        self.total -= document.text.len();
        for change in changes {
            document.apply(change, encoding);
        }
        document.version = version;
        if self.total + document.text.len() > MAX_TOTAL {
            tracing::warn!(uri, "too much text is open: this document is known by name only");
            *document = Document::new(std::mem::take(&mut document.language), version, String::new());
        }
        self.total += document.text.len();
        self.touched = Some(uri.to_owned());
    }

    /// The disk holds the document's text of this version.
    pub(crate) fn saved(&mut self, uri: &str, version: i32) {
        if let Some(document) = self.open.get_mut(uri).filter(|document| document.version == version) {
            Arc::make_mut(document).saved = Some(print(&document.text));
        }
    }

    /// The editor was given this text, which the disk holds; its own message about it comes later.
    pub(crate) fn given(&mut self, uri: &str, text: &str) {
        if let Some(document) = self.open.get_mut(uri) {
            Arc::make_mut(document).saved = Some(print(text));
        }
    }

    pub(crate) fn close(&mut self, uri: &str) {
        self.forget(uri);
        self.focused.take_if(|focused| focused == uri);
        self.touched.take_if(|touched| touched == uri);
    }

    fn forget(&mut self, uri: &str) {
        if let Some(document) = self.open.remove(uri) {
            self.total -= document.text.len();
        }
    }

    pub(crate) fn focus(&mut self, uri: Option<String>) {
        self.focused = uri;
    }

    pub(crate) fn get(&self, uri: &str) -> Option<&Arc<Document>> {
        self.open.get(uri)
    }

    pub(crate) fn uris(&self) -> impl Iterator<Item = &String> {
        self.open.keys()
    }

    /// What the person works on: the document the client said is focused, else the last one opened or changed.
    pub(crate) fn current(&self) -> impl Iterator<Item = &String> {
        self.focused.iter().chain(&self.touched)
    }
}

/// Tells texts apart without keeping them twice.
pub(crate) fn print(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change(range: Option<Range>, text: &str) -> TextDocumentContentChangeEvent {
        TextDocumentContentChangeEvent { range, range_length: None, text: text.to_owned() }
    }

    fn range(a: (u32, u32), b: (u32, u32)) -> Range {
        Range::new(Position::new(a.0, a.1), Position::new(b.0, b.1))
    }

    #[test]
    fn changes_apply_in_order() {
        let mut documents = Documents::default();
        documents.open("u".into(), "text".into(), 1, "a😀c\r\nline\r\n".into());
        let changes = vec![
            change(Some(range((0, 1), (0, 3))), "b"),
            change(Some(range((1, 0), (1, 4))), "other\nmore"),
            change(Some(range((0, 3), (1, 0))), "\n"),
        ];
        documents.change("u", 2, changes, Encoding::Utf16);
        let document = documents.get("u").unwrap();
        assert_eq!((document.text.as_str(), document.version), ("abc\nother\nmore\r\n", 2));
        assert_eq!(documents.total, document.text.len());
    }

    #[test]
    fn a_text_is_clean_while_it_is_what_the_disk_has() {
        let mut documents = Documents::default();
        documents.open("u".into(), "text".into(), 1, "a".into());
        assert!(!documents.get("u").unwrap().is_clean(), "nobody has looked at the disk");
        documents.saved("u", 0);
        assert!(!documents.get("u").unwrap().is_clean(), "that was another version");
        documents.saved("u", 1);
        assert!(documents.get("u").unwrap().is_clean());
        documents.change("u", 2, vec![change(None, "b")], Encoding::Utf8);
        assert!(!documents.get("u").unwrap().is_clean());
        documents.change("u", 3, vec![change(None, "a")], Encoding::Utf8);
        assert!(documents.get("u").unwrap().is_clean(), "it was undone");
    }

    #[test]
    fn the_focused_document_is_the_current_one_until_it_closes() {
        let mut documents = Documents::default();
        documents.open("a".into(), String::new(), 1, String::new());
        documents.open("b".into(), String::new(), 1, String::new());
        assert_eq!(documents.current().next().unwrap(), "b");
        documents.focus(Some("a".into()));
        assert_eq!(documents.current().next().unwrap(), "a");
        documents.close("a");
        assert_eq!(documents.current().next().unwrap(), "b");
    }

    #[test]
    fn more_text_than_may_be_kept_is_not_kept() {
        let mut documents = Documents { total: MAX_TOTAL, ..Documents::default() };
        documents.open("u".into(), "text".into(), 1, "x".into());
        assert_eq!(documents.get("u").unwrap().text, "");
    }

    proptest! {
        #[test]
        fn an_edit_makes_the_other_text_of_it_and_leaves_the_lines_around_alone(
            lead in "([ab]\r?\n){0,4}",
            old in "[b\n\r😀é]{0,8}",
            new in "[b\n\r😀é]{0,8}",
            tail in "(\n[ab]){0,4}",
        ) {
            for encoding in [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32] {
                let (before, after) = (format!("{lead}{old}{tail}"), format!("{lead}{new}{tail}"));
                let mut document = Document::new(String::new(), 1, before);
                let edit = document.edit_to(&after, encoding);
                prop_assert!(edit.range.start.line as usize >= lead.matches('\n').count().saturating_sub(1));
                document.apply(change(Some(edit.range), &edit.new_text), encoding);
                prop_assert_eq!(&document.text, &after);
            }
        }

        #[test]
        fn any_changes_leave_text_and_lines_in_step(
            text in "[a\n\r😀é]{0,30}",
            edits in proptest::collection::vec((any::<[u8; 4]>(), "[b\n\r😀]{0,5}", any::<bool>()), 0..6),
        ) {
            for encoding in [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32] {
                let mut documents = Documents::default();
                documents.open("u".into(), String::new(), 1, text.clone());
                for (at, new, ranged) in &edits {
                    let [a, b, c, d] = at.map(|x| u32::from(x % 8));
                    let range = ranged.then(|| range((a, b), (c, d)));
                    documents.change("u", 2, vec![change(range, new)], encoding);
                }
                let document = documents.get("u").unwrap();
                prop_assert_eq!(&document.lines, &Lines::of(&document.text));
                prop_assert_eq!(documents.total, document.text.len());
            }
        }
    }
}
