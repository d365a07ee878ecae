//! Melodies as their authors and tools meet them.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

mod faults;
mod formats;
mod graphs;
mod places;
mod properties;

use podium_melody::{Catalogue, Code, Document, Format, read};

/// The beginning of a melody.
const HEAD: &str = "id = \"m\"\nname = \"m\"\nversion = \"1.0.0\"\n";

fn node(id: &str, uses: &str, rest: &str) -> String {
    format!("[[nodes]]\nid = \"{id}\"\nkind = \"operator\"\nuses = \"{uses}\"\n{rest}\n")
}

fn edge(from: &str, to: &str) -> String {
    format!("[[edges]]\nfrom = \"{from}\"\nto = \"{to}\"\n")
}

/// Reads a TOML melody of these parts.
fn toml(parts: &[String]) -> Document {
    read(&format!("{HEAD}{}", parts.concat()), Format::Toml, &Catalogue::builtin())
}

/// Code and node of each diagnostic.
fn codes(document: &Document) -> Vec<(Code, Option<&str>)> {
    document.diagnostics.iter().map(|found| (found.code, found.node.as_deref())).collect()
}
