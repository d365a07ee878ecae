//! What TOML and JSON have in common: values that know where they stand.

mod json;
mod toml;

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::{Format, Span};

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Tree<'t> {
    /// All of it; for a TOML table under a header, from the header to its last value.
    pub(crate) span: Span,
    /// What to underline when the whole is meant: the header of a table, the opening brace, the value itself.
    pub(crate) head: Span,
    pub(crate) data: Data<'t>,
}

#[derive(Debug)]
pub(crate) enum Data<'t> {
    Null,
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(Cow<'t, str>),
    List(Vec<Tree<'t>>),
    Table(Vec<Entry<'t>>),
}

/// A key with its value.
#[derive(Debug)]
pub(crate) struct Entry<'t> {
    pub(crate) name: Cow<'t, str>,
    pub(crate) key: Span,
    pub(crate) value: Tree<'t>,
}

/// A place where the text is no TOML or JSON.
#[derive(Debug)]
pub(crate) struct SyntaxFault {
    pub(crate) message: String,
    pub(crate) span: Span,
}

/// Reads the text as far as it can be read. TOML goes on behind a fault, JSON does not.
pub(crate) fn parse(text: &str, format: Format) -> (Option<Tree<'_>>, Vec<SyntaxFault>) {
    match format {
        Format::Toml => toml::parse(text),
        Format::Json => json::parse(text),
    }
}

impl<'t> Tree<'t> {
    pub(crate) fn entries(&self) -> Option<&[Entry<'t>]> {
        if let Data::Table(entries) = &self.data { Some(entries) } else { None }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry<'t>> {
        self.entries()?.iter().find(|entry| entry.name == name)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Data::Text(text) = &self.data { Some(text) } else { None }
    }

    /// What it is, for people.
    pub(crate) fn what(&self) -> &'static str {
        match &self.data {
            Data::Null => "null",
            Data::Flag(_) => "true or false",
            Data::Integer(_) => "a whole number",
            Data::Number(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Table(_) => "a table",
        }
    }

    /// As JSON, without places.
    pub(crate) fn value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Flag(flag) => Value::Bool(*flag),
            Data::Integer(number) => Value::from(*number),
            Data::Number(number) => Value::from(*number),
            Data::Text(text) => Value::String(text.clone().into_owned()),
            Data::List(items) => Value::Array(items.iter().map(Tree::value).collect()),
            Data::Table(_) => Value::Object(self.map()),
        }
    }

    /// As a JSON object; empty if it is none.
    pub(crate) fn map(&self) -> Map<String, Value> {
        let entries = self.entries().unwrap_or_default();
        entries.iter().map(|entry| (entry.name.clone().into_owned(), entry.value.value())).collect()
    }

    /// Where a part of a text stands; all of it, if the text is written with escapes.
    pub(crate) fn part(&self, source: &str, part: &Span) -> Span {
        let raw = source.get(self.span.clone()).unwrap_or_default();
        let inner = self.text().and_then(|text| raw.find(text).filter(|_| !text.is_empty()));
        match inner {
            Some(at) => self.span.start + at + part.start..self.span.start + at + part.end,
            None => self.span.clone(),
        }
    }
}
