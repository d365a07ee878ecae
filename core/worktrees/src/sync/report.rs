//! From what was found to what is told.

use std::collections::BTreeMap;

use podium_protocol::{SyncFile, SyncReport, SyncState, SyncWorktree};
use serde_json::{Value, json};

use super::plan::Entry;
use super::sources::{Place, Sources};
use crate::rows::{RepoRow, WorktreeRow};

/// Paths that an event names.
const NAMED: usize = 50;

/// What one synchronisation found and did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) trees: Vec<(WorktreeRow, Vec<Entry>)>,
    /// Shared files whose content is another one than last time.
    pub(crate) changed: Vec<String>,
    pub(crate) sources: usize,
    pub(crate) notes: Vec<String>,
}

impl Outcome {
    pub(crate) fn count(&self, state: SyncState) -> u32 {
        let all = self.trees.iter().flat_map(|(_, entries)| entries);
        u32::try_from(all.filter(|entry| entry.state == state).count()).unwrap_or(u32::MAX)
    }

    pub(crate) fn note_sources(&mut self, sources: &Sources) {
        self.sources = sources.len();
        self.notes.extend(sources.notes.iter().cloned());
    }

    pub(crate) fn report(&self, repo: &RepoRow, place: &Place, check: bool) -> SyncReport {
        let worktrees: Vec<SyncWorktree> =
            self.trees.iter().map(|(row, entries)| tree(row, entries)).collect();
        SyncReport {
            repo: repo.to_ref(),
            folder: place.folder.to_string_lossy().into_owned(),
            check,
            sources: u32::try_from(self.sources).unwrap_or(u32::MAX),
            linked: self.count(SyncState::Linked),
            repaired: self.count(SyncState::Repaired),
            removed: self.count(SyncState::Removed),
            adopted: self.count(SyncState::Adopted),
            off: worktrees.iter().map(|worktree| worktree.off).sum(),
            worktrees,
            notes: self.notes.clone(),
        }
    }

    /// The data of `config.synced`.
    pub(crate) fn event(&self, repo: &RepoRow) -> Value {
        let mut off: BTreeMap<&str, u32> = BTreeMap::new();
        for (row, entry) in self.trees.iter().flat_map(|(row, entries)| entries.iter().map(move |e| (row, e)))
        {
            if is_off(row, entry) {
                *off.entry(entry.state.name()).or_default() += 1;
            }
        }
        json!({
            "repo": repo.id,
            "root": repo.root.to_string_lossy(),
            "worktrees": self.trees.len(),
            "files": self.sources,
            "linked": self.count(SyncState::Linked),
            "repaired": self.count(SyncState::Repaired),
            "removed": self.count(SyncState::Removed),
            "adopted": self.count(SyncState::Adopted),
            "off": off,
            "changed": self.changed.iter().take(NAMED).collect::<Vec<_>>(),
        })
    }
}

/// A main worktree's own files are its person's: they are told, but nothing is wrong with them.
pub(crate) fn is_off(row: &WorktreeRow, entry: &Entry) -> bool {
    !(entry.state.is_well() || row.is_main && entry.state == SyncState::Own)
}

fn tree(row: &WorktreeRow, entries: &[Entry]) -> SyncWorktree {
    let off = entries.iter().filter(|entry| is_off(row, entry)).count();
    SyncWorktree {
        name: row.name.clone(),
        path: row.path.to_string_lossy().into_owned(),
        off: u32::try_from(off).unwrap_or(u32::MAX),
        files: entries.iter().map(file).collect(),
    }
}

fn file(entry: &Entry) -> SyncFile {
    let text = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
    SyncFile {
        path: text(&entry.path),
        state: entry.state,
        layer: entry.source.as_ref().map(|source| source.layer.name().to_owned()),
        target: entry.target.as_ref().map(text),
        detail: entry.detail.clone(),
        backup: entry.backup.as_ref().map(text),
    }
}
