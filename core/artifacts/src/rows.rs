//! The rows that name artifacts.

use podium_protocol::{Artifact, ArtifactListParams};
use podium_store::rusqlite::{Connection, Row, params, params_from_iter, types::Value};
use podium_store::{StoreError, Tx, rfc3339};

use crate::ArtifactError;

/// Fewest characters of an id that name an artifact.
const SHORTEST_ID: usize = 8;
const COLUMNS: &str = "id, hash, title, kind, media_type, bytes, session, worktree, created_at";

pub(crate) fn insert(tx: &Tx<'_>, artifact: &Artifact, at: i64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO artifacts (id, hash, title, kind, media_type, bytes, session, worktree, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            artifact.id,
            artifact.hash,
            artifact.title,
            artifact.kind,
            artifact.media_type,
            artifact.bytes,
            artifact.session,
            artifact.worktree,
            at,
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Artifact, podium_store::rusqlite::Error> {
    Ok(Artifact {
        id: row.get(0)?,
        hash: row.get(1)?,
        title: row.get(2)?,
        kind: row.get(3)?,
        media_type: row.get(4)?,
        bytes: row.get(5)?,
        session: row.get(6)?,
        worktree: row.get(7)?,
        repo: None,
        created_at: rfc3339(row.get(8)?),
    })
}

/// By id, beginning of an id, or hash.
pub(crate) fn find(conn: &Connection, wanted: &str) -> Result<Artifact, ArtifactError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM artifacts
         WHERE id = ?1 OR hash = ?1 OR (length(?1) >= ?2 AND substr(id, 1, length(?1)) = ?1)
         ORDER BY n DESC LIMIT 2"
    );
    let mut statement = conn.prepare_cached(&sql).map_err(StoreError::from)?;
    let rows = statement.query_map(params![wanted, SHORTEST_ID], read).map_err(StoreError::from)?;
    let mut found: Vec<Artifact> = rows.collect::<Result<_, _>>().map_err(StoreError::from)?;
    match found.len() {
        0 => Err(ArtifactError::NotFound(wanted.to_owned())),
        1 => Ok(found.remove(0)),
        _ if found[0].hash == wanted || found[0].id == wanted => Ok(found.remove(0)),
        _ => Err(ArtifactError::Ambiguous(wanted.to_owned())),
    }
}

/// `sessions`: what these made only.
pub(crate) fn list(
    conn: &Connection,
    filter: &ArtifactListParams,
    sessions: Option<&[String]>,
) -> Result<Vec<Artifact>, ArtifactError> {
    let mut sql = format!("SELECT {COLUMNS} FROM artifacts WHERE 1");
    let mut values: Vec<Value> = Vec::new();
    let wanted = [("kind", &filter.kind), ("session", &filter.session), ("worktree", &filter.worktree)];
    for (column, value) in wanted {
        if let Some(value) = value {
            sql.push_str(&format!(" AND {column} = ?"));
            values.push(Value::Text(value.clone()));
        }
    }
    if let Some(sessions) = sessions {
        sql.push_str(" AND session IN (SELECT value FROM json_each(?))");
        values.push(Value::Text(serde_json::json!(sessions).to_string()));
    }
    sql.push_str(" ORDER BY n DESC LIMIT ?");
    values.push(Value::Integer(filter.limit.unwrap_or(50).clamp(1, 1000).into()));
    let mut statement = conn.prepare_cached(&sql).map_err(StoreError::from)?;
    let rows = statement.query_map(params_from_iter(values), read).map_err(StoreError::from)?;
    Ok(rows.collect::<Result<_, _>>().map_err(StoreError::from)?)
}

/// Artifacts that arrived behind number `after`, with their numbers.
pub(crate) fn arrived(
    conn: &Connection,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, Artifact)>, ArtifactError> {
    let sql = format!("SELECT {COLUMNS}, n FROM artifacts WHERE n > ?1 ORDER BY n LIMIT ?2");
    let mut statement = conn.prepare_cached(&sql).map_err(StoreError::from)?;
    let rows = statement
        .query_map(params![after, limit], |row| Ok((row.get(9)?, read(row)?)))
        .map_err(StoreError::from)?;
    Ok(rows.collect::<Result<_, _>>().map_err(StoreError::from)?)
}
