//! Every fault is named, with its node.

use podium_melody::{Bounds, Catalogue, Code, Format, Life, Severity, read, read_within};

use crate::{HEAD, codes, edge, node, toml};

fn noop(id: &str) -> String {
    node(id, "noop", "")
}

#[test]
fn a_sound_melody_has_no_diagnostic_and_is_ready() {
    let document = read(include_str!("hello.melody.toml"), Format::Toml, &Catalogue::builtin());
    assert_eq!(document.diagnostics, []);
    assert_eq!(document.life(), Life::Ready);
    let melody = document.ready().unwrap();
    assert_eq!((melody.nodes.len(), melody.edges.len(), melody.nodes[0].on_error.retry), (2, 1, 2));
    assert_eq!(melody.nodes[0].timeout.unwrap().0.as_secs(), 60);
}

#[test]
fn a_cycle_is_named_with_its_whole_path() {
    let document = toml(&[
        noop("a"),
        noop("b"),
        noop("c"),
        noop("d"),
        edge("a.out", "b.in"),
        edge("b.out", "c.in"),
        edge("c.done", "b.after"),
        edge("c.out", "d.in"),
    ]);
    let [found] = &document.diagnostics[..] else { panic!("{:?}", document.diagnostics) };
    assert_eq!((found.code, found.node.as_deref()), (Code::CycleDetected, Some("b")));
    assert_eq!(found.path, ["b", "c", "b"]);
    assert_eq!(document.life(), Life::Draft);
}

#[test]
fn separate_cycles_and_an_edge_to_itself_are_each_named() {
    let document = toml(&[
        noop("a"),
        noop("b"),
        noop("c"),
        edge("a.out", "b.in"),
        edge("b.out", "a.in"),
        edge("c.out", "c.in"),
    ]);
    let paths: Vec<_> = document.diagnostics.iter().map(|found| found.path.join(" ")).collect();
    assert_eq!(paths, ["a b a", "c c"]);
    assert_eq!(document.diagnostics[1].message, "`c` waits for itself");
}

#[test]
fn a_second_node_of_an_id_is_named_where_it_stands() {
    let document = toml(&[noop("a"), noop("b"), noop("a"), edge("a.out", "b.in")]);
    assert_eq!(codes(&document), [(Code::DuplicateNodeId, Some("a"))]);
    assert_eq!(document.diagnostics[0].range.start.line, 15);
}

#[test]
fn edges_to_nothing_say_what_was_probably_meant() {
    let document = toml(&[
        noop("first"),
        noop("second"),
        edge("first.out", "secnd.in"),
        edge("first.uot", "second.in"),
        edge("first", "second.in"),
        edge("first.in", "second.in"),
        "[[edges]]\nfrom = \"first.out\"\n".to_owned(),
    ]);
    let found: Vec<_> = document
        .diagnostics
        .iter()
        .map(|found| (found.code, found.hint.clone().unwrap_or_default()))
        .collect();
    assert!(found.iter().all(|(code, _)| *code == Code::InvalidEdge), "{found:?}");
    let hints: Vec<_> = found.iter().map(|(_, hint)| hint.as_str()).collect();
    assert_eq!(found.len(), 6, "the second edge into one port as well: {found:?}");
    assert!(hints.contains(&"did you mean `second`?"));
    assert!(hints.contains(&"did you mean `out`?"));
    assert!(hints.contains(&"name the port as well, as in `first.done`"));
}

#[test]
fn two_edges_into_one_port_are_refused_but_not_into_a_join() {
    let ends = [edge("a.out", "c.in"), edge("b.out", "c.in")].concat();
    let document = toml(&[noop("a"), noop("b"), noop("c"), ends.clone()]);
    assert_eq!(codes(&document), [(Code::InvalidEdge, Some("c"))]);
    let join = "[[nodes]]\nid = \"c\"\nkind = \"control\"\nuses = \"join\"\n".to_owned();
    assert_eq!(codes(&toml(&[noop("a"), noop("b"), join, ends])), []);
}

