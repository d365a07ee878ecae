//! What travels along an edge.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The type of a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum PortType {
    /// `text`: a string.
    Text,
    /// `json`, `json<object>`, `json<finding>`: any JSON, a basic type, or a schema that the melody names.
    Json(Option<String>),
    /// `bytes`, `bytes<image/png>`, `bytes<image/*>`.
    Bytes(Option<String>),
    /// `artifact`, `artifact<report>`: the id of a stored artifact, of this kind.
    Artifact(Option<String>),
    /// `list<T>`.
    List(Box<PortType>),
    /// `optional<T>`: a value or none.
    Optional(Box<PortType>),
    /// `stream<T>`: values that come one after the other.
    Stream(Box<PortType>),
    /// `any`: fits everything; what it really is shows when the melody runs.
    #[default]
    Any,
}

/// Names that `json<...>` knows without a schema.
pub(crate) const BASIC: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];
/// Kinds of artifacts.
pub const ARTIFACT_KINDS: [&str; 6] = ["code", "docs", "tests", "config", "log", "report"];
/// The names of all types, as they are completed.
pub const NAMES: [&str; 8] =
    ["text", "json", "bytes", "artifact", "list<any>", "optional<any>", "stream<any>", "any"];
const DEEPEST: usize = 8;

/// Why a text is no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortTypeError {
    /// No type has this name.
    #[error(
        "`{0}` is no type; there are text, json, bytes, artifact, list<T>, optional<T>, stream<T> and any"
    )]
    Unknown(String),
    /// `list`, `optional` and `stream` say of what.
    #[error("`{0}` has to say of what, as in `{0}<text>`")]
    Incomplete(String),
    /// `text` and `any` take nothing in angle brackets.
    #[error("`{0}` takes nothing in angle brackets")]
    Superfluous(String),
    /// Brackets that do not match, or nothing within.
    #[error("`{0}` has no matching angle brackets")]
    Brackets(String),
    /// Deeper than anybody means.
    #[error("types nest at most {DEEPEST} deep")]
    Deep,
}

impl PortType {
    /// `list<inner>`.
    #[must_use]
    pub fn list(inner: Self) -> Self {
        Self::List(Box::new(inner))
    }

    /// `optional<inner>`.
    #[must_use]
    pub fn optional(inner: Self) -> Self {
        Self::Optional(Box::new(inner))
    }

    /// `stream<inner>`.
    #[must_use]
    pub fn stream(inner: Self) -> Self {
        Self::Stream(Box::new(inner))
    }

    /// `json<name>`.
    #[must_use]
    pub fn json(name: &str) -> Self {
        Self::Json(Some(name.to_owned()))
    }

    /// Whether a port of this type may stay without a value.
    #[must_use]
    pub fn may_be_absent(&self) -> bool {
        matches!(self, Self::Optional(_))
    }

    /// Names in `json<...>` that are not basic types.
    pub fn schema_names(&self) -> impl Iterator<Item = &str> {
        let mut inner = self;
        while let Self::List(next) | Self::Optional(next) | Self::Stream(next) = inner {
            inner = next;
        }
        let name = if let Self::Json(name) = inner { name.as_deref() } else { None };
        name.into_iter().filter(|name| !BASIC.contains(name))
    }

    /// Whether what comes out of a port of this type may go into one of type `to`. `any` fits in both directions;
    /// a value fits where an optional one is taken, not the other way round; a stream of text is also a text, a
    /// stream also a list and a list also a stream; `schemas` are those that the melody names.
    #[must_use]
    pub fn fits(&self, to: &Self, schemas: &BTreeMap<String, Value>) -> bool {
        match (self, to) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Optional(from), Self::Optional(to)) => from.fits(to, schemas),
            (_, Self::Optional(to)) => self.fits(to, schemas),
            (Self::Text, Self::Text) => true,
            (Self::Text, Self::Json(Some(name))) | (Self::Json(Some(name)), Self::Text) => name == "string",
            (Self::Text, Self::Json(None)) => true,
            (Self::List(from) | Self::Stream(from), Self::List(to) | Self::Stream(to)) => {
                from.fits(to, schemas)
            }
            (Self::Stream(from), Self::Text) => from.fits(&Self::Text, schemas),
            (Self::List(_), Self::Json(name)) => name.as_deref().is_none_or(|name| name == "array"),
            (Self::Json(Some(name)), Self::List(_)) => name == "array",
            (Self::Json(from), Self::Json(to)) => json_fits(from.as_deref(), to.as_deref(), schemas),
            (Self::Bytes(from), Self::Bytes(to)) => mime_fits(from.as_deref(), to.as_deref()),
            (Self::Artifact(from), Self::Artifact(to)) => to.is_none() || from.is_none() || from == to,
            _ => false,
        }
    }

    /// Whether a constant of a melody file fits this type.
    #[must_use]
    pub fn takes(&self, value: &Value, schemas: &BTreeMap<String, Value>) -> bool {
        match self {
            Self::Any | Self::Json(None) => true,
            Self::Text | Self::Bytes(_) | Self::Artifact(_) => value.is_string(),
            Self::List(inner) | Self::Stream(inner) => {
                value.as_array().is_some_and(|items| items.iter().all(|item| inner.takes(item, schemas)))
            }
            Self::Optional(inner) => value.is_null() || inner.takes(value, schemas),
            Self::Json(Some(name)) => basic_types(name, schemas).is_none_or(|types| {
                types.iter().any(|expected| expected == type_of(value) || is_integer(expected, value))
            }),
        }
    }
}

