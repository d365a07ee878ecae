//! Ids of nodes and names of inputs: where they are made and where they are used.

use podium_melody::{Melody, template};
use tower_lsp::ls_types::Position;

use super::Reading;
use super::describe::slot_at;
use crate::position::Encoding;

type Span = std::ops::Range<usize>;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    Node(String),
    Input(String),
}

impl Named {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Node(name) | Self::Input(name) => name,
        }
    }
}

/// The name at a place, and where it stands.
pub(crate) fn named_at(reading: &Reading, position: Position, encoding: Encoding) -> Option<(Named, Span)> {
    let melody = reading.read.melody.as_ref()?;
    let offset = reading.document.offset_of(position, encoding);
    let touches = |span: &Span| span.start <= offset && offset <= span.end && !span.is_empty();
    for name in candidates(reading, melody, offset) {
        if let Some((span, _)) = occurrences(reading, &name).into_iter().find(|(span, _)| touches(span)) {
            return Some((name, span));
        }
    }
    None
}

/// What may stand at a place, so that not every name of a large melody is looked for.
fn candidates(reading: &Reading, melody: &Melody, offset: usize) -> Vec<Named> {
    let places = &reading.read.places;
    let within = |span: &Span| span.start <= offset && offset <= span.end;
    let mut found = Vec::new();
    for (node, place) in melody.nodes.iter().zip(&places.nodes).filter(|(_, place)| within(&place.whole)) {
        if within(&place.id) {
            found.push(Named::Node(node.id.clone()));
        }
        found.extend(node.stand_in().map(|id| Named::Node(id.to_owned())));
        found.extend(slot_at(reading, place, offset).map(|(_, name)| Named::Input(name)));
        found.push(Named::Input(node.stands_for().to_owned()));
    }
    for (edge, place) in melody.edges.iter().zip(&places.edges).filter(|(_, place)| within(&place.whole)) {
        let end = if within(&place.from.whole) { &edge.from } else { &edge.to };
        found.push(Named::Node(end.node.clone()));
    }
    for field in &places.outputs {
        let from = melody.outputs.get(&*field.name).and_then(|output| output.from.as_ref());
        found.extend(from.filter(|_| within(&field.value)).map(|from| Named::Node(from.node.clone())));
    }
    let inputs = places.inputs.iter().filter(|field| within(&field.key));
    found.extend(inputs.map(|field| Named::Input(field.name.to_string())));
    found
}

/// Every place of a name, and whether it is where it is made; in the order of the text.
pub(crate) fn occurrences(reading: &Reading, name: &Named) -> Vec<(Span, bool)> {
    let Some(melody) = &reading.read.melody else { return Vec::new() };
    let mut found = match name {
        Named::Node(id) => of_node(reading, melody, id),
        Named::Input(id) => of_input(reading, melody, id),
    };
    found.sort_by_key(|(span, _)| span.start);
    found.dedup();
    found
}

fn of_node(reading: &Reading, melody: &Melody, id: &str) -> Vec<(Span, bool)> {
    let (text, places) = (&reading.document.text, &reading.read.places);
    let mut found = Vec::new();
    for (node, place) in melody.nodes.iter().zip(&places.nodes) {
        if node.id == id && text.get(place.id.clone()) == Some(id) {
            found.push((place.id.clone(), true));
        }
        if node.stand_in() == Some(id)
            && let Some(field) = place.field("on_error")
        {
            found.extend(quoted(text, &field.value, id, ['"', '\'']).map(|span| (span, false)));
        }
    }
    for (edge, place) in melody.edges.iter().zip(&places.edges) {
        let ends = [(&edge.from, &place.from), (&edge.to, &place.to)];
        let ends = ends
            .into_iter()
            .filter(|(end, place)| end.node == id && text.get(place.node.clone()) == Some(id));
        found.extend(ends.map(|(_, place)| (place.node.clone(), false)));
    }
    for field in &places.outputs {
        let from = melody.outputs.get(&*field.name).and_then(|output| output.from.as_ref());
        if from.is_some_and(|from| from.node == id) {
            found.extend(quoted(text, &field.value, id, ['.', '.']).map(|span| (span, false)));
        }
    }
    found
}

fn of_input(reading: &Reading, melody: &Melody, id: &str) -> Vec<(Span, bool)> {
    let (text, places) = (&reading.document.text, &reading.read.places);
    let mut found = Vec::new();
    let Some(field) = places.inputs.iter().find(|field| &*field.name == id) else { return found };
    let key = field.key.clone();
    let inner = text.get(key.clone()).and_then(|raw| raw.find(id)).unwrap_or_default() + key.start;
    found.push((inner..inner + id.len(), true));
    for (node, place) in melody.nodes.iter().zip(&places.nodes) {
        if node.kind == podium_melody::NodeKind::Input
            && node.uses == id
            && let Some(field) = place.field("uses")
        {
            let begin = field.value.start + 1;
            found.push((begin..begin + id.len(), false));
        }
        // A port of the node of the same name hides the input.
        let hidden = melody.edges.iter().any(|edge| edge.to.node == node.id && edge.to.port == id);
        if hidden || node.inputs.contains_key(id) {
            continue;
        }
        for field in &place.params {
            let raw = text.get(field.value.clone()).unwrap_or_default();
            let slots = template::slots(raw).unwrap_or_default();
            for slot in slots.into_iter().filter(|slot| slot.name == id) {
                let inner = raw[slot.span.clone()].find(id).unwrap_or_default();
                let begin = field.value.start + slot.span.start + inner;
                found.push((begin..begin + id.len(), false));
            }
        }
    }
    found
}

/// Where an id stands in a value: behind a quote and before one of these.
fn quoted<'t>(
    text: &'t str,
    within: &Span,
    id: &'t str,
    before: [char; 2],
) -> impl Iterator<Item = Span> + 't {
    let base = within.start;
    let raw = text.get(within.clone()).unwrap_or_default();
    raw.match_indices(id).filter_map(move |(at, _)| {
        let behind = raw[..at].ends_with(['"', '\'']);
        (behind && raw[at + id.len()..].starts_with(before)).then(|| base + at..base + at + id.len())
    })
}
