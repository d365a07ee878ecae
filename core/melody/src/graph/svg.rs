//! SVG of a layout.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::layout::{BOX_HEIGHT, Layout};
use crate::{Edge, Melody, Node, kind_name};

const STYLE: &str = "\
text{font-family:ui-sans-serif,system-ui,sans-serif;font-size:13px;fill:#1f2933}\
.page{fill:#fbfbfa}.box{fill:#fff;stroke:#9aa5b1;stroke-width:1.2}.uses{font-size:11px;fill:#616e7c}\
.id{font-weight:600}.instrument{stroke:#7b61c4;fill:#f4f0fd}.control{stroke:#c98a1b;fill:#fdf6e7}\
.input,.output{stroke:#2f855a;fill:#eefaf3}.edge{fill:none;stroke:#7b8794;stroke-width:1.4}\
.after{stroke-dasharray:5 4;stroke:#b0b8c1}.error{stroke-dasharray:1 4;stroke:#c53030}.when{stroke:#c98a1b}\
.label{font-size:10.5px;fill:#8a5a00;text-anchor:middle}.tip{fill:#7b8794}\
@media(prefers-color-scheme:dark){text{fill:#e4e7eb}.page{fill:#16191d}.box{fill:#22272e;stroke:#66707c}\
.uses{fill:#9aa5b1}.instrument{fill:#2a2440;stroke:#9f86e0}.control{fill:#332a17;stroke:#d9a441}\
.input,.output{fill:#1b3327;stroke:#48bb78}.edge{stroke:#8d99a6}.after{stroke:#5b6570}.error{stroke:#fc8181}\
.when{stroke:#d9a441}.label{fill:#e8c27a}.tip{fill:#8d99a6}}";

pub(super) fn draw(melody: &Melody, layout: &Layout) -> String {
    let mut svg = String::new();
    let (width, height) = (layout.width.max(120.0), layout.height.max(80.0));
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto-start-reverse\"><path class=\"tip\" d=\"M0 0 8 4 0 8z\"/></marker></defs>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>",
        escaped(&melody.name)
    );
    let index: HashMap<&str, usize> =
        melody.nodes.iter().enumerate().rev().map(|(at, node)| (node.id.as_str(), at)).collect();
    for (number, edge) in melody.edges.iter().enumerate() {
        let ends = index.get(edge.from.node.as_str()).zip(index.get(edge.to.node.as_str()));
        if let Some((from, to)) = ends {
            draw_edge(&mut svg, edge, layout, (*from, *to), number);
        }
    }
    for (at, node) in melody.nodes.iter().enumerate() {
        if let Some(other) = node.stand_in().and_then(|id| index.get(id)) {
            let way = curve(layout.boxes[at], layout.boxes[*other], &[]);
            let _ = writeln!(svg, "<path class=\"edge error\" marker-end=\"url(#tip)\" d=\"{way}\"/>");
        }
    }
    for (node, place) in melody.nodes.iter().zip(&layout.boxes) {
        draw_node(&mut svg, node, *place);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_edge(svg: &mut String, edge: &Edge, layout: &Layout, (from, to): (usize, usize), number: usize) {
    let bends = layout.bends.get(number).map(Vec::as_slice).unwrap_or_default();
    let way = curve(layout.boxes[from], layout.boxes[to], bends);
    let class = match (&edge.when, edge.is_control()) {
        (Some(_), _) => "edge when",
        (None, true) => "edge after",
        (None, false) => "edge",
    };
    let title = escaped(&format!("{} to {}", edge.from, edge.to));
    let _ = writeln!(
        svg,
        "<path class=\"{class}\" marker-end=\"url(#tip)\" d=\"{way}\"><title>{title}</title></path>"
    );
    if let Some(when) = &edge.when {
        let (a, b) = (layout.boxes[from], layout.boxes[to]);
        let (x, y) = ((a.0 + a.2 + b.0) / 2.0, (a.1 + b.1 + BOX_HEIGHT) / 2.0 - 6.0);
        let text = shortened(when.as_str(), 28);
        let _ = writeln!(svg, "<text class=\"label\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(&text));
    }
}

/// From the right side of one box through the bends to the left side of another, flat where it leaves and arrives.
fn curve(from: (f64, f64, f64), to: (f64, f64, f64), bends: &[(f64, f64)]) -> String {
    let start = (from.0 + from.2, from.1 + BOX_HEIGHT / 2.0);
    let end = (to.0, to.1 + BOX_HEIGHT / 2.0);
    let mut way = format!("M{:.1} {:.1}", start.0, start.1);
    if end.0 <= start.0 {
        let below = start.1.max(end.1) + BOX_HEIGHT;
        let (out, back) = (start.0 + 40.0, end.0 - 40.0);
        let _ = write!(
            way,
            "C{out:.1} {:.1} {out:.1} {below:.1} {:.1} {below:.1}",
            start.1,
            (start.0 + end.0) / 2.0
        );
        let _ = write!(way, "S{back:.1} {:.1} {:.1} {:.1}", end.1, end.0, end.1);
        return way;
    }
    let mut at = start;
    for next in bends.iter().chain([&end]) {
        let middle = (at.0 + next.0) / 2.0;
        let _ = write!(way, "C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}", at.1, next.1, next.0, next.1);
        at = *next;
    }
    way
}

fn draw_node(svg: &mut String, node: &Node, (x, y, width): (f64, f64, f64)) {
    let kind = kind_name(node.kind);
    let title = node.description.as_deref().or(node.name.as_deref()).unwrap_or(&node.id);
    let uses = if node.uses.is_empty() { kind } else { &node.uses };
    let middle = x + width / 2.0;
    let _ = writeln!(
        svg,
        "<g><title>{}</title><rect class=\"box {kind}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
         height=\"{BOX_HEIGHT}\" rx=\"9\"/><text class=\"id\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}\
         </text><text class=\"uses\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></g>",
        escaped(title),
        y + 18.0,
        escaped(&shortened(&node.id, 36)),
        y + 34.0,
        escaped(&shortened(uses, 36)),
    );
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['\u{2026}']).collect()
}

fn escaped(text: &str) -> String {
    let clean = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    let mut escaped = String::with_capacity(text.len());
    for c in clean {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}
