//! The rows of config sync.

use std::path::PathBuf;

use podium_store::rusqlite::{self, Connection, params};

use crate::paths;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkRow {
    pub(crate) worktree: String,
    pub(crate) path: PathBuf,
    pub(crate) state: String,
    pub(crate) linked: bool,
    pub(crate) target: Option<PathBuf>,
    pub(crate) folders: u32,
}

impl LinkRow {
    /// Whether a link with this text is the one that was made here.
    pub(crate) fn made(&self, text: &std::path::Path) -> bool {
        self.linked && self.target.as_deref() == Some(text)
    }

    pub(crate) fn of_repo(conn: &Connection, repo: &str) -> rusqlite::Result<Vec<Self>> {
        let sql = "SELECT worktree, path, state, linked, folders, target FROM sync_links
            WHERE worktree IN (SELECT id FROM worktrees WHERE repo = ?1)";
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Self {
                worktree: row.get(0)?,
                path: crate::rows::path(row, 1)?,
                state: row.get(2)?,
                linked: row.get(3)?,
                folders: row.get(4)?,
                target: row.get::<_, Option<Vec<u8>>>(5)?.map(paths::from_bytes),
            })
        };
        conn.prepare_cached(sql)?.query_map([repo], read)?.collect()
    }

    /// Of a worktree that went meanwhile, nothing is written.
    pub(crate) fn put(&self, conn: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT INTO sync_links (worktree, path, state, linked, folders, target)
            SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM worktrees WHERE id = ?1)
            ON CONFLICT (worktree, path) DO UPDATE SET state = ?3, linked = ?4, folders = ?5, target = ?6";
        let path = paths::to_bytes(&self.path);
        let target = self.target.as_deref().map(paths::to_bytes);
        let values = params![self.worktree, path, self.state, self.linked, self.folders, target];
        conn.prepare_cached(sql)?.execute(values).map(drop)
    }

    pub(crate) fn delete(conn: &Connection, worktree: &str, path: &std::path::Path) -> rusqlite::Result<()> {
        let sql = "DELETE FROM sync_links WHERE worktree = ?1 AND path = ?2";
        conn.prepare_cached(sql)?.execute(params![worktree, paths::to_bytes(path)]).map(drop)
    }
}

/// Lines of ours in the common `info/exclude`.
pub(crate) fn excludes(conn: &Connection, repo: &str) -> rusqlite::Result<Vec<Vec<u8>>> {
    let sql = "SELECT pattern FROM sync_excludes WHERE repo = ?1";
    conn.prepare_cached(sql)?.query_map([repo], |row| row.get(0))?.collect()
}

pub(crate) fn add_exclude(conn: &Connection, repo: &str, pattern: &[u8]) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO sync_excludes (repo, pattern) VALUES (?1, ?2)";
    conn.prepare_cached(sql)?.execute(params![repo, pattern]).map(drop)
}

pub(crate) fn drop_exclude(conn: &Connection, repo: &str, pattern: &[u8]) -> rusqlite::Result<()> {
    let sql = "DELETE FROM sync_excludes WHERE repo = ?1 AND pattern = ?2";
    conn.prepare_cached(sql)?.execute(params![repo, pattern]).map(drop)
}
