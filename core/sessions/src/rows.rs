//! Sessions, items and checkpoints in the store.

use podium_process::sandbox::Mechanism;
use podium_protocol::{
    CheckpointRef, Confinement, ContextUse, ItemKind, SessionInfo, SessionItem, SessionListParams,
    SessionStatus, Usage,
};
use podium_store::rusqlite::{
    Connection, Error as SqlError, OptionalExtension as _, Row, params, params_from_iter, types::Value,
};
use podium_store::{Durability, Store, StoreError, Tx, rfc3339};

use crate::budget::UnknownPrice;
use crate::checkpoint::CheckpointRow;
use crate::turn::Mark;
use crate::{SessionError, budget, inbox};

/// A session as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct SessionRow {
    pub(crate) info: SessionInfo,
    pub(crate) repo: Option<String>,
    pub(crate) worktree_id: Option<String>,
    /// Parameters of the start, JSON.
    pub(crate) request: String,
    /// The provider's state at the beginning of the newest turn.
    pub(crate) state: Option<Vec<u8>>,
    /// Where the newest turn's text was at that state.
    pub(crate) mark: Option<Mark>,
}

/// An item with the tokens it stands for.
#[derive(Debug, Clone)]
pub(crate) struct StoredItem {
    pub(crate) item: SessionItem,
    /// The item's time, milliseconds.
    pub(crate) at: i64,
    pub(crate) tokens: Vec<u32>,
}

const COLUMNS: &str = "id, provider, model, status, reason, title, agent_id, worktree_name, worktree_path, \
    created_at, updated_at, checkpoint_id, checkpoint_seq, last_seq, input_tokens, output_tokens, cost_usd, \
    artifact, repo, worktree, request, state, state_mark, unpriced, context_used, context_window, confinement";

pub(crate) fn parse_enum<T: serde::de::DeserializeOwned>(text: String) -> Result<T, SqlError> {
    serde_json::from_value(serde_json::Value::String(text)).map_err(|e| {
        SqlError::FromSqlConversionFailure(0, podium_store::rusqlite::types::Type::Text, Box::new(e))
    })
}

/// What is known of a cost that has a part of unknown price is no cost.
pub(crate) fn cost(known: f64, unpriced: bool) -> Option<f64> {
    (!unpriced).then_some(known)
}

fn read_row(row: &Row<'_>) -> Result<SessionRow, SqlError> {
    let path: Option<Vec<u8>> = row.get(8)?;
    let mark: Option<String> = row.get(22)?;
    let (checkpoint, at): (Option<String>, Option<u64>) = (row.get(11)?, row.get(12)?);
    let (used, window): (Option<u64>, Option<u64>) = (row.get(24)?, row.get(25)?);
    let confinement: Option<String> = row.get(26)?;
    let info = SessionInfo {
        id: row.get(0)?,
        provider: row.get(1)?,
        model: row.get(2)?,
        status: parse_enum(row.get(3)?)?,
        reason: row.get(4)?,
        title: row.get(5)?,
        agent_id: row.get(6)?,
        worktree: row.get(7)?,
        worktree_path: path.map(|p| String::from_utf8_lossy(&p).into_owned()),
        repo: None,
        created_at: rfc3339(row.get(9)?),
        updated_at: rfc3339(row.get(10)?),
        checkpoint: checkpoint.zip(at).map(|(id, seq)| CheckpointRef { id, seq }),
        last_seq: row.get(13)?,
        usage: Usage {
            input_tokens: row.get(14)?,
            output_tokens: row.get(15)?,
            cost_usd: cost(row.get(16)?, row.get(23)?),
        },
        context: used.map(|used| ContextUse { used, window }),
        health: None,
        confinement: confinement.map(parse_enum).transpose()?,
        artifact: row.get(17)?,
    };
    Ok(SessionRow {
        info,
        repo: row.get(18)?,
        worktree_id: row.get(19)?,
        request: row.get(20)?,
        state: row.get(21)?,
        mark: mark.and_then(|mark| serde_json::from_str(&mark).ok()),
    })
}

pub(crate) fn insert(tx: &Tx<'_>, row: &SessionRow, runner: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO sessions (id, provider, model, status, title, agent_id, repo, worktree, worktree_name,
             worktree_path, request, runner, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13)",
        params![
            row.info.id,
            row.info.provider,
            row.info.model,
            row.info.status.as_str(),
            row.info.title,
            row.info.agent_id,
            row.repo,
            row.worktree_id,
            row.info.worktree,
            row.info.worktree_path.as_ref().map(|p| p.as_bytes().to_vec()),
            row.request,
            runner,
            tx.now,
        ],
    )?;
    Ok(())
}

