//! Links are listed in the common `info/exclude`, so that they make no tree dirty and no removal is refused.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use podium_git::exact_pattern;
use podium_store::{Durability, Tx};

use super::rows;
use super::sources::Place;
use crate::error::{Result, blocking};
use crate::service::{RepoHandle, Worktrees};

/// The folder of shared files itself, in a plain clone. Not all of `.podium`: a project may commit its settings.
const OWN_FOLDER: &[u8] = b"/.podium/sync/";

pub(super) fn patterns(place: &Place, paths: &BTreeSet<PathBuf>) -> BTreeSet<Vec<u8>> {
    let mut wanted: BTreeSet<Vec<u8>> = paths.iter().filter_map(|path| exact_pattern(path)).collect();
    if place.in_clone && place.folder.is_dir() {
        wanted.insert(OWN_FOLDER.to_vec());
    }
    wanted
}

impl Worktrees {
    /// Makes our lines of the file equal to what is wanted; lines of others stay, also where they say the same.
    pub(super) async fn exclude(
        &self,
        handle: &Arc<RepoHandle>,
        wanted: BTreeSet<Vec<u8>>,
        ours: Vec<Vec<u8>>,
    ) -> Result<()> {
        let file = handle.row.common_dir.join("info/exclude");
        let (gone, ours): (Vec<_>, Vec<_>) = ours.into_iter().partition(|pattern| !wanted.contains(pattern));
        let looked = wanted.clone();
        let missing = blocking(move || {
            let content = std::fs::read(&file).unwrap_or_default();
            let lines: BTreeSet<&[u8]> = content.split(|byte| *byte == b'\n').collect();
            Ok(looked.into_iter().filter(|pattern| !lines.contains(&**pattern)).collect::<Vec<_>>())
        })
        .await?;
        if missing.is_empty() && gone.is_empty() {
            return Ok(());
        }
        // First the record: a line of ours that no row knows would stay for ever.
        let (repo, new) = (handle.row.id.clone(), missing.clone());
        let fresh = new.iter().any(|pattern| !ours.contains(pattern));
        if fresh {
            let write = move |tx: &Tx<'_>| -> Result<()> {
                new.iter().try_for_each(|pattern| Ok(rows::add_exclude(tx, &repo, pattern)?))
            };
            self.inner.store.write(Durability::Process, write).await?;
        }
        let (asked, dropped) = (handle.clone(), gone.clone());
        blocking(move || {
            let writer = asked.repo.write(asked.patience())?;
            writer.add_excludes(&missing)?;
            writer.remove_excludes(&dropped)?;
            Ok(())
        })
        .await?;
        let repo = handle.row.id.clone();
        let write = move |tx: &Tx<'_>| -> Result<()> {
            gone.iter().try_for_each(|pattern| Ok(rows::drop_exclude(tx, &repo, pattern)?))
        };
        self.inner.store.write(Durability::Process, write).await
    }
}
