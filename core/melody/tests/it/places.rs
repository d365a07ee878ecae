//! Faults and nodes are found where they stand.

use podium_melody::{Catalogue, Format, read};

/// What the diagnostics underline.
fn underlined(text: &str, format: Format) -> Vec<&str> {
    let document = read(text, format, &Catalogue::builtin());
    document.diagnostics.iter().map(|found| &text[found.span.clone()]).collect()
}

#[test]
fn faults_of_toml_underline_what_is_wrong() {
    let text = r#"id = "m"
colour = 1
[[nodes]]
id = "ä b"
kind = "operator"
uses = "shel"
[[nodes]]
id = "s"
kind = "operator"
uses = "shell"
params = { command = "echo {{ nme }}" }
[[nodes]]
kind = "operator"
uses = "noop"
[[edges]]
from = "s.stdot"
to = "x.in"
"#;
    assert_eq!(
        underlined(text, Format::Toml),
        ["colour", "\"ä b\"", "ä b", "\"shel\"", "{{ nme }}", "[[nodes]]", "[[nodes]]", "stdot", "x"]
    );
}

#[test]
fn faults_of_json_underline_what_is_wrong() {
    let text = r#"{ "id": "m", "nodes": [
  { "id": "s", "kind": "operator", "uses": "shel" },
  { "kind": "operator", "uses": "noop" }
], "edges": [{ "from": "s.out", "to": "none.in" }] }"#;
    assert_eq!(underlined(text, Format::Json), ["\"shel\"", "{", "{", "none"]);
    let broken = "{ \"id\": \"m\",, }";
    let document = read(broken, Format::Json, &Catalogue::builtin());
    assert_eq!(document.diagnostics[0].range.start.column, 13);
}

#[test]
fn an_escape_in_a_template_does_not_move_the_place() {
    let text = "id = \"m\"\n[[nodes]]\nid = \"t\"\nkind = \"operator\"\nuses = \"template\"\n\
                params = { text = \"a\\n{{nme}}\" }\n";
    assert_eq!(underlined(text, Format::Toml), ["{{nme}}"]);
    let text = "id = \"m\"\n[[nodes]]\nid = \"t\"\nkind = \"operator\"\nuses = \"template\"\nparams.text = \"\"\"\n\
                first\n{{nme}}\n\"\"\"\n";
    assert_eq!(underlined(text, Format::Toml), ["{{nme}}"]);
}

#[test]
fn the_places_of_nodes_and_edges_are_those_of_the_text() {
    let text = include_str!("hello.melody.toml");
    let places = read(text, Format::Toml, &Catalogue::builtin()).places;
    let ids: Vec<_> = places.nodes.iter().map(|node| &text[node.id.clone()]).collect();
    assert_eq!(ids, ["ask", "save"]);
    assert!(text[places.nodes[0].whole.clone()].starts_with("[[nodes]]\nid = \"ask\""));
    assert!(text[places.nodes[0].whole.clone()].ends_with("on_error = { retry = 2 }"));
    assert_eq!(&text[places.nodes[0].param("prompt").unwrap().key.clone()], "prompt");
    let edge = &places.edges[0];
    assert_eq!((&text[edge.from.node.clone()], &text[edge.to.port.clone()]), ("ask", "content"));
    assert_eq!(&text[edge.from.whole.clone()], "ask.text");
    assert_eq!(&text[places.inputs[0].key.clone()], "topic");
}
