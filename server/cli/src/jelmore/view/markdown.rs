//! Markdown laid out for a terminal. Whatever the text says, only our own control sequences come out.

use comfy_table::{Table, presets};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use unicode_width::UnicodeWidthStr;

use crate::style::Painter;

pub(super) const OPTIONS: Options =
    Options::ENABLE_TABLES.union(Options::ENABLE_STRIKETHROUGH).union(Options::ENABLE_TASKLISTS);

/// Lays out whole blocks within so many columns; ends with a newline.
pub(super) fn render(text: &str, width: usize, paint: Painter) -> String {
    let mut page = Page { width, paint, ..Page::default() };
    for event in Parser::new_ext(text, OPTIONS) {
        page.event(event);
    }
    page.flush();
    page.out
}

/// A line of a block of code.
pub(super) fn code_line(line: &str, paint: Painter) -> String {
    format!("    {}\n", paint.cyan(line))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Strong,
    Emphasis,
    Strike,
    Code,
    Heading,
    Link,
}

/// A word with how it looks, and whether a space stands before it.
struct Word {
    text: String,
    styles: Vec<Style>,
    spaced: bool,
    breaks: bool,
}

#[derive(Default)]
struct Page {
    out: String,
    width: usize,
    paint: Painter,
    words: Vec<Word>,
    /// A space came, and belongs before the next word.
    space: bool,
    styles: Vec<Style>,
    /// What stands before each line; the first line of an item has its mark instead.
    indents: Vec<Indent>,
    lists: Vec<Option<u64>>,
    link: Option<String>,
    code: Option<String>,
    table: Option<Cells>,
    /// A block was written: the next one stands apart.
    apart: bool,
    /// Items of the list stand close together.
    tight: bool,
}

struct Indent {
    first: Option<String>,
    rest: String,
}

#[derive(Default)]
struct Cells {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    cell: String,
}

