//! Rows of `removals`.

use std::path::{Path, PathBuf};

use podium_git::Oid;
use podium_store::rusqlite::{self, Connection, OptionalExtension, Row, params};

use crate::paths;

/// One removal. `state` says how far it is: `intent`, `trashed`, `restoring`, `undone`, `purging`,
/// `purged`.
#[derive(Debug, Clone)]
pub(crate) struct Removal {
    pub(crate) id: String,
    pub(crate) repo: String,
    pub(crate) worktree: String,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) admin_dir: PathBuf,
    pub(crate) trash: PathBuf,
    pub(crate) tree_trash: PathBuf,
    pub(crate) kind: String,
    pub(crate) pr: Option<u64>,
    pub(crate) branch: Option<String>,
    pub(crate) head: Option<String>,
    pub(crate) delete_branch: bool,
    pub(crate) forced: bool,
    pub(crate) created_at: i64,
    pub(crate) removed_by: String,
    pub(crate) removed_at: i64,
    pub(crate) purge_at: i64,
}

const REMOVAL: &str =
    "SELECT id, repo, worktree, name, path, admin_dir, trash, tree_trash, kind, pr, branch, head,
    delete_branch, forced, created_at, removed_by, removed_at, purge_at FROM removals";

impl Removal {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            repo: row.get(1)?,
            worktree: row.get(2)?,
            name: row.get(3)?,
            path: crate::rows::path(row, 4)?,
            admin_dir: crate::rows::path(row, 5)?,
            trash: crate::rows::path(row, 6)?,
            tree_trash: crate::rows::path(row, 7)?,
            kind: row.get(8)?,
            pr: row.get(9)?,
            branch: row.get(10)?,
            head: row.get(11)?,
            delete_branch: row.get(12)?,
            forced: row.get(13)?,
            created_at: row.get(14)?,
            removed_by: row.get(15)?,
            removed_at: row.get(16)?,
            purge_at: row.get(17)?,
        })
    }

    /// A removal that can be undone: this one, or the newest of the repository.
    pub(crate) fn undoable(
        conn: &Connection,
        repo: &str,
        id: Option<&str>,
    ) -> rusqlite::Result<Option<Self>> {
        let sql = format!(
            "{REMOVAL} WHERE repo = ?1 AND state = 'trashed' AND (?2 IS NULL OR id = ?2)
             ORDER BY removed_at DESC, id DESC LIMIT 1"
        );
        conn.prepare_cached(&sql)?.query_row(params![repo, id], Self::read).optional()
    }

    /// The repository of what was removed from this path last.
    pub(crate) fn repo_of_path(conn: &Connection, path: &Path) -> rusqlite::Result<Option<String>> {
        let sql = "SELECT repo FROM removals WHERE path = ?1 ORDER BY removed_at DESC LIMIT 1";
        conn.prepare_cached(sql)?.query_row([paths::to_bytes(path)], |row| row.get(0)).optional()
    }

    /// The repository of what lies in this trash.
    pub(crate) fn repo_of_trash(conn: &Connection, tree_trash: &Path) -> rusqlite::Result<Option<String>> {
        let sql = "SELECT repo FROM removals WHERE tree_trash = ?1";
        conn.prepare_cached(sql)?.query_row([paths::to_bytes(tree_trash)], |row| row.get(0)).optional()
    }

    pub(crate) fn in_state(conn: &Connection, state: &str) -> rusqlite::Result<Vec<Self>> {
        let sql = format!("{REMOVAL} WHERE state = ?1 ORDER BY id");
        conn.prepare_cached(&sql)?.query_map([state], Self::read)?.collect()
    }

    pub(crate) fn purgeable(conn: &Connection, now: i64) -> rusqlite::Result<Vec<Self>> {
        let sql = format!("{REMOVAL} WHERE (state = 'trashed' AND purge_at <= ?1) OR state = 'purging'");
        conn.prepare_cached(&sql)?.query_map([now], Self::read)?.collect()
    }

    pub(crate) fn insert(&self, conn: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT INTO removals (id, repo, state, worktree, name, path, admin_dir, trash, tree_trash, kind, pr,
            branch, head, delete_branch, forced, created_at, removed_by, removed_at, purge_at)
            VALUES (?1, ?2, 'intent', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
        conn.execute(
            sql,
            params![
                self.id,
                self.repo,
                self.worktree,
                self.name,
                paths::to_bytes(&self.path),
                paths::to_bytes(&self.admin_dir),
                paths::to_bytes(&self.trash),
                paths::to_bytes(&self.tree_trash),
                self.kind,
                self.pr,
                self.branch,
                self.head,
                self.delete_branch,
                self.forced,
                self.created_at,
                self.removed_by,
                self.removed_at,
                self.purge_at,
            ],
        )?;
        Ok(())
    }

    pub(crate) fn set_state(&self, conn: &Connection, state: &str) -> rusqlite::Result<()> {
        conn.execute("UPDATE removals SET state = ?2 WHERE id = ?1", params![self.id, state]).map(drop)
    }

    /// Gives up the way back, before anything of it is deleted. False when it is no longer in the trash.
    pub(crate) fn begin_purge(&self, conn: &Connection) -> rusqlite::Result<bool> {
        let sql = "UPDATE removals SET state = 'purging' WHERE id = ?1 AND state IN ('trashed', 'purging')";
        Ok(conn.execute(sql, [&self.id])? == 1)
    }

    /// Where the tree lies while it is away.
    pub(crate) fn tree(&self) -> PathBuf {
        self.tree_trash.join("tree")
    }

    pub(crate) fn admin(&self) -> PathBuf {
        self.trash.join("admin")
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.trash.join("commits.bundle")
    }

    pub(crate) fn head_id(&self) -> Option<Oid> {
        self.head.as_ref().and_then(|head| head.parse().ok())
    }
}
