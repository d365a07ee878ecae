//! A few touched files looked at, instead of the whole tree: what an agent that edits does to a status.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use podium_git::{Status, StatusEntry, Touched};
use podium_protocol::TreeStatus;

use crate::rows::WorktreeRow;
use crate::service::RepoHandle;
use crate::view::{Look, location, number};

/// Beyond, a look at the whole tree is about as quick.
const PATHS: usize = 64;
/// Files that decide about others.
const RULES: [&str; 3] = [".gitignore", ".gitattributes", ".gitmodules"];

/// The earlier look with these paths looked at again. `None` when only a whole look can tell.
pub(super) fn look(
    handle: &RepoHandle,
    row: &WorktreeRow,
    earlier: Look,
    paths: &BTreeSet<PathBuf>,
) -> Option<Look> {
    let entries = earlier.status?.entries;
    let mut open = Vec::new();
    for path in paths {
        let relative = path.strip_prefix(&row.path).ok()?;
        if relative.file_name().is_none_or(|name| RULES.iter().any(|rule| name == *rule)) {
            return None;
        }
        if !is_still_untracked(&entries, relative, path) {
            open.push(relative.to_owned());
        }
    }
    if open.len() > PATHS {
        return None;
    }
    let touched = handle.repo.touched(&location(row), &open).ok()??;
    let entries = amend(entries, &open, &touched)?;
    let tree = earlier.tree.map(|tree| counted(&entries, tree));
    Some(Look {
        status: Some(Status { entries, ..Status::default() }),
        tree,
        ..earlier_rest(earlier.head, earlier.commit)
    })
}

fn earlier_rest(head: Option<podium_git::Oid>, commit: Option<podium_protocol::CommitInfo>) -> Look {
    Look { head, commit, ..Look::default() }
}

/// A file that counts as untracked, by itself or with its folder, and is still there: its content does not matter.
fn is_still_untracked(entries: &[StatusEntry], relative: &Path, path: &Path) -> bool {
    let covers = |entry: &StatusEntry| entry.untracked && relative.starts_with(&entry.path);
    entries.iter().any(covers) && path.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir())
}

fn amend(mut entries: Vec<StatusEntry>, paths: &[PathBuf], touched: &[Touched]) -> Option<Vec<StatusEntry>> {
    for (path, touched) in paths.iter().zip(touched) {
        let at = entries.iter().position(|entry| entry.path == *path);
        match (touched, at) {
            (Touched::Tracked { modified }, Some(at)) => {
                let entry = entries.get_mut(at)?;
                entry.modified = *modified;
                if entry.conflicted || entry.untracked {
                    return None;
                }
                if !entry.modified && !entry.staged {
                    entries.swap_remove(at);
                }
            }
            (Touched::Tracked { modified: true }, None) => {
                entries.push(StatusEntry { path: path.clone(), modified: true, ..StatusEntry::default() });
            }
            (Touched::Tracked { modified: false }, None) => {}
            // It came and went between two looks, unless it is known: then it, or what lay below it, went.
            (Touched::Absent, _) => {
                if entries.iter().any(|entry| entry.path.starts_with(path) || path.starts_with(&entry.path)) {
                    return None;
                }
            }
        }
    }
    Some(entries)
}

fn counted(entries: &[StatusEntry], before: TreeStatus) -> TreeStatus {
    let count = |test: fn(&StatusEntry) -> bool| number(entries.iter().filter(|entry| test(entry)).count());
    TreeStatus {
        staged: count(|entry| entry.staged),
        modified: count(|entry| entry.modified),
        untracked: count(|entry| entry.untracked),
        conflicted: count(|entry| entry.conflicted),
        ..before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, staged: bool, modified: bool) -> StatusEntry {
        StatusEntry { path: path.into(), staged, modified, ..StatusEntry::default() }
    }

    #[test]
    fn a_touched_file_changes_its_own_entry_alone() {
        let before = vec![entry("a", true, false), entry("b", false, true)];
        let paths = ["a", "b", "c", "gone"].map(PathBuf::from);
        let yes = Touched::Tracked { modified: true };
        let no = Touched::Tracked { modified: false };
        let after = amend(before, &paths, &[yes, no, yes, Touched::Absent]).unwrap();
        assert_eq!(after, [entry("a", true, true), entry("c", false, true)]);
    }

    #[test]
    fn what_cannot_be_told_by_one_path_needs_a_whole_look() {
        let untracked = || StatusEntry { path: "new".into(), untracked: true, ..StatusEntry::default() };
        assert_eq!(amend(vec![untracked()], &["new/file".into()], &[Touched::Absent]), None);
        let tracked = Touched::Tracked { modified: false };
        assert_eq!(amend(vec![untracked()], &["new".into()], &[tracked]), None);
        assert_eq!(amend(vec![entry("d/a", false, true)], &["d".into()], &[Touched::Absent]), None);
    }
}
