//! Taking back single changes: of a file, or of some of its lines.

use std::path::{Path, PathBuf};

use super::look::{Found, look};
use super::place::Scratch;
use super::{Hunk, SnapshotStore, TreeChange, TreeEntry, hunks};
use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;
use crate::oid::Oid;
use crate::parse;
use crate::write::merged;

/// Bytes of a file whose lines are taken back.
const LARGEST: usize = 16 * 1024 * 1024;

/// What came of taking a change back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reverted {
    /// These paths changed.
    Done(Vec<PathBuf>),
    /// It had been taken back before.
    Gone,
    /// The file was changed since in that place.
    Changed,
    /// There is no such hunk, or the file has no lines.
    NoSuchHunk,
}

/// A changed file before, after, and as it is in the worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContents {
    pub old: Vec<u8>,
    pub new: Vec<u8>,
    /// `None` where there is no such file any more.
    pub now: Option<Vec<u8>>,
}

/// How a single hunk stands in the file as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    There,
    Gone,
    Changed,
}

impl FileContents {
    /// Whether this hunk of theirs is still there.
    ///
    /// # Errors
    /// `Libgit2`.
    pub fn standing(&self, hunk: &Hunk) -> Result<Standing> {
        let Some(now) = &self.now else { return Ok(Standing::Changed) };
        let without = reversed(&self.new, &[hunk]);
        Ok(match merged(&self.new, now, &without)? {
            None => Standing::Changed,
            Some(content) if content == *now => Standing::Gone,
            Some(_) => Standing::There,
        })
    }
}

impl SnapshotStore {
    /// Takes a change back in the worktree: as a whole, or these of its hunks.
    ///
    /// # Errors
    /// `Failed`, `Io`.
    pub fn revert(
        &self,
        at: &WorktreeLocation,
        change: &TreeChange,
        chosen: Option<&[usize]>,
    ) -> Result<Reverted> {
        let scratch = Scratch::new(self, at)?;
        let found = look(&scratch, &at.path, &paths(change))?;
        let now = found.get(&change.path).cloned().unwrap_or(Found::Nothing);
        let whole = chosen.is_none() && !is_text_edit(change);
        if whole || change.new.is_none() || matches!(now, Found::Nothing | Found::Other) {
            return match chosen {
                Some(_) if change.new.is_some() => Ok(Reverted::Changed),
                _ => self.revert_whole(&scratch, at, change),
            };
        }
        let Found::Entry(now) = now else { return Ok(Reverted::Changed) };
        match self.revert_lines(&scratch, at, change, &now, chosen)? {
            // It has no lines that could be merged with somebody's own.
            Reverted::NoSuchHunk if chosen.is_none() => self.revert_whole(&scratch, at, change),
            reverted => Ok(reverted),
        }
    }

    fn revert_whole(
        &self,
        scratch: &Scratch<'_>,
        at: &WorktreeLocation,
        change: &TreeChange,
    ) -> Result<Reverted> {
        let back = |path: &Path, old: &Option<TreeEntry>, new: &Option<TreeEntry>| TreeChange {
            path: path.to_owned(),
            renamed_from: None,
            old: old.clone(),
            new: new.clone(),
        };
        let steps = match &change.renamed_from {
            Some(from) => vec![back(&change.path, &change.new, &None), back(from, &None, &change.old)],
            None => vec![back(&change.path, &change.new, &change.old)],
        };
        // Of a rename, both ends or none.
        let found = look(scratch, &at.path, &paths(change))?;
        for step in &steps {
            let now = match found.get(&step.path) {
                Some(Found::Entry(now)) => Some(now),
                Some(Found::Other) => return Ok(Reverted::Changed),
                _ => None,
            };
            if now != step.old.as_ref() && now != step.new.as_ref() {
                return Ok(Reverted::Changed);
            }
        }
        let restored = self.apply(scratch, at, steps)?;
        if !restored.kept.is_empty() || !restored.repositories.is_empty() {
            return Ok(Reverted::Changed);
        }
        Ok(if restored.changed.is_empty() { Reverted::Gone } else { Reverted::Done(restored.changed) })
    }

    /// What somebody changed elsewhere in the file stays.
    fn revert_lines(
        &self,
        scratch: &Scratch<'_>,
        at: &WorktreeLocation,
        change: &TreeChange,
        now: &TreeEntry,
        chosen: Option<&[usize]>,
    ) -> Result<Reverted> {
        if change.old.as_ref().is_some_and(TreeEntry::is_link) || now.is_link() {
            return Ok(Reverted::NoSuchHunk);
        }
        let Some(contents) = self.contents_in(scratch, change, Some(now))? else {
            return Ok(Reverted::NoSuchHunk);
        };
        let Some(all) = hunks(&contents.old, &contents.new)? else { return Ok(Reverted::NoSuchHunk) };
        let picked: Option<Vec<&Hunk>> = match chosen {
            Some(chosen) => chosen.iter().map(|index| all.get(*index)).collect(),
            None => Some(all.iter().collect()),
        };
        let Some(picked) = picked else { return Ok(Reverted::NoSuchHunk) };
        let current = contents.now.as_deref().unwrap_or_default();
        let Some(content) = merged(&contents.new, current, &reversed(&contents.new, &picked))? else {
            return Ok(Reverted::Changed);
        };
        let mode = match (&change.old, chosen) {
            (Some(old), None) if change.new.as_ref().is_some_and(|new| new.mode == now.mode) => &old.mode,
            _ => &now.mode,
        };
        if content == current && *mode == now.mode {
            return Ok(Reverted::Gone);
        }
        // Of a file that was added nothing stays without its lines.
        let goes = change.old.is_none() && content.is_empty();
        let mut store = scratch.command();
        store.args(["hash-object", "-w", "--no-filters", "--stdin"]).stdin(content);
        let id = parse::oid(store.output()?.trim_ascii()).map_err(|error| store.unexpected(error.0))?;
        let step = TreeChange {
            path: change.path.clone(),
            renamed_from: None,
            old: Some(now.clone()),
            new: (!goes).then(|| TreeEntry { mode: mode.clone(), id }),
        };
        let restored = self.apply(scratch, at, vec![step])?;
        Ok(if restored.changed.is_empty() { Reverted::Changed } else { Reverted::Done(restored.changed) })
    }

