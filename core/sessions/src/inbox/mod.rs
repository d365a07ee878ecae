//! The inbox: questions that only a person answers, each once. Kept until answered or withdrawn.
//!
//! A question about a tool is known by its session and call, so that a turn which goes on after a restart finds the
//! question it asked, and the answer if there is one by now. An answer wakes whoever waits by the event it writes.

mod grants;
mod question;
mod rows;

use std::time::Duration;

use podium_protocol::{InboxDecision, InboxItem, InboxScope, PermissionGrant};
use podium_store::rusqlite::Connection;
use podium_store::{Durability, NewEvent, Store, StoreError, Tx};
use serde_json::json;
use tokio_util::sync::CancellationToken;

pub(crate) use grants::Subject;
pub use question::Question;
pub(crate) use rows::withdraw;

use crate::SessionError;

/// Longest question, in characters.
const MAX_QUESTION: usize = 2_000;
/// Questions one agent may have open.
const MAX_OPEN: u32 = 50;
/// Who answered where nobody did.
const TIMEOUT: &str = "timeout";

/// The inbox. Cheap to clone.
#[derive(Clone)]
pub struct Inbox {
    store: Store,
}

/// A question about a call of a tool.
#[derive(Debug, Clone)]
pub(crate) struct ToolQuestion {
    pub(crate) session: String,
    /// Names the call within the session, the same after a restart.
    pub(crate) call: String,
    pub(crate) agent_id: String,
    pub(crate) repo: Option<String>,
    pub(crate) tool: String,
    pub(crate) question: String,
    pub(crate) detail: Option<String>,
    pub(crate) paths: Vec<String>,
    pub(crate) subject: Subject,
    pub(crate) options: Vec<InboxScope>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) on_timeout: InboxDecision,
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
            let open = rows::count_open(tx, &agent_id)?;
            if open >= MAX_OPEN {
                return Err(SessionError::Invalid(format!("{agent_id} has {open} open questions already")));
            }
            let id = rows::insert(tx, &agent_id, session.as_deref(), &question)?;
            asked(tx, rows::find(tx, &id)?)
        });
        write.await
    }

    /// Stores the question of a call, or finds it: it is asked once.
    pub(crate) async fn ask_for(&self, question: ToolQuestion) -> Result<InboxItem, SessionError> {
        let write = self.store.write(Durability::Power, move |tx| {
            let deadline =
                question.timeout.and_then(|t| i64::try_from(t.as_millis()).ok()).map(|ms| tx.now + ms);
            match rows::of_call(tx, &question.session, &question.call)? {
                // It waited for nobody in between, so that the time to answer begins anew.
                Some(item) if item.is_open() => {
                    rows::set_deadline(tx, &item.id, deadline)?;
                    rows::find(tx, &item.id)
                }
                Some(item) => Ok(item),
                None => {
                    let id = rows::insert_for(tx, &question, deadline)?;
                    asked(tx, rows::find(tx, &id)?)
                }
            }
        });
        write.await
    }

    /// Waits until a question is answered, withdrawn, or its time is over. `None` when `stop` came first: the
    /// question stays.
    pub(crate) async fn wait(
        &self,
        id: &str,
        timeout: Option<Duration>,
        stop: &CancellationToken,
    ) -> Result<Option<InboxItem>, SessionError> {
        // An answer writes an event, and so moves the head of the log.
        let mut head = self.store.watch_head();
        let until = timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        loop {
            head.mark_unchanged();
            let item = self.find(id).await?;
            if !item.is_open() {
                return Ok(Some(item));
            }
            let over = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = head.changed() => if changed.is_err() { return Ok(None) },
                () = stop.cancelled() => return Ok(None),
                () = over => return self.expire(id).await.map(Some),
            }
        }
    }

    /// Questions, oldest first; answered and withdrawn ones too with `all`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list(&self, all: bool) -> Result<Vec<InboxItem>, SessionError> {
        Ok(self.store.read(move |conn: &Connection| rows::list(conn, all)).await?)
    }

    /// Answers a question. The first answer stands.
    ///
    /// # Errors
    /// `NotFound`; `Answered` with what was decided; `Withdrawn`; `Invalid` for a scope it does not have.
    pub async fn answer(
        &self,
        id: String,
        decision: InboxDecision,
        scope: InboxScope,
        by: String,
    ) -> Result<InboxItem, SessionError> {
        let write = self.store.write(Durability::Power, move |tx| {
            let item = rows::find(tx, &id)?;
            check_open(&item)?;
            if scope != InboxScope::Once {
                if !item.options.contains(&scope) {
                    let message = format!("question `{id}` cannot be answered for the {}", scope.as_str());
                    return Err(SessionError::Invalid(message));
                }
                grants::remember(tx, &id, decision, scope, &by)?;
            }
            answered(tx, &item, decision, scope, &by)
        });
        write.await
    }

    /// Answers that hold for later questions, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn grants(&self) -> Result<Vec<PermissionGrant>, SessionError> {
        Ok(self.store.read(grants::all).await?)
    }

    /// Takes a lasting answer back.
    ///
    /// # Errors
    /// `NoGrant`.
    pub async fn forget(&self, id: String) -> Result<PermissionGrant, SessionError> {
        let write = self.store.write(Durability::Power, move |tx| {
            let grant = grants::remove(tx, &id)?.ok_or(SessionError::NoGrant(id))?;
            let data =
                json!({ "id": grant.id, "tool": grant.tool, "session": grant.session, "repo": grant.repo });
            tx.emit(&NewEvent::new("permission.forgotten", format!("permission/{}", grant.id), data))?;
            Ok(grant)
        });
        write.await
    }

    /// The lasting answers that bear on a tool in a session.
    pub(crate) async fn grants_for(
        &self,
        session: String,
        repo: Option<String>,
        tool: String,
    ) -> Result<Vec<PermissionGrant>, SessionError> {
        let read = move |conn: &Connection| grants::of(conn, &session, repo.as_deref(), &tool);
        Ok(self.store.read(read).await?)
    }

    async fn find(&self, id: &str) -> Result<InboxItem, SessionError> {
        let id = id.to_owned();
        self.store.read(move |conn: &Connection| rows::find(conn, &id)).await
    }

    /// What was set for a question that nobody answers. An answer that came a moment before stands.
    async fn expire(&self, id: &str) -> Result<InboxItem, SessionError> {
        let id = id.to_owned();
        let write = self.store.write(Durability::Power, move |tx| {
            let item = rows::find(tx, &id)?;
            if !item.is_open() {
                return Ok(item);
            }
            let decision = item.on_timeout.unwrap_or(InboxDecision::Deny);
            answered(tx, &item, decision, InboxScope::Once, TIMEOUT)
        });
        write.await
    }
}

