//! Conditions of edges and branches: `.status == 0 && .name contains "x"`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What has to hold for a value. A path (`.` is the value itself, `.a.b`, `.files[0]`), alone (it is there, and is
/// neither false, null, 0, empty nor blank) or compared with a JSON literal by `==`, `!=`, `<`, `<=`, `>`, `>=` or
/// `contains`; `!`, `&&` and `||` join conditions, from the tightest to the loosest; parentheses group.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    text: String,
    tree: Tree,
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at character {at} of the condition")]
pub struct ConditionError {
    /// What was expected, or is too much.
    pub what: String,
    /// From 1.
    pub at: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Test { path: Vec<Step>, compared: Option<(Operator, Value)> },
    Not(Box<Tree>),
    All(Vec<Tree>),
    Any(Vec<Tree>),
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Contains,
}

const OPERATORS: [(&str, Operator); 7] = [
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("contains", Operator::Contains),
];
const LONGEST: usize = 4096;
const DEEPEST: usize = 32;

impl Condition {
    /// Whether it holds for a value. A path that leads nowhere is null.
    #[must_use]
    pub fn holds(&self, value: &Value) -> bool {
        self.tree.holds(value)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Tree {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Not(inner) => !inner.holds(value),
            Self::All(parts) => parts.iter().all(|part| part.holds(value)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(value)),
            Self::Test { path, compared } => {
                let found = follow(value, path);
                match compared {
                    None => is_something(found),
                    Some((operator, literal)) => compare(*operator, found, literal),
                }
            }
        }
    }
}

fn follow<'v>(value: &'v Value, path: &[Step]) -> &'v Value {
    let step = |value: &'v Value, step: &Step| match step {
        Step::Key(key) => value.get(key).unwrap_or(&Value::Null),
        Step::Index(index) => value.get(index).unwrap_or(&Value::Null),
    };
    path.iter().fold(value, step)
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn compare(operator: Operator, value: &Value, literal: &Value) -> bool {
    let order = match (value, literal) {
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b))
        }
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    };
    let equal = order.map_or_else(|| value == literal, std::cmp::Ordering::is_eq);
    match operator {
        Operator::Equal => equal,
        Operator::Unequal => !equal,
        Operator::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Operator::AtMost => order.is_some_and(std::cmp::Ordering::is_le),
        Operator::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Operator::AtLeast => order.is_some_and(std::cmp::Ordering::is_ge),
        Operator::Contains => match (value, literal) {
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            (Value::Array(items), one) => items.contains(one),
            (Value::Object(fields), Value::String(key)) => fields.contains_key(key),
            _ => false,
        },
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn rest(&mut self) -> &str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn fail<T>(&self, what: &str) -> Result<T, ConditionError> {
        let before = self.text.get(..self.at).unwrap_or_default();
        Err(ConditionError { what: what.to_owned(), at: before.chars().count() + 1 })
    }

    fn any(&mut self) -> Result<Tree, ConditionError> {
        self.joined("||", Self::all, Tree::Any)
    }

    fn all(&mut self) -> Result<Tree, ConditionError> {
        self.joined("&&", Self::one, Tree::All)
    }

    fn joined(
        &mut self,
        token: &str,
        part: fn(&mut Self) -> Result<Tree, ConditionError>,
        join: fn(Vec<Tree>) -> Tree,
    ) -> Result<Tree, ConditionError> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.take(token) {
            parts.push(part(self)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { join(parts) })
    }

    fn one(&mut self) -> Result<Tree, ConditionError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.fail("too many levels");
        }
        let tree = if self.take("!") {
            Tree::Not(Box::new(self.one()?))
        } else if self.take("(") {
            let inner = self.any()?;
            if !self.take(")") {
                return self.fail("a closing parenthesis is missing");
            }
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(tree)
    }

    fn test(&mut self) -> Result<Tree, ConditionError> {
        let path = self.path()?;
        let operator = OPERATORS.iter().find(|(token, _)| self.take(token)).map(|(_, operator)| *operator);
        let compared = match operator {
            Some(operator) => Some((operator, self.literal()?)),
            None => None,
        };
        Ok(Tree::Test { path, compared })
    }

    fn path(&mut self) -> Result<Vec<Step>, ConditionError> {
        if !self.take(".") {
            return self.fail("a path such as `.` or `.status` is expected");
        }
        let mut path = Vec::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            if let Some(inner) = rest.strip_prefix('[') {
                let Some((index, _)) = inner.split_once(']') else { return self.fail("`]` is missing") };
                let Ok(number) = index.trim().parse() else { return self.fail("an index is a number") };
                path.push(Step::Index(number));
                self.at += index.len() + 2;
            } else {
                let rest = if path.is_empty() { rest } else { rest.strip_prefix('.').unwrap_or_default() };
                let end =
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
                if end == 0 {
                    return Ok(path);
                }
                self.at += end + usize::from(!path.is_empty());
                path.push(Step::Key(rest[..end].to_owned()));
            }
        }
    }

    fn literal(&mut self) -> Result<Value, ConditionError> {
        let rest = self.rest();
        // A value in quotes or brackets ends by itself, every other one with its word.
        let ends_itself = rest.starts_with(['"', '[', '{']);
        let word =
            rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | '&' | '|')).unwrap_or(rest.len());
        let text = if ends_itself { rest } else { &rest[..word] };
        let mut values = serde_json::Deserializer::from_str(text).into_iter();
        let value = values.next();
        let read = values.byte_offset();
        match value {
            Some(Ok(value)) => {
                self.at += read;
                Ok(value)
            }
            _ => self.fail("a JSON value such as 0, \"text\" or true is expected"),
        }
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        if text.len() > LONGEST {
            return parser.fail("more than 4096 bytes");
        }
        let tree = parser.any()?;
        if !parser.rest().is_empty() {
            return parser.fail("this is too much");
        }
        Ok(Self { text: text.to_owned(), tree })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Condition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Condition {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Condition".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "maxLength": LONGEST,
            "examples": [".", ".status == 0", ".verdict contains \"ok\" && !.blocked"],
            "description": "A path into the value, alone or compared (==, !=, <, <=, >, >=, contains) with a JSON \
                literal; joined by !, && and ||.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_hold_as_they_read() {
        let value = json!({ "status": 0, "files": [{ "name": "a b" }], "note": " ", "done": true });
        for (text, holds) in [
            (".", true),
            (".status == 0", true),
            (".status == 0.0", true),
            (".status", false),
            (".done", true),
            (".note", false),
            (".missing == null", true),
            (".files[0].name contains \"a\"", true),
            (".files[1].name", false),
            (".status > 0 || .done", true),
            (".status > 0 || .done && !(.done)", false),
            ("!.status && (.done == true)", true),
            (".note < 3", false),
        ] {
            assert_eq!(text.parse::<Condition>().unwrap().holds(&value), holds, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_says_where() {
        for (text, at) in [("", 1), ("status", 1), (".a ==", 6), (".a == 1 x", 9), ("(.a", 4), (".a[x]", 3)] {
            assert_eq!(text.parse::<Condition>().unwrap_err().at, at, "{text}");
        }
        assert!("!".repeat(4000).parse::<Condition>().is_err());
    }
}