pub(crate) fn find(conn: &Connection, id: &str) -> Result<Option<SessionRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sessions WHERE id = ?1");
    Ok(conn.prepare_cached(&sql)?.query_row([id], read_row).optional()?)
}

/// By id or unique beginning of one.
pub(crate) fn resolve(conn: &Connection, id: &str) -> Result<SessionRow, SessionError> {
    if let Some(row) = find(conn, id)? {
        return Ok(row);
    }
    let sql = format!("SELECT {COLUMNS} FROM sessions WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2");
    let mut statement = conn.prepare_cached(&sql).map_err(StoreError::from)?;
    let rows = statement.query_map([id], read_row).map_err(StoreError::from)?;
    let found: Vec<SessionRow> = rows.collect::<Result<_, _>>().map_err(StoreError::from)?;
    match <[SessionRow; 1]>::try_from(found) {
        Ok([row]) if id.len() >= 8 => Ok(row),
        _ => Err(SessionError::NotFound(id.to_owned())),
    }
}

/// By id or unique beginning of one; the newest where none is given.
pub(crate) fn resolve_or_newest(conn: &Connection, id: Option<&str>) -> Result<SessionRow, SessionError> {
    match id {
        Some(id) => resolve(conn, id),
        None => newest(conn)?.ok_or_else(|| SessionError::NotFound("newest".to_owned())),
    }
}

/// The newest session that can be gone on with, in this worktree (else in this repository, else anywhere). A
/// finished one only when there is something to add.
pub(crate) fn newest_to_continue(
    conn: &Connection,
    worktree: Option<&str>,
    repo: Option<&str>,
    finished_too: bool,
) -> Result<Option<SessionRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sessions
         WHERE (?3 OR status IN ('interrupted', 'parked', 'in_progress'))
           AND (?1 IS NULL OR worktree = ?1) AND (?2 IS NULL OR repo = ?2)
         ORDER BY created_at DESC, id DESC LIMIT 1"
    );
    Ok(conn.prepare_cached(&sql)?.query_row(params![worktree, repo, finished_too], read_row).optional()?)
}

pub(crate) fn newest(conn: &Connection) -> Result<Option<SessionRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sessions ORDER BY created_at DESC, id DESC LIMIT 1");
    Ok(conn.prepare_cached(&sql)?.query_row([], read_row).optional()?)
}

/// Sessions and the repositories they were started in. `repos`: of these only.
pub(crate) fn list(
    conn: &Connection,
    filter: &SessionListParams,
    repos: Option<&[String]>,
) -> Result<Vec<(SessionInfo, Option<String>)>, StoreError> {
    let mut sql = format!("SELECT {COLUMNS} FROM sessions WHERE 1");
    let mut values: Vec<Value> = Vec::new();
    if let Some(status) = filter.status {
        sql.push_str(" AND status = ?");
        values.push(Value::Text(status.as_str().to_owned()));
    }
    if let Some(worktree) = &filter.worktree {
        sql.push_str(" AND worktree_name = ?");
        values.push(Value::Text(worktree.clone()));
    }
    if let Some(repos) = repos {
        sql.push_str(" AND repo IN (SELECT value FROM json_each(?))");
        values.push(Value::Text(serde_json::json!(repos).to_string()));
    }
    for word in filter.query.iter().flat_map(|q| q.split_whitespace()).take(10) {
        sql.push_str(
            " AND (title LIKE ? ESCAPE '\\' OR id IN (SELECT session FROM items WHERE text LIKE ? ESCAPE '\\'))",
        );
        let pattern = format!("%{}%", word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
        values.extend([Value::Text(pattern.clone()), Value::Text(pattern)]);
    }
    sql.push_str(" ORDER BY created_at DESC, id DESC LIMIT ?");
    values.push(Value::Integer(filter.limit.unwrap_or(50).clamp(1, 1000).into()));
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), read_row)?;
    Ok(rows.map(|row| row.map(|r| (r.info, r.repo))).collect::<Result<_, _>>()?)
}

/// Sessions of a condition whose last value is their greatest number, newest first.
pub(crate) fn matching(
    conn: &Connection,
    condition: &str,
    values: impl podium_store::rusqlite::Params,
) -> Result<Vec<(SessionInfo, Option<String>)>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM sessions WHERE {condition} ORDER BY created_at DESC, id DESC LIMIT ?");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(values, read_row)?;
    Ok(rows.map(|row| row.map(|r| (r.info, r.repo))).collect::<Result<_, _>>()?)
}

