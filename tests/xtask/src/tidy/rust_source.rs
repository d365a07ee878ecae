//! Rust source with what is not code blanked out, so that a rule which looks for a word finds the word as code.

use std::ops::Range;

/// The source with comments and the contents of literals replaced by spaces; offsets and lines stay as they are.
pub(super) fn code(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut blanked = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = skipped(bytes, at);
        for byte in &mut blanked[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    // Only whole literals and comments were blanked, so this is still UTF-8.
    String::from_utf8(blanked).unwrap_or_default()
}

/// Bodies of `#[cfg(test)] mod … { … }` in blanked source.
pub(super) fn test_modules(code: &str) -> Vec<Range<usize>> {
    let mut modules = Vec::new();
    for (start, _) in code.match_indices("#[cfg(") {
        let Some(close) = code[start..].find(']') else { continue };
        let (attribute, rest) = code[start..].split_at(close + 1);
        if !attribute.contains("test") || attribute.contains("not(test") {
            continue;
        }
        let body = match (rest.find('{'), rest.find(';')) {
            (Some(brace), Some(end)) if end < brace => continue,
            (Some(brace), _) => start + close + 1 + brace,
            (None, _) => continue,
        };
        modules.push(body..body + block_length(&code[body..]));
    }
    modules
}

/// Offsets at which a word stands on its own.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(offset, _)| offset).filter(move |offset| {
        let before = code[..*offset].chars().next_back();
        let after = code[offset + word.len()..].chars().next();
        let begins = !word.starts_with(part) || !before.is_some_and(part);
        let ends = !word.ends_with(part) || !after.is_some_and(part);
        begins && ends
    })
}

fn block_length(text: &str) -> usize {
    let mut depth = 0usize;
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return offset + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// The end of the comment or literal that begins at `at`, or `at` if none does.
fn skipped(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + quoted(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !inside_word(bytes, at) => at + raw_string(rest),
        [b'\'', ..] => at + character(rest),
        _ => at,
    }
}

/// A prefix letter such as the `b` of `br"…"` is no word of its own.
fn inside_word(bytes: &[u8], at: usize) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let prefix = at > 0 && matches!(bytes[at - 1], b'b' | b'c') && (at < 2 || !word(bytes[at - 2]));
    at > 0 && word(bytes[at - 1]) && !prefix
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"` or `r#"…"#` with any number of hashes; 0 for a raw identifier.
fn raw_string(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = 2 + hashes;
    let end = rest[body..].windows(close.len()).position(|window| window == close);
    end.map_or(rest.len(), |end| body + end + close.len())
}

/// A character literal; 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    match rest {
        [_, b'\\', ..] => quoted(rest, b'\''),
        _ => {
            let text = String::from_utf8_lossy(&rest[1..rest.len().min(6)]);
            let first = text.chars().next().map_or(0, char::len_utf8);
            if first > 0 && rest.get(1 + first) == Some(&b'\'') { 2 + first } else { 0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_kept(source: &str, kept: &[&str], gone: &[&str]) {
        let code = code(source);
        assert_eq!(code.len(), source.len());
        assert_eq!(code.lines().count(), source.lines().count());
        for word in kept {
            assert!(code.contains(word), "{word} in {code:?}");
        }
        for word in gone {
            assert!(!code.contains(word), "{word} in {code:?}");
        }
    }

    #[test]
    fn comments_and_strings_are_blanked_code_is_not() {
        assert_kept("let a = 1; // gone\nlet b;", &["let a = 1;", "let b"], &["gone"]);
        assert_kept("a /* gone /* gone */ gone */ b", &["a ", " b"], &["gone"]);
        assert_kept(r#"f("gone \" gone", kept)"#, &["kept"], &["gone"]);
        assert_kept(r###"f(r#"gone " gone"#, br"gone\", kept)"###, &["kept"], &["gone"]);
        assert_kept("\"gone ü\n gone\"; kept", &["kept"], &["gone"]);
    }

    #[test]
    fn quotes_in_characters_and_lifetimes_start_no_string() {
        assert_kept(r#"f('"'); kept("gone")"#, &["kept"], &["gone"]);
        assert_kept(r"f('\''); kept('\u{1F600}', 'ü', '{')", &["kept"], &["1F600", "ü'"]);
        assert_kept("fn f<'a>(x: &'a str) -> &'static str { kept }", &["'a str", "kept"], &[]);
        assert_kept("let r#type = kept; for x in r {}", &["r#type", "kept"], &[]);
    }

    #[test]
    fn words_stand_alone() {
        let found = |code, word| words(code, word).count();
        assert_eq!(found("todo!() my_todo!() todo!{}", "todo!"), 2);
        assert_eq!(found("thread::sleep(x); oversleep(x)", "sleep("), 1);
        assert_eq!(found("mod git; mod github;", "mod git"), 1);
    }

    #[test]
    fn test_modules_end_where_their_braces_do() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { { } } }\nfn c() {}\n#[cfg(not(test))] mod d {}\n\
                      #[cfg(all(test, unix))] mod e { fn f() {} }\n#[cfg(test)] mod g;\nfn h() {}";
        let bodies: Vec<&str> = test_modules(source).into_iter().map(|range| &source[range]).collect();
        assert_eq!(bodies, ["{ fn b() { { } } }", "{ fn f() {} }"]);
    }
}
