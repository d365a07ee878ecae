//! Where in a melody the cursor is, found by the text alone: what is being typed can rarely be parsed.

use podium_melody::Format;

/// Where the cursor is.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Context {
    /// Keys from the root to the table that the cursor is in; lists are left out: `nodes`, `params`.
    pub(crate) path: Vec<String>,
    /// The key whose value the cursor is in; a key is being typed where there is none.
    pub(crate) key: Option<String>,
    /// Whether the cursor is within quotes.
    pub(crate) quoted: bool,
    /// Where what is being typed begins, in bytes.
    pub(crate) start: usize,
    /// Where the text of the table around the cursor begins and ends: of a node, an edge.
    pub(crate) table: (usize, usize),
}

impl Context {
    pub(crate) fn at(text: &str, offset: usize, format: Format) -> Self {
        match format {
            Format::Toml => toml(text, offset),
            Format::Json => {
                let mut context = Self { table: (0, text.len()), ..Self::default() };
                braces(text, 0, offset, &mut context);
                context
            }
        }
    }

    /// The text of the table around the cursor.
    pub(crate) fn table<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.table.0..self.table.1).unwrap_or_default()
    }
}

/// A TOML table reaches from its header to the next one; what is behind `=` is read like JSON.
fn toml(text: &str, offset: usize) -> Context {
    let before = &text[..offset];
    let header = |line: &str| line.trim_start().starts_with('[');
    let mut at = 0;
    let mut section = (0, 0);
    let mut path = Vec::new();
    for line in before.split_inclusive('\n') {
        let ended = line.ends_with('\n');
        if header(line) && ended && line.trim_end().ends_with(']') {
            let names = line.trim().trim_matches(['[', ']']);
            path = names.split('.').map(|name| name.trim().trim_matches(['"', '\'']).to_owned()).collect();
            section = (at, at + line.len());
        }
        at += line.len();
    }
    // A node goes on through its own tables, such as `[nodes.params]`.
    let top = path.first().cloned();
    let mut start = section.0;
    if path.len() > 1
        && let Some(top) = &top
        && let Some(found) = before[..section.0].rfind(&format!("[[{top}]]"))
    {
        start = found;
    }
    let rest = text[offset..].match_indices("\n[").find(|(at, _)| text[offset + at + 1..].starts_with("[["));
    let end = rest.map_or(text.len(), |(at, _)| offset + at);
    let mut context = Context { path, table: (start, end), start: offset, ..Context::default() };
    // The last key of the section that has a value reaching to the cursor.
    let body = &text[section.1..offset];
    let line = open_line(body) + section.1;
    let typed = &text[line..offset];
    match typed.find('=').filter(|at| !typed[..*at].contains(['"', '{'])) {
        None => context.start = line + (typed.len() - typed.trim_start().len()),
        Some(equals) => {
            let mut keys: Vec<String> = typed[..equals].split('.').map(|key| key.trim().to_owned()).collect();
            context.key = keys.pop();
            context.path.extend(keys);
            context.start = offset;
            braces(text, line + equals + 1, offset, &mut context);
        }
    }
    context
}

/// Where the key begins whose value is not ended: a line within brackets belongs to the one that opened them.
fn open_line(body: &str) -> usize {
    let mut begin = 0;
    let (mut depth, mut at, mut quote): (usize, usize, Quote) = (0, 0, None);
    for line in body.split_inclusive('\n') {
        if depth == 0 && quote.is_none() {
            begin = at;
        }
        (depth, quote) = scan(line, depth, quote);
        at += line.len();
    }
    // Behind a whole line another one begins.
    if depth == 0 && quote.is_none() && body.ends_with('\n') {
        begin = at;
    }
    begin
}

type Quote = Option<&'static str>;

