//! What each fuzz target does with its bytes. The project's end-to-end tests call the same functions with the seeds.

use std::time::Duration;

use podium_client::{ConnectOptions, StartPolicy};
use podium_config::Home;
use podium_git::parse;
use podium_lsp::LspOptions;
use podium_melody::{Catalogue, Format};
use podium_protocol::Frame;

/// A target: it panics when something is wrong.
pub type Target = fn(&[u8]);

/// Name of each target, which is also the name of its folder of seeds.
pub const ALL: [(&str, Target); 5] = [
    ("frame_codec", frame_codec),
    ("worktree_name", worktree_name),
    ("git_parsers", git_parsers),
    ("lsp_stream", lsp_stream),
    ("melody", melody),
];

/// Whatever can be read is written and read again as the same.
pub fn frame_codec(bytes: &[u8]) {
    let Ok(frame) = Frame::decode(bytes) else { return };
    let Ok(written) = frame.encode() else { return };
    match Frame::decode(&written) {
        // A number that is not a number does not equal itself.
        Ok(again) => assert!(
            again == frame || format!("{again:?}") == format!("{frame:?}"),
            "{frame:?} became {again:?}"
        ),
        Err(error) => panic!("{frame:?} cannot be read again: {error}"),
    }
}

/// An accepted name is harmless as a branch, a folder and an argument, and is accepted as itself.
pub fn worktree_name(bytes: &[u8]) {
    let Ok(valid) = podium_git::validate_name_bytes(bytes) else { return };
    let (name, folder) = (valid.as_str(), valid.folder());
    assert!(!name.is_empty() && name.len() <= podium_git::MAX_NAME_BYTES, "{name:?}");
    assert!(!name.starts_with(['-', '/', '.']) && !name.ends_with(['/', '.']), "{name:?}");
    for bad in ["..", "//", "@{", "\\", ":", "?", "*", "[", "~", "^", " ", "\0", "\n", "\u{7f}", "/."] {
        assert!(!name.contains(bad), "{name:?} holds {bad:?}");
    }
    assert!(name.split('/').all(|part| !part.ends_with(".lock")), "{name:?}");
    assert!(!folder.contains('/') && folder != "." && folder != "..", "{folder:?}");
    let again = podium_git::validate_name(name);
    assert!(again.is_ok_and(|again| again.as_str() == name), "{name:?} is not accepted as it is");
}

/// Git's output, cut and damaged at will.
pub fn git_parsers(bytes: &[u8]) {
    let _ = parse::worktree_list(bytes);
    let _ = parse::status(bytes);
    let _ = parse::name_status(bytes);
    let _ = parse::commit(bytes);
    let _ = parse::refs(bytes);
    let text = String::from_utf8_lossy(bytes);
    let _ = parse::left_right(&text);
    let _ = parse::lock_file(&text);
}

/// The language server on a stream of any bytes: it comes to an end by itself.
pub fn lsp_stream(bytes: &[u8]) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let ended = runtime.block_on(async {
        let home = Home::new("/nonexistent/podium", "/nonexistent/models");
        let connect = ConnectOptions { start: StartPolicy::Never, ..ConnectOptions::new(home, "fuzz") };
        let input = std::io::Cursor::new(bytes.to_vec());
        let served = podium_lsp::serve(input, tokio::io::sink(), LspOptions::new(connect));
        tokio::time::timeout(Duration::from_secs(20), served).await.is_ok()
    });
    assert!(ended, "the server does not end with its input");
}

/// No text is too strange for a melody: every fault has a place in it, what is valid can be drawn and stored, and what
/// can be laid out says the same afterwards.
pub fn melody(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let catalogue = Catalogue::builtin();
    for format in [Format::Toml, Format::Json] {
        let document = podium_melody::read(&text, format, &catalogue);
        for found in &document.diagnostics {
            assert!(text.get(found.span.clone()).is_some(), "{found:?}");
        }
        if let Ok(laid) = podium_melody::format(&text, format) {
            assert_eq!(podium_melody::format(&laid, format).as_ref(), Ok(&laid), "laid out twice");
            assert_eq!(podium_melody::read(&laid, format, &catalogue).melody, document.melody, "{laid}");
        }
        let Some(melody) = &document.melody else { continue };
        let _ = podium_melody::graph::dot(melody);
        let _ = podium_melody::graph::svg(melody);
        if document.is_valid() {
            let stored = serde_json::to_string(melody).unwrap_or_default();
            let again = serde_json::from_str(&stored);
            assert_eq!(again.as_ref().ok(), Some(melody), "{stored}");
        }
    }
}
