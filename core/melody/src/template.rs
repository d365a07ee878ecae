//! `{{name}}` in the params of a node.

use serde_json::Value;

use crate::Span;

/// A place of a template where a value goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot<'t> {
    /// An input of the node or the melody.
    pub name: &'t str,
    /// What is taken of its value: `a`, `b` in `{{name.a.b}}`.
    pub path: Vec<&'t str>,
    /// The braces and what is between, in bytes of the text.
    pub span: Span,
}

/// How a value is written into its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// As it is: a text as itself, everything else as JSON.
    Plain,
    /// As one word of a shell, whatever it holds.
    Shell,
    /// As one segment of an address, percent-encoded.
    Url,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{` without `}}`.
    #[error("`{{{{` is never closed")]
    Unclosed {
        /// Where it opens.
        span: Span,
    },
    /// Something else than a name between the braces.
    #[error("`{name}` is no name")]
    NoName {
        /// What is there.
        name: String,
        /// Where.
        span: Span,
    },
    /// Nothing has this name.
    #[error("nothing is called `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// Where.
        span: Span,
    },
    /// A place in a command that quotes cannot protect: within quotes, behind a backslash or in a here-document.
    #[error("`{{{{{name}}}}}` stands within quotes, behind a backslash or in a here-document")]
    Unprotected {
        /// The name.
        name: String,
        /// Where.
        span: Span,
    },
    /// A value that no shell takes.
    #[error("the value of `{name}` cannot be a word of a shell")]
    Unquotable {
        /// The name.
        name: String,
    },
}

/// The slots of a template, in their order. `{{{{` and `}}}}` stand for braces.
///
/// # Errors
/// The first that is none.
pub fn slots(text: &str) -> Result<Vec<Slot<'_>>, TemplateError> {
    let parts = pieces(text)?;
    Ok(parts
        .into_iter()
        .filter_map(|piece| if let Piece::Slot(slot) = piece { Some(slot) } else { None })
        .collect())
}

/// Fills a template. `lookup` gives the value of a name, `None` if there is none of that name.
///
/// # Errors
/// What is no template, an unknown name, a value that cannot be quoted.
pub fn render(
    text: &str,
    quoting: Quoting,
    mut lookup: impl FnMut(&str) -> Option<Value>,
) -> Result<String, TemplateError> {
    let mut filled = String::with_capacity(text.len());
    let mut shell = ShellText::default();
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => {
                filled.push_str(text);
                shell.read(text);
            }
            Piece::Slot(slot) => {
                if quoting == Quoting::Shell {
                    shell.slot(&slot)?;
                }
                let unknown =
                    || TemplateError::Unknown { name: slot.name.to_owned(), span: slot.span.clone() };
                let value = lookup(slot.name).ok_or_else(unknown)?;
                filled.push_str(&written(&slot, &value, quoting)?);
            }
        }
    }
    Ok(filled)
}

/// Looks for slots of a command whose values no quoting could protect.
///
/// # Errors
/// What is no template, and the first such slot.
pub fn check_command(text: &str) -> Result<(), TemplateError> {
    let mut shell = ShellText::default();
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => shell.read(text),
            Piece::Slot(slot) => shell.slot(&slot)?,
        }
    }
    Ok(())
}

/// How far a command has been read. What it cannot tell for sure counts as unprotected.
#[derive(Debug, Default)]
struct ShellText {
    quote: Option<char>,
    escaped: bool,
    before: char,
    given_up: bool,
}

impl ShellText {
    fn read(&mut self, text: &str) {
        for c in text.chars() {
            match (self.quote, c) {
                _ if self.escaped => self.escaped = false,
                (None | Some('"'), '\\') => self.escaped = true,
                (None, '\'' | '"' | '`') => {
                    self.given_up |= self.before == '$' && c == '\'';
                    self.quote = Some(c);
                }
                (Some(open), c) if open == c => self.quote = None,
                (None, '<') => self.given_up |= self.before == '<',
                _ => {}
            }
            self.before = c;
        }
    }

    fn slot(&mut self, slot: &Slot<'_>) -> Result<(), TemplateError> {
        self.before = ' ';
        if self.quote.is_none() && !self.escaped && !self.given_up {
            return Ok(());
        }
        Err(TemplateError::Unprotected { name: slot.name.to_owned(), span: slot.span.clone() })
    }
}

