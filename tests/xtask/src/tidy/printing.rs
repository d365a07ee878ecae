//! Only command lines, tests, examples and benchmarks write to a terminal. The lints say so; this rule sees to it that nobody switches them
//! off elsewhere.

use super::finding::Finding;
use super::rust_source::code;
use super::tree::{Tree, line_at};

const RULE: &str = "printing";
const MAY_PRINT: [&str; 2] = ["server/cli/", "tests/"];
const PROGRAMS: [&str; 3] = ["/examples/", "/benches/", "/tests/"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_extension(&["rs"]) {
        let program = file.name() == "build.rs" || PROGRAMS.iter().any(|folder| file.path.contains(folder));
        if program || MAY_PRINT.iter().any(|folder| file.path.starts_with(folder)) {
            continue;
        }
        let code = code(file.text());
        for (offset, _) in code.match_indices("clippy::print_std") {
            let place = (file.path.as_str(), line_at(&code, offset));
            let message = "the lint against printing is switched off";
            findings.push(Finding::error(RULE, place, message, "return the text, or log it with tracing"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::places;
    use super::*;

    #[test]
    fn printing_is_allowed_in_programs_and_tests_only() {
        let source = "\n#![allow(clippy::print_stdout)]\n";
        let files =
            ["server/cli/src/lib.rs", "tests/e2e/src/lib.rs", "core/git/build.rs", "core/git/src/lib.rs"];
        let tree = Tree::of(&files.map(|path| (path, source)));
        assert_eq!(places(&check(&tree)), ["core/git/src/lib.rs:2"]);
    }
}
