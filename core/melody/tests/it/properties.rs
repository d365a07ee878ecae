//! What holds for every text and every graph.

use podium_melody::{Catalogue, Code, Format, Melody, PortType, format, read, template};
use proptest::prelude::*;

use crate::{HEAD, edge, node};

fn any_format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Toml), Just(Format::Json)]
}

fn sound(format: Format) -> String {
    let text = include_str!("hello.melody.toml");
    if format == Format::Toml {
        return text.to_owned();
    }
    let melody = read(text, Format::Toml, &Catalogue::builtin()).melody.unwrap();
    serde_json::to_string_pretty(&melody).unwrap()
}

/// Texts that are nearly melodies: a sound one with pieces cut out, doubled or put in.
fn damaged() -> impl Strategy<Value = (Format, String)> {
    let text = any_format().prop_map(|format| (format, sound(format)));
    let piece = prop_oneof![
        Just("{{".to_owned()),
        Just("[[nodes]]\n".to_owned()),
        Just("= [{".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("list<".to_owned()),
        "\\PC{0,8}",
    ];
    let damages = proptest::collection::vec((0.0..1.0_f64, 0..12_usize, piece), 0..5);
    (text, damages).prop_map(|((format, mut text), damages)| {
        for (at, cut, piece) in damages {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let at = text.floor_char_boundary((at * text.len() as f64) as usize);
            let end = text.floor_char_boundary((at + cut).min(text.len())).max(at);
            text.replace_range(at..end, &piece);
        }
        (format, text)
    })
}

/// Edges from lower to higher nodes.
fn acyclic() -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
    (2..30_usize).prop_flat_map(|nodes| {
        let ends = proptest::collection::btree_set((0..nodes, 0..nodes), 1..60);
        let upwards = ends.prop_map(|ends| ends.into_iter().filter(|(a, b)| a < b).collect());
        (Just(nodes), upwards)
    })
}

fn text_of(nodes: usize, ends: &[(usize, usize)]) -> String {
    let nodes = (0..nodes).map(|n| node(&format!("n{n}"), "noop", ""));
    let edges = ends.iter().map(|(a, b)| edge(&format!("n{a}.done"), &format!("n{b}.after")));
    std::iter::once(HEAD.to_owned()).chain(nodes).chain(edges).collect()
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic_and_every_place_lies_in_it(format in any_format(), text in "\\PC{0,200}") {
        let document = read(&text, format, &Catalogue::builtin());
        for found in &document.diagnostics {
            prop_assert!(found.span.end <= text.len() && found.span.start <= found.span.end);
        }
    }

    #[test]
    fn damaged_melodies_are_read_and_formatted_without_a_panic((format_of, text) in damaged()) {
        let document = read(&text, format_of, &Catalogue::builtin());
        for found in &document.diagnostics {
            prop_assert!(text.get(found.span.clone()).is_some(), "{found:?}");
            prop_assert!(found.range.start <= found.range.end);
        }
        if let Ok(formatted) = format(&text, format_of) {
            let again = format(&formatted, format_of);
            prop_assert_eq!(again.as_ref(), Ok(&formatted));
            let melody = read(&formatted, format_of, &Catalogue::builtin()).melody;
            prop_assert_eq!(document.melody, melody);
        }
    }

    #[test]
    fn a_graph_without_cycles_is_valid_and_survives_being_stored((nodes, ends) in acyclic()) {
        let document = read(&text_of(nodes, &ends), Format::Toml, &Catalogue::builtin());
        prop_assert!(document.is_valid(), "{:?}", document.diagnostics);
        prop_assert!(document.complexity.is_some_and(|score| (1..=10).contains(&score)));
        let melody = document.melody.unwrap();
        let stored = serde_json::to_string(&melody).unwrap();
        prop_assert_eq!(serde_json::from_str::<Melody>(&stored).unwrap(), melody);
    }

    #[test]
    fn an_edge_back_makes_a_cycle_whose_path_follows_edges((nodes, mut ends) in acyclic(), pick in any::<prop::sample::Index>()) {
        prop_assume!(!ends.is_empty());
        let (from, to) = ends[pick.index(ends.len())];
        ends.push((to, from));
        let document = read(&text_of(nodes, &ends), Format::Toml, &Catalogue::builtin());
        let found: Vec<_> = document.diagnostics.iter().filter(|found| found.code == Code::CycleDetected).collect();
        prop_assert_eq!(found.len(), 1);
        let path: Vec<usize> = found[0].path.iter().map(|id| id[1..].parse().unwrap()).collect();
        prop_assert!(path.len() > 2 && path.first() == path.last());
        for step in path.windows(2) {
            prop_assert!(ends.contains(&(step[0], step[1])), "{:?}", path);
        }
    }

    #[test]
    fn a_type_that_is_read_is_written_as_itself(text in "(list<|optional<|stream<|text|json|bytes|artifact|any|<|>|a){0,6}") {
        if let Ok(read) = text.parse::<PortType>() {
            prop_assert_eq!(read.to_string().parse::<PortType>(), Ok(read));
        }
    }

    #[test]
    fn whatever_a_value_holds_it_is_one_word_of_a_command(value in "[^\0]{0,40}") {
        let filled = template::render("x {{v}} y", template::Quoting::Shell, |_| Some(value.clone().into())).unwrap();
        prop_assert_eq!(shlex::split(&filled), Some(vec!["x".to_owned(), value, "y".to_owned()]));
    }
}
