//! Inputs, outputs and schemas of a melody, and the ports that a node declares.

use std::collections::BTreeMap;

use serde_json::Value;

use super::places::{self, Field, Places};
use super::reader::{Reader, is_name};
use crate::diagnostic::Code;
use crate::tree::{Data, Entry, Tree};
use crate::{Input, Output, Port, PortRef, PortType};

pub(super) fn inputs(
    reader: &mut Reader<'_>,
    tree: &Tree<'_>,
    places: &mut Places,
) -> BTreeMap<String, Input> {
    let (fields, entries) = named(reader, tree, "inputs", None);
    places.inputs = fields;
    let mut inputs = BTreeMap::new();
    for entry in entries {
        let read = port(reader, entry, &["type", "default", "description"], "an input", None);
        let description = reader.text(&entry.value, "description", None).unwrap_or_default();
        let input = Input { port_type: read.port_type, default: read.default, description };
        inputs.insert(entry.name.clone().into_owned(), input);
    }
    inputs
}

pub(super) fn outputs(
    reader: &mut Reader<'_>,
    tree: &Tree<'_>,
    places: &mut Places,
) -> BTreeMap<String, Output> {
    let (fields, entries) = named(reader, tree, "outputs", None);
    places.outputs = fields;
    let mut outputs = BTreeMap::new();
    for entry in entries {
        let port_type = port(reader, entry, &["type", "from", "description"], "an output", None).port_type;
        let description = reader.text(&entry.value, "description", None).unwrap_or_default();
        let from = reader.text(&entry.value, "from", None).and_then(|text| {
            let place = entry.value.get("from").map_or(0..0, |from| from.value.span.clone());
            port_ref(reader, &text, &place)
        });
        outputs.insert(entry.name.clone().into_owned(), Output { port_type, from, description });
    }
    outputs
}

/// The input ports that a node declares.
pub(super) fn declared(
    reader: &mut Reader<'_>,
    tree: &Tree<'_>,
    node: &str,
) -> (BTreeMap<String, Port>, Vec<Field>) {
    let (fields, entries) = named(reader, tree, "inputs", Some(node));
    let read = |entry: &Entry<'_>| {
        let port = port(reader, entry, &["type", "default"], "an input port", Some(node));
        (entry.name.clone().into_owned(), port)
    };
    (entries.iter().map(read).collect(), fields)
}

pub(super) fn schemas(reader: &mut Reader<'_>, tree: &Tree<'_>) -> BTreeMap<String, Value> {
    let (_, entries) = named(reader, tree, "schemas", None);
    let mut schemas = BTreeMap::new();
    for entry in entries {
        if !matches!(entry.value.data, Data::Table(_) | Data::Flag(_)) {
            reader.wrong(entry, "a JSON Schema", None);
        }
        schemas.insert(entry.name.clone().into_owned(), entry.value.value());
    }
    schemas
}

/// Reads `node.port`.
pub(super) fn port_ref(reader: &mut Reader<'_>, text: &str, place: &crate::Span) -> Option<PortRef> {
    let read = PortRef::parse(text);
    if read.is_none() {
        let shown: String = text.chars().take(80).collect();
        let finding = reader.error(Code::InvalidEdge, place.clone(), format!("`{shown}` is not `node.port`"));
        if is_name(text) {
            finding.hint(format!("name the port as well, as in `{text}.done`"));
        }
    }
    read
}

/// A table of named things, names checked.
fn named<'a, 't>(
    reader: &mut Reader<'_>,
    tree: &'a Tree<'t>,
    name: &str,
    node: Option<&str>,
) -> (Vec<Field>, &'a [Entry<'t>]) {
    let Some(entry) = tree.get(name) else { return (Vec::new(), &[]) };
    let Some(entries) = entry.value.entries() else {
        reader.wrong(entry, "a table", node);
        return (Vec::new(), &[]);
    };
    for entry in entries {
        if !is_name(&entry.name) {
            let message = format!("`{}` cannot be a name", entry.name.chars().take(80).collect::<String>());
            let finding = reader.error(Code::InvalidField, entry.key.clone(), message);
            finding.hint("1 to 128 letters, digits, `_` and `-`").node(node.unwrap_or_default());
        }
    }
    (places::fields(&entry.value), entries)
}

/// `name = "text"` or `name = { type = "text", default = ... }`.
fn port(reader: &mut Reader<'_>, entry: &Entry<'_>, known: &[&str], of: &str, node: Option<&str>) -> Port {
    let tree = &entry.value;
    if let Some(text) = tree.text() {
        let port_type = text.parse().map_err(|error: crate::PortTypeError| {
            reader
                .error(Code::InvalidField, tree.span.clone(), error.to_string())
                .node(node.unwrap_or_default());
        });
        return Port { port_type: port_type.unwrap_or_default(), default: None };
    }
    if tree.entries().is_none() {
        reader.wrong(entry, "a type or a table", node);
        return Port::default();
    }
    reader.only(tree, known, of, node);
    let port_type: PortType = reader.parsed(tree, "type", Code::InvalidField, node).unwrap_or_default();
    Port { port_type, default: tree.get("default").map(|default| default.value.value()) }
}
