//! The nodes of a melody.

use super::places::{self, NodePlaces, Places};
use super::ports;
use super::reader::Reader;
use crate::catalogue::nearest;
use crate::diagnostic::Code;
use crate::tree::{Data, Tree};
use crate::{Limits, Node, NodeKind, OnError, OnFailure};

const FIELDS: [&str; 10] =
    ["id", "kind", "uses", "name", "description", "params", "inputs", "timeout", "on_error", "limits"];
const KINDS: [(&str, NodeKind); 5] = [
    ("instrument", NodeKind::Instrument),
    ("operator", NodeKind::Operator),
    ("control", NodeKind::Control),
    ("input", NodeKind::Input),
    ("output", NodeKind::Output),
];
const MOST_RETRIES: u64 = 100;

pub(super) fn nodes(reader: &mut Reader<'_>, items: &[Tree<'_>], places: &mut Places) -> Vec<Node> {
    let mut nodes = Vec::with_capacity(items.len());
    places.nodes.reserve(items.len());
    for item in items {
        if item.entries().is_none() {
            let message = format!("a node is a table, not {}", item.what());
            reader.error(Code::InvalidField, item.head.clone(), message);
            continue;
        }
        let (node, place) = node(reader, item);
        nodes.push(node);
        places.nodes.push(place);
    }
    nodes
}

fn node(reader: &mut Reader<'_>, tree: &Tree<'_>) -> (Node, NodePlaces) {
    let id = reader.required_name(tree, "id", "a node");
    let of = Some(id.as_str());
    reader.only(tree, &FIELDS, "a node", of);
    let (inputs, declared) = ports::declared(reader, tree, &id);
    let params = tree.get("params");
    if let Some(entry) = params.filter(|entry| entry.value.entries().is_none()) {
        reader.wrong(entry, "a table", of);
    }
    let place = NodePlaces {
        whole: tree.span.clone(),
        id: tree.get("id").map_or_else(
            || tree.head.clone(),
            |entry| entry.value.part(reader.source, &(0..entry.value.text().unwrap_or_default().len())),
        ),
        fields: places::fields(tree),
        params: params.map(|entry| places::fields(&entry.value)).unwrap_or_default(),
        inputs: declared,
    };
    let node = Node {
        kind: kind(reader, tree, &id),
        uses: reader.text(tree, "uses", of).unwrap_or_default(),
        name: reader.text(tree, "name", of),
        description: reader.text(tree, "description", of),
        params: params.map(|entry| entry.value.map()).unwrap_or_default(),
        inputs,
        timeout: reader.parsed(tree, "timeout", Code::InvalidField, of),
        on_error: on_error(reader, tree, &id),
        limits: limits(reader, tree, of),
        id,
    };
    (node, place)
}

fn kind(reader: &mut Reader<'_>, tree: &Tree<'_>, node: &str) -> NodeKind {
    let names = || KINDS.iter().map(|(name, _)| *name);
    let Some(entry) = tree.get("kind") else {
        let finding = reader.error(Code::MissingField, tree.head.clone(), "a node needs `kind`".into());
        finding.hint(names().collect::<Vec<_>>().join(", ")).node(node);
        return NodeKind::Operator;
    };
    let written = entry.value.text().unwrap_or_default();
    let found = KINDS.iter().find(|(name, _)| *name == written).map(|(_, kind)| *kind);
    if found.is_none() {
        let all = names().collect::<Vec<_>>().join(", ");
        let finding =
            reader.error(Code::InvalidField, entry.value.head.clone(), format!("`kind` is one of {all}"));
        finding.meant(nearest(written, names())).node(node);
    }
    found.unwrap_or(NodeKind::Operator)
}

fn on_error(reader: &mut Reader<'_>, tree: &Tree<'_>, node: &str) -> OnError {
    let Some(entry) = tree.get("on_error") else { return OnError::default() };
    let tree = &entry.value;
    let of = Some(node);
    match tree.text() {
        Some("halt") => return OnError::default(),
        Some("skip") => return OnError { then: OnFailure::Skip, ..OnError::default() },
        Some(_) => {
            reader.wrong_value(entry, "\"halt\", \"skip\" or a table such as { retry = 2 }", of);
            return OnError::default();
        }
        None => {}
    }
    if tree.entries().is_none() {
        reader.wrong(entry, "\"halt\", \"skip\" or a table", of);
        return OnError::default();
    }
    reader.only(tree, &["retry", "backoff", "halt", "skip", "fallback", "compensate"], "`on_error`", of);
    let retry = reader.count(tree, "retry", MOST_RETRIES, of).unwrap_or_default();
    OnError {
        retry: u32::try_from(retry).unwrap_or_default(),
        backoff: reader.parsed(tree, "backoff", Code::InvalidField, of),
        then: on_failure(reader, tree, node),
    }
}

fn on_failure(reader: &mut Reader<'_>, tree: &Tree<'_>, node: &str) -> OnFailure {
    let of = Some(node);
    let mut chosen = Vec::new();
    for name in ["halt", "skip"] {
        let Some(entry) = tree.get(name) else { continue };
        match entry.value.data {
            Data::Flag(true) => chosen.push(if name == "skip" { OnFailure::Skip } else { OnFailure::Halt }),
            Data::Flag(false) => {}
            _ => reader.wrong(entry, "true or false", of),
        }
    }
    chosen.extend(reader.text(tree, "fallback", of).map(OnFailure::Fallback));
    chosen.extend(reader.text(tree, "compensate", of).map(OnFailure::Compensate));
    if chosen.len() > 1 {
        let message = "only one of halt, skip, fallback and compensate can follow a failure".to_owned();
        reader.error(Code::InvalidField, tree.head.clone(), message).node(node);
    }
    chosen.pop().unwrap_or_default()
}

/// `limits` of a node or of the melody.
pub(super) fn limits(reader: &mut Reader<'_>, tree: &Tree<'_>, node: Option<&str>) -> Limits {
    let Some(entry) = tree.get("limits") else { return Limits::default() };
    let tree = &entry.value;
    if tree.entries().is_none() {
        reader.wrong(entry, "a table", node);
        return Limits::default();
    }
    reader.only(tree, &["memory", "cpu", "tokens", "cost_usd", "writes"], "`limits`", node);
    Limits {
        memory: reader.parsed(tree, "memory", Code::InvalidField, node),
        cpu: reader.number(tree, "cpu", node),
        tokens: reader.count(tree, "tokens", u64::MAX, node),
        cost_usd: reader.number(tree, "cost_usd", node),
        writes: writes(reader, tree, node),
    }
}

fn writes(reader: &mut Reader<'_>, tree: &Tree<'_>, node: Option<&str>) -> Option<Vec<String>> {
    let entry = tree.get("writes")?;
    let Data::List(items) = &entry.value.data else {
        reader.wrong(entry, "a list of paths", node);
        return None;
    };
    let mut paths = Vec::new();
    for item in items {
        let path = item.text().unwrap_or_default();
        let outside = path.starts_with(['/', '\\']) || path.split(['/', '\\']).any(|part| part == "..");
        if path.is_empty() || outside || path.contains('\0') {
            let message = "a path is relative to the worktree and stays within it".to_owned();
            reader.error(Code::InvalidField, item.head.clone(), message).node(node.unwrap_or_default());
        } else {
            paths.push(path.to_owned());
        }
    }
    Some(paths)
}
