//! Questions in the store.

use podium_protocol::{InboxDecision, InboxItem, InboxScope};
use podium_store::rusqlite::{Connection, Error as SqlError, OptionalExtension as _, Row, params};
use podium_store::{NewEvent, StoreError, Tx, rfc3339};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ToolQuestion;
use crate::SessionError;

/// Most questions of one answer.
const SHOWN: u32 = 500;
const COLUMNS: &str = "id, agent_id, session, question, asked_at, decision, answered_at, tool, detail, paths, options, \
    deadline, on_timeout, scope, answered_by, withdrawn_at";
const OPEN: &str = "decision IS NULL AND withdrawn_at IS NULL";

pub(super) fn insert(
    tx: &Tx<'_>,
    agent_id: &str,
    session: Option<&str>,
    question: &str,
) -> Result<String, StoreError> {
    let id = uuid::Uuid::now_v7().to_string();
    tx.execute(
        "INSERT INTO inbox (id, agent_id, session, question, asked_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, agent_id, session, question, tx.now],
    )?;
    Ok(id)
}

pub(super) fn insert_for(
    tx: &Tx<'_>,
    question: &ToolQuestion,
    deadline: Option<i64>,
) -> Result<String, StoreError> {
    let id = insert(tx, &question.agent_id, Some(&question.session), &question.question)?;
    tx.execute(
        "UPDATE inbox SET call = ?2, repo = ?3, tool = ?4, detail = ?5, paths = ?6, options = ?7, subject = ?8,
             deadline = ?9, on_timeout = ?10 WHERE id = ?1",
        params![
            id,
            question.call,
            question.repo,
            question.tool,
            question.detail,
            json!(question.paths).to_string(),
            json!(question.options).to_string(),
            question.subject.to_text(),
            deadline,
            question.on_timeout.as_str(),
        ],
    )?;
    Ok(id)
}

pub(super) fn count_open(conn: &Connection, agent_id: &str) -> Result<u32, StoreError> {
    let sql = format!("SELECT count(*) FROM inbox WHERE agent_id = ?1 AND call IS NULL AND {OPEN}");
    Ok(conn.query_row(&sql, [agent_id], |row| row.get(0))?)
}

pub(super) fn find(conn: &Connection, id: &str) -> Result<InboxItem, SessionError> {
    let sql = format!("SELECT {COLUMNS} FROM inbox WHERE id = ?1");
    let found = conn.prepare_cached(&sql)?.query_row([id], read_row).optional()?;
    found.ok_or_else(|| SessionError::NoQuestion(id.to_owned()))
}

pub(super) fn of_call(conn: &Connection, session: &str, call: &str) -> Result<Option<InboxItem>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM inbox WHERE session = ?1 AND call = ?2");
    Ok(conn.query_row(&sql, [session, call], read_row).optional()?)
}

pub(super) fn list(conn: &Connection, all: bool) -> Result<Vec<InboxItem>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM inbox WHERE ?1 OR ({OPEN}) ORDER BY asked_at, id LIMIT {SHOWN}");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map([all], read_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn set_deadline(tx: &Tx<'_>, id: &str, deadline: Option<i64>) -> Result<(), StoreError> {
    tx.execute("UPDATE inbox SET deadline = ?2 WHERE id = ?1", params![id, deadline])?;
    Ok(())
}

pub(super) fn set_answer(
    tx: &Tx<'_>,
    id: &str,
    decision: InboxDecision,
    scope: InboxScope,
    by: &str,
) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE inbox SET decision = ?2, scope = ?3, answered_by = ?4, answered_at = ?5 WHERE id = ?1 AND {OPEN}"
    );
    tx.execute(&sql, params![id, decision.as_str(), scope.as_str(), by, tx.now])?;
    Ok(())
}

/// Takes back what a session still asks: of its tools, or with `all` whatever its agent asked too.
pub(crate) fn withdraw(tx: &Tx<'_>, session: &str, all: bool) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE inbox SET withdrawn_at = ?3 WHERE session = ?1 AND (?2 OR call IS NOT NULL) AND {OPEN}
         RETURNING id, agent_id"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map(params![session, all, tx.now], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let withdrawn: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    for (id, agent_id) in withdrawn {
        let data = json!({ "id": id, "agentId": agent_id, "session": session });
        tx.emit(&NewEvent::new("inbox.withdrawn", format!("inbox/{id}"), data).correlated(session))?;
    }
    Ok(())
}

fn read_row(row: &Row<'_>) -> Result<InboxItem, SqlError> {
    let time = |at: Option<i64>| at.map(rfc3339);
    Ok(InboxItem {
        id: row.get(0)?,
        agent_id: row.get(1)?,
        session: row.get(2)?,
        question: row.get(3)?,
        asked_at: rfc3339(row.get(4)?),
        decision: word(row.get(5)?),
        answered_at: time(row.get(6)?),
        tool: row.get(7)?,
        detail: row.get(8)?,
        paths: list_of(row.get(9)?),
        options: list_of::<InboxScope>(row.get(10)?),
        deadline: time(row.get(11)?),
        on_timeout: word(row.get(12)?),
        scope: word(row.get(13)?),
        answered_by: row.get(14)?,
        withdrawn_at: time(row.get(15)?),
    })
}

/// A word of the protocol.
pub(super) fn word<T: DeserializeOwned>(text: Option<String>) -> Option<T> {
    text.and_then(|text| serde_json::from_value(Value::String(text)).ok())
}

fn list_of<T: DeserializeOwned>(text: Option<String>) -> Vec<T> {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}
