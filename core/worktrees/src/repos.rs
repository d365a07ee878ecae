//! Repositories: known, listed, forgotten.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_git::{GitError, OUR_LOCK_PREFIX, Repo};
use podium_protocol::{
    Alive, RepoForgetParams, RepoForgotten, RepoList, RepoRegistered, RepoSelector, WireError,
};
use podium_store::rusqlite::params;
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;

use crate::error::{Result, blocking};
use crate::removal::{Removal, trash};
use crate::rows::{RepoRow, WorktreeRow};
use crate::seen::What;
use crate::service::{RepoHandle, Worktrees, new_id};
use crate::settings::Caller;
use crate::{layout, paths, spares, trunk};

impl Worktrees {
    /// Makes a repository known, with all its worktrees.
    ///
    /// # Errors
    /// `NotFound` outside a repository; what git refuses, with its reason.
    pub async fn register(&self, at: &RepoSelector, caller: &Caller) -> Result<RepoRegistered, WireError> {
        let path = crate::select::required(at)?;
        let (handle, added) = self.register_path(&path, caller).await?;
        let asked = handle.clone();
        let (trunk, tip) = blocking(move || Ok((trunk::name(&asked), trunk::tip(&asked)))).await?;
        let trunk_tip = tip.map(|tip| tip.to_string());
        Ok(RepoRegistered { repo: handle.row.to_ref(), trunk, trunk_tip, added })
    }

    /// # Errors
    /// When the store cannot be read.
    pub async fn repos(&self) -> Result<RepoList, WireError> {
        let rows: Result<Vec<RepoRow>> = self.inner.store.read(|conn| Ok(RepoRow::all(conn)?)).await;
        Ok(RepoList { repos: rows?.iter().map(RepoRow::to_ref).collect() })
    }

    pub(crate) async fn register_path(
        &self,
        path: &Path,
        caller: &Caller,
    ) -> Result<(Arc<RepoHandle>, bool)> {
        // Git runs what a repository's configuration and hooks say: one that an agent made is not worked in.
        if let Some(agent) = &caller.agent {
            let error = WireError::user(format!("{} is in no repository that Podium knows", path.display()));
            return Err(error.hint(format!("only a person makes one known, not {}", agent.agent_id)).into());
        }
        let (this, path, caller) = (self.clone(), paths::real(path), caller.clone());
        let found = blocking(move || {
            let git = this.git(Some(&caller))?;
            match Repo::discover(&git, &path) {
                // A project folder is no repository, but has one.
                Err(GitError::NotARepository { .. }) if layout::main_of_project(&path).is_some() => {
                    Ok(Repo::discover(&git, &layout::main_of_project(&path).unwrap_or(path))?)
                }
                found => Ok(found?),
            }
        })
        .await?;
        let (common_dir, root) = (found.common_dir().to_owned(), found.root().to_owned());
        let store = &self.inner.store;
        let (row, added) = store.write(Durability::Process, move |tx| insert(tx, common_dir, root)).await?;
        let handle = self.handle(&row).await?;
        self.reconcile(&handle).await?;
        if added {
            self.announce(&handle.row.id, What::Set);
        }
        Ok((handle, added))
    }

    /// Takes back what Podium left in a repository and drops its rows. Worktrees and branches stay.
    ///
    /// # Errors
    /// `Conflict` while worktrees are claimed or removed ones could still be brought back, unless forced.
    pub async fn forget(
        &self,
        params: RepoForgetParams,
        caller: &Caller,
    ) -> Result<RepoForgotten, WireError> {
        if params.force && caller.agent.is_some() {
            return Err(WireError::user("an agent may not use force"));
        }
        let mut handle = self.repo_at(&params.at, caller).await?;
        let repo = handle.row.id.clone();
        let (mut rows, trashed) = self.inner.store.read(move |conn| counted(conn, &repo)).await?;
        if !params.force {
            self.refuse_losses(&rows, trashed)?;
        }
        let mut moved = Vec::new();
        if params.layout
            && let Some(layout) = self.converted(&handle).await?
        {
            handle = self.revert_layout(&handle, caller).await?;
            rows = self.all_rows(&handle).await?;
            moved.push(format!("moved {} back to {}", layout.new_root.display(), handle.row.root.display()));
        }
        // To the end, so that nothing is linked or made anew behind our back.
        let _spares = self.inner.gates.enter(format!("spares/{}", handle.row.id)).await;
        let _sync = self.sync_turn(&handle.row.id).await;
        let mut unlinked = self.unlink_all(&handle).await?;
        unlinked.extend(self.unguard_all(&handle).await?);
        let removals = self.give_up_removals(&handle.row.id).await?;
        let mut undone = moved;
        undone.extend(self.take_back(&handle, rows, removals).await?);
        undone.extend(unlinked);
        let row = handle.row.clone();
        let gone = row.clone();
        let dropped = self.inner.store.write(Durability::Power, move |tx| -> Result<()> {
            tx.execute("DELETE FROM repos WHERE id = ?1", [&gone.id])?;
            let data = json!({ "repo": gone.id, "root": gone.root.to_string_lossy() });
            tx.emit(&NewEvent::new("repo.forgotten", format!("repo/{}", gone.id), data))?;
            Ok(())
        });
        dropped.await?;
        self.drop_handle(&row.id);
        Ok(RepoForgotten { repo: row.to_ref(), undone })
    }

