//! TOML with places.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Data, Entry, SyntaxFault, Tree};
use crate::Span;

pub(super) fn parse(text: &str) -> (Option<Tree<'_>>, Vec<SyntaxFault>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let fault = |error: toml::de::Error| SyntaxFault {
        message: error.message().to_owned(),
        span: error.span().unwrap_or(text.len()..text.len()),
    };
    let mut tree = table(root.into_inner(), 0..0);
    tree.span = 0..text.len();
    (Some(tree), errors.into_iter().map(fault).collect())
}

/// A table has the span of its header only, or none; what it holds extends it.
fn table<'t>(table: DeTable<'t>, head: Span) -> Tree<'t> {
    let mut span = head.clone();
    let mut entries: Vec<Entry<'t>> = Vec::with_capacity(table.len());
    for (key, value) in table {
        let (key_span, name) = (key.span(), key.into_inner());
        let value = self::value(value, &key_span);
        span = joined(&joined(&span, &key_span), &value.span);
        entries.push(Entry { name, key: key_span, value });
    }
    entries.sort_by_key(|entry| entry.key.start);
    Tree { span, head, data: Data::Table(entries) }
}

fn value<'t>(value: Spanned<DeValue<'t>>, key: &Span) -> Tree<'t> {
    let own = value.span();
    // Tables that only come about by dotted keys have no place of their own.
    let span = if own.is_empty() { key.clone() } else { own };
    let data = match value.into_inner() {
        DeValue::Table(inner) => return table(inner, span),
        DeValue::Array(items) => {
            let items: Vec<Tree<'t>> = items.into_iter().map(|item| self::value(item, key)).collect();
            let whole = items.iter().fold(span.clone(), |whole, item| joined(&whole, &item.span));
            return Tree { span: whole, head: span, data: Data::List(items) };
        }
        DeValue::String(text) => Data::Text(text),
        DeValue::Boolean(flag) => Data::Flag(flag),
        DeValue::Datetime(time) => Data::Text(time.to_string().into()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Data::Integer(number),
            Err(_) => Data::Number(number.as_str().parse().unwrap_or(f64::MAX)),
        },
        DeValue::Float(number) => Data::Number(number.as_str().parse().unwrap_or(f64::NAN)),
    };
    Tree { head: span.clone(), span, data }
}

fn joined(a: &Span, b: &Span) -> Span {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b.clone(),
        (_, true) => a.clone(),
        _ => a.start.min(b.start)..a.end.max(b.end),
    }
}
