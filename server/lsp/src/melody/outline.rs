//! Symbols and folds of a melody.

use podium_melody::{Field, NodeKind};
use tower_lsp::ls_types::{DocumentSymbol, FoldingRange, FoldingRangeKind, SymbolKind};

use super::Reading;
use crate::position::Encoding;

/// Inputs, outputs and nodes.
pub(crate) fn symbols(reading: &Reading, encoding: Encoding) -> Vec<DocumentSymbol> {
    let Some(melody) = &reading.read.melody else { return Vec::new() };
    let places = &reading.read.places;
    let symbol =
        |name: &str, detail: String, kind, whole: std::ops::Range<usize>, own: std::ops::Range<usize>| {
            // A selection lies within its symbol.
            let whole = whole.start.min(own.start)..whole.end.max(own.end);
            #[expect(deprecated, reason = "the field has to be there")]
            DocumentSymbol {
                name: if name.is_empty() { "(no id)".to_owned() } else { name.to_owned() },
                detail: Some(detail),
                kind,
                tags: None,
                deprecated: None,
                range: reading.document.range_of(&whole, encoding),
                selection_range: reading.document.range_of(&own, encoding),
                children: None,
            }
        };
    let field = |field: &Field, detail: String, kind| {
        symbol(&field.name, detail, kind, field.key.start..field.value.end, field.key.clone())
    };
    let inputs = places.inputs.iter().map(|one| {
        let port_type = melody.inputs.get(&*one.name).map(|input| input.port_type.to_string());
        field(one, format!("input, {}", port_type.unwrap_or_default()), SymbolKind::VARIABLE)
    });
    let outputs = places.outputs.iter().map(|one| {
        let port_type = melody.outputs.get(&*one.name).map(|output| output.port_type.to_string());
        field(one, format!("output, {}", port_type.unwrap_or_default()), SymbolKind::CONSTANT)
    });
    let nodes = melody.nodes.iter().zip(&places.nodes).map(|(node, place)| {
        let kind = match node.kind {
            NodeKind::Instrument => SymbolKind::CLASS,
            NodeKind::Operator => SymbolKind::FUNCTION,
            NodeKind::Control => SymbolKind::EVENT,
            NodeKind::Input | NodeKind::Output => SymbolKind::INTERFACE,
        };
        symbol(&node.id, node.uses.clone(), kind, place.whole.clone(), place.id.clone())
    });
    let mut found: Vec<_> = inputs.chain(outputs).chain(nodes).collect();
    found.sort_by_key(|symbol| (symbol.range.start.line, symbol.range.start.character));
    found
}

/// Nodes, edges, inputs and outputs of several lines.
pub(crate) fn folds(reading: &Reading, encoding: Encoding) -> Vec<FoldingRange> {
    let places = &reading.read.places;
    let fields = places.inputs.iter().chain(&places.outputs).map(|field| field.key.start..field.value.end);
    let nodes = places.nodes.iter().map(|node| node.whole.clone());
    let edges = places.edges.iter().map(|edge| edge.whole.clone());
    let fold = |span: std::ops::Range<usize>| {
        let range = reading.document.range_of(&span, encoding);
        (range.end.line > range.start.line).then(|| FoldingRange {
            start_line: range.start.line,
            end_line: range.end.line,
            kind: Some(FoldingRangeKind::Region),
            ..Default::default()
        })
    };
    fields.chain(nodes).chain(edges).filter_map(fold).collect()
}
