//! Each edge by itself: its ends are ports, and their types fit.

use std::collections::HashMap;

use super::Subject;
use crate::catalogue::nearest;
use crate::diagnostic::Code;
use crate::read::{EdgePlaces, End, Reader};
use crate::{AFTER, DONE, Edge, PortRef, PortType};

pub(super) fn check(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    let mut taken: HashMap<(usize, &str), usize> = HashMap::with_capacity(subject.melody.edges.len());
    for (number, (edge, place)) in subject.melody.edges.iter().zip(&subject.places.edges).enumerate() {
        let from = output_type(reader, subject, &edge.from, &place.from);
        let to = input(reader, subject, &edge.to, &place.to);
        check_kinds(reader, edge, place);
        let Some((_, target)) = subject.structure.ends[number] else { continue };
        let Some((to, many)) = to else { continue };
        if !many && taken.insert((target, edge.to.port.as_str()), number).is_some() {
            let message = format!("a second edge leads into `{}`", edge.to);
            let finding = reader.error(Code::InvalidEdge, place.to.whole.clone(), message);
            finding
                .hint("an input port takes one value; a `merge` or `join` takes several")
                .node(&edge.to.node);
        }
        let Some(from) = from else { continue };
        if edge.to.port != AFTER && !from.fits(&to, &subject.melody.schemas) {
            let message = format!("`{}` gives {from}, but `{}` takes {to}", edge.from, edge.to);
            reader
                .error(Code::TypeMismatch, place.whole_value(), message)
                .hint(advice(&from, &to))
                .node(&edge.to.node);
        }
    }
    check_outputs(reader, subject);
}

impl EdgePlaces {
    /// Where the edge ends, which is where a wrong value would arrive.
    fn whole_value(&self) -> crate::Span {
        self.to.whole.clone()
    }
}

/// `done` carries no value, and what waits for `after` asks for none.
fn check_kinds(reader: &mut Reader<'_>, edge: &Edge, place: &EdgePlaces) {
    if edge.from.port == DONE && edge.to.port != AFTER {
        let message = format!("`{}` carries no value for `{}`", edge.from, edge.to);
        let finding = reader.error(Code::InvalidEdge, place.from.whole.clone(), message);
        finding
            .hint(format!("lead it to `{}.{AFTER}`, or take another output", edge.to.node))
            .node(&edge.from.node);
    }
    if edge.from.port == DONE && edge.when.is_some() {
        let span = place.when.clone().unwrap_or_else(|| place.whole.clone());
        let finding = reader.error(Code::InvalidEdge, span, format!("`{}` has no value to judge", edge.from));
        finding.hint("let the edge begin at the output that the condition is about").node(&edge.from.node);
    }
}

fn output_type(
    reader: &mut Reader<'_>,
    subject: &Subject<'_>,
    end: &PortRef,
    place: &End,
) -> Option<PortType> {
    let node = &subject.melody.nodes[known_node(reader, subject, end, place)?];
    let ports = subject.catalogue.ports(subject.melody, node);
    if let Some(port_type) = ports.output(&end.port) {
        return Some(port_type);
    }
    if !ports.is_unknown() {
        let names = ports.output_names();
        let mut message = format!("`{}` has no output `{}`", end.node, end.port);
        if ports.input_names().contains(&end.port.as_str()) {
            message = format!("`{end}` is an input; an edge begins at an output");
        }
        let finding = reader.error(Code::InvalidEdge, place.port.clone(), message);
        finding.hint(format!("it has {}", names.join(", ")));
        finding.meant(nearest(&end.port, names.into_iter())).node(&end.node);
    }
    None
}

/// The type of an input port, and whether it takes several edges.
fn input(
    reader: &mut Reader<'_>,
    subject: &Subject<'_>,
    end: &PortRef,
    place: &End,
) -> Option<(PortType, bool)> {
    let node = &subject.melody.nodes[known_node(reader, subject, end, place)?];
    let ports = subject.catalogue.ports(subject.melody, node);
    if let Some(feed) = ports.input(&end.port) {
        return Some((feed.port_type, feed.many));
    }
    if !ports.is_unknown() {
        let names = ports.input_names();
        let message = format!("`{}` has no input `{}`", end.node, end.port);
        let finding = reader.error(Code::InvalidEdge, place.port.clone(), message);
        finding.hint(format!("it has {}", names.join(", ")));
        finding.meant(nearest(&end.port, names.into_iter())).node(&end.node);
    }
    None
}

fn known_node(reader: &mut Reader<'_>, subject: &Subject<'_>, end: &PortRef, place: &End) -> Option<usize> {
    let found = subject.structure.by_id.get(end.node.as_str()).copied();
    if found.is_none() {
        let near = if subject.structure.len() > 1000 {
            None
        } else {
            nearest(&end.node, subject.structure.by_id.keys().copied())
        };
        let finding =
            reader.error(Code::InvalidEdge, place.node.clone(), format!("no node is called `{}`", end.node));
        finding.meant(near).node(&end.node);
    }
    found
}

/// Outputs of the melody come from somewhere.
fn check_outputs(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    let given: std::collections::HashSet<_> = subject
        .nodes()
        .filter(|(_, node)| node.kind == crate::NodeKind::Output)
        .map(|(_, node)| node.stands_for())
        .collect();
    for field in &subject.places.outputs {
        let Some(output) = subject.melody.outputs.get(&*field.name) else { continue };
        let Some(from) = &output.from else {
            if !given.contains(&*field.name) {
                let message = format!("nothing gives the output `{}`", field.name);
                let finding = reader.error(Code::MissingRequiredInput, field.key.clone(), message);
                finding.hint("say `from = \"node.port\"`, or lead an edge to a node of kind `output`");
            }
            continue;
        };
        let place = End { whole: field.value.clone(), node: field.value.clone(), port: field.value.clone() };
        let Some(port_type) = output_type(reader, subject, from, &place) else { continue };
        if from.port != DONE && !port_type.fits(&output.port_type, &subject.melody.schemas) {
            let message = format!(
                "`{from}` gives {port_type}, but the output `{}` is {}",
                field.name, output.port_type
            );
            reader.error(Code::TypeMismatch, field.value.clone(), message).node(&from.node);
        }
    }
}

fn advice(from: &PortType, to: &PortType) -> &'static str {
    match (from, to) {
        (PortType::Optional(_), _) => {
            "it may be absent: a `branch` or an edge with `when` takes it where it is there"
        }
        (PortType::List(_), _) => "a `map` runs something for each element",
        (_, PortType::Text) => "a `template` turns any value into text",
        (PortType::Text, PortType::Json(_)) => "`json.query` reads JSON out of a text",
        _ => "an operator between them can turn one into the other",
    }
}