#[test]
fn types_are_compared_through_lists_options_and_schemas() {
    let head = r#"
[schemas.finding]
type = "object"
required = ["line"]
[inputs.found]
type = "json<finding>"
[inputs.maybe]
type = "optional<text>"
[inputs.files]
type = "list<text>"
"#;
    let input = |id: &str| format!("[[nodes]]\nid = \"{id}\"\nkind = \"input\"\n");
    let wants = |id: &str, port_type: &str| {
        node(
            id,
            "template",
            &format!("params = {{ text = \"{{{{v}}}}\" }}\ninputs = {{ v = \"{port_type}\" }}"),
        )
    };
    for (from, to, fits) in [
        ("found", "json<finding>", true),
        ("found", "json<object>", true),
        ("found", "json<array>", false),
        ("found", "text", false),
        ("maybe", "optional<text>", true),
        ("maybe", "text", false),
        ("files", "list<text>", true),
        ("files", "list<json<integer>>", false),
        ("files", "text", false),
        ("files", "stream<text>", true),
    ] {
        let parts = [head.to_owned(), input(from), wants("t", to), edge(&format!("{from}.out"), "t.v")];
        let found = toml(&parts);
        let errors: Vec<_> = found.diagnostics.iter().filter(|found| found.is_error()).collect();
        if fits {
            assert!(errors.is_empty(), "{from} into {to}: {errors:?}");
        } else {
            let found: Vec<_> = errors.iter().map(|found| (found.code, found.node.as_deref())).collect();
            assert_eq!(found, [(Code::TypeMismatch, Some("t"))], "{from} into {to}");
        }
    }
}

#[test]
fn what_a_map_gives_follows_from_what_it_runs() {
    let map = |uses: &str, params: &str| {
        format!(
            "[[nodes]]\nid = \"m\"\nkind = \"control\"\nuses = \"map\"\n\
             params = {{ over = [\"a\"], uses = \"{uses}\", params = {params} }}\n"
        )
    };
    let takes = |port_type: &str| {
        node(
            "t",
            "template",
            &format!("params = {{ text = \"{{{{v}}}}\" }}\ninputs = {{ v = \"{port_type}\" }}"),
        )
    };
    let read = "{ path = \"{{item}}\" }";
    let to = edge("m.results", "t.v");
    assert_eq!(codes(&toml(&[map("files.read", read), takes("list<text>"), to.clone()])), []);
    let document = toml(&[map("files.read", read), takes("list<json<integer>>"), to.clone()]);
    assert_eq!(codes(&document), [(Code::TypeMismatch, Some("t"))]);
    let document = toml(&[map("files.raed", read), takes("list<text>"), to.clone()]);
    assert_eq!(codes(&document), [(Code::UnknownOperator, Some("m"))]);
    let document = toml(&[map("files.read", "{ path = \"{{itme}}\" }"), takes("list<text>"), to]);
    assert_eq!(codes(&document), [(Code::UnknownName, Some("m"))]);
    assert_eq!(document.diagnostics[0].hint.as_deref(), Some("did you mean `item`?"));
}

#[test]
fn an_input_that_needs_a_value_gets_one_by_an_edge_or_a_param() {
    let write = |params: &str| node("w", "files.write", &format!("params = {{ {params} }}"));
    let document = toml(&[write("path = \"a\"")]);
    assert_eq!(codes(&document), [(Code::MissingRequiredInput, Some("w"))]);
    assert_eq!(codes(&toml(&[write("path = \"a\", content = \"b\"")])), []);
    let ask = node("t", "template", "params = { text = \"x\" }");
    let both = [ask, write("path = \"a\", content = \"b\""), edge("t.text", "w.content")];
    assert_eq!(codes(&toml(&both)), [(Code::InvalidParam, Some("w"))], "it cannot be given twice");
}

