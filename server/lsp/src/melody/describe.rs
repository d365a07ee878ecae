//! What things of a melody are, as hovers and completions say it.

use podium_melody::catalogue::{Param, Ports, Signature};
use podium_melody::{AFTER, DONE, Melody, Node, NodePlaces, kind_name};
use tower_lsp::ls_types::{Hover, HoverContents, MarkupContent, MarkupKind, Position};

use super::{CATALOGUE, Reading};
use crate::position::Encoding;

type Span = std::ops::Range<usize>;

/// What stands at a place, in Markdown.
pub(crate) fn hover(reading: &Reading, position: Position, encoding: Encoding) -> Option<Hover> {
    let melody = reading.read.melody.as_ref()?;
    let offset = reading.document.offset_of(position, encoding);
    let (span, value) = at_node(reading, melody, offset).or_else(|| at_edge(reading, melody, offset))?;
    let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value });
    Some(Hover { contents, range: Some(reading.document.range_of(&span, encoding)) })
}

fn touches(span: &Span, offset: usize) -> bool {
    span.start <= offset && offset <= span.end && !span.is_empty()
}

fn at_node(reading: &Reading, melody: &Melody, offset: usize) -> Option<(Span, String)> {
    let places = &reading.read.places.nodes;
    let (node, place) = melody.nodes.iter().zip(places).find(|(_, place)| touches(&place.whole, offset))?;
    if touches(&place.id, offset) {
        return Some((place.id.clone(), of_node(melody, node)));
    }
    let signature = CATALOGUE.signature(node.kind, &node.uses);
    if let Some(field) = place.field("uses").filter(|field| touches(&field.value, offset)) {
        return Some((field.value.clone(), of_signature(signature?)));
    }
    if let Some(found) = slot(reading, melody, node, place, offset) {
        return Some(found);
    }
    let field = place.params.iter().find(|field| touches(&field.key, offset))?;
    Some((field.key.clone(), of_param(signature?.param(&field.name)?)))
}

/// `{{name}}` in a param.
fn slot(
    reading: &Reading,
    melody: &Melody,
    node: &Node,
    place: &NodePlaces,
    offset: usize,
) -> Option<(Span, String)> {
    let (span, name) = slot_at(reading, place, offset)?;
    let value = if let Some(edge) =
        melody.edges.iter().find(|edge| edge.to.node == node.id && edge.to.port == name)
    {
        format!("`{name}`: what `{}` gives", edge.from)
    } else if let Some(input) = melody.inputs.get(&name) {
        let default = input.default.as_ref().map(|default| format!(", else `{default}`")).unwrap_or_default();
        format!("`{name}`: input of the melody, {}{default}\n\n{}", input.port_type, input.description)
    } else {
        let port = node.inputs.get(&name)?;
        format!("`{name}`: input port, {}", port.port_type)
    };
    Some((span, value))
}

/// The slot of a template at a place.
pub(super) fn slot_at(reading: &Reading, place: &NodePlaces, offset: usize) -> Option<(Span, String)> {
    let text = &reading.document.text;
    let field = place.params.iter().find(|field| touches(&field.value, offset))?;
    let open = text.get(field.value.start..offset)?.rfind("{{")? + field.value.start;
    let inner = text.get(open + 2..field.value.end)?;
    let length = inner.find("}}")?;
    let name = inner[..length].trim();
    let begin = open + 2 + (inner.len() - inner.trim_start().len());
    let name = name.split('.').next()?.to_owned();
    let span = begin..begin + name.len();
    (offset <= open + length + 4 && !name.is_empty()).then_some((span, name))
}

fn at_edge(reading: &Reading, melody: &Melody, offset: usize) -> Option<(Span, String)> {
    let places = &reading.read.places.edges;
    let (edge, place) = melody.edges.iter().zip(places).find(|(_, place)| touches(&place.whole, offset))?;
    for (end, place, outputs) in [(&edge.from, &place.from, true), (&edge.to, &place.to, false)] {
        let node = melody.nodes.iter().find(|node| node.id == end.node);
        if touches(&place.port, offset) {
            let ports = CATALOGUE.ports(melody, node?);
            return Some((place.port.clone(), of_port(&ports, &end.port, outputs)));
        }
        if touches(&place.node, offset) {
            return Some((place.node.clone(), of_node(melody, node?)));
        }
    }
    None
}

fn of_node(melody: &Melody, node: &Node) -> String {
    let uses = if node.uses.is_empty() { String::new() } else { format!(" `{}`", node.uses) };
    let mut text = format!("**{}**: {}{uses}\n\n", node.id, kind_name(node.kind));
    if let Some(description) = &node.description {
        text += &format!("{description}\n\n");
    }
    let ports = CATALOGUE.ports(melody, node);
    if let Some(signature) = ports.signature() {
        text += &format!("{}\n\n", signature.summary);
    }
    let inputs = ports.input_names().into_iter().filter(|name| *name != AFTER);
    for name in inputs {
        if let Some(feed) = ports.input(name) {
            let needed = if feed.required { ", required" } else { "" };
            text += &format!("- takes `{name}`: {}{needed}\n", feed.port_type);
        }
    }
    for name in ports.output_names().into_iter().filter(|name| *name != DONE) {
        if let Some(port_type) = ports.output(name) {
            text += &format!("- gives `{name}`: {port_type}\n");
        }
    }
    text
}

/// What a `uses` does, takes and gives.
pub(super) fn of_signature(signature: &Signature) -> String {
    let mut text = format!("**{}**: {}\n\n", signature.uses, signature.summary);
    for port in &signature.inputs {
        let needed = if port.required { ", required" } else { "" };
        text += &format!("- takes `{}`: {}{needed}. {}\n", port.name, port.port_type, port.summary);
    }
    for port in &signature.outputs {
        text += &format!("- gives `{}`: {}. {}\n", port.name, port.port_type, port.summary);
    }
    for param in &signature.params {
        text += &format!("- param {}\n", of_param(param));
    }
    text
}

pub(super) fn of_param(param: &Param) -> String {
    let needed = if param.required { ", required" } else { "" };
    let default = param.default.as_ref().map(|default| format!(", else `{default}`")).unwrap_or_default();
    format!("`{}`: {}{needed}{default}. {}", param.name, param.form.describe(), param.summary)
}

pub(super) fn of_port(ports: &Ports<'_>, name: &str, output: bool) -> String {
    if output {
        let summary = ports.signature().and_then(|one| one.output(name)).map(|port| port.summary);
        let summary = if name == DONE { Some("It completed; carries no value.") } else { summary };
        let port_type = ports.output(name).map(|port_type| port_type.to_string()).unwrap_or_default();
        return format!("gives `{name}`: {port_type}. {}", summary.unwrap_or_default());
    }
    let summary = ports.signature().and_then(|one| one.input(name)).map(|port| port.summary);
    let summary =
        if name == AFTER { Some("Waits; takes no value, from any number of edges.") } else { summary };
    let port_type = ports.input(name).map(|feed| feed.port_type.to_string()).unwrap_or_default();
    format!("takes `{name}`: {port_type}. {}", summary.unwrap_or_default())
}
