//! A melody as the executor sees it: what a file says, without where it says it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Condition, Interval, PortType, Size};

/// The control input that every node has: any number of edges, no value.
pub const AFTER: &str = "after";
/// The control output that every node has: it completed.
pub const DONE: &str = "done";

/// A workflow: nodes that do something, and edges along which values travel from one to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Melody {
    /// Name by which programs refer to it: letters, digits, `_` and `-`.
    pub id: String,
    /// Name for people.
    #[serde(default)]
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Version of this melody: three numbers, as in `1.0.0`.
    #[serde(default)]
    pub version: String,
    /// What is given when a run starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, TypeOr<Input>>")]
    pub inputs: BTreeMap<String, Input>,
    /// What a run gives.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, TypeOr<Output>>")]
    pub outputs: BTreeMap<String, Output>,
    /// JSON Schemas that port types may name: `json<finding>` is the schema `finding`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemas: BTreeMap<String, Value>,
    /// What the whole run may use. The limits of the nodes must fit into it.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// What is done.
    #[serde(default)]
    pub nodes: Vec<Node>,
    /// In which order, and with which values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
}

/// An input of the whole melody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Type of the value.
    #[serde(default, rename = "type")]
    pub port_type: PortType,
    /// Used where a run gives none. An input without a default must be given, unless its type is optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// An output of the whole melody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Type of the value.
    #[serde(default, rename = "type")]
    pub port_type: PortType,
    /// The port it comes from. Without, a node of kind `output` gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PortRef>,
    /// What it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// An AI model: a provider of sessions, or the embedding model.
    Instrument,
    /// A tool.
    Operator,
    /// Decides what runs, how often and when.
    Control,
    /// Gives a melody input (`uses` names it; without, the node's id does) to the graph, on its output `out`.
    Input,
    /// Takes a melody output (`uses` names it; without, the node's id does) from the graph, on its input `in`.
    Output,
}

