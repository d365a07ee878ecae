//! The language server against a client on a pair of streams and a daemon that speaks the real wire format.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]
#![allow(clippy::result_large_err, reason = "as in the library")]

mod client;
mod daemon;

mod commands;
mod custom;
mod editing;
mod files;
mod inbox;
mod lifecycle;
mod melody;
mod restart;
mod sessions;
mod wire;

/// A test file that is not named above would silently never run.
#[test]
fn every_file_is_a_module() {
    let main = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name.strip_suffix(".rs").unwrap();
        assert!(stem == "main" || main.contains(&format!("mod {stem};")), "{name}");
    }
}
