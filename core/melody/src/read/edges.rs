//! The edges of a melody.

use super::places::{self, EdgePlaces, Places};
use super::ports::port_ref;
use super::reader::Reader;
use crate::diagnostic::Code;
use crate::tree::Tree;
use crate::{Edge, PortRef};

/// Edges without two ends are told of and left out.
pub(super) fn edges(reader: &mut Reader<'_>, items: &[Tree<'_>], places: &mut Places) -> Vec<Edge> {
    let mut edges = Vec::with_capacity(items.len());
    places.edges.reserve(items.len());
    for item in items {
        if item.entries().is_none() {
            let message = format!("an edge is a table, not {}", item.what());
            let finding = reader.error(Code::InvalidEdge, item.head.clone(), message);
            finding.hint("it has `from` and `to`, each `node.port`");
            continue;
        }
        reader.only(item, &["from", "to", "when"], "an edge", None);
        let (from, to) = (end(reader, item, "from"), end(reader, item, "to"));
        let when = reader.parsed(item, "when", Code::InvalidEdge, None);
        let (Some(from), Some(to)) = (from, to) else { continue };
        let place = |name: &str| item.get(name).map(|entry| places::end(&entry.value, reader.source));
        places.edges.push(EdgePlaces {
            whole: item.span.clone(),
            from: place("from").unwrap_or_default(),
            to: place("to").unwrap_or_default(),
            when: item.get("when").map(|entry| entry.value.span.clone()),
        });
        edges.push(Edge { from, to, when });
    }
    edges
}

fn end(reader: &mut Reader<'_>, item: &Tree<'_>, name: &str) -> Option<PortRef> {
    let Some(entry) = item.get(name) else {
        reader.error(Code::InvalidEdge, item.head.clone(), format!("an edge needs `{name}`"));
        return None;
    };
    let text = reader.text(item, name, None)?;
    port_ref(reader, &text, &entry.value.span)
}
