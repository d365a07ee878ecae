//! A name says what a thing is. These say only that somebody did not know where to put it.

use super::finding::Finding;
use super::tree::Tree;

const RULE: &str = "names";
const FORBIDDEN: [&str; 7] = ["utils", "util", "helpers", "helper", "common", "misc", "manager_impl"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        let mut parts = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
        if let Some(part) = parts.find(|part| FORBIDDEN.contains(&part.to_ascii_lowercase().as_str())) {
            let message = format!("`{part}` does not say what is in it");
            let help = "name it after what its items are about, or move them to where they are used";
            findings.push(Finding::error(RULE, (&file.path, 1), message, help));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::places;
    use super::*;

    #[test]
    fn files_and_folders_named_after_nothing_are_found() {
        let tree = Tree::of(&[
            ("core/git/src/utils.rs", ""),
            ("core/common/src/lib.rs", ""),
            ("editors/vscode/src/helpers.test.ts", ""),
            ("core/git/src/common_directory.rs", ""),
        ]);
        let expected =
            ["core/git/src/utils.rs:1", "core/common/src/lib.rs:1", "editors/vscode/src/helpers.test.ts:1"];
        assert_eq!(places(&check(&tree)), expected);
    }
}
