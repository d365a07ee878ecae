//! Rows of `layouts` and `layout_moves`.

use std::path::PathBuf;

use podium_store::rusqlite::{self, Connection, OptionalExtension, Row, params};

use super::moves::Move;
use crate::{paths, rows};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Convert,
    Revert,
    Clone,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Convert => "convert",
            Self::Revert => "revert",
            Self::Clone => "clone",
        }
    }

    fn of(name: &str) -> Self {
        match name {
            "convert" => Self::Convert,
            "revert" => Self::Revert,
            _ => Self::Clone,
        }
    }
}

/// A change of where a repository lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) id: String,
    pub(crate) repo: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) old_root: PathBuf,
    pub(crate) new_root: PathBuf,
    pub(crate) staging: PathBuf,
    pub(crate) changed_by: String,
    pub(crate) changed_at: i64,
}

const LAYOUT: &str =
    "SELECT id, repo, kind, old_root, new_root, staging, changed_by, changed_at FROM layouts";

impl Layout {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            repo: row.get(1)?,
            kind: Kind::of(&row.get::<_, String>(2)?),
            old_root: rows::path(row, 3)?,
            new_root: rows::path(row, 4)?,
            staging: rows::path(row, 5)?,
            changed_by: row.get(6)?,
            changed_at: row.get(7)?,
        })
    }

    /// What a killed daemon left.
    pub(super) fn unfinished(conn: &Connection) -> rusqlite::Result<Vec<Self>> {
        let sql = format!("{LAYOUT} WHERE state = 'intent' ORDER BY changed_at, id");
        conn.prepare_cached(&sql)?.query_map([], Self::read)?.collect()
    }

    /// The conversion of a repository that can be taken back.
    pub(crate) fn done(conn: &Connection, repo: &str) -> rusqlite::Result<Option<Self>> {
        let sql = format!("{LAYOUT} WHERE repo = ?1 AND state = 'done' ORDER BY changed_at DESC LIMIT 1");
        conn.prepare_cached(&sql)?.query_row([repo], Self::read).optional()
    }

    pub(super) fn insert(&self, conn: &Connection, moves: &[Move]) -> rusqlite::Result<()> {
        let sql =
            "INSERT INTO layouts (id, repo, kind, state, old_root, new_root, staging, changed_by, changed_at)
            VALUES (?1, ?2, ?3, 'intent', ?4, ?5, ?6, ?7, ?8)";
        let [old, new, staging] =
            [&self.old_root, &self.new_root, &self.staging].map(|path| paths::to_bytes(path));
        let (by, at) = (&self.changed_by, self.changed_at);
        conn.execute(sql, params![self.id, self.repo, self.kind.name(), old, new, staging, by, at])?;
        for (n, step) in moves.iter().enumerate() {
            let [from, to, proof] = [&step.from, &step.to, &step.proof].map(|path| paths::to_bytes(path));
            let sql =
                "INSERT INTO layout_moves (layout, n, source, target, proof) VALUES (?1, ?2, ?3, ?4, ?5)";
            conn.execute(sql, params![self.id, n, from, to, proof])?;
        }
        Ok(())
    }

    pub(super) fn moves(&self, conn: &Connection) -> rusqlite::Result<Vec<Move>> {
        let sql = "SELECT source, target, proof FROM layout_moves WHERE layout = ?1 ORDER BY n";
        let read = |row: &Row<'_>| {
            Ok(Move { from: rows::path(row, 0)?, to: rows::path(row, 1)?, proof: rows::path(row, 2)? })
        };
        conn.prepare_cached(sql)?.query_map([&self.id], read)?.collect()
    }

    pub(super) fn delete(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.execute("DELETE FROM layouts WHERE id = ?1", [&self.id]).map(drop)
    }

    /// A conversion stays as what can be undone; a way back ends both.
    pub(super) fn finish(&self, conn: &Connection) -> rusqlite::Result<()> {
        match self.kind {
            Kind::Convert => {
                conn.execute("UPDATE layouts SET state = 'done' WHERE id = ?1", [&self.id])?;
                conn.execute("DELETE FROM layout_moves WHERE layout = ?1", [&self.id]).map(drop)
            }
            Kind::Revert => {
                let sql = "UPDATE layouts SET state = 'undone' WHERE repo = ?1 AND state = 'done'";
                conn.execute(sql, [&self.repo])?;
                self.delete(conn)
            }
            Kind::Clone => self.delete(conn),
        }
    }
}