/// Sessions that were started in these repositories, with them; all that were started in one, without a choice.
pub(crate) fn started_in(
    conn: &Connection,
    repos: Option<&[String]>,
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT id, repo FROM sessions WHERE repo IS NOT NULL
        AND (?1 IS NULL OR repo IN (SELECT value FROM json_each(?1)))";
    let chosen = repos.map(|repos| serde_json::json!(repos).to_string());
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([chosen], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Appends items behind the session's last one; their numbers are already right.
pub(crate) fn append(tx: &Tx<'_>, session: &str, items: &[StoredItem]) -> Result<(), StoreError> {
    let Some(last) = items.last() else { return Ok(()) };
    let mut statement = tx.prepare_cached(
        "INSERT INTO items (session, seq, kind, text, final, data, tokens, time)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for StoredItem { item, at, tokens } in items {
        let tokens: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
        statement.execute(params![
            session,
            item.seq,
            item.kind.as_str(),
            item.text,
            item.is_final,
            item.data.as_ref().map(ToString::to_string),
            (!tokens.is_empty()).then_some(tokens),
            at,
        ])?;
    }
    tx.prepare_cached("UPDATE sessions SET last_seq = ?2, updated_at = ?3 WHERE id = ?1")?
        .execute(params![session, last.item.seq, tx.now])?;
    Ok(())
}

/// Items above `from`, at most `limit` and about `bytes` of text; whether there are more.
pub(crate) fn items(
    conn: &Connection,
    session: &str,
    from: u64,
    limit: usize,
    bytes: usize,
) -> Result<(Vec<StoredItem>, bool), StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, kind, text, final, data, tokens, time FROM items
         WHERE session = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = statement.query(params![session, from, one_more])?;
    let (mut found, mut size) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if found.len() == limit || size > bytes {
            return Ok((found, true));
        }
        let item = read_item(row)?;
        size += item.item.text.len();
        found.push(item);
    }
    Ok((found, false))
}

/// All items, for what follows them and does not ask when they were: their times are empty.
pub(crate) fn undated(conn: &Connection, session: &str) -> Result<Vec<StoredItem>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, kind, text, final, data, tokens, time FROM items WHERE session = ?1 ORDER BY seq",
    )?;
    let rows = statement.query_map([session], |row| read_with(row, |_| String::new()))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The last item up to a number that a reader of the transcript sees.
pub(crate) fn visible_until(
    conn: &Connection,
    session: &str,
    seq: u64,
) -> Result<Option<SessionItem>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, kind, text, final, data, tokens, time FROM items
         WHERE session = ?1 AND seq <= ?2 AND kind <> 'usage' AND (kind <> 'checkpoint' OR text <> '')
         ORDER BY seq DESC LIMIT 1",
    )?;
    Ok(statement.query_row(params![session, seq], read_item).optional()?.map(|stored| stored.item))
}

fn read_item(row: &Row<'_>) -> Result<StoredItem, SqlError> {
    read_with(row, rfc3339)
}

fn read_with(row: &Row<'_>, time: impl Fn(i64) -> String) -> Result<StoredItem, SqlError> {
    let (data, tokens): (Option<String>, Option<Vec<u8>>) = (row.get(4)?, row.get(5)?);
    let at = row.get(6)?;
    let item = SessionItem {
        seq: row.get(0)?,
        kind: parse_enum::<ItemKind>(row.get(1)?)?,
        text: row.get(2)?,
        is_final: row.get(3)?,
        data: data.and_then(|d| serde_json::from_str(&d).ok()),
        time: time(at),
    };
    let tokens = tokens.unwrap_or_default();
    let tokens = tokens.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok(StoredItem { item, at, tokens })
}

pub(crate) fn set_status(
    tx: &Tx<'_>,
    session: &str,
    status: SessionStatus,
    reason: Option<&str>,
    runner: Option<&str>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sessions SET status = ?2, reason = ?3, runner = ?4, updated_at = ?5 WHERE id = ?1",
        params![session, status.as_str(), reason, runner, tx.now],
    )?;
    match status {
        SessionStatus::Cancelled => inbox::withdraw(tx, session, true),
        SessionStatus::Completed | SessionStatus::Failed => inbox::withdraw(tx, session, false),
        _ => Ok(()),
    }
}

pub(crate) fn set_request(tx: &Tx<'_>, session: &str, request: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE sessions SET request = ?2 WHERE id = ?1", params![session, request])?;
    Ok(())
}

pub(crate) fn set_state(tx: &Tx<'_>, session: &str, state: &[u8], mark: &Mark) -> Result<(), StoreError> {
    let mark = serde_json::to_string(mark).unwrap_or_default();
    tx.prepare_cached("UPDATE sessions SET state = ?2, state_mark = ?3 WHERE id = ?1")?
        .execute(params![session, state, mark])?;
    Ok(())
}

/// A new turn's text begins behind the state that the turn before left.
pub(crate) fn begin_turn(tx: &Tx<'_>, session: &str) -> Result<(), StoreError> {
    let mark = serde_json::to_string(&Mark::default()).unwrap_or_default();
    let sql = "UPDATE sessions SET state_mark = ?2 WHERE id = ?1 AND state IS NOT NULL";
    tx.execute(sql, params![session, mark])?;
    Ok(())
}