fn is_integer(expected: &str, value: &Value) -> bool {
    expected == "integer" && (value.is_i64() || value.is_u64())
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The basic types that a name stands for; `None` where everything may be.
fn basic_types(name: &str, schemas: &BTreeMap<String, Value>) -> Option<Vec<String>> {
    if BASIC.contains(&name) {
        return Some(vec![name.to_owned()]);
    }
    match schemas.get(name)?.get("type")? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(several) => Some(several.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => None,
    }
}

/// Two schemas fit when the first promises what the second asks for, as far as types, properties and required
/// properties say. What they do not say is looked at when the melody runs.
fn json_fits(from: Option<&str>, to: Option<&str>, schemas: &BTreeMap<String, Value>) -> bool {
    let (Some(from), Some(to)) = (from, to) else { return true };
    if from == to {
        return true;
    }
    let schema = |name: &str| {
        if BASIC.contains(&name) {
            serde_json::json!({ "type": name })
        } else {
            schemas.get(name).cloned().unwrap_or(Value::Bool(true))
        }
    };
    schema_fits(&schema(from), &schema(to), 0)
}

fn schema_fits(from: &Value, to: &Value, depth: usize) -> bool {
    let (Some(from), Some(to)) = (from.as_object(), to.as_object()) else {
        return *to != Value::Bool(false);
    };
    if depth > DEEPEST {
        return true;
    }
    let names = |value: Option<&Value>| -> Vec<String> {
        match value {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => {
                several.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    };
    let (given, taken) = (names(from.get("type")), names(to.get("type")));
    let fits_one =
        |given: &String| taken.contains(given) || (given == "integer" && taken.contains(&"number".into()));
    if !given.is_empty() && !taken.is_empty() && !given.iter().all(fits_one) {
        return false;
    }
    let promised = from.get("properties").and_then(Value::as_object);
    let required = names(to.get("required"));
    let surely = names(from.get("required"));
    if promised.is_some() && !required.iter().all(|name| surely.contains(name)) {
        return false;
    }
    let asked = to.get("properties").and_then(Value::as_object);
    let (Some(promised), Some(asked)) = (promised, asked) else { return items_fit(from, to, depth) };
    promised.iter().all(|(name, have)| asked.get(name).is_none_or(|want| schema_fits(have, want, depth + 1)))
        && items_fit(from, to, depth)
}

fn items_fit(
    from: &serde_json::Map<String, Value>,
    to: &serde_json::Map<String, Value>,
    depth: usize,
) -> bool {
    match (from.get("items"), to.get("items")) {
        (Some(from), Some(to)) => schema_fits(from, to, depth + 1),
        _ => true,
    }
}

fn mime_fits(from: Option<&str>, to: Option<&str>) -> bool {
    let (Some(from), Some(to)) = (from, to) else { return true };
    match to.strip_suffix("/*") {
        Some(family) => from.split('/').next() == Some(family),
        None => from == to,
    }
}

impl FromStr for PortType {
    type Err = PortTypeError;

    fn from_str(text: &str) -> Result<Self, PortTypeError> {
        parse(text.trim(), 0)
    }
}

fn parse(text: &str, depth: usize) -> Result<PortType, PortTypeError> {
    if depth >= DEEPEST {
        return Err(PortTypeError::Deep);
    }
    let (name, inner) = match text.split_once('<') {
        None => (text, None),
        Some((name, rest)) => {
            let inner = rest.strip_suffix('>').map(str::trim).filter(|inner| !inner.is_empty());
            (name.trim(), Some(inner.ok_or_else(|| PortTypeError::Brackets(text.to_owned()))?))
        }
    };
    let plain = |inner: Option<&str>| match inner {
        Some(inner) if inner.contains(['<', '>']) => Err(PortTypeError::Brackets(text.to_owned())),
        inner => Ok(inner.map(str::to_owned)),
    };
    let nested = || {
        let inner = inner.ok_or_else(|| PortTypeError::Incomplete(name.to_owned()))?;
        parse(inner, depth + 1).map(Box::new)
    };
    match name {
        "text" | "any" if inner.is_some() => Err(PortTypeError::Superfluous(name.to_owned())),
        "text" => Ok(PortType::Text),
        "any" => Ok(PortType::Any),
        "json" => plain(inner).map(PortType::Json),
        "bytes" => plain(inner).map(PortType::Bytes),
        "artifact" => plain(inner).map(PortType::Artifact),
        "list" => nested().map(PortType::List),
        "optional" => nested().map(PortType::Optional),
        "stream" => nested().map(PortType::Stream),
        _ => Err(PortTypeError::Unknown(name.to_owned())),
    }
}

impl fmt::Display for PortType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |f: &mut fmt::Formatter<'_>, name: &str, inner: &Option<String>| match inner {
            Some(inner) => write!(f, "{name}<{inner}>"),
            None => f.write_str(name),
        };
        match self {
            Self::Text => f.write_str("text"),
            Self::Any => f.write_str("any"),
            Self::Json(inner) => with(f, "json", inner),
            Self::Bytes(inner) => with(f, "bytes", inner),
            Self::Artifact(inner) => with(f, "artifact", inner),
            Self::List(inner) => write!(f, "list<{inner}>"),
            Self::Optional(inner) => write!(f, "optional<{inner}>"),
            Self::Stream(inner) => write!(f, "stream<{inner}>"),
        }
    }
}

