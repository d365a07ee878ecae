//! What single paths of a worktree are now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::TreeEntry;
use super::place::Scratch;
use crate::bytes::path_from_bytes;
use crate::error::Result;
use crate::parse;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Entry(TreeEntry),
    /// A folder, or what git has no entry for.
    Other,
}

/// Looks at these paths, ignored or not. Their content is in the scratch objects then.
pub(super) fn look(scratch: &Scratch<'_>, top: &Path, paths: &[PathBuf]) -> Result<BTreeMap<PathBuf, Found>> {
    let mut found: BTreeMap<PathBuf, Found> = BTreeMap::new();
    let mut files = Vec::new();
    for path in paths {
        let kind = match below_a_link(top, path) {
            true => None,
            false => top.join(path).symlink_metadata().ok(),
        };
        match kind {
            None => drop(found.insert(path.clone(), Found::Nothing)),
            Some(kind) if kind.is_file() || kind.is_symlink() => files.push(path.clone()),
            Some(_) => drop(found.insert(path.clone(), Found::Other)),
        }
    }
    scratch.record(&files)?;
    for (path, entry) in entries(scratch)? {
        found.insert(path, Found::Entry(entry));
    }
    for path in files {
        // It went meanwhile.
        found.entry(path).or_insert(Found::Nothing);
    }
    Ok(found)
}

/// Whether one of the folders on the way is a link, so that the path is none of the worktree's.
fn below_a_link(top: &Path, path: &Path) -> bool {
    path.ancestors().skip(1).any(|folder| {
        !folder.as_os_str().is_empty()
            && top.join(folder).symlink_metadata().is_ok_and(|found| found.is_symlink())
    })
}

/// What the scratch index has.
fn entries(scratch: &Scratch<'_>) -> Result<Vec<(PathBuf, TreeEntry)>> {
    let mut list = scratch.command();
    let output = list.args(["ls-files", "-z", "--stage", "--full-name"]).output()?;
    let mut found = Vec::new();
    for record in output.split(|byte| *byte == 0).filter(|record| !record.is_empty()) {
        let at = record.iter().position(|byte| *byte == b'\t');
        let (facts, path) = record.split_at(at.ok_or_else(|| list.unexpected("an entry without a path"))?);
        let facts = String::from_utf8_lossy(facts).into_owned();
        let mut words = facts.split(' ');
        let (Some(mode), Some(id)) = (words.next(), words.next()) else {
            return Err(list.unexpected("an entry without an id"));
        };
        let id = parse::oid(id.as_bytes()).map_err(|error| list.unexpected(error.0))?;
        found.push((path_from_bytes(&path[1..]), TreeEntry { mode: mode.to_owned(), id }));
    }
    Ok(found)
}
