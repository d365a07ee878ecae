//! A recorded change is carried out, now or by the next daemon.

use std::path::{Path, PathBuf};

use podium_git::{GitError, Repo, RepoWriter};
use podium_store::rusqlite::params;
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;

use super::moves::{self, Move};
use super::plan;
use super::rows::{Kind, Layout};
use crate::error::{Error, Result, blocking};
use crate::paths;
use crate::removal::{Removal, Step, trash};
use crate::rows::{RepoRow, WorktreeRow};
use crate::seen::What;
use crate::service::{Worktrees, after};

impl Worktrees {
    /// All that has not happened yet; on a failure everything is put back, for which the turn at the old place is given
    /// up. Answers the folder where something lies that nobody knows, if there is one.
    pub(super) async fn carry_out(
        &self,
        handle_row: &RepoRow,
        layout: Layout,
        moves: Vec<Move>,
        turn: Option<RepoWriter>,
    ) -> Result<Option<PathBuf>> {
        let (this, row, task) = (self.clone(), handle_row.clone(), layout.clone());
        let (rows, removals) = self.touched_by(&row.id).await?;
        let (steps, trees) = (moves.clone(), rows.clone());
        let done = blocking(move || {
            let settings = &this.inner.settings;
            moves::run(&steps, || after(settings, Step::LayoutMoving))?;
            after(settings, Step::LayoutMoved)?;
            this.mend(&task.repo_after(&row), &trees, &|path| task.moved(path))?;
            removals.iter().try_for_each(|removal| point_again(&task, removal))?;
            if task.kind == Kind::Convert {
                plan::furnish(task.project())?;
            }
            moves::remove_empty(&plan::emptied(&task));
            after(settings, Step::LayoutMended)
        })
        .await;
        match done {
            Ok(()) => {}
            Err(Error::Unfinished) => return Err(Error::Unfinished),
            Err(error) => {
                drop(turn);
                self.put_back(handle_row, &layout, moves, rows).await?;
                return Err(error);
            }
        }
        let (row, task) = (handle_row.clone(), layout.clone());
        let write = move |tx: &Tx<'_>| -> Result<()> { record(tx, &row, &task) };
        self.inner.store.write(Durability::Power, write).await?;
        self.drop_handle(&handle_row.id);
        self.announce(&handle_row.id, What::Set);
        let left = layout.staging;
        blocking(move || set_aside(&left)).await
    }

    /// Undoes the renames of a change that could not be finished, and forgets it.
    pub(super) async fn put_back(
        &self,
        row: &RepoRow,
        layout: &Layout,
        moves: Vec<Move>,
        rows: Vec<WorktreeRow>,
    ) -> Result<()> {
        let (this, task, row) = (self.clone(), layout.clone(), row.clone());
        let back = blocking(move || {
            moves::take_back(&moves)?;
            moves::remove_empty(&plan::emptied(&task));
            this.mend(&row, &rows, &Path::to_owned)
        });
        if let Err(error) = back.await {
            // The record stays: the next start tries again.
            tracing::error!(%error, staging = %layout.staging.display(), "a half-moved project cannot be put back");
            return Err(error);
        }
        self.forget_layout(layout).await
    }

    pub(super) async fn forget_layout(&self, layout: &Layout) -> Result<()> {
        let task = layout.clone();
        let write = move |tx: &Tx<'_>| -> Result<()> { Ok(task.delete(tx)?) };
        self.inner.store.write(Durability::Power, write).await
    }

    async fn touched_by(&self, repo: &str) -> Result<(Vec<WorktreeRow>, Vec<Removal>)> {
        let repo = repo.to_owned();
        let read = self.inner.store.read(move |conn| -> Result<_> {
            let trashed = Removal::in_state(conn, "trashed")?;
            let ours = trashed.into_iter().filter(|removal| removal.repo == repo).collect();
            Ok((WorktreeRow::of_repo(conn, &repo)?, ours))
        });
        read.await
    }

