//! Checkpoints, and what turns made of their worktrees, in the store.

use std::collections::BTreeSet;

use podium_git::{Oid, TreeSnapshot};
use podium_protocol::{CheckpointKind, CheckpointRef, SessionStatus, Usage};
use podium_store::rusqlite::{Connection, Error as SqlError, OptionalExtension as _, Row, params};
use podium_store::{StoreError, Tx};

use super::record;
use crate::SessionError;
use crate::turn::Mark;

/// A checkpoint as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointRow {
    pub(crate) at: CheckpointRef,
    pub(crate) kind: CheckpointKind,
    /// What the session is when it is taken back to here.
    pub(crate) status: SessionStatus,
    /// The provider's, and where the text was then.
    pub(crate) state: Option<Vec<u8>>,
    pub(crate) mark: Option<Mark>,
    pub(crate) snapshot: Option<TreeSnapshot>,
    /// Of the session, until then. Filled in when it is stored.
    pub(crate) usage: Usage,
    pub(crate) created_at: i64,
}

impl CheckpointRow {
    /// One that is about to be stored.
    pub(crate) fn new(
        at: CheckpointRef,
        kind: CheckpointKind,
        status: SessionStatus,
        state: &[u8],
        mark: Option<Mark>,
        snapshot: Option<TreeSnapshot>,
    ) -> Self {
        let state = (!state.is_empty()).then(|| state.to_vec());
        Self { at, kind, status, state, mark, snapshot, usage: Usage::default(), created_at: 0 }
    }
}

/// A turn and what it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TurnRow {
    pub(crate) seq: u64,
    pub(crate) started: String,
    pub(crate) ended: Option<String>,
    pub(crate) diff: Option<String>,
}

const COLUMNS: &str = "id, seq, kind, status, state, mark, snapshot, input_tokens, output_tokens, cost_usd, created_at, unpriced";

fn read(row: &Row<'_>) -> Result<CheckpointRow, SqlError> {
    let (mark, snapshot): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
    Ok(CheckpointRow {
        at: CheckpointRef { id: row.get(0)?, seq: row.get(1)? },
        kind: crate::rows::parse_enum(row.get(2)?)?,
        status: crate::rows::parse_enum(row.get(3)?)?,
        state: row.get(4)?,
        mark: mark.and_then(|mark| serde_json::from_str(&mark).ok()),
        snapshot: snapshot.and_then(|snapshot| record::read(&snapshot)),
        usage: Usage {
            input_tokens: row.get(7)?,
            output_tokens: row.get(8)?,
            cost_usd: crate::rows::cost(row.get(9)?, row.get(11)?),
        },
        created_at: row.get(10)?,
    })
}

/// Stores a checkpoint with what the session has used until now.
pub(crate) fn insert(tx: &Tx<'_>, session: &str, row: &CheckpointRow) -> Result<(), StoreError> {
    let mark = row.mark.as_ref().and_then(|mark| serde_json::to_string(mark).ok());
    tx.execute(
        "INSERT INTO checkpoints (session, id, seq, kind, status, state, mark, snapshot, input_tokens, output_tokens,
             cost_usd, unpriced, created_at)
         SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, input_tokens, output_tokens, cost_usd, unpriced, ?9
         FROM sessions WHERE id = ?1",
        params![
            session,
            row.at.id,
            row.at.seq,
            row.kind.as_str(),
            row.status.as_str(),
            row.state,
            mark,
            row.snapshot.as_ref().map(record::write),
            tx.now,
        ],
    )?;
    Ok(())
}

/// Oldest first.
pub(crate) fn all(conn: &Connection, session: &str) -> Result<Vec<CheckpointRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM checkpoints WHERE session = ?1 ORDER BY created_at, id");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map([session], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// By id or the unique beginning of one.
pub(crate) fn find(conn: &Connection, session: &str, id: &str) -> Result<CheckpointRow, SessionError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM checkpoints WHERE session = ?1 AND substr(id, 1, length(?2)) = ?2
         ORDER BY length(id) LIMIT 2"
    );
    let mut statement = conn.prepare_cached(&sql).map_err(StoreError::from)?;
    let rows = statement.query_map([session, id], read).map_err(StoreError::from)?;
    let found: Vec<CheckpointRow> = rows.collect::<Result<_, _>>().map_err(StoreError::from)?;
    let unique = found.len() == 1 && id.len() >= 4;
    let exact = found.iter().any(|row| row.at.id == id);
    match found.into_iter().next() {
        Some(row) if exact || unique => Ok(row),
        _ => Err(SessionError::NoCheckpoint { session: session.to_owned(), id: id.to_owned() }),
    }
}

