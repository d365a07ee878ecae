//! Lines that ask for work: `TODO` and `FIXME`.

/// What stands behind the mark, without the comment's end. `None` when the line has no mark.
pub(crate) fn todo_of(line: &str) -> Option<&str> {
    let (at, mark) =
        ["TODO", "FIXME"].iter().filter_map(|mark| Some((find_word(line, mark)?, mark))).min()?;
    let rest = line[at + mark.len()..].trim_start();
    let rest = match rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
        Some((_, behind_owner)) => behind_owner,
        None => rest,
    };
    let text = rest.trim_start_matches([':', '-', ' ', '\t']);
    Some(["*/", "-->", "*)", "#}"].iter().fold(text, |t, end| t.trim_end().trim_end_matches(end)).trim_end())
}

/// Start of `word` where it is no part of a longer one.
fn find_word(line: &str, word: &str) -> Option<usize> {
    line.match_indices(word).map(|(at, _)| at).find(|at| {
        let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !part(line[..*at].chars().next_back()) && !part(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::todo_of;

    #[test]
    fn a_mark_is_a_whole_word_and_what_follows_is_its_text() {
        for (line, text) in [
            ("# TODO: add a greeting", Some("add a greeting")),
            ("  // FIXME handle é", Some("handle é")),
            ("/* TODO(ann): later */", Some("later")),
            ("<!-- TODO - this -->", Some("this")),
            ("x(); // TODO", Some("")),
            ("// FIXME: a TODO: b", Some("a TODO: b")),
            ("let TODOS = 1;", None),
            ("A_TODO", None),
            ("todo: lower case is prose", None),
            ("", None),
        ] {
            assert_eq!(todo_of(line), text, "{line}");
        }
    }
}