/// Depth of brackets and the open quote behind a line.
fn scan(line: &str, mut depth: usize, mut quote: Quote) -> (usize, Quote) {
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        let rest = &line[at..];
        match quote {
            Some(open) if rest.starts_with(open) => {
                at += open.len();
                quote = None;
                continue;
            }
            Some(open) => {
                let escape = c == '\\' && open.starts_with('"');
                at += c.len_utf8();
                if escape {
                    at += line[at..].chars().next().map_or(0, char::len_utf8);
                }
                continue;
            }
            None => {}
        }
        if let Some(open) = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|open| rest.starts_with(open)) {
            quote = Some(open);
            at += open.len();
            continue;
        }
        match c {
            '#' => break,
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += c.len_utf8();
    }
    // A quote of one line does not go on.
    (depth, quote.filter(|open| open.len() == 3))
}

/// Follows braces, keys and quotes from a place to the cursor: JSON, and TOML's inline tables.
fn braces(text: &str, from: usize, offset: usize, context: &mut Context) {
    struct Level {
        table: bool,
        key: Option<String>,
        begin: usize,
    }
    let mut levels: Vec<Level> = Vec::new();
    let base = context.path.len();
    let outer = context.key.take();
    let mut expecting_value = outer.is_some();
    let mut token = from;
    let mut quote: Option<(char, usize)> = None;
    let mut chars = text[from..offset].char_indices().map(|(at, c)| (from + at, c));
    while let Some((at, c)) = chars.next() {
        if let Some((open, begin)) = quote {
            if c == '\\' && open == '"' {
                chars.next();
            } else if c == open {
                quote = None;
                token = begin;
            }
            continue;
        }
        match c {
            '"' | '\'' => {
                quote = Some((c, at));
                token = at;
            }
            '{' | '[' => {
                let begin = if levels.iter().filter(|level| level.table).count() < 2 { at } else { token };
                levels.push(Level { table: c == '{', key: None, begin });
                expecting_value = c == '[';
                token = at + 1;
            }
            '}' | ']' => {
                levels.pop();
                expecting_value = false;
                token = at + 1;
            }
            ':' | '=' => {
                if let Some(level) = levels.last_mut().filter(|level| level.table && !expecting_value) {
                    let name = text[token..at].trim().trim_matches(['"', '\'']);
                    level.key = Some(name.to_owned());
                    expecting_value = true;
                    token = at + 1;
                }
            }
            ',' => {
                let list = levels.last().is_some_and(|level| !level.table);
                if let Some(level) = levels.last_mut().filter(|level| level.table) {
                    level.key = None;
                }
                expecting_value = list;
                token = at + 1;
            }
            _ => {}
        }
    }
    context.quoted = quote.is_some();
    let typed = quote.map_or(token, |(_, begin)| begin + 1);
    let typed = text.get(typed..offset).unwrap_or_default();
    context.start = offset - typed.trim_start().len();
    let mut keys: Vec<String> = levels.iter().filter_map(|level| level.key.clone()).collect();
    let in_table = levels.last().is_none_or(|level| level.table);
    let open_value = if in_table { levels.last().is_some_and(|level| level.key.is_some()) } else { true };
    if let Some(outer) = outer {
        if levels.is_empty() {
            context.key = Some(outer);
            return;
        }
        context.path.push(outer);
    }
    context.key = if open_value { keys.pop() } else { None };
    if !in_table && context.key.is_none() && context.path.len() > base {
        context.key = context.path.pop();
    }
    context.path.extend(keys);
    // In JSON the table is the element of `nodes` or `edges`, which is the second one.
    if base == 0
        && context.table == (0, text.len())
        && let Some(level) = levels.iter().filter(|level| level.table).nth(1)
    {
        let end = closing(text, level.begin).unwrap_or(text.len());
        context.table = (level.begin, end);
    }
}

