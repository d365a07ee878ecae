use podium_git::{GitVersion, parse, redact_urls};
use proptest::prelude::*;

#[test]
fn lock_files_are_found_in_the_messages_of_git() {
    let path = |text| parse::lock_file(text).map(|path| path.display().to_string());
    let index = "fatal: Unable to create '/r/.git/index.lock': File exists.\n\nAnother git process";
    assert_eq!(path(index).as_deref(), Some("/r/.git/index.lock"));
    let config = "error: could not lock config file .git/config: File exists";
    assert_eq!(path(config).as_deref(), Some(".git/config.lock"));
    assert_eq!(path("fatal: Unable to create '/r/index.lock': Permission denied"), None);
}

fn printable_or_not() -> impl Strategy<Value = Vec<u8>> {
    // Pieces of the real formats, so that the deeper branches are reached too.
    let piece = prop_oneof![
        Just(b"worktree /x\0".to_vec()),
        Just(b"HEAD 0123456789012345678901234567890123456789\0".to_vec()),
        Just(b"locked \0".to_vec()),
        Just(b"1 .M N... 100644 100644 100644 a b p q\0".to_vec()),
        Just(b"2 R. N... 1 2 3 a b R100 p\0".to_vec()),
        Just(b"u UU ".to_vec()),
        Just(b"? \0".to_vec()),
        Just(b"M\0path\0".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in printable_or_not()) {
        let _ = parse::worktree_list(&bytes);
        let _ = parse::status(&bytes);
        let _ = parse::name_status(&bytes);
        let _ = parse::commit(&bytes);
        let _ = parse::refs(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = parse::left_right(&text);
        let _ = parse::lock_file(&text);
        let _ = GitVersion::parse(&text);
        let _ = redact_urls(&text);
    }
}