/// Items and texts of all prompts, in order.
pub(crate) fn prompts(conn: &Connection, session: &str) -> Result<Vec<(u64, String)>, StoreError> {
    let sql = "SELECT seq, text FROM items WHERE session = ?1 AND kind = 'prompt' ORDER BY seq";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([session], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn begin_turn(tx: &Tx<'_>, session: &str, seq: u64, started: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO turns (session, seq, started) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![session, seq, started],
    )?;
    Ok(())
}

pub(crate) fn end_turn(
    tx: &Tx<'_>,
    session: &str,
    seq: u64,
    ended: &str,
    files: &[String],
    diff: Option<&str>,
) -> Result<(), StoreError> {
    let files = serde_json::to_string(files).unwrap_or_default();
    tx.execute(
        "UPDATE turns SET ended = ?3, files = ?4, diff = ?5 WHERE session = ?1 AND seq = ?2",
        params![session, seq, ended, files, diff],
    )?;
    Ok(())
}

/// In order.
pub(crate) fn turns(conn: &Connection, session: &str) -> Result<Vec<TurnRow>, StoreError> {
    let sql = "SELECT seq, started, ended, diff FROM turns WHERE session = ?1 ORDER BY seq";
    let mut statement = conn.prepare_cached(sql)?;
    let read = |row: &Row<'_>| {
        Ok(TurnRow { seq: row.get(0)?, started: row.get(1)?, ended: row.get(2)?, diff: row.get(3)? })
    };
    let rows = statement.query_map([session], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn newest_files(conn: &Connection, session: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT files FROM turns WHERE session = ?1 ORDER BY seq DESC LIMIT 1";
    let files: Option<Option<String>> = conn.query_row(sql, [session], |row| row.get(0)).optional()?;
    Ok(files.flatten().and_then(|files| serde_json::from_str(&files).ok()).unwrap_or_default())
}

/// The newest snapshot of a session, to compare with.
pub(crate) fn newest_snapshot(conn: &Connection, session: &str) -> Result<Option<TreeSnapshot>, StoreError> {
    let sql = "SELECT snapshot FROM checkpoints WHERE session = ?1 AND snapshot IS NOT NULL
        ORDER BY created_at DESC, id DESC LIMIT 1";
    let text: Option<String> = conn.query_row(sql, [session], |row| row.get(0)).optional()?;
    Ok(text.and_then(|text| record::read(&text)))
}

/// Takes the oldest snapshots beyond `most` out of their checkpoints; commits that no checkpoint names any more. The first
/// one stays, for it is what the session began with.
pub(crate) fn beyond(tx: &Tx<'_>, session: &str, most: usize) -> Result<Vec<Oid>, StoreError> {
    let rows = all(tx, session)?;
    let mut order: Vec<Oid> = Vec::new();
    for snapshot in rows.iter().filter_map(|row| row.snapshot.as_ref()) {
        if !order.contains(&snapshot.commit) {
            order.push(snapshot.commit.clone());
        }
    }
    // Packing anew takes a while: many at a time go.
    if order.len() <= most {
        return Ok(Vec::new());
    }
    let gone: BTreeSet<Oid> = order.into_iter().skip(1).take(most / 4).collect();
    for row in rows {
        if row.snapshot.is_some_and(|snapshot| gone.contains(&snapshot.commit)) {
            tx.execute(
                "UPDATE checkpoints SET snapshot = NULL WHERE session = ?1 AND id = ?2",
                params![session, row.at.id],
            )?;
        }
    }
    Ok(gone.into_iter().collect())
}

/// Whether the snapshots of a session may go: it is gone, or was not used since. Its checkpoints name none then.
pub(crate) fn let_go(tx: &Tx<'_>, session: &str, before: i64) -> Result<bool, StoreError> {
    let sql = "SELECT updated_at FROM sessions WHERE id = ?1";
    let used: Option<i64> = tx.query_row(sql, [session], |row| row.get(0)).optional()?;
    if used.is_some_and(|used| used >= before) {
        return Ok(false);
    }
    tx.execute("UPDATE checkpoints SET snapshot = NULL WHERE session = ?1", [session])?;
    Ok(true)
}