#[test]
fn names_in_templates_are_inputs_of_the_melody_or_fed_ports() {
    let shell = |command: &str| node("s", "shell", &format!("params = {{ command = \"{command}\" }}"));
    let topic = "[inputs.topic]\ntype = \"text\"\n".to_owned();
    assert_eq!(codes(&toml(&[topic.clone(), shell("echo {{topic}}")])), []);
    let document = toml(&[topic.clone(), shell("echo {{topci}}")]);
    assert_eq!(codes(&document), [(Code::DisconnectedInput, None), (Code::UnknownName, Some("s"))]);
    assert_eq!(document.diagnostics[1].hint.as_deref(), Some("did you mean `topic`?"));
    let text = node("t", "template", "params = { text = \"x\" }");
    assert_eq!(codes(&toml(&[text, shell("echo {{found}}"), edge("t.text", "s.found")])), []);
    let quoted = toml(&[topic, shell("echo '{{topic}}'")]);
    assert_eq!(codes(&quoted), [(Code::InvalidParam, Some("s"))]);
}

#[test]
fn unknown_instruments_operators_params_and_fields_have_a_hint() {
    let document = read(
        &format!(
            "{HEAD}color = 1\n[[nodes]]\nid = \"a\"\nkind = \"instrument\"\nuses = \"lcoal\"\nparams = {{ prompt = \"x\" }}\n\
             [[nodes]]\nid = \"b\"\nkind = \"operator\"\nuses = \"shel\"\nretries = 2\n\
             [[nodes]]\nid = \"c\"\nkind = \"instrument\"\nuses = \"local\"\n\
             params = {{ promt = \"x\", prompt = \"y\", temperature = 9 }}\n\
             [[nodes]]\nid = \"d\"\nkind = \"instrument\"\nuses = \"noop\"\n\
             [[nodes]]\nid = \"e\"\nkind = \"oprator\"\nuses = \"noop\"\n"
        ),
        Format::Toml,
        &Catalogue::builtin(),
    );
    let found: Vec<_> = document.diagnostics.iter().filter(|found| found.is_error()).collect();
    let told: Vec<_> =
        found.iter().map(|found| (found.code, found.hint.as_deref().unwrap_or_default())).collect();
    assert_eq!(
        told.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
        [
            Code::UnknownField,
            Code::UnknownInstrument,
            Code::UnknownOperator,
            Code::UnknownField,
            Code::InvalidParam,
            Code::InvalidParam,
            Code::UnknownInstrument,
            Code::InvalidField,
        ]
    );
    for (at, hint) in
        [(1, "`local`"), (2, "`shell`"), (4, "`prompt`"), (6, "of kind `operator`"), (7, "`operator`")]
    {
        assert!(told[at].1.contains(hint), "{told:?}");
    }
}

#[test]
fn orphans_and_unused_inputs_are_warnings_and_do_not_keep_a_melody_from_running() {
    let document = toml(&[
        "[inputs.x]\ntype = \"text\"\n".into(),
        noop("a"),
        noop("b"),
        noop("c"),
        edge("a.out", "b.in"),
    ]);
    assert_eq!(codes(&document), [(Code::DisconnectedInput, None), (Code::OrphanNode, Some("c"))]);
    assert!(document.diagnostics.iter().all(|found| found.severity == Severity::Warning));
    assert!(document.is_valid());
}

#[test]
fn outputs_come_from_somewhere_and_fit() {
    let outputs = "[outputs.a]\ntype = \"json<integer>\"\nfrom = \"t.text\"\n[outputs.b]\ntype = \"text\"\n\
                   [outputs.c]\nfrom = \"t.txet\"\n[outputs.d]\ntype = \"text\"\nfrom = \"t.text\"\n";
    let document = toml(&[outputs.to_owned(), node("t", "template", "params = { text = \"x\" }")]);
    let found: Vec<_> = document.diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(found, [Code::TypeMismatch, Code::MissingRequiredInput, Code::InvalidEdge]);
}

