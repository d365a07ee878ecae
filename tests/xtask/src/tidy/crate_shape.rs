//! Each crate takes the workspace's lints, and each of its integration tests is part of a binary: a file that no `mod`
//! names is never compiled, and its tests pass by not existing.

use super::finding::Finding;
use super::rust_source::{code, words};
use super::tree::{SourceFile, Tree};

const RULE: &str = "crate-shape";
/// Its editor tests need provisioned programs and so are a binary of their own.
const SEVERAL_BINARIES: &str = "tests/e2e";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.files().iter().filter(|file| file.name() == "Cargo.toml");
    let mut findings = Vec::new();
    // A crate that is a workspace of its own (the fuzz targets) has no other's lints to take.
    let section = |file: &SourceFile, name: &str| file.text().lines().any(|line| line.trim() == name);
    let of_ours = |file: &&SourceFile| section(file, "[package]") && !section(file, "[workspace]");
    for manifest in manifests.filter(of_ours) {
        if !takes_lints(manifest.text()) {
            let help = "add a section `[lints]` with `workspace = true`";
            let message = "the workspace's lints do not apply to this crate";
            findings.push(Finding::error(RULE, (&manifest.path, 1), message, help));
        }
        let Some(folder) = manifest.path.strip_suffix("/Cargo.toml") else { continue };
        let tests = format!("{folder}/tests/");
        for file in tree.with_extension(&["rs"]).filter(|file| file.path.starts_with(&tests)) {
            findings.extend(check_test_file(tree, folder, &tests, file));
        }
    }
    findings
}

fn takes_lints(manifest: &str) -> bool {
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        }
        let compact = line.replace(' ', "");
        if (section == "[lints]" && compact == "workspace=true") || compact == "lints.workspace=true" {
            return true;
        }
    }
    false
}

fn check_test_file(tree: &Tree, folder: &str, tests: &str, file: &SourceFile) -> Option<Finding> {
    let parts: Vec<&str> = file.path[tests.len()..].split('/').collect();
    let help = "make it a module of tests/it/main.rs: one binary links once";
    match parts[..] {
        [_] => Some(Finding::error(RULE, (&file.path, 1), "a test binary of its own", help)),
        [binary, "main.rs"] if binary == "it" || folder == SEVERAL_BINARIES => None,
        [_, "main.rs"] => Some(Finding::error(RULE, (&file.path, 1), "a second test binary", help)),
        _ => {
            let (name, parents) = module_of(&file.path);
            let declared =
                |parent: &String| tree.get(parent).is_some_and(|parent| declares(&code(parent.text()), name));
            let message = format!("no `mod {name};` names this file: its tests never run");
            let help = format!("add `mod {name};` to {}", parents.first().map_or("", String::as_str));
            (!parents.iter().any(declared)).then(|| Finding::error(RULE, (&file.path, 1), message, help))
        }
    }
}

/// The module's name and the files of which one has to declare it.
fn module_of(path: &str) -> (&str, Vec<String>) {
    let stem = path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix(".rs")).unwrap_or(path);
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    (name, vec![format!("{folder}/main.rs"), format!("{folder}/mod.rs"), format!("{folder}.rs")])
}

fn declares(code: &str, name: &str) -> bool {
    let declaration = format!("mod {name}");
    words(code, &declaration)
        .any(|offset| code[offset + declaration.len()..].trim_start().starts_with([';', '{']))
}

#[cfg(test)]
mod tests {
    use super::super::finding::places;
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n";

    #[test]
    fn each_crate_takes_the_lints() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\n"),
            ("core/a/Cargo.toml", MANIFEST),
            ("core/b/Cargo.toml", "[package]\nversion.workspace = true\n[dependencies]\nworkspace = true\n"),
            ("core/c/Cargo.toml", "lints.workspace = true\n[package]\n"),
        ]);
        assert_eq!(places(&check(&tree)), ["core/b/Cargo.toml:1"]);
    }

    #[test]
    fn a_test_file_that_no_module_names_is_found() {
        let tree = Tree::of(&[
            ("core/a/Cargo.toml", MANIFEST),
            ("core/a/tests/it/main.rs", "mod claims;\nmod status;\n// mod lost;\n"),
            ("core/a/tests/it/claims.rs", ""),
            ("core/a/tests/it/lost.rs", ""),
            ("core/a/tests/it/status/mod.rs", "mod dirty;"),
            ("core/a/tests/it/status/dirty.rs", ""),
            ("core/a/tests/it/status/lost.rs", ""),
        ]);
        assert_eq!(places(&check(&tree)), ["core/a/tests/it/lost.rs:1", "core/a/tests/it/status/lost.rs:1"]);
    }

    #[test]
    fn a_crate_has_one_test_binary_and_end_to_end_tests_may_have_more() {
        let tree = Tree::of(&[
            ("core/a/Cargo.toml", MANIFEST),
            ("core/a/tests/single.rs", ""),
            ("core/a/tests/it/main.rs", ""),
            ("core/a/tests/more/main.rs", ""),
            ("tests/e2e/Cargo.toml", MANIFEST),
            ("tests/e2e/tests/it/main.rs", ""),
            ("tests/e2e/tests/editors/main.rs", ""),
        ]);
        assert_eq!(places(&check(&tree)), ["core/a/tests/single.rs:1", "core/a/tests/more/main.rs:1"]);
    }
}
