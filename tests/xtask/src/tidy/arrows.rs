//! Which crate may depend on which. The floors and the few steps sideways are those of ARCHITECTURE.md; a crate that
//! is on no floor yet has to be given one here.

use super::finding::Finding;
use super::packages::{Dependency, Kind, Package};
use super::tree::Tree;

const RULE: &str = "arrows";

/// From the ground up. An arrow points down, to a lower floor.
const FLOORS: [&[&str]; 6] = [
    &["protocol", "config", "process", "secrets"],
    &["git", "watch", "store", "melody", "models"],
    &["artifacts", "worktrees", "broker", "context", "conductor", "kits"],
    &["sessions", "pit"],
    &["client", "daemon", "lsp", "cli", "board", "stage"],
    &["harness", "e2e", "xtask"],
];
const SERVER_FLOOR: usize = 4;
const TEST_FLOOR: usize = 5;

/// Crates that stand for a domain. They do not know each other; what spans them is composed in the daemon.
const DOMAINS: [&str; 10] = [
    "melody",
    "models",
    "artifacts",
    "worktrees",
    "broker",
    "context",
    "conductor",
    "kits",
    "sessions",
    "pit",
];
const BETWEEN_DOMAINS: [(&str, &str); 6] = [
    ("sessions", "artifacts"),
    ("sessions", "models"),
    ("pit", "artifacts"),
    ("pit", "models"),
    ("pit", "melody"),
    ("conductor", "melody"),
];

/// Clients ask the daemon: they hold neither its store nor its domains.
const CLIENTS: [&str; 2] = ["client", "lsp"];
const CLIENT_EXCEPTIONS: [(&str, &str); 1] = [("lsp", "melody")];

/// Libraries that one crate wraps for all others.
const WRAPPED: [(&str, &str); 9] = [
    ("tower-lsp-server", "lsp"),
    ("ls-types", "lsp"),
    ("lsp-types", "lsp"),
    ("git2", "git"),
    ("rusqlite", "store"),
    ("rusqlite_migration", "store"),
    ("candle-core", "models"),
    ("candle-transformers", "models"),
    ("tantivy", "artifacts"),
];

pub(super) fn check(packages: &[Package], tree: &Tree) -> Vec<Finding> {
    packages.iter().flat_map(|package| check_package(package, tree)).collect()
}

fn check_package(package: &Package, tree: &Tree) -> Vec<Finding> {
    let crate_name = short(&package.name);
    let Some(floor) = floor_of(crate_name) else {
        let message = format!("{} stands on no floor of the house", package.name);
        let help = "give it one in ARCHITECTURE.md and in the table of this rule";
        return vec![Finding::error(RULE, (&package.manifest, 1), message, help)];
    };
    let found = |dependency: &Dependency| {
        let (message, help) = complaint(crate_name, floor, dependency)?;
        let line = line_of(package, &dependency.key, tree);
        Some(Finding::error(RULE, (&package.manifest, line), message, help))
    };
    package.dependencies.iter().filter_map(found).collect()
}

/// What is wrong with one dependency, and what to do.
fn complaint(from: &str, floor: usize, dependency: &Dependency) -> Option<(String, String)> {
    if let Some((library, owner)) = WRAPPED.iter().find(|(library, _)| *library == dependency.name) {
        let help = format!("use what podium-{owner} offers, or add it there");
        return (*owner != from).then(|| (format!("only podium-{owner} may depend on {library}"), help));
    }
    let to = dependency.name.strip_prefix("podium-")?;
    let target = floor_of(to)?;
    if floor == TEST_FLOOR {
        return None;
    }
    if dependency.kind == Kind::Dev {
        return dev_complaint(from, floor, to, target);
    }
    if target == SERVER_FLOOR && floor == SERVER_FLOOR {
        return server_complaint(from, to);
    }
    if target >= floor {
        let message = format!("podium-{from} is not above podium-{to}: arrows point down");
        return Some((message, "move what is needed down, or compose both in podium-daemon".to_owned()));
    }
    let both_domains = DOMAINS.contains(&from) && DOMAINS.contains(&to);
    if both_domains && !BETWEEN_DOMAINS.contains(&(from, to)) {
        let message = format!("domain podium-{from} may not know domain podium-{to}");
        return Some((
            message,
            "tell it by an event, or by a trait that podium-daemon implements".to_owned(),
        ));
    }
    let of_daemon = DOMAINS.contains(&to) || to == "store";
    if CLIENTS.contains(&from) && of_daemon && !CLIENT_EXCEPTIONS.contains(&(from, to)) {
        let message = format!("podium-{from} is a client: podium-{to} belongs to the daemon");
        return Some((message, "ask the daemon through podium-client".to_owned()));
    }
    None
}