/// Stores a checkpoint that becomes the session's newest. What was used until then is stored before.
pub(crate) fn add_checkpoint(
    tx: &Tx<'_>,
    session: &str,
    checkpoint: &CheckpointRow,
) -> Result<(), StoreError> {
    crate::checkpoint::rows::insert(tx, session, checkpoint)?;
    tx.execute(
        "UPDATE sessions SET checkpoint_id = ?2, checkpoint_seq = ?3 WHERE id = ?1",
        params![session, checkpoint.at.id, checkpoint.at.seq],
    )?;
    Ok(())
}

/// Puts the session to a checkpoint: the provider's state was this there.
pub(crate) fn set_place(
    tx: &Tx<'_>,
    session: &str,
    state: Option<&[u8]>,
    mark: Option<&Mark>,
    checkpoint: &CheckpointRef,
) -> Result<(), StoreError> {
    let mark = mark.and_then(|mark| serde_json::to_string(mark).ok());
    tx.execute(
        "UPDATE sessions SET state = ?2, state_mark = ?3, checkpoint_id = ?4, checkpoint_seq = ?5 WHERE id = ?1",
        params![session, state, mark, checkpoint.id, checkpoint.seq],
    )?;
    Ok(())
}

/// Counts for the session, and for the day. What is not priced counts for budgets as `unknown` says.
pub(crate) fn add_usage(
    tx: &Tx<'_>,
    session: &str,
    usage: &Usage,
    unknown: UnknownPrice,
) -> Result<(), StoreError> {
    if *usage == Usage::default() {
        return Ok(());
    }
    let (known, unpriced) = (usage.cost_usd.unwrap_or_default(), usage.cost_usd.is_none());
    tx.execute(
        "UPDATE sessions SET input_tokens = input_tokens + ?2, output_tokens = output_tokens + ?3,
             cost_usd = cost_usd + ?4, unpriced = unpriced OR ?5 WHERE id = ?1",
        params![session, usage.input_tokens, usage.output_tokens, known, unpriced],
    )?;
    let reckoned = usage.cost_usd.unwrap_or_else(|| unknown.counts(usage));
    tx.execute(
        "INSERT INTO usage (day, session, provider, model, worktree, worktree_name, input_tokens, output_tokens,
             cost_usd, reckoned_usd, unpriced)
         SELECT ?2, id, provider, model, worktree, worktree_name, ?3, ?4, ?5, ?6, ?7 FROM sessions WHERE id = ?1
         ON CONFLICT (day, session) DO UPDATE SET input_tokens = input_tokens + excluded.input_tokens,
             output_tokens = output_tokens + excluded.output_tokens, cost_usd = cost_usd + excluded.cost_usd,
             reckoned_usd = reckoned_usd + excluded.reckoned_usd, unpriced = unpriced OR excluded.unpriced",
        params![
            session,
            budget::day(tx.now),
            usage.input_tokens,
            usage.output_tokens,
            known,
            reckoned,
            unpriced,
        ],
    )?;
    Ok(())
}

/// What confines the programs of a session from now on.
pub(crate) async fn set_confinement(
    store: &Store,
    session: &str,
    mechanism: Mechanism,
) -> Result<(), StoreError> {
    let confinement = match mechanism {
        Mechanism::Bubblewrap => Confinement::Bubblewrap,
        Mechanism::Landlock => Confinement::Landlock,
        Mechanism::None => Confinement::None,
    };
    let session = session.to_owned();
    let write = store.write::<(), StoreError>(Durability::Process, move |tx| {
        let sql = "UPDATE sessions SET confinement = ?2 WHERE id = ?1 AND confinement IS NOT ?2";
        tx.execute(sql, params![session, confinement.as_str()])?;
        Ok(())
    });
    write.await
}

pub(crate) fn set_context(tx: &Tx<'_>, session: &str, context: ContextUse) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE sessions SET context_used = ?2, context_window = ?3 WHERE id = ?1")?
        .execute(params![session, context.used, context.window])?;
    Ok(())
}

/// Sessions that an earlier daemon left in the middle. Returns their ids.
pub(crate) fn interrupt_orphans(tx: &Tx<'_>, runner: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = tx.prepare_cached(
        "UPDATE sessions SET status = 'interrupted', reason = 'the daemon ended', runner = NULL, updated_at = ?2
         WHERE status = 'in_progress' AND runner IS NOT ?1 RETURNING id",
    )?;
    let ids = statement.query_map(params![runner, tx.now], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

pub(crate) fn set_artifact(tx: &Tx<'_>, session: &str, artifact: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE sessions SET artifact = ?2 WHERE id = ?1", params![session, artifact])?;
    Ok(())
}
