//! What replaced a link becomes the shared file.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use podium_protocol::{SyncReport, SyncState, WireError};
use podium_store::{Durability, Tx};

use super::backups::{self, Keeper};
use super::plan::{Disk, Reach, look};
use super::run::Order;
use super::sources::{Place, Sources};
use crate::error::{Error, Result, blocking};
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};
use crate::view::location;

impl Worktrees {
    /// Adopts the file at a path: of the named worktree, else of the only one that has a file of its own there, else
    /// of the one that the person is in.
    pub(super) async fn adopt(
        &self,
        handle: &Arc<RepoHandle>,
        path: &str,
        only: Option<String>,
        here: Option<String>,
    ) -> Result<SyncReport> {
        let path = plain(path)?;
        let look = Order { check: true, only: only.clone(), reach: Reach { replaced: false, own: false } };
        let found = self.synchronise(handle, look).await?;
        let rows = self.sync_trees(handle).await?;
        let mut candidates: Vec<&WorktreeRow> = rows
            .iter()
            .filter(|row| only.as_ref().is_none_or(|id| *id == row.id))
            .filter(|row| super::plan::look(&row.path, &path) == Disk::File)
            .filter(|row| !is_tracked(&found, row, &path))
            .collect();
        if candidates.len() > 1 {
            let replaced = |row: &&WorktreeRow| state_of(&found, row, &path) == Some(SyncState::Replaced);
            let fewer: Vec<_> = candidates.iter().copied().filter(replaced).collect();
            let mine: Vec<_> =
                candidates.iter().copied().filter(|row| Some(&row.id) == here.as_ref()).collect();
            candidates = if fewer.len() == 1 {
                fewer
            } else if mine.len() == 1 {
                mine
            } else {
                candidates
            };
        }
        let row = match candidates.as_slice() {
            [row] => (*row).clone(),
            [] => return Err(nothing(&path).into()),
            several => {
                let names: Vec<&str> = several.iter().map(|row| row.name.as_str()).collect();
                let text = format!("{} have a file {} of their own", names.join(", "), path.display());
                return Err(WireError::conflict(text).hint("--worktree NAME says whose is meant").into());
            }
        };
        let (this, asked) = (self.clone(), handle.clone());
        let outcome = self.to_its_end(async move {
            this.adopt_one(&asked, &row, &path).await?;
            let order = Order { check: false, only: None, reach: Reach { replaced: false, own: false } };
            let mut outcome = this.synchronise(&asked, order).await?;
            let adopted = outcome.trees.iter_mut().filter(|(tree, _)| tree.id == row.id);
            for entry in adopted.flat_map(|(_, entries)| entries).filter(|entry| entry.path == path) {
                if entry.state.is_well() {
                    entry.state = SyncState::Adopted;
                }
            }
            Ok(outcome)
        });
        Ok(outcome.await?.report(&handle.row, &Place::of(&handle.row), false))
    }

    /// Adopts every file that replaced a link. Where several worktrees replaced the same one, nobody can say which
    /// is meant, and all stay.
    pub(super) async fn adopt_replaced(&self, handle: &Arc<RepoHandle>, only: Option<String>) -> Result<()> {
        let look = Order { check: true, only, reach: Reach { replaced: false, own: false } };
        let found = self.synchronise(handle, look).await?;
        let mut replaced: Vec<(WorktreeRow, PathBuf)> = Vec::new();
        for (row, entries) in &found.trees {
            for entry in entries.iter().filter(|entry| entry.state == SyncState::Replaced) {
                replaced.push((row.clone(), entry.path.clone()));
            }
        }
        let paths: Vec<PathBuf> = replaced.iter().map(|(_, path)| path.clone()).collect();
        for (row, path) in replaced {
            if paths.iter().filter(|other| **other == path).count() == 1 && look_is_file(&row, &path).await {
                self.adopt_one(handle, &row, &path).await?;
            }
        }
        Ok(())
    }