#[test]
fn a_fallback_is_a_node_without_edges_that_takes_over_those_of_the_failed_one() {
    let main =
        node("a", "shell", "params = { command = \"x {{v}}\" }\non_error = { retry = 1, fallback = \"b\" }");
    let text = node("t", "template", "params = { text = \"x\" }");
    let other = node("b", "template", "params = { text = \"{{v}}\" }");
    let sound = [text.clone(), main.clone(), other.clone(), edge("t.text", "a.v")];
    assert_eq!(codes(&toml(&sound)), []);
    let edged = [text.clone(), main.clone(), other, edge("t.text", "a.v"), edge("t.done", "b.after")];
    assert_eq!(codes(&toml(&edged)), [(Code::InvalidEdge, Some("b"))]);
    let document = toml(&[text, main, edge("t.text", "a.v")]);
    assert_eq!(codes(&document), [(Code::InvalidField, Some("a"))]);
    let circle =
        |id: &str, other: &str| node(id, "noop", &format!("on_error = {{ fallback = \"{other}\" }}"));
    let document = toml(&[circle("a", "b"), circle("b", "a")]);
    assert_eq!(codes(&document), [(Code::CycleDetected, Some("a"))]);
}

#[test]
fn nodes_stay_within_what_the_melody_may_use() {
    let limits = "[limits]\nmemory = \"1GB\"\ntokens = 100\nwrites = [\"docs\"]\n";
    let greedy = |id: &str, limits: &str| node(id, "noop", &format!("limits = {{ {limits} }}"));
    let document = toml(&[
        limits.to_owned(),
        greedy("a", "memory = \"2GB\", tokens = 60"),
        greedy("b", "tokens = 60, writes = [\"docs/a.md\", \"docsx\"]"),
        edge("a.out", "b.in"),
    ]);
    assert_eq!(
        codes(&document),
        [
            (Code::ResourceExceeded, None),
            (Code::ResourceExceeded, Some("a")),
            (Code::ResourceExceeded, Some("b"))
        ]
    );
    let document = toml(&[greedy("a", "writes = [\"../x\", \"/etc\"]")]);
    assert_eq!(codes(&document), [(Code::InvalidField, Some("a")); 2]);
}

#[test]
fn all_faults_are_told_at_once_behind_a_syntax_fault_as_well() {
    let text = format!("{HEAD}broken = = 1\n{}{}{}", noop("a"), noop("a"), node("b", "nooop", ""));
    let document = read(&text, Format::Toml, &Catalogue::builtin());
    let found: Vec<_> = document.diagnostics.iter().map(|found| found.code).collect();
    assert!(found.contains(&Code::Syntax) && found.contains(&Code::UnknownOperator), "{found:?}");
    assert!(found.contains(&Code::DuplicateNodeId), "{found:?}");
    assert!(document.ready().is_err());
}

#[test]
fn a_file_that_is_too_long_and_too_many_nodes_are_refused_clearly() {
    let long = " ".repeat(50 << 20);
    let document = read(&long, Format::Toml, &Catalogue::builtin());
    assert_eq!(codes(&document), [(Code::ResourceExceeded, None)]);
    assert_eq!(document.diagnostics[0].message, "this file has 50 MiB; a melody has at most 32 MiB");
    let bounds = Bounds { bytes: 200 << 20, ..Bounds::default() };
    let nodes = vec!["{\"id\":\"n\"}"; 1_000_000].join(",");
    let text = format!("{{\"id\":\"m\",\"nodes\":[{nodes}]}}");
    let document = read_within(&text, Format::Json, &Catalogue::builtin(), &bounds);
    assert_eq!(document.diagnostics[0].message, "1000000 nodes are too many: a melody has at most 100000");
    assert!(document.melody.is_none());
}

#[test]
fn a_hundred_thousand_nodes_are_allowed() {
    let mut text = HEAD.to_owned();
    for n in 0..100_000 {
        text += &node(&format!("n{n}"), "noop", "");
    }
    for n in 1..100_000 {
        text += &edge(&format!("n{}.out", n / 2), &format!("n{n}.in"));
    }
    let document = read(&text, Format::Toml, &Catalogue::builtin());
    assert_eq!(document.diagnostics, []);
    assert_eq!(document.melody.unwrap().edges.len(), 99_999);
}
