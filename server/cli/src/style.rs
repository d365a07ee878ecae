//! Colours, and text made safe for a terminal.

pub use podium_protocol::count;

/// Paints text, or leaves it plain where nobody would see colours.
#[derive(Debug, Clone, Copy, Default)]
pub struct Painter {
    colours: bool,
}

impl Painter {
    #[must_use]
    pub const fn new(colours: bool) -> Self {
        Self { colours }
    }

    /// Whether there is a terminal that shows colours.
    #[must_use]
    pub const fn paints(self) -> bool {
        self.colours
    }

    #[must_use]
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    #[must_use]
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    #[must_use]
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    #[must_use]
    pub fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Text without control characters other than newline and tab. Names, messages and answers come from
/// repositories, agents and models, none of which may send commands to a person's terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !is_control(*c)).collect()
}

/// The same on one line.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if matches!(c, '\n' | '\t' | '\r') { ' ' } else { c })
        .filter(|c| !is_control(*c))
        .collect()
}

fn is_control(c: char) -> bool {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && !matches!(c, '\n' | '\t')) || reorders
}

/// At most `width` characters, with an ellipsis where something was left out.
#[must_use]
pub fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Text as one word of a POSIX shell.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A size for people, in powers of 1,000.
#[must_use]
pub fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.95 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_painters_leave_text_alone() {
        assert_eq!(Painter::new(false).red("x"), "x");
        assert_eq!(Painter::new(true).red("x"), "\u{1b}[31mx\u{1b}[0m");
    }

    #[test]
    fn terminal_commands_are_taken_out() {
        assert_eq!(printable("a\u{1b}]0;title\u{7}b\nc\u{9b}d\u{202e}e"), "a]0;titleb\ncde");
        assert_eq!(one_line("a\r\nb\tc"), "a  b c");
    }

    #[test]
    fn shell_words_survive_quotes_and_spaces() {
        assert_eq!(shell_word("/a/b-c.txt"), "/a/b-c.txt");
        assert_eq!(shell_word("/a b/it's"), r"'/a b/it'\''s'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn sizes_read_well() {
        let shown: Vec<_> = [0, 999, 1_000, 98_362_432, 999_999_999].map(size).into();
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "98.4 MB", "1.0 GB"]);
    }
}
