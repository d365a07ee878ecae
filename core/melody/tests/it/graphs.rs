//! Drawings.

use podium_melody::graph::{GraphError, MOST_DRAWN, dot, svg};
use podium_melody::{Catalogue, Format, Melody, read};

use crate::{HEAD, edge, node, toml};

fn melody(parts: &[String]) -> Melody {
    toml(parts).melody.unwrap()
}

#[test]
fn dot_names_nodes_and_edges() {
    let melody = read(include_str!("hello.melody.toml"), Format::Toml, &Catalogue::builtin()).melody.unwrap();
    insta::assert_snapshot!(dot(&melody));
}

/// Left edge, upper edge and width of each box.
fn boxes(svg: &str) -> Vec<[f64; 3]> {
    let number = |line: &str, name: &str| {
        let from = line.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
        line[from..].split('"').next().unwrap().parse::<f64>().unwrap()
    };
    let lines = svg.lines().filter(|line| line.contains("class=\"box"));
    lines.map(|line| [number(line, "x"), number(line, "y"), number(line, "width")]).collect()
}

#[test]
fn boxes_of_a_drawing_do_not_overlap_and_edges_lead_to_the_right() {
    let mut parts: Vec<String> = (0..40).map(|n| node(&format!("node-{n}"), "noop", "")).collect();
    let ends: Vec<(usize, usize)> = (1..40).map(|n| (n / 3, n)).chain([(0, 39), (2, 30)]).collect();
    parts.extend(ends.iter().map(|(a, b)| edge(&format!("node-{a}.done"), &format!("node-{b}.after"))));
    let drawn = svg(&melody(&parts)).unwrap();
    let boxes = boxes(&drawn);
    assert_eq!(boxes.len(), 40);
    for (at, a) in boxes.iter().enumerate() {
        for b in &boxes[..at] {
            let apart = a[0] + a[2] <= b[0] || b[0] + b[2] <= a[0] || (a[1] - b[1]).abs() >= 44.0;
            assert!(apart, "{a:?} {b:?}");
        }
    }
    for (from, to) in ends {
        assert!(boxes[from][0] + boxes[from][2] <= boxes[to][0], "{from} {to}");
    }
}

#[test]
fn what_a_melody_says_is_no_markup_of_its_drawing() {
    let text = format!("{HEAD}description = \"x\"\n{}", node("a", "noop", "description = \"<script>&\\\"\""));
    let melody = read(&text, Format::Toml, &Catalogue::builtin()).melody.unwrap();
    let drawn = svg(&melody).unwrap();
    assert!(!drawn.contains("<script>") && drawn.contains("&lt;script&gt;&amp;&quot;"));
}

#[test]
fn a_cycle_is_drawn_and_what_nobody_could_look_at_is_not() {
    let circle = [node("a", "noop", ""), node("b", "noop", ""), edge("a.out", "b.in"), edge("b.out", "a.in")];
    assert_eq!(boxes(&svg(&melody(&circle)).unwrap()).len(), 2);
    let many: Vec<String> = (0..=MOST_DRAWN).map(|n| node(&format!("n{n}"), "noop", "")).collect();
    assert_eq!(svg(&melody(&many)), Err(GraphError::TooLarge(MOST_DRAWN + 1)));
}
