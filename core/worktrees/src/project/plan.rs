//! What a change moves where.

use std::path::{Path, PathBuf};

use podium_protocol::WireError;

use super::moves::Move;
use super::rows::{Kind, Layout};
use crate::error::{Error, Result};
use crate::layout;
use crate::rows::{RepoRow, WorktreeRow};

const GIT: &str = ".git";
const SYNC: &str = "sync";
const SHARED: &str = ".podium/sync";
/// Folders of `sync/` that are the same in a clone and in a project folder.
const LAYERS: [&str; 2] = ["global", "worktrees"];

impl Layout {
    /// Old places and new ones, the more exact first.
    fn pairs(&self) -> [(PathBuf, PathBuf); 2] {
        let roots = (self.old_root.clone(), self.new_root.clone());
        let worktrees = (worktrees_of(&self.old_root), worktrees_of(&self.new_root));
        let deeper = |pair: &(PathBuf, PathBuf)| std::cmp::Reverse(pair.0.components().count());
        let mut pairs = [roots, worktrees];
        pairs.sort_by_key(deeper);
        pairs
    }

    /// Where something lies after the change.
    pub(super) fn moved(&self, path: &Path) -> PathBuf {
        for (from, to) in self.pairs() {
            if let Ok(below) = path.strip_prefix(&from) {
                return if below.as_os_str().is_empty() { to } else { to.join(below) };
            }
        }
        path.to_owned()
    }

    /// The row of the repository after the change.
    pub(super) fn repo_after(&self, repo: &RepoRow) -> RepoRow {
        let common_dir = self.moved(&repo.common_dir);
        RepoRow { id: repo.id.clone(), common_dir, root: self.new_root.clone() }
    }

    pub(super) fn project(&self) -> &Path {
        let root = if self.kind == Kind::Convert { &self.new_root } else { &self.old_root };
        root.parent().unwrap_or(root)
    }
}

fn worktrees_of(root: &Path) -> PathBuf {
    let row = RepoRow { id: String::new(), common_dir: root.join(GIT), root: root.to_owned() };
    layout::folder_of(&row)
}

/// Worktrees that move beside the main one; those elsewhere stay where they are.
fn beside<'a>(layout: &Layout, rows: &'a [WorktreeRow]) -> Vec<(&'a Path, PathBuf)> {
    let (folder, root) = (worktrees_of(&layout.old_root), &layout.old_root);
    let moves =
        |row: &&WorktreeRow| !row.is_main && !row.path.starts_with(root) && row.path.join(GIT).exists();
    let below = |row: &'a WorktreeRow| Some((&*row.path, row.path.strip_prefix(&folder).ok()?.to_owned()));
    rows.iter().filter(moves).filter_map(below).collect()
}

/// Of a plain clone into a project folder of its name.
///
/// # Errors
/// `Conflict` where a worktree has a name that the layout needs.
pub(super) fn conversion(layout: &Layout, rows: &[WorktreeRow], with_sync: bool) -> Result<Vec<Move>> {
    let trunk = layout.new_root.file_name().map(PathBuf::from).unwrap_or_default();
    let staged = layout.staging.join(&trunk);
    let mut moves = vec![Move::new(&layout.old_root, &staged, GIT)];
    for (path, below) in beside(layout, rows) {
        let first = below.components().next().map(|part| PathBuf::from(part.as_os_str()));
        if first.is_some_and(|first| first == trunk || first == Path::new(SYNC)) {
            let text = format!("the worktree {} has a name that the project folder needs", path.display());
            return Err(WireError::conflict(text).hint("`git worktree move` gives it another one").into());
        }
        moves.push(Move::new(path, layout.staging.join(&below), GIT));
    }
    if with_sync {
        moves.extend(shared_out(layout, &staged));
    }
    moves.push(Move::new(&layout.staging, layout.project(), trunk.join(GIT)));
    Ok(moves)
}

/// The shared files of a clone, by layer; what lies beside the layers is the repository's.
fn shared_out(layout: &Layout, staged: &Path) -> Vec<Move> {
    let (from, to) = (staged.join(SHARED), layout.staging.join(SYNC));
    let mut moves = Vec::new();
    for name in names(&layout.old_root.join(SHARED)) {
        match name.to_str() {
            Some(layer) if LAYERS.contains(&layer) => {
                moves.push(Move::new(from.join(layer), to.join(layer), ""));
            }
            Some("repo") => {
                let inner = names(&layout.old_root.join(SHARED).join("repo")).into_iter();
                moves.extend(
                    inner.map(|name| {
                        Move::new(from.join("repo").join(&name), to.join("repo").join(&name), "")
                    }),
                );
            }
            _ => moves.push(Move::new(from.join(&name), to.join("repo").join(&name), "")),
        }
    }
    // The same file in both: the more exact one stays, as it would have won.
    let mut targets = std::collections::HashSet::new();
    moves.retain(|step| targets.insert(step.to.clone()));
    moves
}