    /// Makes git's links true again, and proves it.
    fn mend(&self, repo: &RepoRow, rows: &[WorktreeRow], place: &dyn Fn(&Path) -> PathBuf) -> Result<()> {
        let linked = rows.iter().filter(|row| !row.is_main).map(|row| place(&row.path));
        let linked: Vec<PathBuf> = linked.filter(|path| path.join(".git").exists()).collect();
        let opened = Repo::open(&self.git(None)?, &repo.common_dir, Some(&repo.root))?;
        if linked.is_empty() {
            return Ok(());
        }
        let patience = self.config_of(&repo.id).seconds("worktrees.git_timeout_seconds");
        let writer = opened.write(patience.unwrap_or(std::time::Duration::from_secs(600)))?;
        let mended = writer.repair_worktrees(&linked);
        let known: Vec<PathBuf> = opened.worktrees()?.into_iter().map(|tree| tree.location.path).collect();
        match (linked.into_iter().find(|path| !known.contains(path)), mended) {
            (None, _) => Ok(()),
            (Some(path), Ok(())) => Err(GitError::NotAWorktree { path }.into()),
            (Some(_), Err(error)) => Err(error.into()),
        }
    }

    /// Ends changes that the last daemon was in the middle of. Before anything else looks at the repositories: one that
    /// is under way is at neither of its places.
    pub(crate) async fn settle_layouts(&self) {
        let left: Result<Vec<(Layout, Vec<Move>)>> = self
            .inner
            .store
            .read(|conn| {
                let left = Layout::unfinished(conn)?;
                left.into_iter().map(|layout| Ok((layout.clone(), layout.moves(conn)?))).collect()
            })
            .await;
        for (layout, moves) in left.unwrap_or_default() {
            let project = layout.project().to_owned();
            if let Err(error) = self.settle_layout(layout, moves).await {
                tracing::error!(%error, project = %project.display(), "a change of its layout cannot be settled");
            }
        }
    }

    async fn settle_layout(&self, layout: Layout, moves: Vec<Move>) -> Result<()> {
        let Some(repo) = layout.repo.clone() else { return self.settle_clone(layout).await };
        let row: Result<Option<RepoRow>> =
            self.inner.store.read(move |conn| Ok(RepoRow::by_id(conn, &repo)?)).await;
        let Some(row) = row? else { return self.forget_layout(&layout).await };
        if !moves::begun(&moves) {
            moves::remove_empty(&plan::emptied(&layout));
            return self.forget_layout(&layout).await;
        }
        if let Some(left) = self.carry_out(&row, layout, moves, None).await? {
            tracing::warn!(at = %left.display(), "something unknown lay in the project folder and is kept there");
        }
        Ok(())
    }
}

/// Links of a removed worktree between its tree and its admin folder, so that it comes back at its new place.
fn point_again(layout: &Layout, removal: &Removal) -> Result<()> {
    let moved = relocated(layout, removal);
    let write = |file: PathBuf, text: Vec<u8>| {
        std::fs::write(&file, text).map_err(|error| Error::io("written", &file, error))
    };
    if trash::exists(&moved.tree().join(".git")) {
        let line = [b"gitdir: ".to_vec(), paths::to_bytes(&moved.admin_dir), b"\n".to_vec()].concat();
        write(moved.tree().join(".git"), line)?;
    }
    if trash::exists(&moved.admin().join("gitdir")) {
        let line = [paths::to_bytes(&moved.path.join(".git")), b"\n".to_vec()].concat();
        write(moved.admin().join("gitdir"), line)?;
    }
    Ok(())
}

fn relocated(layout: &Layout, removal: &Removal) -> Removal {
    Removal {
        path: layout.moved(&removal.path),
        admin_dir: layout.moved(&removal.admin_dir),
        trash: layout.moved(&removal.trash),
        tree_trash: layout.moved(&removal.tree_trash),
        ..removal.clone()
    }
}

