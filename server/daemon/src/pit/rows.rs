//! Runs in the store.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use podium_pit::dag::Record;
use podium_protocol::{MelodyNode, MelodyNodeState, MelodyRun, MelodyRunStatus, NodeCounts, WireError};
use podium_sessions::Env;
use podium_store::rusqlite::{Connection, OptionalExtension as _, Row, params};
use podium_store::{Durability, NewEvent, Store, StoreError, Tx, rfc3339};
use serde_json::{Map, Value, json};

/// Records read at one time.
pub(super) const PAGE: usize = 2_000;

/// A run as it is stored.
#[derive(Debug, Clone)]
pub(super) struct RunRow {
    pub(super) number: i64,
    pub(super) id: String,
    pub(super) melody: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) text_hash: String,
    pub(super) folder: PathBuf,
    pub(super) repo: Option<String>,
    pub(super) worktree: Option<String>,
    pub(super) started_by: String,
    pub(super) session: Option<String>,
    pub(super) variables: Env,
    pub(super) inputs: Map<String, Value>,
    pub(super) status: MelodyRunStatus,
    pub(super) outputs: Map<String, Value>,
    pub(super) error: Option<String>,
    pub(super) nodes: NodeCounts,
    pub(super) elapsed_us: u64,
    pub(super) created_at: i64,
    pub(super) ended_at: Option<i64>,
}

const COLUMNS: &str = "number, id, melody, name, version, text_hash, folder, repo, worktree, started_by, session, \
    variables, inputs, status, outputs, error, total, completed, failed, skipped, elapsed_us, created_at, ended_at";

impl RunRow {
    fn read(row: &Row<'_>) -> podium_store::rusqlite::Result<Self> {
        let folder: Vec<u8> = row.get(6)?;
        let (variables, inputs, status): (String, String, String) =
            (row.get(11)?, row.get(12)?, row.get(13)?);
        let outputs: Option<String> = row.get(14)?;
        let map = |text: &str| serde_json::from_str(text).unwrap_or_default();
        Ok(Self {
            number: row.get(0)?,
            id: row.get(1)?,
            melody: row.get(2)?,
            name: row.get(3)?,
            version: row.get(4)?,
            text_hash: row.get(5)?,
            folder: PathBuf::from(OsString::from_vec(folder)),
            repo: row.get(7)?,
            worktree: row.get(8)?,
            started_by: row.get(9)?,
            session: row.get(10)?,
            variables: serde_json::from_str(&variables).unwrap_or_default(),
            inputs: map(&inputs),
            status: word(&status).unwrap_or(MelodyRunStatus::Queued),
            outputs: outputs.map(|text| map(&text)).unwrap_or_default(),
            error: row.get(15)?,
            nodes: NodeCounts {
                total: row.get(16)?,
                completed: row.get(17)?,
                failed: row.get(18)?,
                skipped: row.get(19)?,
            },
            elapsed_us: row.get(20)?,
            created_at: row.get(21)?,
            ended_at: row.get(22)?,
        })
    }

    pub(super) fn info(&self) -> MelodyRun {
        MelodyRun {
            id: self.id.clone(),
            melody: self.melody.clone(),
            name: self.name.clone(),
            version: self.version.clone(),
            status: self.status,
            started_by: self.started_by.clone(),
            folder: self.folder.to_string_lossy().into_owned(),
            nodes: self.nodes,
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            error: self.error.clone(),
            created_at: rfc3339(self.created_at),
            ended_at: self.ended_at.map(rfc3339),
            elapsed_ms: self.elapsed_us as f64 / 1_000.0,
        }
    }

    fn event(&self, kind: &'static str) -> NewEvent {
        let data = json!({
            "run": self.id, "melody": self.melody, "name": self.name, "status": self.status,
            "startedBy": self.started_by, "folder": self.folder.to_string_lossy(), "nodes": self.nodes,
            "error": self.error, "elapsedMs": self.elapsed_us as f64 / 1_000.0,
        });
        NewEvent::new(kind, format!("run/{}", self.id), data).correlated(self.id.clone())
    }
}

pub(super) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(Value::String(text.to_owned())).ok()
}

/// Writes the run and its melody; its number comes back. A run of that id is given as it is.
pub(super) async fn insert(
    store: &Store,
    row: RunRow,
    format: &'static str,
    text: String,
) -> Result<(RunRow, bool), WireError> {
    let write = store.write::<_, StoreError>(Durability::Power, move |tx| {
        if let Some(known) = by_id(tx, &row.id)? {
            return Ok((known, false));
        }
        tx.execute(
            "INSERT INTO melody_texts (hash, format, text) VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO NOTHING",
            params![row.text_hash, format, text],
        )?;
        tx.execute(
            "INSERT INTO melody_runs (id, melody, name, version, text_hash, folder, repo, worktree, started_by, session,
                 variables, inputs, status, total, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            params![
                row.id,
                row.melody,
                row.name,
                row.version,
                row.text_hash,
                row.folder.as_os_str().as_bytes(),
                row.repo,
                row.worktree,
                row.started_by,
                row.session,
                json!(row.variables).to_string(),
                json!(row.inputs).to_string(),
                row.status.as_str(),
                row.nodes.total,
                tx.now,
            ],
        )?;
        let stored = by_id(tx, &row.id)?.unwrap_or(row);
        tx.emit(&stored.event("run.started"))?;
        Ok((stored, true))
    });
    Ok(write.await?)
}

