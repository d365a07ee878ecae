//! From the stages that a merge left to conflicts: what kind each is, and which lines it is about.

use std::path::PathBuf;

use super::{Conflict, ConflictKind, Leaf, Lines, SUBMODULE, SYMLINK, ranges};
use crate::bytes::path_from_bytes;
use crate::error::{GitError, Result};
use crate::oid::Oid;

/// One stage of a conflicted path.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) leaf: Leaf,
}

/// The stages of one path.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) base: Option<Entry>,
    pub(super) ours: Option<Entry>,
    pub(super) theirs: Option<Entry>,
}

impl Group {
    /// Whether the file is new on one side, or only the base has it: the halves of renames look like this.
    pub(super) fn is_lonely(&self) -> bool {
        match (&self.base, &self.ours, &self.theirs) {
            (None, Some(_), Some(_)) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) => false,
            (None, _, _) | (Some(_), None, None) => true,
        }
    }
}

/// New paths by old ones, on each side.
#[derive(Debug, Default)]
pub(super) struct Renames {
    pub(super) ours: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) theirs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Groups with the halves of renames brought together.
#[derive(Debug, Default)]
pub(super) struct Pairing {
    whole: Vec<Group>,
    renamed: Vec<Group>,
}

impl Pairing {
    pub(super) fn of(groups: Vec<Group>, renames: &Renames) -> Self {
        let (lonely, whole): (Vec<_>, Vec<_>) = groups.into_iter().partition(Group::is_lonely);
        let mut paired = Self { whole, renamed: Vec::new() };
        let (olds, news): (Vec<_>, Vec<_>) = lonely.into_iter().partition(|group| group.base.is_some());
        // A file that both renamed, each to a name of its own.
        let mut rest = news;
        for old in olds {
            let Some(base) = old.base.clone() else { continue };
            let ours = take(&mut rest, &renames.ours, &base.path, |group| group.ours.is_some());
            let theirs = take(&mut rest, &renames.theirs, &base.path, |group| group.theirs.is_some());
            let group = Group {
                base: Some(base),
                ours: ours.and_then(|group| group.ours),
                theirs: theirs.and_then(|group| group.theirs),
            };
            if group.ours.is_some() || group.theirs.is_some() {
                paired.renamed.push(group);
            }
        }
        for group in rest {
            paired.join(group, renames);
        }
        paired
    }

    /// A file that one side renamed: the other changed it under its old name, or took it away.
    fn join(&mut self, new: Group, renames: &Renames) {
        let (side, mine) = match (&new.ours, &new.theirs) {
            (Some(entry), _) => (&renames.ours, entry),
            (None, Some(entry)) => (&renames.theirs, entry),
            (None, None) => return,
        };
        let is_ours = new.ours.is_some();
        let old = side.iter().find(|(_, new)| *new == mine.path).map(|(old, _)| old);
        let whole = old.and_then(|old| {
            self.whole.iter_mut().find(|group| {
                let free = if is_ours { group.ours.is_none() } else { group.theirs.is_none() };
                free && group.base.as_ref().is_some_and(|base| base.path == *old)
            })
        });
        match (whole, old) {
            (Some(group), _) if is_ours => group.ours = new.ours,
            (Some(group), _) => group.theirs = new.theirs,
            (None, Some(_)) => self.renamed.push(new),
            (None, None) => self.whole.push(new),
        }
    }

    /// # Errors
    /// What reading a blob gives.
    pub(super) fn conflicts(self, blob: &dyn Fn(&Oid) -> Result<Vec<u8>>) -> Result<Vec<Conflict>> {
        let renamed = self.renamed.into_iter().filter_map(|group| {
            let (ours, theirs) = paths(&group)?;
            let (our_lines, their_lines) = (Vec::new(), Vec::new());
            Some(Ok(Conflict { kind: ConflictKind::Rename, ours, theirs, our_lines, their_lines }))
        });
        let whole = self.whole.into_iter().filter_map(|group| described(&group, blob).transpose());
        whole.chain(renamed).collect()
    }
}