/// The end of a change: every row that names a place, the event, the record.
fn record(tx: &Tx<'_>, repo: &RepoRow, layout: &Layout) -> Result<()> {
    let new = layout.repo_after(repo);
    let (common_dir, root) = (paths::to_bytes(&new.common_dir), paths::to_bytes(&new.root));
    tx.execute(
        "UPDATE repos SET common_dir = ?2, root = ?3 WHERE id = ?1",
        params![repo.id, common_dir, root],
    )?;
    for row in WorktreeRow::of_repo(tx, &repo.id)? {
        let (path, admin) = (layout.moved(&row.path), layout.moved(&row.admin_dir));
        let sql = "UPDATE worktrees SET path = ?2, admin_dir = ?3 WHERE id = ?1";
        tx.execute(sql, params![row.id, paths::to_bytes(&path), paths::to_bytes(&admin)])?;
        if path != row.path {
            let (from, to) = (row.path.to_string_lossy(), path.to_string_lossy());
            let data = json!({ "worktree": row.id, "name": row.name, "from": from, "path": to });
            tx.emit(&NewEvent::new("worktree.moved", row.subject(), data))?;
        }
    }
    for state in ["trashed", "purging"] {
        for removal in Removal::in_state(tx, state)?.into_iter().filter(|removal| removal.repo == repo.id) {
            let moved = relocated(layout, &removal);
            let places = [&moved.path, &moved.admin_dir, &moved.trash, &moved.tree_trash];
            let [path, admin, trash, tree] = places.map(|path| paths::to_bytes(path));
            let sql =
                "UPDATE removals SET path = ?2, admin_dir = ?3, trash = ?4, tree_trash = ?5 WHERE id = ?1";
            tx.execute(sql, params![removal.id, path, admin, trash, tree])?;
        }
    }
    record_sessions(tx, repo, layout)?;
    layout.finish(tx)?;
    let data = json!({
        "repo": repo.id, "from": repo.root.to_string_lossy(), "root": new.root.to_string_lossy(),
        "kind": layout.kind.name(), "by": layout.changed_by,
    });
    tx.emit(&NewEvent::new("repo.moved", format!("repo/{}", repo.id), data))?;
    Ok(())
}

/// Sessions resume in the folder that they noted: it has to change in this very transaction.
fn record_sessions(tx: &Tx<'_>, repo: &RepoRow, layout: &Layout) -> Result<()> {
    let sql = "SELECT id, worktree_path FROM sessions WHERE worktree_path IS NOT NULL
        AND worktree IN (SELECT id FROM worktrees WHERE repo = ?1)";
    let mut statement = tx.prepare(sql)?;
    let noted =
        statement.query_map([&repo.id], |row| Ok((row.get::<_, String>(0)?, crate::rows::path(row, 1)?)))?;
    let noted: Vec<(String, PathBuf)> = noted.collect::<Result<_, _>>()?;
    for (id, path) in noted {
        let moved = paths::to_bytes(&layout.moved(&path));
        tx.execute("UPDATE sessions SET worktree_path = ?2 WHERE id = ?1", params![id, moved])?;
    }
    Ok(())
}

/// What somebody put into the project folder in the last moment lies in the staging folder now: it gets a name that
/// people see.
fn set_aside(staging: &Path) -> Result<Option<PathBuf>> {
    if !trash::exists(staging) {
        return Ok(None);
    }
    let name = staging.file_name().map(|name| name.to_string_lossy().trim_start_matches('.').to_owned());
    let free = trash::free_admin(&staging.with_file_name(name.unwrap_or_default()));
    trash::rename(staging, &free)?;
    Ok(Some(free))
}

/// Rows of what does not survive a move: it is made anew.
pub(super) fn forget_derived(tx: &Tx<'_>, repo: &str) -> Result<()> {
    tx.execute("DELETE FROM spares WHERE repo = ?1", [repo])?;
    tx.execute("DELETE FROM sync_excludes WHERE repo = ?1", [repo])?;
    let sql = "DELETE FROM sync_links WHERE worktree IN (SELECT id FROM worktrees WHERE repo = ?1)";
    tx.execute(sql, [repo])?;
    Ok(())
}