fn check_open(item: &InboxItem) -> Result<(), SessionError> {
    let id = item.id.clone();
    match item.decision {
        Some(decision) => {
            Err(SessionError::Answered { id, decision, by: item.answered_by.clone().unwrap_or_default() })
        }
        None if item.withdrawn_at.is_some() => Err(SessionError::Withdrawn { id }),
        None => Ok(()),
    }
}

fn asked(tx: &Tx<'_>, item: InboxItem) -> Result<InboxItem, SessionError> {
    // What was asked for in detail stays in the inbox: the log is kept longer and read by more.
    let data = json!({
        "id": item.id, "agentId": item.agent_id, "session": item.session, "question": item.question,
        "tool": item.tool, "paths": item.paths, "options": item.options, "deadline": item.deadline,
    });
    tx.emit(&event("inbox.asked", &item, data))?;
    Ok(item)
}

fn answered(
    tx: &Tx<'_>,
    item: &InboxItem,
    decision: InboxDecision,
    scope: InboxScope,
    by: &str,
) -> Result<InboxItem, SessionError> {
    rows::set_answer(tx, &item.id, decision, scope, by)?;
    let data = json!({
        "id": item.id, "agentId": item.agent_id, "session": item.session, "decision": decision, "scope": scope,
        "by": by,
    });
    tx.emit(&event("inbox.answered", item, data))?;
    rows::find(tx, &item.id)
}

fn event(kind: &'static str, item: &InboxItem, data: serde_json::Value) -> NewEvent {
    let event = NewEvent::new(kind, format!("inbox/{}", item.id), data);
    match &item.session {
        Some(session) => event.correlated(session.clone()),
        None => event,
    }
}

impl From<podium_store::rusqlite::Error> for SessionError {
    fn from(error: podium_store::rusqlite::Error) -> Self {
        Self::Store(StoreError::from(error))
    }
}
