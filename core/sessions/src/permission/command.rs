//! Commands as rules see them: the simple commands of a shell line.

/// A shell line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The simple commands, without variables set before them.
    pub(super) parts: Vec<String>,
    /// It does more than run these: substitutes, redirects, sets variables, groups. A pattern does not vouch for that.
    pub(super) more: bool,
}

/// Takes a line apart at what joins commands. Quotes are kept as they stand.
pub(super) fn split(line: &str) -> Line {
    let mut state = Splitter::default();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        state.take(c, chars.peek().copied());
    }
    state.finish()
}

#[derive(Default)]
struct Splitter {
    parts: Vec<String>,
    part: String,
    quote: Option<char>,
    escaped: bool,
    more: bool,
}

impl Splitter {
    fn take(&mut self, c: char, next: Option<char>) {
        if std::mem::take(&mut self.escaped) {
            self.part.push(c);
            return;
        }
        // Within double quotes the shell still substitutes.
        let literal = self.quote == Some('\'');
        if !literal && (c == '`' || (c == '$' && !matches!(next, None | Some(' ' | '"')))) {
            self.more = true;
        }
        match (self.quote, c) {
            (Some(quote), _) => {
                self.escaped = c == '\\' && quote == '"';
                self.quote = (c != quote).then_some(quote);
                self.part.push(c);
            }
            (None, ';' | '&' | '|' | '\n') => self.end(),
            (None, _) => self.bare(c),
        }
    }

    fn bare(&mut self, c: char) {
        match c {
            '\'' | '"' => self.quote = Some(c),
            '\\' => self.escaped = true,
            '<' | '>' | '(' | ')' | '{' | '}' | '\r' => self.more = true,
            '#' if self.part.is_empty() || self.part.ends_with(' ') => self.more = true,
            _ => {}
        }
        self.part.push(c);
    }

    fn end(&mut self) {
        let part = std::mem::take(&mut self.part);
        let mut part = part.trim();
        while let Some((first, rest)) = first_word(part)
            && is_assignment(first)
        {
            self.more = true;
            part = rest.trim_start();
        }
        let first = part.split_whitespace().next().unwrap_or_default();
        self.more |= is_assignment(first) || WORDS.contains(&first);
        if !part.is_empty() {
            self.parts.push(part.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    fn finish(mut self) -> Line {
        self.more |= self.quote.is_some() || self.escaped;
        self.end();
        Line { parts: self.parts, more: self.more }
    }
}

/// Words that make something else of what follows.
const WORDS: &[&str] = &[
    "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "function",
    "eval", "exec", "source", ".", "command", "builtin", "env", "sudo", "xargs", "sh", "bash", "zsh", "!",
    "time", "nohup", "trap", "alias",
];

/// The first word with its quotes, and what is behind it.
fn first_word(part: &str) -> Option<(&str, &str)> {
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in part.char_indices() {
        match (quote, c) {
            _ if std::mem::take(&mut escaped) => {}
            (None | Some('"'), '\\') => escaped = true,
            (Some(open), _) => quote = (c != open).then_some(open),
            (None, '\'' | '"') => quote = Some(c),
            (None, _) if c.is_whitespace() => return Some(part.split_at(at)),
            (None, _) => {}
        }
    }
    None
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '+'))
    })
}

/// Whether a command fits a pattern, in which `*` stands for anything; `cargo *` fits `cargo` alone too.
pub(super) fn fits(pattern: &str, command: &str) -> bool {
    if pattern.strip_suffix(" *").is_some_and(|alone| alone == command) {
        return true;
    }
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = command.strip_prefix(first) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{fits, split};

    #[test]
    fn a_line_is_taken_apart_where_the_shell_does_it() {
        for (line, parts) in [
            ("cargo test", &["cargo test"][..]),
            ("cargo  test\t-q ", &["cargo test -q"]),
            ("a && b || c; d | e & f", &["a", "b", "c", "d", "e", "f"]),
            ("a\nb", &["a", "b"]),
            ("echo 'a;b' \"c|d\"", &["echo 'a;b' \"c|d\""]),
            (r"echo a\;b", &[r"echo a\;b"]),
            ("echo $", &["echo $"]),
            ("", &[]),
        ] {
            let found = split(line);
            assert_eq!(
                (found.parts, found.more),
                (parts.iter().map(|p| (*p).to_owned()).collect(), false),
                "{line:?}"
            );
        }
    }

    #[test]
    fn what_a_pattern_cannot_vouch_for_is_seen() {
        for line in [
            "cargo test $(rm -rf .)",
            "cargo test \"$(rm -rf .)\"",
            "cargo test `id`",
            "cargo test $HOME",
            "cargo test > /etc/passwd",
            "cargo test < x",
            "PATH=/tmp cargo test",
            "RUSTC_WRAPPER=./x cargo test",
            "(cargo test)",
            "{ cargo test; }",
            "env X=1 cargo test",
            "sudo cargo test",
            "if true; then cargo test; fi",
            "cargo 'unclosed",
            "cargo test \\",
            "cargo <(id)",
            "sh -c 'x'",
        ] {
            assert!(split(line).more, "{line:?}");
        }
        assert!(!split("echo 'it costs $5 (five)'").more);
    }

    #[test]
    fn a_variable_hides_no_command_whatever_its_value_is() {
        for line in ["X='a b' rm -rf .", "X=\"a 'b\\\" c\" rm -rf .", "X=a\\ b Y='c\nd' rm -rf ."] {
            let found = split(line);
            assert_eq!((found.parts, found.more), (vec!["rm -rf .".to_owned()], true), "{line:?}");
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, command, expected) in [
            ("cargo *", "cargo test -q", true),
            ("cargo *", "cargo", true),
            ("cargo *", "cargo-evil", false),
            ("cargo test", "cargo test", true),
            ("cargo test", "cargo test -q", false),
            ("git * --force*", "git push --force-with-lease", true),
            ("git * --force", "git push --force x", false),
            ("*", "anything", true),
            ("a*a", "a", false),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, command), expected, "{pattern:?} {command:?}");
        }
    }
}
