//! The inbox: questions of agents that only a person answers, each once. Kept until answered.

use podium_protocol::{InboxDecision, InboxItem};
use podium_store::rusqlite::{Connection, Error as SqlError, OptionalExtension as _, Row, params};
use podium_store::{Durability, NewEvent, Store, StoreError, rfc3339};
use serde_json::json;

use crate::SessionError;

/// Longest question, in characters.
const MAX_QUESTION: usize = 2_000;
/// Questions one agent may have open.
const MAX_OPEN: u32 = 50;
const COLUMNS: &str = "id, agent_id, session, question, asked_at, decision, answered_at";

/// The inbox. Cheap to clone.
#[derive(Clone)]
pub struct Inbox {
    store: Store,
}

impl Inbox {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Stores a question.
    ///
    /// # Errors
    /// `Invalid` when it is empty, too long, or the agent has too many open.
    pub async fn ask(
        &self,
        agent_id: String,
        session: Option<String>,
        question: String,
    ) -> Result<InboxItem, SessionError> {
        if question.trim().is_empty() || question.chars().count() > MAX_QUESTION {
            return Err(SessionError::Invalid(format!("a question has 1 to {MAX_QUESTION} characters")));
        }
        let write = self.store.write(Durability::Power, move |tx| {
            let open = "SELECT count(*) FROM inbox WHERE agent_id = ?1 AND decision IS NULL";
            let open: u32 = tx.query_row(open, [&agent_id], |row| row.get(0)).map_err(StoreError::from)?;
            if open >= MAX_OPEN {
                return Err(SessionError::Invalid(format!("{agent_id} has {open} open questions already")));
            }
            let id = uuid::Uuid::now_v7().to_string();
            tx.execute(
                "INSERT INTO inbox (id, agent_id, session, question, asked_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![id, agent_id, session, question, tx.now],
            )
            .map_err(StoreError::from)?;
            let data = json!({ "id": id, "agentId": agent_id, "session": session, "question": question });
            tx.emit(&NewEvent::new("inbox.asked", format!("inbox/{id}"), data))?;
            find(tx, &id)
        });
        write.await
    }

    /// Questions, oldest first; answered ones too with `all`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list(&self, all: bool) -> Result<Vec<InboxItem>, SessionError> {
        let read = move |conn: &Connection| -> Result<_, StoreError> {
            let sql = format!(
                "SELECT {COLUMNS} FROM inbox WHERE ?1 OR decision IS NULL ORDER BY asked_at, id LIMIT 500"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query_map([all], read_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        Ok(self.store.read(read).await?)
    }

    /// Answers a question. The first answer stands.
    ///
    /// # Errors
    /// `NotFound`, or `Answered` with what was decided.
    pub async fn answer(&self, id: String, decision: InboxDecision) -> Result<InboxItem, SessionError> {
        let write = self.store.write(Durability::Power, move |tx| {
            let item = find(tx, &id)?;
            let word = word(decision);
            let sql = "UPDATE inbox SET decision = ?2, answered_at = ?3 WHERE id = ?1 AND decision IS NULL";
            let changed = tx.execute(sql, params![item.id, word, tx.now]).map_err(StoreError::from)?;
            if changed == 0 {
                return Err(SessionError::Answered { id: item.id });
            }
            let data = json!({
                "id": item.id, "agentId": item.agent_id, "session": item.session, "decision": word,
            });
            tx.emit(&NewEvent::new("inbox.answered", format!("inbox/{}", item.id), data))?;
            find(tx, &item.id)
        });
        write.await
    }
}

fn word(decision: InboxDecision) -> &'static str {
    match decision {
        InboxDecision::Allow => "allow",
        InboxDecision::Deny => "deny",
    }
}

fn find(conn: &Connection, id: &str) -> Result<InboxItem, SessionError> {
    let sql = format!("SELECT {COLUMNS} FROM inbox WHERE id = ?1");
    let found = conn.query_row(&sql, [id], read_row).optional().map_err(StoreError::from)?;
    found.ok_or_else(|| SessionError::NoQuestion(id.to_owned()))
}

fn read_row(row: &Row<'_>) -> Result<InboxItem, SqlError> {
    let decision: Option<String> = row.get(5)?;
    let answered: Option<i64> = row.get(6)?;
    Ok(InboxItem {
        id: row.get(0)?,
        agent_id: row.get(1)?,
        session: row.get(2)?,
        question: row.get(3)?,
        asked_at: rfc3339(row.get(4)?),
        decision: decision.map(|d| if d == "allow" { InboxDecision::Allow } else { InboxDecision::Deny }),
        answered_at: answered.map(rfc3339),
    })
}