impl Serialize for PortType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PortType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PortType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PortType".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^\\s*(text|any|(json|bytes|artifact)(\\s*<.+>)?|(list|optional|stream)\\s*<.+>)\\s*$",
            "examples": ["text", "json<object>", "bytes<image/png>", "artifact<report>", "list<text>"],
            "description": "text, json<schema>, bytes<mime>, artifact<kind>, list<T>, optional<T>, stream<T> or any.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(text: &str) -> PortType {
        text.parse().unwrap()
    }

    fn schemas() -> BTreeMap<String, Value> {
        let finding = json!({ "type": "object", "required": ["file", "line"],
            "properties": { "file": { "type": "string" }, "line": { "type": "integer" } } });
        let place =
            json!({ "type": "object", "required": ["file"], "properties": { "file": { "type": "string" } } });
        let numbered = json!({ "type": "object", "properties": { "file": { "type": "number" } } });
        [("finding", finding), ("place", place), ("numbered", numbered)]
            .map(|(name, schema)| (name.to_owned(), schema))
            .into()
    }

    #[test]
    fn every_type_is_written_as_it_was_read() {
        for text in ["text", "json", "json<finding>", "bytes<image/*>", "artifact<report>", "any"] {
            assert_eq!(of(text).to_string(), text);
        }
        assert_eq!(of(" list < optional<stream<text>> > ").to_string(), "list<optional<stream<text>>>");
        for wrong in ["", "string", "list", "list<>", "text<a>", "json<a<b>>", "list<text", "optional<nope>"]
        {
            assert!(wrong.parse::<PortType>().is_err(), "{wrong}");
        }
        assert_eq!(
            format!("{}text{}", "list<".repeat(50_000), ">".repeat(50_000)).parse::<PortType>(),
            Err(PortTypeError::Deep)
        );
    }

    #[test]
    fn values_fit_where_no_less_is_asked_for() {
        for (from, to, fits) in [
            ("text", "text", true),
            ("text", "any", true),
            ("any", "list<text>", true),
            ("text", "optional<text>", true),
            ("optional<text>", "text", false),
            ("optional<text>", "optional<json<object>>", false),
            ("list<text>", "list<text>", true),
            ("list<text>", "list<json<integer>>", false),
            ("list<optional<text>>", "list<text>", false),
            ("text", "list<text>", false),
            ("stream<text>", "text", true),
            ("stream<json<object>>", "text", false),
            ("stream<text>", "list<text>", true),
            ("list<text>", "stream<text>", true),
            ("list<text>", "json<array>", true),
            ("list<text>", "json<object>", false),
            ("json<string>", "text", true),
            ("json", "text", false),
            ("json<integer>", "json<number>", true),
            ("json<number>", "json<integer>", false),
            ("json<finding>", "json<place>", true),
            ("json<place>", "json<finding>", false),
            ("json<finding>", "json<numbered>", false),
            ("json<finding>", "json<object>", true),
            ("bytes<image/png>", "bytes<image/*>", true),
            ("bytes<image/png>", "bytes<text/plain>", false),
            ("artifact<log>", "artifact<report>", false),
            ("artifact<log>", "artifact", true),
            ("artifact<log>", "text", false),
        ] {
            assert_eq!(of(from).fits(&of(to), &schemas()), fits, "{from} into {to}");
        }
    }

    #[test]
    fn constants_are_judged_by_their_type() {
        assert!(of("list<text>").takes(&json!(["a"]), &schemas()));
        assert!(!of("list<text>").takes(&json!(["a", 1]), &schemas()));
        assert!(of("json<integer>").takes(&json!(1), &schemas()));
        assert!(!of("json<finding>").takes(&json!("a"), &schemas()));
        assert!(of("optional<text>").takes(&Value::Null, &schemas()));
    }
}
