//! What a setting is: its name, what values it takes, and what is wrong with one that it does not take.

use serde_json::{Value, json};

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KeyKind {
    Bool,
    /// A whole number within the bounds, both included.
    Integer {
        min: i64,
        max: i64,
    },
    Text,
    /// One of a fixed set of words.
    Choice(&'static [&'static str]),
    /// Texts; in a variable and on the command line separated by commas.
    List,
    /// Tables (`[[name]]`) of texts and numbers; in a variable and on the command line as JSON.
    Tables(&'static [Field]),
}

/// A field of each table of a setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    pub name: &'static str,
    pub required: bool,
    pub kind: FieldKind,
}

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldKind {
    /// Any, but not an empty one.
    Text,
    /// One of a fixed set.
    Word(&'static [&'static str]),
    /// Not below 0.
    Amount,
}

/// Longest list.
const MAX_ITEMS: usize = 64;
/// Most tables of one setting.
const MAX_TABLES: usize = 500;

/// One setting.
pub struct Key {
    /// Dotted name, `section.name`.
    pub name: &'static str,
    pub kind: KeyKind,
    pub default: fn() -> Value,
    /// One line, with the unit.
    pub help: &'static str,
    /// Whether a project's own file may set it. What reaches beyond the project may not be set by it.
    pub project: bool,
}

impl Key {
    /// Name of the environment variable: `PODIUM_` and the key in capitals with `_` for dots and dashes.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("PODIUM_{}", self.name.replace(['.', '-'], "_").to_uppercase())
    }

    /// Says what is wrong with a value, in words a person can act on.
    ///
    /// # Errors
    /// The sentence.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        match self.kind {
            KeyKind::Bool if value.is_boolean() => Ok(()),
            KeyKind::Bool => Err("must be true or false".to_owned()),
            KeyKind::Integer { min, max } => match value.as_i64() {
                Some(n) if (min..=max).contains(&n) => Ok(()),
                _ => Err(format!("must be a whole number from {min} to {max}")),
            },
            KeyKind::Text if value.is_string() => Ok(()),
            KeyKind::Text => Err("must be a text".to_owned()),
            KeyKind::Choice(words) => match value.as_str() {
                Some(word) if words.contains(&word) => Ok(()),
                _ => Err(format!("must be one of {}", words.join(", "))),
            },
            KeyKind::List => match value.as_array() {
                Some(items) if items.iter().all(Value::is_string) && items.len() <= MAX_ITEMS => Ok(()),
                _ => Err(format!("must be a list of at most {MAX_ITEMS} texts")),
            },
            KeyKind::Tables(fields) => match value.as_array() {
                Some(tables) if tables.len() <= MAX_TABLES => {
                    tables.iter().zip(1..).try_for_each(|(table, number)| {
                        check_table(fields, table).map_err(|problem| format!("(number {number}) {problem}"))
                    })
                }
                _ => Err(format!("must be at most {MAX_TABLES} tables")),
            },
        }
    }

    /// Reads the text of an environment variable as this setting's type.
    ///
    /// # Errors
    /// As [`Key::check`].
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let value = match self.kind {
            KeyKind::Bool => match text {
                "true" | "1" | "yes" | "on" => json!(true),
                "false" | "0" | "no" | "off" => json!(false),
                _ => json!(text),
            },
            KeyKind::Integer { .. } => text.trim().parse::<i64>().map_or_else(|_| json!(text), |n| json!(n)),
            KeyKind::Tables(_) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
            KeyKind::Text | KeyKind::Choice(_) => json!(text),
            KeyKind::List => {
                json!(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect::<Vec<_>>())
            }
        };
        self.check(&value).map(|()| value)
    }
}

fn check_table(fields: &[Field], table: &Value) -> Result<(), String> {
    let table = table.as_object().ok_or("must be a table")?;
    let known = || fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ");
    if let Some(name) = table.keys().find(|name| fields.iter().all(|field| field.name != name.as_str())) {
        return Err(format!("has no `{name}`; known: {}", known()));
    }
    for field in fields {
        match (table.get(field.name), field.kind) {
            (None, _) if field.required => return Err(format!("needs `{}`", field.name)),
            (None, _) => {}
            (Some(Value::String(text)), FieldKind::Text) if !text.is_empty() => {}
            (Some(Value::String(text)), FieldKind::Word(words)) if words.contains(&text.as_str()) => {}
            (Some(value), FieldKind::Amount) if value.as_f64().is_some_and(|n| n >= 0.0) => {}
            (Some(_), FieldKind::Text) => return Err(format!("`{}` must be a text", field.name)),
            (Some(_), FieldKind::Amount) => {
                return Err(format!("`{}` must be a number that is not below 0", field.name));
            }
            (Some(_), FieldKind::Word(words)) => {
                return Err(format!("`{}` must be one of {}", field.name, words.join(", ")));
            }
        }
    }
    Ok(())
}