    /// The old shared file is kept, then the new content takes its place; the link follows with the next
    /// synchronisation, which finds the same content on both sides.
    async fn adopt_one(&self, handle: &Arc<RepoHandle>, row: &WorktreeRow, path: &Path) -> Result<()> {
        let _turn = self.inner.gates.enter(format!("adopt/{}", handle.row.id)).await;
        let place = Place::of(&handle.row);
        let (home, asked, tree, path) =
            (self.inner.settings.home.clone(), handle.clone(), row.clone(), path.to_owned());
        let kept = blocking(move || {
            if !asked.repo.tracked(&location(&tree), std::slice::from_ref(&path))?.is_empty() {
                let text = format!("git tracks {} in `{}`", path.display(), tree.name);
                return Err(WireError::conflict(text).hint("commit it, or untrack it first").into());
            }
            let keeper = Keeper::new(&home, &tree.name);
            let to = destination(&place, &tree.name, &path)?;
            take_over(&keeper, &tree.path.join(&path), &to, &path)
                .map_err(|error| Error::io("shared", &to, error))?;
            Ok(keeper.take())
        })
        .await?;
        let (repo, name) = (handle.row.id.clone(), row.name.clone());
        let write = move |tx: &Tx<'_>| -> Result<()> { backups::record(tx, &repo, &name, &kept) };
        self.inner.store.write(Durability::Process, write).await
    }

    async fn sync_trees(&self, handle: &RepoHandle) -> Result<Vec<WorktreeRow>> {
        let repo = handle.row.id.clone();
        self.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &repo)?)).await
    }
}

async fn look_is_file(row: &WorktreeRow, path: &Path) -> bool {
    let (tree, path) = (row.path.clone(), path.to_owned());
    blocking(move || Ok(look(&tree, &path) == Disk::File)).await.unwrap_or(false)
}

fn nothing(path: &Path) -> WireError {
    let error = WireError::not_found(format!("no worktree has a file {} of its own", path.display()));
    error.hint("`imi sync --check` shows each file; PATH is relative to the top of the worktree")
}

fn state_of(found: &super::report::Outcome, row: &WorktreeRow, path: &Path) -> Option<SyncState> {
    let (_, entries) = found.trees.iter().find(|(tree, _)| tree.id == row.id)?;
    entries.iter().find(|entry| entry.path == path).map(|entry| entry.state)
}

fn is_tracked(found: &super::report::Outcome, row: &WorktreeRow, path: &Path) -> bool {
    state_of(found, row, path) == Some(SyncState::Tracked)
}

fn plain(path: &str) -> Result<PathBuf> {
    let plain: PathBuf =
        Path::new(path).components().filter(|part| !matches!(part, Component::CurDir)).collect();
    let names = plain.components().all(|part| matches!(part, Component::Normal(_)));
    let forbidden = plain.components().any(|part| {
        let name = part.as_os_str();
        [".git", ".podium"].iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
    });
    if names && !forbidden && !plain.as_os_str().is_empty() {
        return Ok(plain);
    }
    let shown: String = path.chars().take(200).collect();
    Err(WireError::usage(format!("`{shown}` is no path below the top of a worktree")).into())
}

/// Where the shared file lies, or would: beside those of its layer.
fn destination(place: &Place, worktree: &str, path: &Path) -> Result<PathBuf> {
    let sources = Sources::read(place).map_err(|error| Error::io("read", &place.folder, error))?;
    if let Some(note) = sources.notes.iter().find(|note| note.contains("out of the project")) {
        return Err(WireError::conflict(note.clone()).into());
    }
    match sources.of_worktree(worktree).get(path) {
        Some(source) => match &source.fault {
            // A link within the folder stays a link: its target gets the content.
            None => source.path.canonicalize().map_err(|error| Error::io("read", &source.path, error)),
            Some((_, why)) => Err(WireError::conflict(format!("{}: {why}", source.path.display())).into()),
        },
        None if place.in_clone && !place.folder.join("repo").is_dir() => Ok(place.folder.join(path)),
        None => Ok(place.folder.join("repo").join(path)),
    }
}

fn take_over(keeper: &Keeper, from: &Path, to: &Path, path: &Path) -> std::io::Result<()> {
    if to.symlink_metadata().is_ok() {
        keeper.copy(to, path)?;
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".podium-new");
    let new = to.with_file_name(name);
    fs::copy(from, &new)?;
    fs::File::open(&new)?.sync_all()?;
    fs::rename(&new, to)
}
