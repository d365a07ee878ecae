//! Files of the tree that agents may not read.

use std::fs;
use std::path::{Path, PathBuf};

use podium_git::{Repo, WorktreeLocation, exact_pattern};
use podium_secrets::is_secret_path;

use super::WorkplaceError;

/// What package managers fill, with certificates and keys for tests; nobody keeps secrets in there.
const PASSED_OVER: &[&str] = &[".git", "node_modules", "site-packages", "__pycache__"];
/// Folders within each other that are looked into.
const DEEPEST: usize = 64;

/// Files whose names say that they hold secrets, but for those that git has: these can be read in any clone, and a hidden one
/// would look deleted. Relative to the tree, sorted.
pub(super) fn find(repo: &Repo, at: &WorktreeLocation) -> Result<Vec<PathBuf>, WorkplaceError> {
    let mut found = Vec::new();
    look(&at.path, Path::new(""), DEEPEST, &mut found);
    if !found.is_empty() {
        let tracked = repo.tracked(at, &found)?;
        found.retain(|path| !tracked.contains(path));
    }
    found.sort();
    Ok(found)
}

/// A folder that cannot be read has nothing that could be read inside either.
fn look(tree: &Path, below: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(tree.join(below)) else { return };
    for entry in entries.flatten() {
        let path = below.join(entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        let passed_over = PASSED_OVER.iter().any(|name| entry.file_name() == *name);
        if kind.is_dir() {
            if depth > 0 && !passed_over {
                look(tree, &path, depth - 1, found);
            }
        } else if is_secret_path(&path) {
            found.push(path);
        }
    }
}

/// What git inside is told to pass over: a hidden file cannot be read, so `git add --all` would fail on it.
pub(super) fn exclude(secrets: &[PathBuf], users: &[u8]) -> Vec<u8> {
    let lines = secrets.iter().filter_map(|path| exact_pattern(path));
    lines.fold([users, b"\n"].concat(), |text, line| [text, line, b"\n".to_vec()].concat())
}
