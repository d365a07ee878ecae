//! How runs, nodes and attempts are named.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One run of a melody, named by who starts it; unique for all time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct RunId(Arc<str>);

impl RunId {
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node within a run: its id in the melody, and for a node that runs several times (once for each element
/// of a `map`, once for each round of a `loop`) which time: `review`, `each[3]`, `again[2]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct NodePath(Arc<str>);

impl NodePath {
    pub fn new(path: impl Into<Arc<str>>) -> Self {
        Self(path.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its time number `index`, from 0.
    pub(crate) fn nth(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0).into())
    }

    /// This node, run for another one: its fallback or its compensation.
    pub(crate) fn on_behalf_of(&self, node: &Self) -> Self {
        Self(format!("{}[{node}]", self.0).into())
    }

    /// The id in the melody.
    pub fn without_time(&self) -> &str {
        self.0.split_once('[').map_or(&self.0, |(id, _)| id)
    }

    /// Whether this is one of the times of `node`.
    pub(crate) fn is_within(&self, node: &str) -> bool {
        self.0.strip_prefix(node).is_some_and(|rest| rest.starts_with('['))
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one intended effect: (run, node, attempt, hash of the inputs), 64 hexadecimal digits.
///
/// An attempt that the death of a process cut off is made again under the **same** key, since it may have
/// acted. A retry after an error, or one that a person asks for, has a key of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// `attempt` is the first of those that were cut off in a row.
    pub(crate) fn of(run: &RunId, node: &NodePath, attempt: u32, inputs: &InputHash) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [run.as_str().as_bytes(), node.as_str().as_bytes(), &attempt.to_le_bytes(), &inputs.0] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().to_hex().as_str().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! written_as_text {
    ($($name:ident),*) => {$(
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }
    )*};
}
written_as_text!(RunId, NodePath, IdempotencyKey);

/// Hash of what a node is given: its resolved inputs and its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InputHash([u8; 32]);

impl InputHash {
    pub(crate) fn of(inputs: &Map<String, Value>, params: &Map<String, Value>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for map in [inputs, params] {
            hash_map(&mut hasher, map);
        }
        Self(*hasher.finalize().as_bytes())
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn hash_map(hasher: &mut blake3::Hasher, map: &Map<String, Value>) {
    // Sorted: whether a map keeps the order of its text is a matter of how serde_json is built.
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(name, _)| *name);
    hasher.update(b"{").update(&(entries.len() as u64).to_le_bytes());
    for (name, value) in entries {
        hash_text(hasher, name);
        hash_value(hasher, value);
    }
}

fn hash_value(hasher: &mut blake3::Hasher, value: &Value) {
    match value {
        Value::Null => _ = hasher.update(b"n"),
        Value::Bool(bool) => _ = hasher.update(if *bool { b"t" } else { b"f" }),
        Value::Number(number) => {
            hasher.update(b"#");
            hash_text(hasher, &number.to_string());
        }
        Value::String(text) => {
            hasher.update(b"\"");
            hash_text(hasher, text);
        }
        Value::Array(items) => {
            hasher.update(b"[").update(&(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| hash_value(hasher, item));
        }
        Value::Object(map) => hash_map(hasher, map),
    }
}

fn hash_text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hash(inputs: &Value) -> InputHash {
        InputHash::of(inputs.as_object().unwrap(), &Map::new())
    }

    #[test]
    fn the_hash_of_inputs_follows_what_they_are_and_not_how_they_are_ordered() {
        let one = hash(&json!({ "a": 1, "b": [true, null, "x"] }));
        assert_eq!(one, hash(&json!({ "b": [true, null, "x"], "a": 1 })));
        for other in [
            json!({ "a": 1, "b": [true, null, "x", 1] }),
            json!({ "a": 1, "b": [true, "x", null] }),
            json!({ "a": "1", "b": [true, null, "x"] }),
            json!({ "a": 1, "b": [true, null, { "x": 1 }] }),
        ] {
            assert_ne!(one, hash(&other), "{other}");
        }
        let inputs = json!({ "x": 1 });
        let (inputs, none) = (inputs.as_object().unwrap(), Map::new());
        assert_ne!(InputHash::of(inputs, &none), InputHash::of(&none, inputs));
    }

    #[test]
    fn a_key_differs_by_run_node_attempt_and_inputs() {
        let (run, node) = (RunId::new("r"), NodePath::new("n"));
        let (small, large) = (hash(&json!({ "x": 1 })), hash(&json!({ "x": 2 })));
        let key = IdempotencyKey::of(&run, &node, 1, &small);
        assert_eq!(key, IdempotencyKey::of(&run, &node, 1, &small));
        assert_eq!(key.as_str().len(), 64);
        for other in [
            IdempotencyKey::of(&RunId::new("s"), &node, 1, &small),
            IdempotencyKey::of(&run, &node.nth(0), 1, &small),
            IdempotencyKey::of(&run, &node, 2, &small),
            IdempotencyKey::of(&run, &node, 1, &large),
        ] {
            assert_ne!(key, other);
        }
    }

    #[test]
    fn a_time_of_a_node_is_within_it_and_a_node_with_a_longer_name_is_not() {
        assert!(NodePath::new("each").nth(3).is_within("each"));
        assert!(!NodePath::new("each").is_within("each"));
        assert!(!NodePath::new("each_one").nth(3).is_within("each"));
    }
}
