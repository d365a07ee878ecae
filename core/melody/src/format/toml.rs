//! TOML with one space around `=`, one blank line before each table, and every comment where it was.

use toml_edit::{Array, DocumentMut, InlineTable, Item, KeyMut, RawString, Table, Value};

use crate::tree::SyntaxFault;

pub(super) fn format(text: &str) -> Result<String, SyntaxFault> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| SyntaxFault {
        message: error.message().to_owned(),
        span: error.span().unwrap_or(text.len()..text.len()),
    })?;
    let mut first = true;
    table(document.as_table_mut(), &mut first);
    let trailing = lines(document.trailing(), false);
    document.set_trailing(if trailing.is_empty() || first { trailing } else { format!("\n{trailing}") });
    let written = document.to_string();
    let trimmed = written.trim_end();
    Ok(if trimmed.is_empty() { String::new() } else { format!("{trimmed}\n") })
}

/// `first` is whether nothing has been written yet.
fn table(table: &mut Table, first: &mut bool) {
    for (mut key, item) in table.iter_mut() {
        match item {
            Item::Value(inner) => {
                entry(&mut key, first);
                value(inner, " ");
            }
            Item::Table(inner) => {
                header(inner, first);
                self::table(inner, first);
            }
            Item::ArrayOfTables(tables) => {
                for inner in tables.iter_mut() {
                    header(inner, first);
                    self::table(inner, first);
                }
            }
            Item::None => {}
        }
    }
}

fn header(table: &mut Table, first: &mut bool) {
    if table.is_implicit() || table.is_dotted() {
        return;
    }
    let comments = table.decor().prefix().map(|raw| lines(raw, false)).unwrap_or_default();
    let blank = if *first { "" } else { "\n" };
    let suffix = trailing(table.decor().suffix());
    table.decor_mut().set_prefix(format!("{blank}{comments}"));
    table.decor_mut().set_suffix(suffix);
    *first = false;
}

/// The comments above a key stay, and a blank line that sets groups of keys apart.
fn entry(key: &mut KeyMut<'_>, first: &mut bool) {
    let comments = key.leaf_decor().prefix().map(|raw| lines(raw, !*first)).unwrap_or_default();
    key.leaf_decor_mut().set_prefix(comments);
    key.leaf_decor_mut().set_suffix(" ");
    key.dotted_decor_mut().clear();
    *first = false;
}

fn value(value: &mut Value, before: &str) {
    let suffix = trailing(value.decor().suffix());
    match value {
        Value::Array(array) => self::array(array),
        Value::InlineTable(table) => inline(table),
        _ => {}
    }
    value.decor_mut().set_prefix(before);
    value.decor_mut().set_suffix(suffix);
}

/// A list with comments or line breaks keeps one element on each line; every other is one line.
fn array(array: &mut Array) {
    let text = array.to_string();
    let multiline = text.trim().contains('\n') && has_breaks(array);
    let trailing_comments = lines_indented(array.trailing());
    for element in array.iter_mut() {
        let comments = element.decor().prefix().map(lines_indented).unwrap_or_default();
        let behind = element.decor().suffix().map(lines_indented).unwrap_or_default();
        match element {
            Value::Array(inner) => self::array(inner),
            Value::InlineTable(inner) => inline(inner),
            _ => {}
        }
        let prefix = if multiline { format!("\n{comments}  ") } else { String::new() };
        let suffix = if behind.is_empty() { String::new() } else { format!("\n{behind}") };
        element.decor_mut().set_prefix(prefix);
        element.decor_mut().set_suffix(suffix);
    }
    if multiline {
        array.set_trailing_comma(true);
        array.set_trailing(format!("\n{trailing_comments}"));
    } else {
        array.set_trailing_comma(false);
        array.set_trailing("");
        let mut elements = array.iter_mut();
        elements.next();
        elements.for_each(|element| element.decor_mut().set_prefix(" "));
    }
}

fn has_breaks(array: &Array) -> bool {
    let breaks =
        |raw: Option<&RawString>| raw.and_then(RawString::as_str).is_some_and(|text| text.contains('\n'));
    array.trailing().as_str().is_some_and(|text| text.contains('\n'))
        || array.iter().any(|element| breaks(element.decor().prefix()) || breaks(element.decor().suffix()))
}

fn inline(table: &mut InlineTable) {
    let commented = table.to_string().contains('#') && table.to_string().contains('\n');
    if commented {
        // A comment within braces stays exactly where it is.
        return;
    }
    let last = table.len().saturating_sub(1);
    table.set_trailing("");
    table.set_trailing_comma(false);
    for (at, (mut key, inner)) in table.iter_mut().enumerate() {
        key.leaf_decor_mut().set_prefix(" ");
        key.leaf_decor_mut().set_suffix(" ");
        key.dotted_decor_mut().clear();
        value(inner, " ");
        inner.decor_mut().set_suffix(if at == last { " " } else { "" });
    }
}

/// Comments and blank lines before something: lines trimmed, at most one blank line in a row, none at the end.
fn lines(raw: &RawString, leading_blank: bool) -> String {
    let mut kept = String::new();
    let mut blank = false;
    let text = raw.as_str().unwrap_or_default();
    let text = text.strip_suffix(['\t', ' ']).unwrap_or(text);
    let count = text.lines().count();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            // What is behind the last line break is the line of the thing itself.
            blank |= at + 1 < count || text.ends_with('\n');
            continue;
        }
        if blank && (leading_blank || !kept.is_empty()) {
            kept.push('\n');
        }
        blank = false;
        kept.push_str(line);
        kept.push('\n');
    }
    if blank && kept.is_empty() && leading_blank {
        kept.push('\n');
    }
    kept
}

fn lines_indented(raw: &RawString) -> String {
    let text = raw.as_str().unwrap_or_default();
    let comments = text.lines().map(str::trim).filter(|line| !line.is_empty());
    comments.map(|line| format!("  {line}\n")).collect()
}

/// A comment behind something, one space before it.
fn trailing(raw: Option<&RawString>) -> String {
    let comment = raw.and_then(RawString::as_str).unwrap_or_default().trim();
    if comment.is_empty() { String::new() } else { format!(" {comment}") }
}