    /// A changed file before, after and now; `None` where one of them is too large.
    ///
    /// # Errors
    /// `Failed`.
    pub fn file_contents(&self, at: &WorktreeLocation, change: &TreeChange) -> Result<Option<FileContents>> {
        let scratch = Scratch::new(self, at)?;
        let found = look(&scratch, &at.path, std::slice::from_ref(&change.path))?;
        let now = match found.get(&change.path) {
            Some(Found::Entry(now)) => Some(now.clone()),
            _ => None,
        };
        self.contents_in(&scratch, change, now.as_ref())
    }

    /// Which of these files are not any more what a change made of them.
    ///
    /// # Errors
    /// `Failed`.
    pub fn touched_since(&self, at: &WorktreeLocation, changes: &[TreeChange]) -> Result<Vec<PathBuf>> {
        let scratch = Scratch::new(self, at)?;
        let paths: Vec<PathBuf> = changes.iter().map(|change| change.path.clone()).collect();
        let found = look(&scratch, &at.path, &paths)?;
        let touched = |change: &&TreeChange| match (found.get(&change.path), &change.new) {
            (Some(Found::Entry(now)), Some(new)) => now != new,
            (Some(Found::Nothing) | None, None) => false,
            _ => true,
        };
        Ok(changes.iter().filter(touched).map(|change| change.path.clone()).collect())
    }

    fn contents_in(
        &self,
        scratch: &Scratch<'_>,
        change: &TreeChange,
        now: Option<&TreeEntry>,
    ) -> Result<Option<FileContents>> {
        let read = |entry: Option<&TreeEntry>| -> Result<Option<Vec<u8>>> {
            let Some(TreeEntry { id, .. }) = entry else { return Ok(Some(Vec::new())) };
            blob(scratch, id)
        };
        let (old, new) = (read(change.old.as_ref())?, read(change.new.as_ref())?);
        let current = now.map(|now| read(Some(now))).transpose()?;
        let (Some(old), Some(new)) = (old, new) else { return Ok(None) };
        Ok(match current {
            Some(None) => None,
            Some(now) => Some(FileContents { old, new, now }),
            None => Some(FileContents { old, new, now: None }),
        })
    }
}

/// `None` for more than is read.
fn blob(scratch: &Scratch<'_>, id: &Oid) -> Result<Option<Vec<u8>>> {
    let mut command = scratch.command();
    match command.args(["cat-file", "blob", id.as_str()]).stdout_limit(LARGEST).output() {
        Ok(content) => Ok(Some(content)),
        Err(GitError::OutputTooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn paths(change: &TreeChange) -> Vec<PathBuf> {
    std::iter::once(change.path.clone()).chain(change.renamed_from.clone()).collect()
}

/// A file that stays a file under its name: what somebody else changed in it can stay too.
fn is_text_edit(change: &TreeChange) -> bool {
    let file = |entry: &TreeEntry| !entry.is_link() && !entry.is_repository();
    change.renamed_from.is_none()
        && change.old.as_ref().is_some_and(file)
        && change.new.as_ref().is_some_and(file)
}

/// The content without these hunks.
fn reversed(new: &[u8], hunks: &[&Hunk]) -> Vec<u8> {
    let lines: Vec<&[u8]> = new.split_inclusive(|byte| *byte == b'\n').collect();
    let mut ordered: Vec<&&Hunk> = hunks.iter().collect();
    ordered.sort_by_key(|hunk| hunk.new_start);
    ordered.dedup();
    let (mut out, mut next) = (Vec::new(), 0);
    for hunk in ordered {
        let from = if hunk.new_lines == 0 { hunk.new_start } else { hunk.new_start.saturating_sub(1) };
        let from = from.clamp(next, lines.len());
        out.extend(lines[next..from].concat());
        let old = hunk.lines.iter().filter(|line| line.kind != '+');
        out.extend(old.flat_map(|line| line.text.clone()));
        next = (from + hunk.new_lines).min(lines.len());
    }
    out.extend(lines[next..].concat());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_of_its_hunks_a_content_is_in_between_and_without_all_the_old_one() {
        let old: String = (0..60).map(|n| format!("line {n}\n")).collect();
        let new = old.replace("line 3\n", "three\n").replace("line 30\n", "").replace("line 59\n", "end");
        let all = hunks(old.as_bytes(), new.as_bytes()).unwrap().unwrap();
        assert_eq!(all.len(), 3);
        let every: Vec<&Hunk> = all.iter().collect();
        assert_eq!(reversed(new.as_bytes(), &every), old.as_bytes());
        let middle = reversed(new.as_bytes(), &[&all[1]]);
        assert_eq!(String::from_utf8(middle).unwrap(), new.replace("line 29\n", "line 29\nline 30\n"));
        let from_nothing = hunks(b"", b"a\nb\n").unwrap().unwrap();
        assert_eq!(reversed(b"a\nb\n", &[&from_nothing[0]]), b"");
        let to_nothing = hunks(b"a\nb", b"").unwrap().unwrap();
        assert_eq!(reversed(b"", &[&to_nothing[0]]), b"a\nb");
    }
}