impl Page {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text),
            Event::Code(text) => {
                self.styles.push(Style::Code);
                self.text(&text);
                self.styles.pop();
            }
            Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            Event::SoftBreak => self.space = true,
            Event::HardBreak => self.push_word(String::new(), true),
            Event::Rule => {
                self.block();
                let line = "─".repeat(self.room().min(40));
                self.line(&self.paint.dim(&line));
            }
            Event::TaskListMarker(done) => {
                self.text(if done { "[x]" } else { "[ ]" });
                self.space = true;
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => self.block(),
            Tag::Heading { level, .. } => {
                self.block();
                self.styles.push(Style::Heading);
                if level != HeadingLevel::H1 {
                    self.text(&"#".repeat(level as usize));
                    self.space = true;
                }
            }
            Tag::BlockQuote(_) => {
                self.block();
                let bar = format!("{} ", self.paint.dim("│"));
                self.indents.push(Indent { first: None, rest: bar });
            }
            Tag::CodeBlock(_) => {
                self.block();
                self.code = Some(String::new());
            }
            Tag::List(from) => {
                self.flush();
                self.apart |= self.lists.is_empty() && !self.out.is_empty();
                self.lists.push(from);
            }
            Tag::Item => {
                self.flush();
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "• ".to_owned(),
                };
                let rest = " ".repeat(mark.width());
                if self.tight {
                    self.apart = false;
                }
                self.indents.push(Indent { first: Some(mark), rest });
            }
            Tag::Emphasis => self.styles.push(Style::Emphasis),
            Tag::Strong => self.styles.push(Style::Strong),
            Tag::Strikethrough => self.styles.push(Style::Strike),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.link = Some(dest_url.into_string());
                self.styles.push(Style::Link);
            }
            Tag::Table(_) => {
                self.block();
                self.table = Some(Cells::default());
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => {
                self.flush();
                self.apart = true;
                self.tight = false;
            }
            TagEnd::Heading(_) => {
                self.flush();
                self.styles.pop();
                self.apart = true;
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.indents.pop();
                self.apart = true;
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
                self.apart = true;
                self.tight = !self.lists.is_empty();
            }
            TagEnd::Item => {
                self.tight = !self.words.is_empty() || self.tight;
                self.flush();
                self.indents.pop();
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.styles.pop();
            }
            TagEnd::Link | TagEnd::Image => self.end_link(),
            TagEnd::TableCell => self.with_table(|cells| {
                let cell = std::mem::take(&mut cells.cell);
                cells.row.push(cell.trim().to_owned());
            }),
            TagEnd::TableRow | TagEnd::TableHead => self.with_table(|cells| {
                let row = std::mem::take(&mut cells.row);
                cells.rows.push(row);
            }),
            TagEnd::Table => self.end_table(),
            _ => {}
        }
    }

    fn with_table(&mut self, change: impl FnOnce(&mut Cells)) {
        if let Some(cells) = &mut self.table {
            change(cells);
        }
    }

    fn end_code(&mut self) {
        let code = self.code.take().unwrap_or_default();
        for line in code.lines() {
            let line = self.paint.cyan(line);
            self.line(&format!("    {line}"));
        }
        self.apart = true;
    }

    fn end_link(&mut self) {
        self.styles.pop();
        let Some(target) = self.link.take() else { return };
        let shown = self.words.last().is_some_and(|word| word.text.contains(&target));
        if !shown && !target.starts_with('#') {
            self.space = true;
            self.text(&format!("({target})"));
        }
    }

    fn end_table(&mut self) {
        let Some(cells) = self.table.take() else { return };
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
        table.set_width(u16::try_from(self.room()).unwrap_or(u16::MAX));
        let mut rows = cells.rows.into_iter();
        if let Some(head) = rows.next() {
            table.set_header(head);
        }
        table.add_rows(rows);
        for line in table.to_string().lines() {
            self.line(line.trim_end());
        }
        self.apart = true;
    }

    fn text(&mut self, text: &str) {
        if let Some(code) = &mut self.code {
            code.push_str(text);
            return;
        }
        if let Some(cells) = &mut self.table {
            cells.cell.push_str(text);
            return;
        }
        for (at, part) in text.split(char::is_whitespace).enumerate() {
            self.space |= at > 0;
            if !part.is_empty() {
                self.push_word(part.to_owned(), false);
            }
        }
    }

    fn push_word(&mut self, text: String, breaks: bool) {
        let spaced = std::mem::take(&mut self.space);
        self.words.push(Word { text, styles: self.styles.clone(), spaced, breaks });
    }

    /// Something new begins.
    fn block(&mut self) {
        self.flush();
        if std::mem::take(&mut self.apart) && !self.out.is_empty() {
            let rest: String = self.indents.iter().map(|indent| indent.rest.as_str()).collect();
            self.out.push_str(rest.trim_end());
            self.out.push('\n');
        }
    }

    fn room(&self) -> usize {
        let indent: usize = self.indents.iter().map(|indent| visible(&indent.rest)).sum();
        self.width.saturating_sub(indent).max(10)
    }

    /// Writes the words that wait, as lines.
    fn flush(&mut self) {
        let words = std::mem::take(&mut self.words);
        if words.is_empty() {
            return;
        }
        if std::mem::take(&mut self.apart) && !self.out.is_empty() {
            self.out.push('\n');
        }
        let room = self.room();
        let (mut line, mut used) = (String::new(), 0);
        for word in words {
            let space = usize::from(word.spaced && used > 0);
            let long = word.text.width();
            if word.breaks || (word.spaced && used > 0 && used + space + long > room) {
                self.line(&line);
                (line, used) = (String::new(), 0);
            } else if space > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(&self.styled(&word));
            used += long;
        }
        self.space = false;
        self.line(&line);
    }

    fn styled(&self, word: &Word) -> String {
        let mut text = word.text.clone();
        if !self.paint.paints() {
            return text;
        }
        for style in &word.styles {
            text = match style {
                Style::Strong => self.paint.bold(&text),
                Style::Heading => self.paint.bold(&self.paint.cyan(&text)),
                Style::Code => self.paint.cyan(&text),
                Style::Emphasis => format!("\u{1b}[3m{text}\u{1b}[0m"),
                Style::Strike => format!("\u{1b}[9m{text}\u{1b}[0m"),
                Style::Link => format!("\u{1b}[4m{text}\u{1b}[0m"),
            };
        }
        text
    }

    fn line(&mut self, line: &str) {
        for indent in &mut self.indents {
            let shown = indent.first.take().unwrap_or_else(|| indent.rest.clone());
            self.out.push_str(&shown);
        }
        self.out.push_str(line);
        self.out.push('\n');
    }
}

/// Columns without our own control sequences.
fn visible(text: &str) -> usize {
    let (mut plain, mut inside) = (String::new(), false);
    for c in text.chars() {
        match c {
            '\u{1b}' => inside = true,
            'm' if inside => inside = false,
            _ if !inside => plain.push(c),
            _ => {}
        }
    }
    plain.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_laid_out_within_the_width() {
        let text = "# Head\n\nA paragraph that is **too long** for its line, with `code` and [a link](https://x.org).\n\n\
            - one item that also is longer than one line\n- two\n  1. first\n  2. second\n\n> quoted\n> words\n\n\
            ```rust\nfn main() {}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- [x] done\n\n---\n\nend";
        insta::assert_snapshot!(render(text, 40, Painter::new(false)));
    }

    #[test]
    fn words_are_never_broken_nor_doubled() {
        let text = render("aaa **bbb**ccc `d e` ~~f~~\nggg", 10, Painter::new(false));
        assert_eq!(text, "aaa bbbccc\nd e f ggg\n");
        assert!(render("**x**", 20, Painter::new(true)).contains("\u{1b}[1mx\u{1b}[0m"));
    }
}