/// Of a project folder into a plain clone of its name.
///
/// # Errors
/// `Conflict` where other things lie in the project folder, which would be left without one.
pub(super) fn reversal(layout: &Layout, rows: &[WorktreeRow]) -> Result<Vec<Move>> {
    let (project, staging) = (layout.project(), &layout.staging);
    let trunk = layout.old_root.file_name().map(PathBuf::from).unwrap_or_default();
    let (folder, beside) = (worktrees_of(&layout.new_root), beside(layout, rows));
    let known = |name: &Path| {
        let worktree =
            |below: &PathBuf| below.components().next().is_some_and(|first| first.as_os_str() == name);
        // Spares are gone before anything moves.
        name == trunk
            || name == Path::new(SYNC)
            || name == Path::new(".spares")
            || beside.iter().any(|(_, below)| worktree(below))
    };
    if let Some(other) = names(project).into_iter().find(|name| !known(Path::new(name))) {
        let text = format!("{} lies in the project folder too", project.join(other).display());
        return Err(WireError::conflict(text).hint("move it away, then try again").into());
    }
    let mut moves = vec![
        Move::new(project, staging, trunk.join(GIT)),
        Move::new(staging.join(&trunk), &layout.new_root, GIT),
    ];
    for (_, below) in &beside {
        moves.push(Move::new(staging.join(below), folder.join(below), GIT));
    }
    for layer in ["global", "worktrees", "repo"] {
        if !names(&project.join(SYNC).join(layer)).is_empty() {
            moves.push(Move::new(
                staging.join(SYNC).join(layer),
                layout.new_root.join(SHARED).join(layer),
                "",
            ));
        }
    }
    Ok(moves)
}

/// Folders that a change may leave empty, the innermost first.
pub(super) fn emptied(layout: &Layout) -> Vec<PathBuf> {
    let mut folders = match layout.kind {
        Kind::Convert => {
            let shared = layout.new_root.join(SHARED);
            let above = shared.parent().map(Path::to_owned);
            let mut folders = vec![shared.join("repo"), shared];
            folders.extend(above);
            folders.push(worktrees_of(&layout.old_root));
            folders
        }
        _ => {
            let sync = layout.staging.join(SYNC);
            vec![sync.join("global"), sync.join("worktrees"), sync.join("repo"), sync]
        }
    };
    folders.push(layout.staging.join(SYNC));
    folders.push(layout.staging.clone());
    folders
}

/// Makes the folders of a project that need not hold anything.
pub(super) fn furnish(project: &Path) -> Result<()> {
    for layer in ["global", "repo"] {
        let folder = project.join(SYNC).join(layer);
        std::fs::create_dir_all(&folder).map_err(|error| Error::io("made", &folder, error))?;
    }
    Ok(())
}

fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(kind: Kind, old: &str, new: &str) -> Layout {
        Layout {
            id: "i".into(),
            repo: Some("r".into()),
            kind,
            old_root: old.into(),
            new_root: new.into(),
            staging: "/p/.app.podium-i".into(),
            changed_by: "me".into(),
            changed_at: 0,
        }
    }

    #[test]
    fn places_are_told_in_both_directions() {
        let there = layout(Kind::Convert, "/p/app", "/p/app/trunk-main");
        let back = layout(Kind::Revert, "/p/app/trunk-main", "/p/app");
        for (plain, project) in [
            ("/p/app", "/p/app/trunk-main"),
            ("/p/app/.git/worktrees/x", "/p/app/trunk-main/.git/worktrees/x"),
            ("/p/app/inner/wt", "/p/app/trunk-main/inner/wt"),
            ("/p/app.worktrees/feat-x", "/p/app/feat-x"),
            ("/elsewhere/y", "/elsewhere/y"),
        ] {
            assert_eq!(there.moved(Path::new(plain)), Path::new(project));
            assert_eq!(back.moved(Path::new(project)), Path::new(plain));
        }
        assert_eq!((there.project(), back.project()), (Path::new("/p/app"), Path::new("/p/app")));
    }
}