fn by_id(conn: &Connection, id: &str) -> Result<Option<RunRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM melody_runs WHERE id = ?1");
    Ok(conn.prepare_cached(&sql)?.query_row([id], RunRow::read).optional()?)
}

/// The run of this id or unique beginning of one (8 characters at least).
pub(super) async fn find(store: &Store, id: &str) -> Result<RunRow, WireError> {
    let wanted = id.to_owned();
    let read = store.read::<_, StoreError>(move |conn| {
        if let Some(row) = by_id(conn, &wanted)? {
            return Ok(vec![row]);
        }
        if wanted.chars().count() < 8 {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT {COLUMNS} FROM melody_runs WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2");
        let mut statement = conn.prepare_cached(&sql)?;
        let rows = statement.query_map([&wanted], RunRow::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    let mut rows: Vec<RunRow> = read.await?;
    let shown: String = id.chars().take(60).collect();
    match (rows.pop(), rows.is_empty()) {
        (Some(row), true) => Ok(row),
        (Some(_), false) => {
            Err(WireError::user(format!("several runs begin with `{shown}`")).hint("give more of it"))
        }
        (None, _) => {
            Err(WireError::not_found(format!("there is no run `{shown}`"))
                .hint("`podium runs list` shows them"))
        }
    }
}

/// Runs, newest first.
pub(super) async fn list(
    store: &Store,
    melody: Option<String>,
    open: bool,
    session: Option<String>,
    limit: u32,
) -> Result<Vec<RunRow>, WireError> {
    let read = store.read::<_, StoreError>(move |conn| {
        let sql = format!(
            "SELECT {COLUMNS} FROM melody_runs WHERE (?1 IS NULL OR melody = ?1) AND (NOT ?2 OR ended_at IS NULL)
                 AND (?3 IS NULL OR session = ?3) ORDER BY number DESC LIMIT ?4"
        );
        let mut statement = conn.prepare_cached(&sql)?;
        let rows = statement.query_map(params![melody, open, session, limit], RunRow::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    Ok(read.await?)
}

/// Runs that are not over, oldest first.
pub(super) async fn open(store: &Store) -> Result<Vec<RunRow>, WireError> {
    let read = store.read::<_, StoreError>(|conn| {
        let sql = format!("SELECT {COLUMNS} FROM melody_runs WHERE ended_at IS NULL ORDER BY number");
        let mut statement = conn.prepare_cached(&sql)?;
        let rows = statement.query_map([], RunRow::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    Ok(read.await?)
}

/// The melody of a run: its format and text.
pub(super) async fn text(store: &Store, hash: &str) -> Result<(String, String), WireError> {
    let hash = hash.to_owned();
    let read = store.read::<_, StoreError>(move |conn| {
        let sql = "SELECT format, text FROM melody_texts WHERE hash = ?1";
        Ok(conn.query_row(sql, [hash], |row| Ok((row.get(0)?, row.get(1)?)))?)
    });
    Ok(read.await?)
}

/// Everything that was recorded of a run, in order, and the number of the last record.
pub(super) async fn records(store: &Store, number: i64) -> Result<(Vec<Record>, u64), WireError> {
    let read = store.read::<_, StoreError>(move |conn| {
        let sql = "SELECT seq, record FROM melody_records WHERE run = ?1 ORDER BY seq";
        let mut statement = conn.prepare_cached(sql)?;
        let rows = statement.query_map([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (mut records, mut last) = (Vec::new(), 0);
        for row in rows {
            let (seq, text): (u64, String) = row?;
            last = seq;
            match serde_json::from_str(&text) {
                Ok(record) => records.push(record),
                Err(error) => tracing::error!(number, seq, %error, "a record of a run cannot be read"),
            }
        }
        Ok((records, last))
    });
    Ok(read.await?)
}

/// Changes of nodes above `from`, in order, and the number of the last record that was looked at.
pub(super) async fn changes(
    store: &Store,
    number: i64,
    from: u64,
) -> Result<(Vec<MelodyNode>, u64, bool), WireError> {
    let read = store.read::<_, StoreError>(move |conn| {
        let sql = "SELECT seq, node, state, attempt, took, at, session,
                CASE WHEN state IN ('failed', 'retrying', 'skipped', 'forgotten') THEN record END
            FROM melody_records WHERE run = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![number, from, PAGE])?;
        let (mut nodes, mut last, mut looked) = (Vec::new(), from, 0);
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            looked += 1;
            change(row, &mut nodes)?;
        }
        Ok((nodes, last, looked == PAGE))
    });
    Ok(read.await?)
}

fn change(row: &Row<'_>, nodes: &mut Vec<MelodyNode>) -> podium_store::rusqlite::Result<()> {
    let (node, state, record): (Option<String>, String, Option<String>) =
        (row.get(1)?, row.get(2)?, row.get(7)?);
    let record: Value = record.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let at: i64 = row.get(5)?;
    let template = MelodyNode {
        id: String::new(),
        state: MelodyNodeState::Pending,
        attempt: row.get(3)?,
        seq: row.get(0)?,
        started_at: (state == "executing").then(|| rfc3339(at)),
        duration_ms: row.get::<_, Option<u64>>(4)?.map(|us| us as f64 / 1_000.0),
        error: reason(&record),
        session: row.get(6)?,
    };
    match node {
        Some(id) => {
            let state = word(&state).unwrap_or(MelodyNodeState::Pending);
            nodes.push(MelodyNode { id, state, ..template });
        }
        None => {
            let forgotten = record["nodes"].as_array().into_iter().flatten().filter_map(Value::as_str);
            nodes.extend(forgotten.map(|id| MelodyNode { id: id.to_owned(), ..template.clone() }));
        }
    }
    Ok(())
}

/// Why a node failed, tries again, or was left out.
fn reason(record: &Value) -> Option<String> {
    let outcome = &record["outcome"];
    let places = [&record["error"]["message"], &outcome["error"]["message"], &outcome["reason"]];
    places.into_iter().find_map(|place| place.as_str().map(str::to_owned))
}

/// Counts anew after nodes were forgotten.
pub(super) fn recount(tx: &Tx<'_>, number: i64) -> Result<(), StoreError> {
    let mut states: std::collections::HashMap<String, String> = std::collections::HashMap::new();
    {
        let sql = "SELECT node, state, CASE WHEN state = 'forgotten' THEN record END FROM melody_records
            WHERE run = ?1 ORDER BY seq";
        let mut statement = tx.prepare_cached(sql)?;
        let mut rows = statement.query([number])?;
        while let Some(row) = rows.next()? {
            let (node, state, record): (Option<String>, String, Option<String>) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            match node {
                Some(node) if !node.contains('[') => _ = states.insert(node, state),
                Some(_) => {}
                None => {
                    let record: Value =
                        record.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                    for node in record["nodes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                        states.remove(node);
                    }
                }
            }
        }
    }
    let count = |wanted: &str| states.values().filter(|state| *state == wanted).count();
    tx.execute(
        "UPDATE melody_runs SET completed = ?2, failed = ?3, skipped = ?4 WHERE number = ?1",
        params![number, count("completed"), count("failed"), count("skipped")],
    )?;
    Ok(())
}

/// What came of a run, with its event.
pub(super) async fn end(
    store: &Store,
    number: i64,
    status: MelodyRunStatus,
    outputs: Map<String, Value>,
    error: Option<String>,
    elapsed_us: u64,
) -> Result<(), WireError> {
    let write = store.write::<(), StoreError>(Durability::Power, move |tx| {
        let sql =
            "UPDATE melody_runs SET status = ?2, outputs = ?3, error = ?4, elapsed_us = ?5, ended_at = ?6
            WHERE number = ?1 AND ended_at IS NULL RETURNING id";
        let outputs = json!(outputs).to_string();
        let changed: Option<String> = tx
            .query_row(sql, params![number, status.as_str(), outputs, error, elapsed_us, tx.now], |row| {
                row.get(0)
            })
            .optional()?;
        if let Some(row) = changed.map(|id| by_id(tx, &id)).transpose()?.flatten() {
            let kind = match status {
                MelodyRunStatus::Completed => "run.completed",
                MelodyRunStatus::Cancelled => "run.cancelled",
                _ => "run.failed",
            };
            tx.emit(&row.event(kind))?;
        }
        Ok(())
    });
    Ok(write.await?)
}

/// A run that was over goes on.
pub(super) async fn reopen(store: &Store, number: i64) -> Result<(), WireError> {
    let write = store.write::<(), StoreError>(Durability::Power, move |tx| {
        let sql = "UPDATE melody_runs SET status = 'queued', ended_at = NULL, error = NULL, outputs = NULL
            WHERE number = ?1 RETURNING id";
        let id: Option<String> = tx.query_row(sql, [number], |row| row.get(0)).optional()?;
        if let Some(row) = id.map(|id| by_id(tx, &id)).transpose()?.flatten() {
            tx.emit(&row.event("run.resumed"))?;
        }
        Ok(())
    });
    Ok(write.await?)
}