/// The name of a kind, as it is written.
#[must_use]
pub fn kind_name(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Instrument => "instrument",
        NodeKind::Operator => "operator",
        NodeKind::Control => "control",
        NodeKind::Input => "input",
        NodeKind::Output => "output",
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Unique within the melody: letters, digits, `_` and `-`.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// A provider of sessions, a built-in operator or control; for `input` and `output` a name of the melody's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uses: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Settings. `{{name}}` in a text stands for a melody input or an input port of this node. A param with the name
    /// of an input port is that port's value.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// Input ports beyond those that `uses` has; without, such a port takes any value and has to be connected.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, TypeOr<Port>>")]
    pub inputs: BTreeMap<String, Port>,
    /// The longest an attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Interval>,
    /// What happens when it fails; without, the run halts.
    #[serde(default, skip_serializing_if = "OnError::is_default")]
    #[schemars(with = "OnErrorText")]
    pub on_error: OnError,
    /// What an attempt may use.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

/// An input port that a node declares.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Type of the value.
    #[serde(default, rename = "type")]
    pub port_type: PortType,
    /// The value where no edge brings one. A port without a default has to be connected, unless its type is optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// What happens when a node fails: first the retries, then `then`. In a file: `"halt"`, `"skip"`, or a table of
/// `retry`, `backoff` and one of `halt`, `skip`, `fallback`, `compensate`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "OnErrorText", into = "OnErrorText")]
pub struct OnError {
    /// Further attempts after the first (0 to 100).
    pub retry: u32,
    /// Time before the first further attempt; it doubles with each.
    pub backoff: Option<Interval>,
    /// What happens when no attempt succeeded.
    pub then: OnFailure,
}

/// [`OnError`] as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OnErrorText {
    Word(OnErrorWord),
    Table(OnErrorTable),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnErrorWord {
    /// Nothing new starts and the run fails.
    Halt,
    /// The node counts as skipped, and so does what needs its outputs.
    Skip,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct OnErrorTable {
    /// Further attempts after the first.
    #[schemars(range(max = 100))]
    retry: u32,
    /// Time before the first further attempt, as in `"2s"`; it doubles with each.
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<Interval>,
    /// Then nothing new starts and the run fails.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    halt: bool,
    /// Then the node counts as skipped, and so does what needs its outputs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    skip: bool,
    /// Then this node runs with the same inputs, and its outputs stand for those of the failed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<String>,
    /// Then this node runs, and the run fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    compensate: Option<String>,
}

impl From<OnErrorText> for OnError {
    fn from(text: OnErrorText) -> Self {
        let table = match text {
            OnErrorText::Word(OnErrorWord::Halt) => OnErrorTable::default(),
            OnErrorText::Word(OnErrorWord::Skip) => OnErrorTable { skip: true, ..OnErrorTable::default() },
            OnErrorText::Table(table) => table,
        };
        let then = match (table.fallback, table.compensate) {
            (Some(node), _) => OnFailure::Fallback(node),
            (None, Some(node)) => OnFailure::Compensate(node),
            (None, None) if table.skip => OnFailure::Skip,
            (None, None) => OnFailure::Halt,
        };
        Self { retry: table.retry, backoff: table.backoff, then }
    }
}

impl From<OnError> for OnErrorText {
    fn from(on_error: OnError) -> Self {
        let mut table =
            OnErrorTable { retry: on_error.retry, backoff: on_error.backoff, ..OnErrorTable::default() };
        match on_error.then {
            OnFailure::Halt => {}
            OnFailure::Skip => table.skip = true,
            OnFailure::Fallback(node) => table.fallback = Some(node),
            OnFailure::Compensate(node) => table.compensate = Some(node),
        }
        Self::Table(table)
    }
}

/// A port in a schema: its type alone, or all that can be said of it.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes files and is never made")]
enum TypeOr<T> {
    Type(PortType),
    Whole(T),
}

impl OnError {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens when no attempt of a node succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// Nothing new starts and the run fails.
    #[default]
    Halt,
    /// The node counts as skipped, and so does what needs its outputs.
    Skip,
    /// This node runs with the same inputs; its outputs stand for those of the failed one. It runs for no other
    /// reason.
    Fallback(String),
    /// This node runs (to undo what was half done), then the run fails. It runs for no other reason.
    Compensate(String),
}

/// What a node or a run may use. What is not given is not limited by the melody.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory, as in `"512MB"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Tokens, in and out together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// The only paths that may be written, relative to the worktree; a folder stands for everything below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<Vec<String>>,
}

impl Limits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// From one port to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// An output port.
    pub from: PortRef,
    /// An input port.
    pub to: PortRef,
    /// The edge is taken only if this holds for the value that travels along it. What lies behind an edge that is
    /// not taken is skipped, but for a `merge`, which needs one taken edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
}

impl Node {
    /// The node that runs only if this one fails for good: its fallback, or what compensates for it.
    #[must_use]
    pub fn stand_in(&self) -> Option<&str> {
        match &self.on_error.then {
            OnFailure::Fallback(node) | OnFailure::Compensate(node) => Some(node),
            OnFailure::Halt | OnFailure::Skip => None,
        }
    }
}

impl Edge {
    /// Whether it orders nodes without carrying a value.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.to.port == AFTER
    }
}

/// A port of a node, written `node.port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRef {
    /// Id of the node.
    pub node: String,
    /// Name of the port.
    pub port: String,
}

impl PortRef {
    /// Reads `node.port`; `None` where a half is missing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (node, port) = text.split_once('.')?;
        let whole = !node.is_empty() && !port.is_empty() && !port.contains('.');
        whole.then(|| Self { node: node.to_owned(), port: port.to_owned() })
    }
}

impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.port)
    }
}

impl Serialize for PortRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PortRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not node.port")))
    }
}

impl JsonSchema for PortRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PortRef".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$",
            "description": "A port of a node: `node.port`.",
        })
    }
}
