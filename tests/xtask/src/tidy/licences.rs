//! What somebody who uses or ships this must find: licence texts, a licence per crate, a changelog that is kept.

use super::finding::Finding;
use super::packages::Package;
use super::tree::Tree;

const RULE: &str = "licences";
const TEXTS: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];
const CHANGELOG: &str = "CHANGELOG.md";

pub(super) fn check(packages: &[Package], tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in TEXTS {
        if tree.get(name).is_none_or(|file| file.text().trim().is_empty()) {
            findings.push(Finding::error(
                RULE,
                (name, 1),
                "the licence text is missing",
                "add the full text",
            ));
        }
    }
    for package in packages.iter().filter(|package| package.licence.is_none()) {
        let message = format!("{} names no licence", package.name);
        findings.push(Finding::error(
            RULE,
            (&package.manifest, 1),
            message,
            "add `license.workspace = true`",
        ));
    }
    let kept = |text: &str| text.lines().any(|line| line.trim_end() == "## [Unreleased]");
    if tree.get(CHANGELOG).is_none_or(|file| !kept(file.text())) {
        let message = "there is no section for what is not released yet";
        findings.push(Finding::error(RULE, (CHANGELOG, 1), message, "add a heading `## [Unreleased]`"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::places;
    use super::*;

    fn package(licence: Option<&str>) -> Package {
        let (name, manifest) = ("podium-git".into(), "core/git/Cargo.toml".into());
        Package { name, manifest, licence: licence.map(str::to_owned), dependencies: Vec::new() }
    }

    #[test]
    fn all_that_is_missing_is_named() {
        let tree = Tree::of(&[("LICENSE-MIT", " \n"), ("CHANGELOG.md", "# Changelog\n## [0.1.0]\n")]);
        let expected = ["LICENSE-APACHE:1", "LICENSE-MIT:1", "core/git/Cargo.toml:1", "CHANGELOG.md:1"];
        assert_eq!(places(&check(&[package(None)], &tree)), expected);
    }

    #[test]
    fn a_complete_tree_has_no_finding() {
        let changelog = ("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n");
        let tree = Tree::of(&[("LICENSE-MIT", "text"), ("LICENSE-APACHE", "text"), changelog]);
        assert!(check(&[package(Some("MIT"))], &tree).is_empty());
    }
}
