//! Ids that are there once, and names that mean something.

use super::Subject;
use crate::catalogue::nearest;
use crate::diagnostic::Code;
use crate::read::Reader;
use crate::{Node, NodeKind, OnFailure};

pub(super) fn check(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    for (index, node) in subject.nodes() {
        let first = subject.structure.by_id.get(node.id.as_str());
        if !node.id.is_empty() && first != Some(&index) {
            let place = subject.places.nodes[index].id.clone();
            let finding =
                reader.error(Code::DuplicateNodeId, place, format!("a second node is called `{}`", node.id));
            finding.hint("give it another id; edges cannot tell them apart").node(&node.id);
        }
        check_uses(reader, subject, index, node);
        check_stand_in(reader, subject, index, node);
    }
    check_schemas(reader, subject);
    check_defaults(reader, subject);
}

fn check_uses(reader: &mut Reader<'_>, subject: &Subject<'_>, index: usize, node: &Node) {
    let places = &subject.places.nodes[index];
    let place = places.field("uses").map_or_else(|| places.id.clone(), |field| field.value.clone());
    match node.kind {
        NodeKind::Input if !subject.melody.inputs.contains_key(node.stands_for()) => {
            let message = format!("the melody has no input `{}`", node.stands_for());
            let near = nearest(node.stands_for(), subject.melody.inputs.keys().map(String::as_str));
            let finding = reader.error(Code::UnknownName, place, message);
            finding.hint(format!("declare it: [inputs.{}]", node.stands_for())).meant(near).node(&node.id);
        }
        // A node without `uses` declares the output by its id.
        NodeKind::Output if !node.uses.is_empty() && !subject.melody.outputs.contains_key(&node.uses) => {
            let near = nearest(&node.uses, subject.melody.outputs.keys().map(String::as_str));
            let finding =
                reader.error(Code::UnknownName, place, format!("the melody has no output `{}`", node.uses));
            finding.hint(format!("declare it: [outputs.{}]", node.uses)).meant(near).node(&node.id);
        }
        NodeKind::Input | NodeKind::Output => {}
        _ if node.uses.is_empty() => {
            let finding = reader.error(Code::MissingField, place, format!("`{}` needs `uses`", node.id));
            let names: Vec<_> = subject.catalogue.names(node.kind).collect();
            finding.hint(format!("one of {}", names.join(", "))).node(&node.id);
        }
        kind => check_known(reader, subject, kind, node, place),
    }
}

fn check_known(
    reader: &mut Reader<'_>,
    subject: &Subject<'_>,
    kind: NodeKind,
    node: &Node,
    place: crate::Span,
) {
    if subject.catalogue.signature(kind, &node.uses).is_some() {
        return;
    }
    let (code, what) = match kind {
        NodeKind::Instrument => (Code::UnknownInstrument, "instrument"),
        NodeKind::Control => (Code::UnknownOperator, "control"),
        _ => (Code::UnknownOperator, "operator"),
    };
    let finding = reader.error(code, place, format!("no {what} is called `{}`", node.uses));
    finding.node(&node.id);
    match subject.catalogue.find(&node.uses) {
        Some(other) => {
            let kind = crate::kind_name(other.kinds.first().copied().unwrap_or(kind));
            finding.hint(format!("`{}` is of kind `{kind}`", node.uses));
        }
        None => {
            let names: Vec<_> = subject.catalogue.names(kind).collect();
            finding.hint(format!("there are {}", names.join(", ")));
            finding.meant(subject.catalogue.nearest(kind, &node.uses));
        }
    }
}

/// What stands in for a failed node has no edges: it gets those of the node that failed.
fn check_stand_in(reader: &mut Reader<'_>, subject: &Subject<'_>, index: usize, node: &Node) {
    let Some(stand_in) = node.stand_in() else { return };
    let places = &subject.places.nodes[index];
    let place = places.field("on_error").map_or_else(|| places.id.clone(), |field| field.value.clone());
    let role = if matches!(node.on_error.then, OnFailure::Fallback(_)) { "fallback" } else { "compensate" };
    let Some(other) = subject.structure.by_id.get(stand_in) else {
        let near = nearest(stand_in, subject.structure.by_id.keys().copied());
        let message = format!("`{role}` of `{}` names no node: `{stand_in}`", node.id);
        reader.error(Code::InvalidField, place, message).meant(near).node(&node.id);
        return;
    };
    let edges = [subject.structure.incoming(*other), subject.structure.outgoing(*other)].concat();
    for edge in edges {
        let message = format!("`{stand_in}` only runs when `{}` fails, and takes over its edges", node.id);
        let place = subject.places.edges[edge].whole.clone();
        let finding = reader.error(Code::InvalidEdge, place, message);
        finding.hint("take this edge away").node(stand_in);
    }
}

fn check_schemas(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    let melody = subject.melody;
    let near = |name: &str| nearest(name, melody.schemas.keys().map(String::as_str)).map(str::to_owned);
    let mut unknown = |port_type: &crate::PortType, place: crate::Span, node: &str| {
        for name in port_type.schema_names().filter(|name| !melody.schemas.contains_key(*name)) {
            let finding =
                reader.error(Code::UnknownName, place.clone(), format!("no schema is called `{name}`"));
            finding.hint(format!("declare it: [schemas.{name}]")).meant(near(name).as_deref()).node(node);
        }
    };
    for field in &subject.places.inputs {
        if let Some(input) = melody.inputs.get(&*field.name) {
            unknown(&input.port_type, field.key.clone(), "");
        }
    }
    for field in &subject.places.outputs {
        if let Some(output) = melody.outputs.get(&*field.name) {
            unknown(&output.port_type, field.key.clone(), "");
        }
    }
    for (index, node) in subject.nodes() {
        for field in &subject.places.nodes[index].inputs {
            if let Some(port) = node.inputs.get(&*field.name) {
                unknown(&port.port_type, field.key.clone(), &node.id);
            }
        }
    }
}

/// A default is of the type that it is a default for.
fn check_defaults(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    let schemas = &subject.melody.schemas;
    let mut wrong = |port_type: &crate::PortType, place: crate::Span, node: &str| {
        let message = format!("the default is not of the type {port_type}");
        reader.error(Code::TypeMismatch, place, message).node(node);
    };
    for field in &subject.places.inputs {
        let Some(input) = subject.melody.inputs.get(&*field.name) else { continue };
        if input.default.as_ref().is_some_and(|default| !input.port_type.takes(default, schemas)) {
            wrong(&input.port_type, field.key.clone(), "");
        }
    }
    for (index, node) in subject.nodes() {
        for field in &subject.places.nodes[index].inputs {
            let Some(port) = node.inputs.get(&*field.name) else { continue };
            if port.default.as_ref().is_some_and(|default| !port.port_type.takes(default, schemas)) {
                wrong(&port.port_type, field.key.clone(), &node.id);
            }
        }
    }
}
