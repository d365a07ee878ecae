//! After a start: spares that were ready still are; what was under way goes.

use std::collections::HashSet;
use std::sync::Arc;

use podium_git::Head;
use podium_store::{Durability, Tx};

use super::pool::{GONE, OUTLIVING, is_sound};
use super::{SpareRow, folder, is_spare};
use crate::error::{Result, blocking};
use crate::removal::trash;
use crate::running::wait_for_running;
use crate::service::{RepoHandle, Worktrees, new_id};

/// What is to become of a row.
enum Fate {
    Ready,
    Doomed,
    /// Git has it somewhere else: it is a worktree like any other.
    Released,
}

impl Worktrees {
    /// To be called after the cut-off creations were settled. Deleting is left to the next tending.
    pub(crate) async fn recover_spares(&self, handle: &Arc<RepoHandle>) -> Result<()> {
        let repo = handle.row.id.clone();
        let rows: Result<Vec<SpareRow>> =
            self.inner.store.read(move |conn| Ok(SpareRow::of_repo(conn, &repo)?)).await;
        let (asked, rows) = (handle.clone(), rows?);
        let (fates, strays) = blocking(move || look(&asked, rows)).await?;
        let write = move |tx: &Tx<'_>| -> Result<()> {
            for (id, fate) in fates {
                const ANY: &[&str] = &["making", "ready", "advancing", "leased", "doomed"];
                match fate {
                    Fate::Ready => drop(SpareRow::step(tx, &id, ANY, "ready", tx.now)?),
                    Fate::Doomed => drop(SpareRow::step(tx, &id, ANY, "doomed", tx.now)?),
                    Fate::Released => SpareRow::delete(tx, &id)?,
                }
            }
            for stray in strays {
                stray.insert(tx, tx.now)?;
            }
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await
    }
}

/// What becomes of each known spare, by its id, and those that the store does not know.
type Sight = (Vec<(String, Fate)>, Vec<SpareRow>);

fn look(handle: &RepoHandle, rows: Vec<SpareRow>) -> Result<Sight> {
    let mut fates = Vec::new();
    let mut known = HashSet::new();
    for row in rows {
        if matches!(row.state.as_str(), "making" | "advancing") {
            // A git that outlived its daemon would go on writing into what is about to be deleted.
            wait_for_running(&row.path, OUTLIVING);
        }
        let elsewhere = handle
            .repo
            .peek(&row.admin_dir)
            .is_ok_and(|peek| peek.head.branch().is_some() || !is_spare(&handle.row, &peek.path));
        let fate = match row.state.as_str() {
            _ if elsewhere => Fate::Released,
            "ready" | "leased" if is_sound(&handle.repo, &row) => Fate::Ready,
            _ => Fate::Doomed,
        };
        known.insert(row.path.clone());
        fates.push((row.id, fate));
    }
    Ok((fates, strays(handle, &known)?))
}

/// Spares that the store lost in a loss of power, and trees that were being deleted.
fn strays(handle: &RepoHandle, known: &HashSet<std::path::PathBuf>) -> Result<Vec<SpareRow>> {
    let folder = folder(&handle.row);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let found = handle.repo.worktrees()?.into_iter().filter(|worktree| {
        is_spare(&handle.row, &worktree.location.path)
            && matches!(worktree.head, Some(Head::Detached { .. }))
            && !known.contains(&worktree.location.path)
    });
    let doomed = |worktree: podium_git::Worktree| SpareRow {
        id: new_id(),
        repo: handle.row.id.clone(),
        path: worktree.location.path,
        admin_dir: worktree.location.git_dir,
        state: "doomed".to_owned(),
        at: None,
    };
    let strays = found.map(doomed).collect();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name();
        // The folder may be shared with other repositories of one project; what is being deleted belongs to nobody.
        if name.as_encoded_bytes().starts_with(GONE.as_bytes()) {
            trash::delete(&entry.path())?;
        }
    }
    Ok(strays)
}
