use podium_git::{NameError, NameNote, validate_name, validate_name_bytes};
use proptest::prelude::*;

#[test]
fn hostile_names_are_refused_for_the_right_reason() {
    let long = "x".repeat(300);
    let huge = "x".repeat(1 << 20);
    type Expected = fn(&NameError) -> bool;
    let cases: &[(&str, Expected)] = &[
        ("", |e| matches!(e, NameError::Empty)),
        ("   ", |e| matches!(e, NameError::Empty)),
        (&long, |e| matches!(e, NameError::TooLong(300))),
        (&huge, |e| matches!(e, NameError::TooLong(_))),
        ("--upload-pack=x", |e| matches!(e, NameError::LeadingDash)),
        (" -x", |e| matches!(e, NameError::LeadingDash)),
        ("a/-b", |e| matches!(e, NameError::LeadingDash)),
        ("../x", |e| matches!(e, NameError::DotDot)),
        ("a..b", |e| matches!(e, NameError::DotDot)),
        ("..", |e| matches!(e, NameError::DotDot)),
        (".", |e| matches!(e, NameError::LeadingDot)),
        (".git", |e| matches!(e, NameError::LeadingDot)),
        ("a/.b", |e| matches!(e, NameError::LeadingDot)),
        ("a.", |e| matches!(e, NameError::TrailingDot)),
        ("x.lock", |e| matches!(e, NameError::LockSuffix)),
        ("x.LOCK/y", |e| matches!(e, NameError::LockSuffix)),
        ("/x", |e| matches!(e, NameError::Slash)),
        ("x/", |e| matches!(e, NameError::Slash)),
        ("x//y", |e| matches!(e, NameError::Slash)),
        ("a\nb", |e| matches!(e, NameError::ForbiddenChar('\n'))),
        ("a\0b", |e| matches!(e, NameError::ForbiddenChar('\0'))),
        ("a\tb", |e| matches!(e, NameError::ForbiddenChar('\t'))),
        ("a\u{a0}b", |e| matches!(e, NameError::ForbiddenChar('\u{a0}'))),
        ("a\\b", |e| matches!(e, NameError::ForbiddenChar('\\'))),
        ("a$(b)", |e| matches!(e, NameError::ForbiddenChar('$'))),
        ("a\u{202e}b", |e| matches!(e, NameError::InvisibleChar(0x202e))),
        ("a\u{200b}b", |e| matches!(e, NameError::InvisibleChar(0x200b))),
        ("a@{b", |e| matches!(e, NameError::AtBrace)),
        ("@", |e| matches!(e, NameError::Reserved(_))),
        ("HEAD", |e| matches!(e, NameError::Reserved(_))),
        ("FETCH_HEAD", |e| matches!(e, NameError::Reserved(_))),
        ("nul", |e| matches!(e, NameError::Reserved(_))),
        ("x/com1.txt", |e| matches!(e, NameError::Reserved(_))),
        ("refs/heads/x", |e| matches!(e, NameError::Reserved(_))),
        ("0123456789012345678901234567890123456789", |e| matches!(e, NameError::Reserved(_))),
    ];
    for (name, expected) in cases {
        let error = validate_name(name).unwrap_err();
        assert!(expected(&error), "{name:.40?}: {error:?}");
        assert!(!error.hint().is_empty() && !error.to_string().is_empty());
    }
    assert_eq!(validate_name_bytes(b"\xff"), Err(NameError::NotUtf8));
}

#[test]
fn good_names_pass_unchanged_and_spaces_become_dashes() {
    for name in ["user-auth", "feat/user-auth", "größe", "日本語", "v1.2_x", "a@b", "#12"] {
        let valid = validate_name(name).unwrap();
        assert_eq!((valid.as_str(), valid.notes()), (name, &[][..]));
    }
    let spaced = validate_name("  user  auth ").unwrap();
    assert_eq!((spaced.as_str(), spaced.notes()), ("user-auth", &[NameNote::SpacesReplaced][..]));
    let composed = validate_name("gro\u{308}sse").unwrap();
    assert_eq!((composed.as_str(), composed.notes()), ("gr\u{f6}sse", &[NameNote::Normalized][..]));
    assert_eq!(validate_name("feat/x").unwrap().folder(), "feat-x");
}

/// Git's own judge, on names that we accept.
#[test]
fn git_accepts_what_we_accept() {
    let lab = crate::support::Lab::new();
    for name in ["a@b", "#12", "feat/user-auth", "größe", "a{b}", "(x)", "x!", "-"] {
        if let Ok(valid) = validate_name(name) {
            lab.git(&lab.root, &["check-ref-format", "--branch", valid.as_str()]);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = validate_name_bytes(&bytes);
    }

    #[test]
    fn an_accepted_name_is_stable_and_stays_inside_its_folder(input in "\\PC{0,40}") {
        if let Ok(valid) = validate_name(&input) {
            let again = validate_name(valid.as_str()).unwrap();
            prop_assert_eq!(again.as_str(), valid.as_str());
            prop_assert!(again.notes().is_empty());
            prop_assert!(!valid.folder().contains('/') && !valid.as_str().starts_with(['-', '/', '.']));
        }
    }
}
