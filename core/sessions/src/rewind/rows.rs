//! Rewinds under way, in the store.

use podium_store::rusqlite::{Connection, Row, params};
use podium_store::{StoreError, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intent {
    pub(super) session: String,
    pub(super) target: String,
    pub(super) undo: String,
    pub(super) commits: bool,
}

impl Intent {
    pub(super) fn insert(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        tx.execute(
            "INSERT INTO rewinds (session, target, undo, commits, started_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![self.session, self.target, self.undo, self.commits, tx.now],
        )?;
        Ok(())
    }

    pub(super) fn delete(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        tx.execute("DELETE FROM rewinds WHERE session = ?1", [&self.session])?;
        Ok(())
    }

    /// All, or that of one session.
    pub(super) fn list(conn: &Connection, session: Option<&str>) -> Result<Vec<Self>, StoreError> {
        let sql = "SELECT session, target, undo, commits FROM rewinds WHERE ?1 IS NULL OR session = ?1";
        let mut statement = conn.prepare_cached(sql)?;
        let read = |row: &Row<'_>| {
            Ok(Self { session: row.get(0)?, target: row.get(1)?, undo: row.get(2)?, commits: row.get(3)? })
        };
        let rows = statement.query_map([session], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