/// Where the brace at a place is closed.
fn closing(text: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut chars = text[from..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quoted => {
                chars.next();
            }
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(from + at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The text of a key in the text of a table: `uses = "x"`, `"uses": "x"`.
pub(crate) fn text_of<'t>(table: &'t str, key: &str) -> Option<&'t str> {
    for (at, _) in table.match_indices(key) {
        let before = table[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.') {
            continue;
        }
        let rest = table[at + key.len()..].trim_start_matches(['"', '\'']).trim_start();
        let Some(rest) = rest.strip_prefix(['=', ':']) else { continue };
        let rest = rest.trim_start();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
        return rest[1..].split([quote, '\n']).next();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The context at `|`.
    fn at(text: &str, format: Format) -> (String, Option<String>, bool, String) {
        let offset = text.find('|').unwrap();
        let text = text.replacen('|', "", 1);
        let context = Context::at(&text, offset, format);
        (context.path.join("."), context.key, context.quoted, text[context.start..offset].to_owned())
    }

    fn found(
        path: &str,
        key: Option<&str>,
        quoted: bool,
        typed: &str,
    ) -> (String, Option<String>, bool, String) {
        (path.to_owned(), key.map(str::to_owned), quoted, typed.to_owned())
    }

    #[test]
    fn keys_and_values_of_toml_are_told_apart() {
        let toml = |text| at(text, Format::Toml);
        assert_eq!(toml("id = \"m\"\nna|"), found("", None, false, "na"));
        assert_eq!(toml("[[nodes]]\nid = \"a\"\nki|"), found("nodes", None, false, "ki"));
        assert_eq!(toml("[[nodes]]\nkind = \"op|"), found("nodes", Some("kind"), true, "op"));
        assert_eq!(toml("[[nodes]]\nkind = |"), found("nodes", Some("kind"), false, ""));
        assert_eq!(toml("[[nodes]]\nparams = { com|"), found("nodes.params", None, false, "com"));
        assert_eq!(
            toml("[[nodes]]\nparams = { a = \"x\", command = \"echo {{to|"),
            found("nodes.params", Some("command"), true, "echo {{to")
        );
        assert_eq!(toml("[[nodes]]\nparams.pro|"), found("nodes", None, false, "params.pro"));
        assert_eq!(toml("[[nodes]]\nparams.prompt = \"x|"), found("nodes.params", Some("prompt"), true, "x"));
        assert_eq!(toml("[nodes.params]\ncommand = \"x\"\n|"), found("nodes.params", None, false, ""));
        assert_eq!(
            toml("[[edges]]\nfrom = \"a.|\"\nto = \"b.in\"\n"),
            found("edges", Some("from"), true, "a.")
        );
        assert_eq!(toml("[inputs.x]\ntype = \"te|"), found("inputs.x", Some("type"), true, "te"));
        assert_eq!(
            toml("[[nodes]]\nparams = { over = [\"a\", \"b|"),
            found("nodes.params", Some("over"), true, "b")
        );
    }

    #[test]
    fn keys_and_values_of_json_are_told_apart() {
        let json = |text| at(text, Format::Json);
        assert_eq!(json("{ \"id\": \"m\", \"na|"), found("", None, true, "na"));
        assert_eq!(
            json("{ \"nodes\": [{ \"id\": \"a\", \"kind\": \"op|"),
            found("nodes", Some("kind"), true, "op")
        );
        assert_eq!(
            json("{ \"nodes\": [{ \"params\": { \"command\": \"x|"),
            found("nodes.params", Some("command"), true, "x")
        );
        assert_eq!(json("{ \"nodes\": [{ \"params\": { \"|"), found("nodes.params", None, true, ""));
        assert_eq!(json("{ \"edges\": [{ \"from\": \"a.|"), found("edges", Some("from"), true, "a."));
        assert_eq!(
            json("{ \"nodes\": [], \"edges\": [{ \"from\": \"a.x\", \"to\": |"),
            found("edges", Some("to"), false, "")
        );
    }

    #[test]
    fn the_table_around_the_cursor_is_that_of_one_node() {
        let text = "[[nodes]]\nuses = \"a\"\n[[nodes]]\nuses = \"b\"\n[nodes.params]\nx = 1\n[[nodes]]\nuses = \"c\"\n";
        let context = Context::at(text, text.find("x = 1").unwrap(), Format::Toml);
        assert_eq!(text_of(context.table(text), "uses"), Some("b"));
        let text = "{ \"nodes\": [{ \"uses\": \"a\" }, { \"kind\": \"operator\", \"params\": { } , \"uses\" : \"b\" }] }";
        let context = Context::at(text, text.find("} ,").unwrap(), Format::Json);
        assert_eq!(text_of(context.table(text), "uses"), Some("b"));
    }
}
