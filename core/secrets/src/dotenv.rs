/// One `KEY=value` of a `.env` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub key: String,
    pub value: String,
}

/// Reads a `.env` file: `export`, comments, single quotes (literal), double quotes (escapes), backticks, values over
/// several lines within quotes. Nothing is interpolated. Lines that make no sense are skipped: a redactor must take
/// what it can get. An unclosed quote ends with its line.
pub fn parse_dotenv(text: &str) -> Vec<Assignment> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let line_end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        match key_of(&rest[..line_end]) {
            Some((key, value_at)) => {
                let (value, used) = value_of(&rest[value_at..]);
                found.push(Assignment { key: key.to_owned(), value });
                let used = value_at + used;
                // What follows a closing quote on its line is no assignment.
                rest = &rest[rest[used..].find('\n').map_or(rest.len(), |at| used + at + 1)..];
            }
            None => rest = &rest[line_end..],
        }
    }
    found
}

/// The key of a line, and where its value begins.
fn key_of(line: &str) -> Option<(&str, usize)> {
    let equals = line.find('=')?;
    let key = line[..equals].trim();
    let key = key
        .strip_prefix("export")
        .map_or(key, |after| if after.starts_with([' ', '\t']) { after.trim() } else { key });
    let valid = !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    let spaces = line[equals + 1..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    valid.then_some((key, equals + 1 + spaces))
}

/// The value at the start of `text`, and how many bytes it takes.
fn value_of(text: &str) -> (String, usize) {
    let quoted = match text.chars().next() {
        Some(quote @ ('"' | '\'' | '`')) => quoted(&text[1..], quote),
        _ => None,
    };
    quoted.map_or_else(|| bare(text), |(value, used)| (value, used + 1))
}

fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((value, at + 1));
        }
        if c == '\\' && quote == '"' {
            match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                other => value.push(other),
            }
        } else {
            value.push(c);
        }
    }
    None
}

fn bare(text: &str) -> (String, usize) {
    let line = text.lines().next().unwrap_or_default();
    let comment =
        line.match_indices('#').map(|(at, _)| at).find(|at| *at == 0 || line[..*at].ends_with([' ', '\t']));
    (line[..comment.unwrap_or(line.len())].trim().to_owned(), line.len())
}

#[cfg(test)]
mod tests {
    use super::parse_dotenv;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse_dotenv(text).into_iter().map(|it| (it.key, it.value)).collect()
    }

    #[test]
    fn every_way_to_write_a_value_is_read() {
        let cases = [
            ("A=plain", "plain"),
            ("A = spaced out  ", "spaced out"),
            ("export A=exported", "exported"),
            ("A=with # comment", "with"),
            ("A=has#hash", "has#hash"),
            ("A='single $x \\n # kept' # comment", "single $x \\n # kept"),
            ("A=\"double \\\"x\\\" \\n\\t\\\\ # kept\"", "double \"x\" \n\t\\ # kept"),
            ("A=`back 'tick'`", "back 'tick'"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=\"unclosed\nB", "\"unclosed"),
            ("A=", ""),
            ("A=crlf\r\n", "crlf"),
            ("\u{feff}A=bom", "bom"),
            ("A=a=b=c", "a=b=c"),
            ("A=ünïcode", "ünïcode"),
        ];
        for (text, expected) in cases {
            assert_eq!(pairs(text).first(), Some(&("A".to_owned(), expected.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn nonsense_is_skipped_and_the_rest_still_read() {
        let text = "# comment=1\n\nno assignment\n=x\n1A=digit\na b=c\nGOOD=1\n'Q'=x\nexported=2\nLAST=\"a\nb\" trailing=x\nEND=3";
        let expected = [("GOOD", "1"), ("exported", "2"), ("LAST", "a\nb"), ("END", "3")];
        assert_eq!(pairs(text), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn any_input_ends() {
        for text in ["", "=", "\n\n", "A=\"", "A='", "A=\\", "A=\"\\", "export", "export =", "\u{feff}"] {
            parse_dotenv(text);
        }
    }
}
