//! DOT, as Graphviz reads it.

use std::fmt::Write as _;

use crate::{Melody, NodeKind, kind_name};

/// A melody as a directed graph in DOT.
#[must_use]
pub fn dot(melody: &Melody) -> String {
    let mut written = String::new();
    let _ = writeln!(written, "digraph {} {{", quoted(&melody.id));
    written.push_str("  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    written.push_str("  edge [fontname=\"sans-serif\", fontsize=10];\n");
    for node in &melody.nodes {
        let what = if node.uses.is_empty() { kind_name(node.kind) } else { &node.uses };
        let label = format!("{}\\n{}", escaped(&node.id), escaped(what));
        let _ = writeln!(written, "  {} [label=\"{label}\", shape={}];", quoted(&node.id), shape(node.kind));
    }
    for node in &melody.nodes {
        if let Some(stand_in) = node.stand_in() {
            let ends = format!("{} -> {}", quoted(&node.id), quoted(stand_in));
            let _ = writeln!(written, "  {ends} [style=dotted, label=\"on error\"];");
        }
    }
    for edge in &melody.edges {
        let label = edge.when.as_ref().map_or_else(
            || format!("{} > {}", edge.from.port, edge.to.port),
            |when| format!("{} > {} if {when}", edge.from.port, edge.to.port),
        );
        let style = if edge.is_control() { ", style=dashed" } else { "" };
        let ends = format!("{} -> {}", quoted(&edge.from.node), quoted(&edge.to.node));
        let _ = writeln!(written, "  {ends} [label=\"{}\"{style}];", escaped(&label));
    }
    written.push_str("}\n");
    written
}

fn shape(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Instrument => "component",
        NodeKind::Operator => "box",
        NodeKind::Control => "diamond",
        NodeKind::Input | NodeKind::Output => "ellipse",
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