/// Takes out the group whose file an old path was renamed to.
fn take(
    groups: &mut Vec<Group>,
    renames: &[(Vec<u8>, Vec<u8>)],
    old: &[u8],
    is_side: fn(&Group) -> bool,
) -> Option<Group> {
    let new = &renames.iter().find(|(from, _)| from == old)?.1;
    let matches = |group: &Group| {
        is_side(group) && [&group.ours, &group.theirs].into_iter().flatten().any(|entry| entry.path == *new)
    };
    let index = groups.iter().position(matches)?;
    Some(groups.swap_remove(index))
}

/// Where the file is on each side, else where it was.
fn paths(group: &Group) -> Option<(PathBuf, PathBuf)> {
    let path = |first: &Option<Entry>, other: &Option<Entry>| {
        let entry = first.as_ref().or(group.base.as_ref()).or(other.as_ref());
        entry.map(|entry| path_from_bytes(&entry.path))
    };
    Some((path(&group.ours, &group.theirs)?, path(&group.theirs, &group.ours)?))
}

/// `None` for stages that are no conflict by themselves.
pub(super) fn described(group: &Group, blob: &dyn Fn(&Oid) -> Result<Vec<u8>>) -> Result<Option<Conflict>> {
    let Some((ours, theirs)) = paths(group) else { return Ok(None) };
    let (kind, our_lines, their_lines) = judged(group, blob)?;
    Ok(Some(Conflict { kind, ours, theirs, our_lines, their_lines }))
}

type Judged = (ConflictKind, Vec<Lines>, Vec<Lines>);

fn judged(group: &Group, blob: &dyn Fn(&Oid) -> Result<Vec<u8>>) -> Result<Judged> {
    let bare = |kind| Ok((kind, Vec::new(), Vec::new()));
    let modes: Vec<u32> = [&group.base, &group.ours, &group.theirs]
        .into_iter()
        .flatten()
        .map(|entry| entry.leaf.mode)
        .collect();
    if modes.contains(&SUBMODULE) {
        return bare(ConflictKind::Submodule);
    }
    let links = modes.iter().filter(|mode| **mode == SYMLINK).count();
    let read = |entry: &Option<Entry>| match entry {
        Some(entry) => blob(&entry.leaf.id),
        None => Ok(Vec::new()),
    };
    match (&group.ours, &group.theirs) {
        (Some(_), Some(_)) if links > 0 && links < modes.len() => bare(ConflictKind::Mode),
        (Some(ours), Some(theirs)) if ours.leaf.id == theirs.leaf.id => bare(ConflictKind::Mode),
        (Some(_), Some(_)) => {
            let [base, ours, theirs] = [read(&group.base)?, read(&group.ours)?, read(&group.theirs)?];
            let kind = if group.base.is_some() { ConflictKind::Content } else { ConflictKind::AddAdd };
            match ranges::conflicting(&base, &ours, &theirs).map_err(unreadable)? {
                Some((our_lines, their_lines)) => Ok((kind, our_lines, their_lines)),
                None => bare(ConflictKind::Binary),
            }
        }
        (None, None) => bare(ConflictKind::Rename),
        (mine, _) if group.base.is_some() => {
            let (base, side) = (read(&group.base)?, read(if mine.is_some() { mine } else { &group.theirs })?);
            let lines = ranges::changed(&base, &side).map_err(unreadable)?;
            let (our_lines, their_lines) =
                if mine.is_some() { (lines, Vec::new()) } else { (Vec::new(), lines) };
            Ok((ConflictKind::ModifyDelete, our_lines, their_lines))
        }
        _ => bare(ConflictKind::Directory),
    }
}

fn unreadable(source: git2::Error) -> GitError {
    GitError::Libgit2 { path: PathBuf::new(), source }
}
