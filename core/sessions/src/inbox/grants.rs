//! Answers that hold for later questions. They lie in the store, where no agent writes.

use podium_protocol::{InboxDecision, InboxScope, PermissionGrant};
use podium_store::rusqlite::{Connection, Error as SqlError, OptionalExtension as _, Row, params};
use podium_store::{StoreError, Tx, rfc3339};
use serde_json::{Value, json};

use super::rows::word;
use crate::SessionError;

const COLUMNS: &str = "id, session, repo, tool, command, path, decision, granted_by, granted_at";

/// What a lasting answer is about, beside the tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The command, to the letter.
    pub(crate) command: Option<String>,
    pub(crate) path: Option<String>,
}

impl Subject {
    pub(super) fn to_text(&self) -> String {
        json!({ "command": self.command, "path": self.path }).to_string()
    }

    fn from_text(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let part = |name: &str| value[name].as_str().map(str::to_owned);
        Self { command: part("command"), path: part("path") }
    }
}

/// Keeps the answer of a question for as long as its scope says.
pub(super) fn remember(
    tx: &Tx<'_>,
    question: &str,
    decision: InboxDecision,
    scope: InboxScope,
    by: &str,
) -> Result<(), SessionError> {
    let asked =
        tx.query_row("SELECT session, repo, tool, subject FROM inbox WHERE id = ?1", [question], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        });
    let (session, repo, tool, subject): (Option<String>, Option<String>, Option<String>, Option<String>) =
        asked?;
    let (Some(tool), Some(subject)) = (tool, subject) else {
        return Err(SessionError::Invalid(format!("question `{question}` is answered for itself only")));
    };
    let subject = Subject::from_text(&subject);
    let (session, repo) = match scope {
        InboxScope::Project => (None, repo),
        _ => (session, None),
    };
    tx.execute(
        "INSERT INTO permissions (id, session, repo, tool, command, path, decision, granted_by, granted_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            uuid::Uuid::now_v7().to_string(),
            session,
            repo,
            tool,
            subject.command,
            subject.path,
            decision.as_str(),
            by,
            tx.now,
        ],
    )?;
    Ok(())
}

pub(super) fn of(
    conn: &Connection,
    session: &str,
    repo: Option<&str>,
    tool: &str,
) -> Result<Vec<PermissionGrant>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM permissions WHERE tool = ?3 AND (session = ?1 OR repo = ?2)");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params![session, repo, tool], read_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn all(conn: &Connection) -> Result<Vec<PermissionGrant>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM permissions ORDER BY granted_at DESC, id DESC LIMIT 1000");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map([], read_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn remove(tx: &Tx<'_>, id: &str) -> Result<Option<PermissionGrant>, StoreError> {
    let sql = format!("DELETE FROM permissions WHERE id = ?1 RETURNING {COLUMNS}");
    Ok(tx.query_row(&sql, [id], read_row).optional()?)
}

fn read_row(row: &Row<'_>) -> Result<PermissionGrant, SqlError> {
    let repo: Option<String> = row.get(2)?;
    Ok(PermissionGrant {
        id: row.get(0)?,
        scope: if repo.is_some() { InboxScope::Project } else { InboxScope::Session },
        session: row.get(1)?,
        repo,
        tool: row.get(3)?,
        command: row.get(4)?,
        path: row.get(5)?,
        // A word that is none allows nothing.
        decision: word(row.get(6)?).unwrap_or(InboxDecision::Deny),
        granted_by: row.get(7)?,
        granted_at: rfc3339(row.get(8)?),
    })
}