/// A value as the text that a template shows of it.
#[must_use]
pub fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn written(slot: &Slot<'_>, value: &Value, quoting: Quoting) -> Result<String, TemplateError> {
    let step = |value: &Value, key: &&str| {
        let index = key.parse::<usize>().ok().and_then(|index| value.get(index));
        index.or_else(|| value.get(*key)).cloned().unwrap_or(Value::Null)
    };
    let text = as_text(&slot.path.iter().fold(value.clone(), |value, key| step(&value, key)));
    match quoting {
        Quoting::Plain => Ok(text),
        Quoting::Shell => shlex::try_quote(&text)
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| TemplateError::Unquotable { name: slot.name.to_owned() }),
        Quoting::Url => Ok(percent_encoded(&text)),
    }
}

/// RFC 3986: everything but its unreserved characters.
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

enum Piece<'t> {
    Text(&'t str),
    Slot(Slot<'t>),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find(['{', '}']).map(|at| from + at) {
        let rest = &text[open..];
        let skip = if rest.starts_with("{{{{") || rest.starts_with("}}}}") {
            pieces.push(Piece::Text(&text[from..open + 2]));
            4
        } else if let Some(inner) = rest.strip_prefix("{{") {
            let unclosed = TemplateError::Unclosed { span: open..open + 2 };
            let length = inner.find("}}").ok_or(unclosed)?;
            pieces.push(Piece::Text(&text[from..open]));
            pieces.push(Piece::Slot(slot(&inner[..length], open..open + length + 4)?));
            length + 4
        } else {
            pieces.push(Piece::Text(&text[from..=open]));
            1
        };
        from = open + skip;
    }
    pieces.push(Piece::Text(&text[from..]));
    Ok(pieces)
}

fn slot(inner: &str, span: Span) -> Result<Slot<'_>, TemplateError> {
    let mut parts = inner.trim().split('.');
    let is_name =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    let name = parts.next().unwrap_or_default();
    let path: Vec<&str> = parts.collect();
    if !is_name(name) || !path.iter().all(|part| is_name(part)) {
        return Err(TemplateError::NoName { name: inner.trim().to_owned(), span });
    }
    Ok(Slot { name, path, span })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(text: &str, quoting: Quoting) -> Result<String, TemplateError> {
        render(text, quoting, |name| match name {
            "topic" => Some(json!("the sea; rm -rf / 'x'")),
            "found" => Some(json!({ "files": ["a", "b"], "count": 2 })),
            _ => None,
        })
    }

    #[test]
    fn names_are_replaced_by_values_and_doubled_braces_by_braces() {
        assert_eq!(filled("On {{ topic }}.", Quoting::Plain).unwrap(), "On the sea; rm -rf / 'x'.");
        assert_eq!(
            filled("{{found.files.1}} {{found.count}} {{found.no}}|", Quoting::Plain).unwrap(),
            "b 2 |"
        );
        assert_eq!(filled("{{found.files}}", Quoting::Plain).unwrap(), r#"["a","b"]"#);
        assert_eq!(filled("{a} {{{{x}}}} }", Quoting::Plain).unwrap(), "{a} {{x}} }");
    }

    #[test]
    fn a_value_is_one_word_of_a_shell_and_one_segment_of_an_address() {
        let command = filled("echo {{topic}}", Quoting::Shell).unwrap();
        assert_eq!(shlex::split(&command).unwrap(), ["echo", "the sea; rm -rf / 'x'"]);
        assert_eq!(filled("{{topic}}", Quoting::Url).unwrap(), "the%20sea%3B%20rm%20-rf%20%2F%20%27x%27");
    }

    #[test]
    fn a_slot_that_quotes_cannot_protect_is_refused() {
        for command in [
            "echo \"{{topic}}\"",
            "echo '{{topic}}'",
            "echo \\{{topic}}",
            "cat <<END\n{{topic}}\nEND",
            "echo $'a\\' {{topic}}",
            "echo `echo {{topic}}`",
        ] {
            assert!(
                matches!(filled(command, Quoting::Shell), Err(TemplateError::Unprotected { .. })),
                "{command}"
            );
            assert!(check_command(command).is_err(), "{command}");
        }
        for command in ["echo 'a' \"b\" {{topic}}", "echo \"it's\" {{topic}} < in", "echo \\' {{topic}}"] {
            assert!(check_command(command).is_ok(), "{command}");
        }
    }

    #[test]
    fn what_is_no_template_says_where() {
        assert_eq!(slots("a {{b"), Err(TemplateError::Unclosed { span: 2..4 }));
        assert_eq!(slots("{{a b}}"), Err(TemplateError::NoName { name: "a b".into(), span: 0..7 }));
        assert_eq!(slots("{{}}"), Err(TemplateError::NoName { name: String::new(), span: 0..4 }));
        assert!(matches!(filled("x {{none}}", Quoting::Plain), Err(TemplateError::Unknown { .. })));
        assert_eq!(slots("ü{{a}}").unwrap()[0].span, 2..7);
    }
}
