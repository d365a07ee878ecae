//! Rows follow what git has: worktrees made, moved, switched or removed by others.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use podium_git::Worktree;
use podium_store::rusqlite::{Connection, params};
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;

use crate::error::{Error, Result, blocking};
use crate::rows::{RepoRow, WorktreeRow, free_name};
use crate::service::{RepoHandle, Worktrees, new_id};
use crate::{layout, paths, trunk};

/// Looks that are given up because Podium itself changed something meanwhile. The next request looks again.
const TRIES: usize = 4;
/// The reason of the lock that `git worktree add` holds until the tree is whole.
pub(crate) const INITIALIZING: &str = "initializing";

/// What the disk said, and when.
struct Look {
    generation: u64,
    found: Vec<Worktree>,
    trunk: String,
}

impl Worktrees {
    /// Makes the rows of one repository equal what git has.
    pub(crate) async fn reconcile(&self, handle: &Arc<RepoHandle>) -> Result<()> {
        self.follow_git(handle).await?;
        self.settle_creations(handle).await
    }

    async fn follow_git(&self, handle: &Arc<RepoHandle>) -> Result<()> {
        let _turn = self.inner.gates.enter(format!("reconcile/{}", handle.row.id)).await;
        for _ in 0..TRIES {
            let look = self.look(handle).await?;
            let asked = handle.clone();
            let applied =
                self.inner.store.write(Durability::Process, move |tx| apply(tx, &asked, look)).await?;
            if let Some(gone) = applied {
                for id in gone {
                    self.inner.watches.end(&id);
                    self.inner.queues.wake(&id);
                }
                break;
            }
        }
        Ok(())
    }

    async fn look(&self, handle: &Arc<RepoHandle>) -> Result<Look> {
        let (this, handle) = (self.clone(), handle.clone());
        blocking(move || {
            this.refresh_config(&handle);
            let generation = handle.generation();
            Ok(Look { generation, found: handle.repo.worktrees()?, trunk: trunk::name(&handle) })
        })
        .await
    }
}

/// The ids of rows that went; `None` when the look is too old.
fn apply(tx: &Tx<'_>, handle: &RepoHandle, look: Look) -> Result<Option<Vec<String>>> {
    // This runs on the thread of all writes: a change of ours comes either before, and shows here, or after.
    if handle.generation() != look.generation {
        return Ok(None);
    }
    let repo = &handle.row;
    // Moved or forgotten meanwhile: what lies at the old place says nothing.
    if RepoRow::by_id(tx, &repo.id)?.as_ref() != Some(repo) {
        return Ok(Some(Vec::new()));
    }
    let mut rows = WorktreeRow::of_repo(tx, &repo.id)?;
    let hidden = hidden(tx, &repo.id)?;
    let mut fresh = Vec::new();
    for worktree in look.found {
        if worktree.bare {
            continue;
        }
        match rows.iter().position(|row| row.admin_dir == worktree.location.git_dir) {
            Some(at) => update(tx, &rows.swap_remove(at), &worktree)?,
            None => fresh.push(worktree),
        }
    }
    let mut gone = Vec::new();
    for row in rows.into_iter().filter(|row| row.removing.is_none()) {
        remove(tx, &row)?;
        gone.push(row.id);
    }
    for worktree in fresh {
        let half_made = worktree.locked.as_deref() == Some(INITIALIZING)
            || crate::spares::is_spare(repo, &worktree.location.path);
        if !half_made && !hidden.contains(&worktree.location.path) {
            insert(tx, repo, &worktree, &look.trunk)?;
        }
    }
    Ok(Some(gone))
}

/// Paths that Podium is about to make or to bring back: their own transactions insert them.
fn hidden(conn: &Connection, repo: &str) -> Result<HashSet<PathBuf>> {
    let sql = "SELECT path FROM creations WHERE repo = ?1
        UNION SELECT path FROM removals WHERE repo = ?1 AND state = 'restoring'";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_map([repo], |row| crate::rows::path(row, 0))?;
    found.map(|path| path.map_err(Error::from)).collect()
}

fn branch_of(worktree: &Worktree) -> Option<String> {
    worktree.head.as_ref().and_then(|head| head.branch()).map(str::to_owned)
}

fn update(tx: &Tx<'_>, row: &WorktreeRow, found: &Worktree) -> Result<()> {
    if row.removing.is_some() {
        return Ok(());
    }
    // An unreadable HEAD says nothing about the branch.
    let branch = if found.head.is_some() { branch_of(found) } else { row.branch.clone() };
    if branch != row.branch {
        tx.execute("UPDATE worktrees SET branch = ?2 WHERE id = ?1", params![row.id, branch])?;
    }
    let path = &found.location.path;
    if *path != row.path {
        tx.execute("UPDATE worktrees SET path = ?2 WHERE id = ?1", params![row.id, paths::to_bytes(path)])?;
        let (from, to) = (row.path.to_string_lossy(), path.to_string_lossy());
        let data = json!({ "worktree": row.id, "name": row.name, "from": from, "path": to });
        tx.emit(&NewEvent::new("worktree.moved", row.subject(), data))?;
    }
    Ok(())
}

pub(crate) fn remove(tx: &Tx<'_>, row: &WorktreeRow) -> Result<()> {
    tx.execute("DELETE FROM worktrees WHERE id = ?1", [&row.id])?;
    let data = json!({
        "worktree": row.id,
        "name": row.name,
        "path": row.path.to_string_lossy(),
        "branch": row.branch,
        "origin": "outside",
        "agentId": row.claim.as_ref().map(|claim| &claim.agent_id),
    });
    tx.emit(&NewEvent::new("worktree.removed", row.subject(), data))?;
    Ok(())
}

fn insert(tx: &Tx<'_>, repo: &RepoRow, found: &Worktree, trunk: &str) -> Result<()> {
    let path = found.location.path.clone();
    let folder = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = folder.replace(char::is_control, "_");
    let wanted = if found.main { format!("trunk-{}", trunk.replace('/', "-")) } else { folder.clone() };
    let row = WorktreeRow {
        id: new_id(),
        repo: repo.id.clone(),
        name: free_name(tx, &repo.id, &wanted)?,
        path,
        admin_dir: found.location.git_dir.clone(),
        kind: if found.main { "trunk" } else { layout::kind_of(&folder) }.to_owned(),
        is_main: found.main,
        pr: layout::pr_of(&folder),
        branch: branch_of(found),
        created_at: tx.now,
        removing: None,
        claim: None,
    };
    row.insert(tx)?;
    // The main worktree was not made now, only seen for the first time.
    if !row.is_main {
        created(tx, &row, "outside", None)?;
    }
    Ok(())
}

pub(crate) fn created(tx: &Tx<'_>, row: &WorktreeRow, origin: &str, by: Option<&str>) -> Result<()> {
    let data = json!({
        "worktree": row.id,
        "repo": row.repo,
        "name": row.name,
        "path": row.path.to_string_lossy(),
        "branch": row.branch,
        "type": row.kind,
        "origin": origin,
        "by": by,
    });
    tx.emit(&NewEvent::new("worktree.created", row.subject(), data))?;
    Ok(())
}
