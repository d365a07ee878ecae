use std::sync::Arc;

use podium_secrets::{KnownSecrets, Redactor, StreamRedactor, StreamState};
use proptest::prelude::*;

fn redactor() -> Arc<Redactor> {
    let mut known = KnownSecrets::new();
    for (name, value) in [
        ("A", "abcabcabd"),
        ("B", "abcabcabdabcabc"),
        ("LINE", "two\nlines"),
        ("UNI", "ßecret-ü"),
        ("SKLIKE", "sk-ant-known-value"),
        ("DASHES", "-----END x"),
        ("EQ", "TOKEN=x1"),
    ] {
        known.add(name, value);
    }
    Arc::new(Redactor::new(&known))
}

/// Text made of secrets, parts of them, and what stands around them.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "abc",
            "abcabcabd",
            "abcabc",
            "two\n",
            "lines",
            "ßecret-ü",
            "ßecr",
            "sk-ant-",
            "sk-",
            "api03-",
            "known-value",
            "aB3dE5gH7jK9aB3dE5gH7jK9aB3dE5gH7jK9",
            "ghp_",
            "eyJ",
            "eyJhbGciOiJI",
            ".",
            "-----BEGIN ",
            "RSA ",
            "PRIVATE KEY",
            "-----",
            "-----END ",
            "-",
            "://",
            "user:pass@",
            "host/",
            "Bearer ",
            "DB_PASSWORD=",
            "export API_TOKEN=",
            "TOKEN=",
            "x1",
            "\"",
            "'",
            "\n",
            " ",
            "AKIA",
            "IOSFODNN7EXAMPLE",
            "=",
            "é",
            "$",
            "(",
        ])
        .prop_map(str::to_owned),
        "[a-z \n]{0,6}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Cuts `text` into pieces whose lengths come from `sizes`, at character boundaries.
fn cut<'a>(text: &'a str, sizes: &[usize]) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let (mut rest, mut sizes) = (text, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(1).max(1);
        let at = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cutting_gives_what_the_whole_gives(text in texts(), sizes in proptest::collection::vec(1..12usize, 1..6)) {
        let redactor = redactor();
        let whole = redactor.redact(&text);
        let mut stream = StreamRedactor::new(Arc::clone(&redactor));
        let mut joined = String::new();
        for piece in cut(&text, &sizes) {
            joined.push_str(&stream.push(piece));
            // As if the process were killed and started again here.
            let saved = serde_json::to_string(stream.state()).unwrap();
            let state: StreamState = serde_json::from_str(&saved).unwrap();
            stream = StreamRedactor::with_state(Arc::clone(&redactor), state);
        }
        joined.push_str(&stream.finish());
        prop_assert_eq!(joined, whole);
    }

    #[test]
    fn no_known_value_is_left(text in texts(), sizes in proptest::collection::vec(1..12usize, 1..6)) {
        let mut stream = StreamRedactor::new(redactor());
        let mut joined: String = cut(&text, &sizes).into_iter().map(|piece| stream.push(piece)).collect();
        joined.push_str(&stream.finish());
        for value in ["abcabcabd", "two\nlines", "ßecret-ü", "sk-ant-known-value"] {
            prop_assert!(!joined.contains(value), "{value:?} in {joined:?}");
        }
    }

    #[test]
    fn ordinary_text_is_not_held_back(text in "[a-df-z ,.\n]{0,200}") {
        // Nothing known, and no letter that a shape may begin with: all passes at once.
        let plain: String = text.chars().filter(|c| !"shgxnper".contains(*c)).collect();
        let mut stream = StreamRedactor::new(Arc::new(Redactor::default()));
        prop_assert_eq!(stream.push(&plain), plain);
        prop_assert_eq!(stream.pending(), "");
    }
}

#[test]
fn a_known_value_in_what_a_shape_shows_is_replaced() {
    let shown = redactor().redact("postgres://abcabcabduser:pass@host");
    assert!(!shown.contains("abcabcabd") && !shown.contains("pass@"), "{shown}");
    assert!(shown.ends_with("user:[redacted:url-password]@host"), "{shown}");
}

#[test]
fn only_what_may_become_a_secret_is_held_back() {
    let mut stream = StreamRedactor::new(redactor());
    assert_eq!(stream.push("text abcab"), "text ");
    assert_eq!(stream.pending(), "abcab");
    assert_eq!(stream.push("q"), "abcabq");
    assert_eq!(stream.push(" abcabcabd"), " ");
    assert_eq!(stream.push("!"), "[redacted:A]!");
    assert_eq!(stream.push("key sk-ant-api03-aaaaaaaaaaaaaaaa"), "key [redacted:anthropic-key]");
    assert_eq!(stream.push("aaaaaaaaaaa"), "", "the rest of an announced key");
    assert_eq!(stream.push("aaa and"), " and");
    assert_eq!(stream.push(" abcab"), " ");
    assert_eq!(stream.finish(), "abcab");
}

#[test]
fn endless_tokens_are_held_back_within_bounds() {
    let redactor = redactor();
    for start in
        ["eyJ", "://", "-----BEGIN ", "TOKEN=\"", "sk-", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----"]
    {
        let mut stream = StreamRedactor::new(Arc::clone(&redactor));
        let mut longest = 0;
        let mut shown = stream.push(start);
        for _ in 0..3000 {
            shown.push_str(&stream.push("aaaaaaaaaa"));
            longest = longest.max(stream.pending().len());
        }
        assert!(longest < 20_000, "{start}: {longest}");
        drop(stream.finish());
    }
}

#[test]
fn a_stream_resumes_with_a_redactor_that_knows_more() {
    let mut stream = StreamRedactor::new(redactor());
    assert_eq!(stream.push("say abcabca"), "say ");
    let state = stream.state().clone();
    let mut known = KnownSecrets::new();
    known.add("NEW", "abcabcaXYZ");
    let mut stream = StreamRedactor::with_state(Arc::new(Redactor::new(&known)), state);
    assert_eq!(stream.push("XYZ."), "[redacted:NEW].");
}
