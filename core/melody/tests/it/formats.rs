//! Formatting, and the two formats beside each other.

use podium_melody::{Catalogue, Format, Melody, format, read};

#[test]
fn toml_is_laid_out_and_keeps_every_comment() {
    let text = "\n\n# About this\nid=\"m\"   # short\nversion   = '1.0.0'\n\n\n\nname = \"M\"\n[inputs.x]\ntype=\"text\"\n\
                default = \"y\"\n\n\n\n  # the first\n  # node\n[[nodes]]\n  id = \"a\"\n  kind = \"operator\"\nuses=\"shell\"\n\
                params={command=\"echo {{x}}\",allow_failure=true}\nlimits.memory = \"1GB\"\n\
                [[nodes]] # second\nid=\"b\"\nkind=\"operator\"\nuses=\"noop\"\n\
                limits = { writes=[\"a\",\n  \"b\", # why\n\"c\"] }\n[[edges]]\nfrom=\"a.stdout\"\nto=\"b.in\"\n# the end";
    let formatted = format(text, Format::Toml).unwrap();
    insta::assert_snapshot!(formatted);
    assert_eq!(format(&formatted, Format::Toml).unwrap(), formatted, "a second time changes nothing");
    let melody = |text: &str| read(text, Format::Toml, &Catalogue::builtin()).melody;
    assert_eq!(melody(text), melody(&formatted));
}

#[test]
fn json_is_laid_out_and_keeps_numbers_as_they_are() {
    let text = r#"{"id":"m","nodes":[{"id":"a","kind":"operator","uses":"noop","limits":{"cpu":1.50}}],
      "edges":[{"from":"a.out","to":"a.in"}],"inputs":{}}"#;
    let formatted = format(text, Format::Json).unwrap();
    insta::assert_snapshot!(formatted);
    assert_eq!(format(&formatted, Format::Json).unwrap(), formatted);
}

#[test]
fn what_cannot_be_read_is_not_formatted() {
    let error = format("id = \"m\"\nname = \n", Format::Toml).unwrap_err();
    assert_eq!(error.position.line, 2);
    assert!(format("{\"id\": }", Format::Json).is_err());
}

#[test]
fn toml_and_json_say_the_same() {
    let melody =
        read(include_str!("hello.melody.toml"), Format::Toml, &Catalogue::builtin()).ready().unwrap();
    let json = serde_json::to_string_pretty(&melody).unwrap();
    let again = read(&json, Format::Json, &Catalogue::builtin());
    assert_eq!(again.diagnostics, []);
    assert_eq!(again.melody.as_ref(), Some(&melody));
    assert_eq!(serde_json::from_str::<Melody>(&json).unwrap(), melody, "what is stored is read again");
}

#[test]
fn the_schema_describes_what_is_read() {
    let (_, schema) = podium_melody::schema::generate().remove(0);
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let keys = |of: &serde_json::Value| {
        let mut keys: Vec<String> = of["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(keys(&schema), "description edges id inputs limits name nodes outputs schemas version");
    assert_eq!(
        keys(&schema["$defs"]["Node"]),
        "description id inputs kind limits name on_error params timeout uses"
    );
}

#[test]
fn only_melody_files_are_melodies() {
    assert_eq!(Format::of_melody("a/b.melody.toml"), Some(Format::Toml));
    assert_eq!(Format::of_melody("B.MELODY.JSON"), Some(Format::Json));
    assert_eq!(Format::of_melody("Cargo.toml"), None);
    assert_eq!(Format::of_name("x.json"), Some(Format::Json));
    assert_eq!(Format::of_name("x.yaml"), None);
}
