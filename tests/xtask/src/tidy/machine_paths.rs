//! Nothing in the repository is true on one machine only: no path of somebody's home, no shared scratch folder that
//! two test runs would fight over, no address of the registry that a lock file was made with.

use super::finding::Finding;
use super::tree::{SourceFile, Tree, allowed, line_at};

const RULE: &str = "path";
const HOMES: [&str; 3] = ["/home/", "/Users/", "C:\\Users\\"];
const ROOTED: [&str; 2] = ["/root/", "/tmp/"];
/// Names that stand for anybody in an example.
const ANYBODY: [&str; 10] = ["user", "you", "me", "someone", "ann", "alice", "bob", "carol", "dev", "name"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        match file.name() {
            "package-lock.json" | "npm-shrinkwrap.json" => findings.extend(registry_addresses(file)),
            "Cargo.lock" => {}
            _ => findings.extend(machine_paths(file)),
        }
    }
    findings
}

fn machine_paths(file: &SourceFile) -> Vec<Finding> {
    let text = file.text();
    let mut findings = Vec::new();
    for prefix in HOMES.iter().chain(&ROOTED) {
        for (offset, _) in text.match_indices(prefix) {
            let rest = &text[offset + prefix.len()..];
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || "_-.".contains(*c)).collect();
            let example = HOMES.contains(prefix) && ANYBODY.contains(&name.as_str());
            let line = line_at(text, offset);
            if name.is_empty() || example || !starts_a_path(text, offset) || allowed(text, line, RULE) {
                continue;
            }
            let message = format!("`{prefix}{name}` is a path of one machine");
            let help = "take it from the environment or a temporary folder of the test's own, or say why it stays: \
                        `tidy-allow(path): reason`";
            findings.push(Finding::error(RULE, (&file.path, line), message, help));
        }
    }
    findings
}

/// Whether the path begins here, and is not the middle of a longer one.
fn starts_a_path(text: &str, offset: usize) -> bool {
    let before = text[..offset].chars().next_back();
    !before.is_some_and(|c| c.is_alphanumeric() || "_-./}~*)>".contains(c))
}

fn registry_addresses(file: &SourceFile) -> Vec<Finding> {
    let lines = file.text().lines().enumerate();
    lines
        .filter(|(_, line)| line.contains("\"resolved\": \"http"))
        .map(|(index, _)| {
            let message = "a lock file names the registry it was made with";
            let help = "write it with `npm install --package-lock-only --omit-lockfile-registry-resolved`";
            Finding::error(RULE, (&file.path, index + 1), message, help)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::places;
    use super::*;

    #[test]
    fn paths_of_one_machine_are_found_where_they_begin() {
        // Put together here, so that this file itself has none.
        let text = format!("ok\n\"/{0}/zoe/x\" and /{1}/build.log\n/{2}/.cache\n", "home", "tmp", "root");
        let tree = Tree::of(&[("README.md", &text)]);
        assert_eq!(places(&check(&tree)), ["README.md:2", "README.md:3", "README.md:2"]);
    }

    #[test]
    fn examples_other_paths_and_reasons_pass() {
        let text = format!(
            "/home/alice/project\n--tmpfs /tmp\nrepo/root/x and $HOME/tmp/x\n\
             // tidy-allow(path): the sandbox has its own\n\"/{}/x\"\n",
            "tmp"
        );
        assert!(check(&Tree::of(&[("a.rs", &text)])).is_empty());
    }

    #[test]
    fn a_lock_file_keeps_hashes_but_no_address() {
        let lock = "{\n\"resolved\": \"https://registry.example/x.tgz\",\n\"integrity\": \"sha512\",\n\
                    \"resolved\": \"../local\"\n}";
        let tree = Tree::of(&[("editors/vscode/package-lock.json", lock)]);
        assert_eq!(places(&check(&tree)), ["editors/vscode/package-lock.json:2"]);
    }
}
