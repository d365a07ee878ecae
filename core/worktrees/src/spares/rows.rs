//! Rows of `spares`.

use std::path::PathBuf;

use podium_git::{Oid, WorktreeLocation};
use podium_store::rusqlite::{self, Connection, OptionalExtension, Row, params};

use crate::{paths, rows};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpareRow {
    pub(crate) id: String,
    pub(crate) repo: String,
    pub(crate) path: PathBuf,
    /// Empty until git has made it.
    pub(crate) admin_dir: PathBuf,
    pub(crate) state: String,
    /// Commit that its files are of.
    pub(crate) at: Option<Oid>,
}

const SPARE: &str = "SELECT id, repo, path, admin_dir, state, at FROM spares";

impl SpareRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            repo: row.get(1)?,
            path: rows::path(row, 2)?,
            admin_dir: rows::path(row, 3)?,
            state: row.get(4)?,
            at: row.get::<_, Option<String>>(5)?.and_then(|at| at.parse().ok()),
        })
    }

    pub(crate) fn location(&self) -> WorktreeLocation {
        WorktreeLocation { git_dir: self.admin_dir.clone(), path: self.path.clone() }
    }

    pub(crate) fn of_repo(conn: &Connection, repo: &str) -> rusqlite::Result<Vec<Self>> {
        let sql = format!("{SPARE} WHERE repo = ?1 ORDER BY changed_at, id");
        conn.prepare_cached(&sql)?.query_map([repo], Self::read)?.collect()
    }

    pub(crate) fn by_id(conn: &Connection, id: &str) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached(&format!("{SPARE} WHERE id = ?1"))?.query_row([id], Self::read).optional()
    }

    /// One that is ready, at this commit if there is such a one.
    pub(crate) fn ready(conn: &Connection, repo: &str, at: &Oid) -> rusqlite::Result<Option<Self>> {
        let sql =
            format!("{SPARE} WHERE repo = ?1 AND state = 'ready' ORDER BY at = ?2 DESC, changed_at LIMIT 1");
        conn.prepare_cached(&sql)?.query_row([repo, at.as_str()], Self::read).optional()
    }

    pub(crate) fn insert(&self, conn: &Connection, now: i64) -> rusqlite::Result<()> {
        let sql = "INSERT INTO spares (id, repo, path, admin_dir, state, at, changed_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let (path, admin) = (paths::to_bytes(&self.path), paths::to_bytes(&self.admin_dir));
        let at = self.at.as_ref().map(Oid::as_str);
        conn.execute(sql, params![self.id, self.repo, path, admin, self.state, at, now]).map(drop)
    }

    /// Moves it from one of these states to another; `false` when it was in none of them.
    pub(crate) fn step(
        conn: &Connection,
        id: &str,
        from: &[&str],
        to: &str,
        now: i64,
    ) -> rusqlite::Result<bool> {
        let sql = "UPDATE spares SET state = ?2, changed_at = ?3 WHERE id = ?1 AND state = ?4";
        for state in from {
            if conn.execute(sql, params![id, to, now, state])? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn delete(conn: &Connection, id: &str) -> rusqlite::Result<()> {
        conn.execute("DELETE FROM spares WHERE id = ?1", [id]).map(drop)
    }
}