    fn refuse_losses(&self, rows: &[WorktreeRow], trashed: usize) -> Result<()> {
        for row in rows {
            if let Some(claim) = &row.claim
                && self.alive(claim) != Alive::No
            {
                let error = WireError::conflict(format!("worktree `{}` is claimed", row.name));
                return Err(error
                    .owned_by(self.info(claim).owner())
                    .hint("release it, or use --force")
                    .into());
            }
        }
        if trashed > 0 {
            let text = format!("{trashed} removed worktrees could still be brought back");
            let error = WireError::conflict(text);
            return Err(error.hint("`imi undo` brings one back; --force gives them up").into());
        }
        Ok(())
    }

    /// Ends the way back of all removals, before anything of them is deleted.
    async fn give_up_removals(&self, repo: &str) -> Result<Vec<Removal>> {
        let repo = repo.to_owned();
        let write = move |tx: &Tx<'_>| -> Result<Vec<Removal>> {
            let sql = "UPDATE removals SET state = 'purging' WHERE repo = ?1 AND state = 'trashed'";
            tx.execute(sql, [&repo])?;
            let purging = Removal::in_state(tx, "purging")?;
            Ok(purging.into_iter().filter(|removal| removal.repo == repo).collect())
        };
        self.inner.store.write(Durability::Power, write).await
    }

    async fn take_back(
        &self,
        handle: &Arc<RepoHandle>,
        rows: Vec<WorktreeRow>,
        removals: Vec<Removal>,
    ) -> Result<Vec<String>> {
        for row in &rows {
            self.inner.watches.end(&row.id);
            self.inner.queues.wake(&row.id);
        }
        let handle = handle.clone();
        blocking(move || {
            let writer = handle.repo.write(handle.patience())?;
            let mut undone = spares::delete_all(&handle, &writer)?;
            for worktree in handle.repo.worktrees()? {
                let ours = worktree.locked.as_ref().is_some_and(|reason| reason.starts_with(OUR_LOCK_PREFIX));
                if ours && writer.unlock_worktree(&worktree.location)? {
                    undone.push(format!("unlocked {}", worktree.location.path.display()));
                }
            }
            // A tree from another file system lies elsewhere.
            for removal in &removals {
                trash::delete(&removal.tree_trash)?;
                trash::delete(&removal.trash)?;
            }
            let own = handle.row.common_dir.join("podium");
            if own.exists() {
                trash::delete(&own)?;
                undone.push(format!("deleted {} ({} removed worktrees)", own.display(), removals.len()));
            }
            Ok(undone)
        })
        .await
    }
}

fn insert(tx: &Tx<'_>, common_dir: PathBuf, root: PathBuf) -> Result<(RepoRow, bool)> {
    if let Some(known) = RepoRow::by_common_dir(tx, &common_dir)? {
        if known.root != root {
            tx.execute(
                "UPDATE repos SET root = ?2 WHERE id = ?1",
                params![known.id, paths::to_bytes(&root)],
            )?;
        }
        return Ok((RepoRow { root, ..known }, false));
    }
    let row = RepoRow { id: new_id(), common_dir, root };
    let sql = "INSERT INTO repos (id, common_dir, root, created_at) VALUES (?1, ?2, ?3, ?4)";
    tx.execute(sql, params![row.id, paths::to_bytes(&row.common_dir), paths::to_bytes(&row.root), tx.now])?;
    let data = json!({ "repo": row.id, "root": row.root.to_string_lossy() });
    tx.emit(&NewEvent::new("repo.registered", format!("repo/{}", row.id), data))?;
    Ok((row, true))
}

fn counted(conn: &podium_store::rusqlite::Connection, repo: &str) -> Result<(Vec<WorktreeRow>, usize)> {
    let rows = WorktreeRow::of_repo(conn, repo)?;
    let sql = "SELECT count(*) FROM removals WHERE repo = ?1 AND state IN ('intent', 'trashed', 'restoring')";
    Ok((rows, conn.query_row(sql, [repo], |row| row.get(0))?))
}