/// Tests may use the harness and neighbours, but nothing in `core/` may need a server to be tested.
fn dev_complaint(from: &str, floor: usize, to: &str, target: usize) -> Option<(String, String)> {
    if to == "harness" || target <= floor {
        return None;
    }
    let message = format!("tests of podium-{from} reach up to podium-{to}");
    Some((message, "test what spans floors in tests/e2e or in the upper crate".to_owned()))
}

fn server_complaint(from: &str, to: &str) -> Option<(String, String)> {
    let allowed = match from {
        "cli" => true,
        "lsp" => to == "client",
        "daemon" => to == "board",
        _ => false,
    };
    let message = format!("podium-{from} may not depend on podium-{to}");
    (!allowed).then(|| (message, "processes meet over the protocol, not in one binary".to_owned()))
}

fn short(name: &str) -> &str {
    name.strip_prefix("podium-").unwrap_or(name)
}

fn floor_of(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

fn line_of(package: &Package, key: &str, tree: &Tree) -> usize {
    let text = tree.get(&package.manifest).map_or("", |file| file.text());
    let names = |line: &str| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    text.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(name: &str, kind: Kind) -> Dependency {
        Dependency { name: name.to_owned(), key: name.to_owned(), kind }
    }

    fn messages(from: &str, to: &str, kind: Kind) -> Vec<String> {
        let package = Package {
            name: format!("podium-{from}"),
            manifest: format!("{from}/Cargo.toml"),
            licence: None,
            dependencies: vec![dependency(to, kind)],
        };
        check(&[package], &Tree::of(&[])).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn arrows_point_down() {
        assert!(messages("store", "podium-protocol", Kind::Normal).is_empty());
        assert!(messages("daemon", "podium-sessions", Kind::Normal).is_empty());
        assert_eq!(messages("protocol", "podium-store", Kind::Normal).len(), 1);
        assert_eq!(messages("process", "podium-secrets", Kind::Normal).len(), 1, "not sideways either");
        assert_eq!(messages("store", "podium-daemon", Kind::Build).len(), 1);
        assert_eq!(messages("store", "podium-harness", Kind::Normal).len(), 1);
    }

    #[test]
    fn domains_know_each_other_only_where_it_is_said() {
        assert!(messages("sessions", "podium-artifacts", Kind::Normal).is_empty());
        assert!(messages("conductor", "podium-melody", Kind::Normal).is_empty());
        assert_eq!(messages("sessions", "podium-worktrees", Kind::Normal).len(), 1);
        assert_eq!(messages("artifacts", "podium-models", Kind::Normal).len(), 1);
    }

    #[test]
    fn tests_use_the_harness_and_neighbours_but_no_server() {
        assert!(messages("worktrees", "podium-harness", Kind::Dev).is_empty());
        assert!(messages("worktrees", "podium-artifacts", Kind::Dev).is_empty());
        assert_eq!(messages("worktrees", "podium-daemon", Kind::Dev).len(), 1);
        assert!(messages("e2e", "podium-client", Kind::Dev).is_empty());
    }

    #[test]
    fn a_wrapped_library_has_one_user() {
        assert!(messages("git", "git2", Kind::Normal).is_empty());
        assert_eq!(messages("worktrees", "git2", Kind::Normal), ["only podium-git may depend on git2"]);
        assert_eq!(messages("daemon", "rusqlite", Kind::Dev).len(), 1);
        assert_eq!(messages("harness", "tower-lsp-server", Kind::Normal).len(), 1);
    }

    #[test]
    fn clients_hold_nothing_that_is_the_daemons() {
        assert!(messages("lsp", "podium-client", Kind::Normal).is_empty());
        assert!(messages("lsp", "podium-melody", Kind::Normal).is_empty());
        assert_eq!(messages("lsp", "podium-store", Kind::Normal).len(), 1);
        assert_eq!(messages("lsp", "podium-daemon", Kind::Normal).len(), 1);
        assert_eq!(messages("client", "podium-worktrees", Kind::Normal).len(), 1);
        assert!(messages("cli", "podium-daemon", Kind::Normal).is_empty());
    }

    #[test]
    fn a_crate_without_a_floor_is_named_and_a_finding_points_at_the_line() {
        assert_eq!(
            messages("novelty", "serde", Kind::Normal),
            ["podium-novelty stands on no floor of the house"]
        );
        let package = Package {
            name: "podium-lsp".into(),
            manifest: "server/lsp/Cargo.toml".into(),
            licence: None,
            dependencies: vec![dependency("podium-store", Kind::Normal)],
        };
        let manifest = "[dependencies]\npodium-stores = \"1\"\npodium-store.workspace = true\n";
        let findings = check(&[package], &Tree::of(&[("server/lsp/Cargo.toml", manifest)]));
        assert_eq!(super::super::finding::places(&findings), ["server/lsp/Cargo.toml:3"]);
    }
}
