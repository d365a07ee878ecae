//! JSON with two spaces for each level; what holds no further list or table and fits stays on one line.

use crate::Format;
use crate::tree::{self, Data, SyntaxFault, Tree};

const WIDTH: usize = 100;

pub(super) fn format(text: &str) -> Result<String, SyntaxFault> {
    let (tree, faults) = tree::parse(text, Format::Json);
    if let Some(fault) = faults.into_iter().next() {
        return Err(fault);
    }
    let Some(tree) = tree else {
        return Err(SyntaxFault { message: "nothing is in here".into(), span: 0..0 });
    };
    let mut written = String::with_capacity(text.len());
    write(&mut written, text, &tree, 0);
    written.push('\n');
    Ok(written)
}

fn write(written: &mut String, source: &str, tree: &Tree<'_>, depth: usize) {
    if depth > 0 && is_flat(tree) {
        let line = inline(source, tree);
        if line.chars().count() + 2 * depth <= WIDTH {
            written.push_str(&line);
            return;
        }
    }
    match &tree.data {
        Data::List(items) if !items.is_empty() => {
            written.push('[');
            for (at, item) in items.iter().enumerate() {
                start_line(written, at, depth + 1);
                write(written, source, item, depth + 1);
            }
            end(written, ']', depth);
        }
        Data::Table(entries) if !entries.is_empty() => {
            written.push('{');
            for (at, entry) in entries.iter().enumerate() {
                start_line(written, at, depth + 1);
                written.push_str(&source[entry.key.clone()]);
                written.push_str(": ");
                write(written, source, &entry.value, depth + 1);
            }
            end(written, '}', depth);
        }
        _ => written.push_str(&inline(source, tree)),
    }
}

fn start_line(written: &mut String, at: usize, depth: usize) {
    written.push_str(if at == 0 { "\n" } else { ",\n" });
    written.push_str(&"  ".repeat(depth));
}

fn end(written: &mut String, bracket: char, depth: usize) {
    written.push('\n');
    written.push_str(&"  ".repeat(depth));
    written.push(bracket);
}

fn is_flat(tree: &Tree<'_>) -> bool {
    let is_simple = |tree: &Tree<'_>| !matches!(tree.data, Data::List(_) | Data::Table(_));
    match &tree.data {
        Data::List(items) => items.iter().all(is_simple),
        Data::Table(entries) => entries.iter().all(|entry| is_simple(&entry.value)),
        _ => true,
    }
}

/// Scalars are kept as they were written.
fn inline(source: &str, tree: &Tree<'_>) -> String {
    match &tree.data {
        Data::List(items) => {
            let items: Vec<_> = items.iter().map(|item| inline(source, item)).collect();
            format!("[{}]", items.join(", "))
        }
        Data::Table(entries) if entries.is_empty() => "{}".into(),
        Data::Table(entries) => {
            let pair = |entry: &tree::Entry<'_>| {
                format!("{}: {}", &source[entry.key.clone()], inline(source, &entry.value))
            };
            format!("{{ {} }}", entries.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        _ => source[tree.span.clone()].to_owned(),
    }
}
