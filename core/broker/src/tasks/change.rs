//! How a task goes from one state to the next. Each change and its event are one transaction.

use podium_protocol::{DEFAULT_QUEUE, TaskAssignment, TaskInfo, TaskOutcome, TaskState};
use podium_store::rusqlite::{Connection, OptionalExtension as _, params};
use podium_store::{Durability, EventKey, NewEvent, Tx, find_event, now_ms};
use serde_json::json;

use super::row::{COLUMNS, TaskRow};
use super::{Given, Task, Tasks, look};
use crate::BrokerError;
use crate::publish::{Published, appended};

impl Tasks {
    /// Puts a task into its queue. The same task again changes nothing.
    pub(crate) fn assign(tx: &Tx<'_>, event: &NewEvent) -> Result<Published, BrokerError> {
        let assignment: TaskAssignment = read(event)?;
        if assignment.worktree.is_some() && assignment.name.is_some() {
            let text = "a task works in a worktree that is there, or in a new one: `worktree` or `name`";
            return Err(BrokerError::Bound(text.to_owned()));
        }
        if let Some(there) = TaskRow::find(tx, &assignment.id)? {
            return assigned_before(tx, there, &assignment);
        }
        let mut event = event.clone();
        event.correlation.get_or_insert_with(|| assignment.id.clone());
        let event = appended(tx, &event)?;
        let queue = assignment.queue.clone().unwrap_or_else(|| DEFAULT_QUEUE.to_owned());
        let sql = "INSERT INTO tasks (id, queue, place, event, correlation, agent_id, assignment, state, created_at,
            changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'assigned', ?8, ?8)";
        tx.execute(
            sql,
            params![
                assignment.id,
                queue,
                event.seq,
                event.id,
                event.correlation_id,
                assignment.agent_id,
                json!(assignment).to_string(),
                tx.now
            ],
        )?;
        let task = found(tx, &assignment.id)?.info();
        Ok(Published { event, duplicate: false, task: Some(task) })
    }

    /// Ends a task by what somebody tells of it.
    pub(crate) fn report(tx: &Tx<'_>, event: &NewEvent, done: bool) -> Result<Published, BrokerError> {
        let told: TaskOutcome = read(event)?;
        let row = found(tx, &told.id)?;
        let refused = |why: String| Err(BrokerError::TaskState { id: told.id.clone(), why });
        match row.state {
            TaskState::Assigned => {}
            TaskState::Running => return refused("is being worked on; cancel its session first".to_owned()),
            state => return refused(format!("has its outcome: it is {}", state.as_str())),
        }
        let mut event = event.clone();
        event.correlation = event.correlation.or(row.correlation);
        event.causation = event.causation.or(Some(row.event));
        let event = appended(tx, &event)?;
        let state = if done { TaskState::Done } else { TaskState::Failed };
        let sql = "UPDATE tasks SET state = ?2, outcome = ?3, reason = ?4, changed_at = ?5 WHERE id = ?1";
        tx.execute(sql, params![told.id, state.as_str(), json!(told).to_string(), told.reason, tx.now])?;
        Ok(Published { event, duplicate: false, task: Some(found(tx, &told.id)?.info()) })
    }

    /// Assigns a task again that failed, behind all others of its queue.
    ///
    /// # Errors
    /// [`BrokerError::NoTask`]; [`BrokerError::TaskState`] for one that did not fail.
    pub async fn retry(&self, id: &str) -> Result<TaskInfo, BrokerError> {
        let id = id.to_owned();
        let write = self.store().write(Durability::Power, move |tx| {
            let row = look::resolve(tx, &id)?;
            if !matches!(row.state, TaskState::Failed | TaskState::Dead) {
                let why = format!("is {}: only what failed is assigned again", row.state.as_str());
                return Err(BrokerError::TaskState { id: row.id, why });
            }
            let place = tx.emit(&event("task.retried", &row, json!({ "id": row.id, "queue": row.queue })))?;
            // A session of its own again: the last one was cancelled. Its worktree serves, if it is still there.
            let sql = "UPDATE tasks SET state = 'assigned', place = ?2, attempts = 0, cuts = 0, listener = NULL,
                worktree = coalesce(json_extract(outcome, '$.worktree'), worktree), session = NULL, reason = NULL,
                outcome = NULL, not_before = 0, changed_at = ?3 WHERE id = ?1";
            tx.execute(sql, params![row.id, place, tx.now])?;
            Ok(found(tx, &row.id)?.info())
        });
        let task = write.await?;
        self.tell();
        Ok(task)
    }

    /// The next task of a queue: first what an earlier process left, then what waits, in the order it came.
    pub(super) async fn take(
        &self,
        queue: &str,
        agent: Option<String>,
        listener: &str,
    ) -> Result<Option<Given>, BrokerError> {
        let (tasks, queue, listener) = (self.clone(), queue.to_owned(), listener.to_owned());
        // To its end also when the listener goes: what was taken for it is free again then.
        let taken = tokio::spawn(async move {
            let _one = tasks.inner.taking.lock().await;
            let held = tasks.held().clone();
            let take = tasks.store().write(Durability::Power, move |tx| {
                match next(tx, &queue, agent.as_deref(), |id| held.contains(id))? {
                    Some(row) => accept(tx, row, &listener).map(Some),
                    None => Ok(None),
                }
            });
            take.await.map(|task| task.map(|task| tasks.hold(task)))
        });
        taken.await.unwrap_or(Ok(None))
    }

    /// An attempt came to nothing: the task waits until `not_before` (milliseconds) for the next.
    pub(super) async fn defer(&self, task: &Task, reason: &str, not_before: i64) -> Result<(), BrokerError> {
        let (id, reason) = (task.id.clone(), reason.to_owned());
        let write = self.store().write(Durability::Power, move |tx| {
            let sql = "UPDATE tasks SET state = 'assigned', attempts = attempts + 1, reason = ?2, not_before = ?3,
                changed_at = ?4 WHERE id = ?1 AND state = 'running'";
            if tx.execute(sql, params![id, reason, not_before, tx.now])? == 1 {
                let row = found(tx, &id)?;
                let data = json!({ "id": row.id, "queue": row.queue, "listener": row.listener, "reason": reason,
                    "attempts": row.attempts, "notBefore": podium_store::rfc3339(not_before) });
                tx.emit(&event("task.deferred", &row, data))?;
            }
            Ok::<_, BrokerError>(())
        });
        write.await
    }

    /// The last attempt came to nothing. A next process does not try again, but ends what is left.
    pub(super) async fn give_up(&self, task: &Task, reason: &str) -> Result<(), BrokerError> {
        let (id, reason) = (task.id.clone(), reason.to_owned());
        let write = self.store().write(Durability::Power, move |tx| {
            let sql = "UPDATE tasks SET attempts = attempts + 1, reason = ?2, changed_at = ?3
                WHERE id = ?1 AND state = 'running'";
            tx.execute(sql, params![id, reason, tx.now])?;
            Ok::<_, BrokerError>(())
        });
        write.await
    }

    /// Stores the outcome with its event. A task that has one keeps it.
    pub(super) async fn end(&self, state: TaskState, outcome: TaskOutcome) -> Result<(), BrokerError> {
        let write = self.store().write(Durability::Power, move |tx| {
            let sql = "UPDATE tasks SET state = ?2, outcome = ?3, reason = ?4, changed_at = ?5
                WHERE id = ?1 AND state = 'running'";
            let text = json!(outcome).to_string();
            if tx.execute(sql, params![outcome.id, state.as_str(), text, outcome.reason, tx.now])? == 1 {
                let row = found(tx, &outcome.id)?;
                let kind =
                    if state == TaskState::Done { crate::names::COMPLETED } else { crate::names::FAILED };
                let mut data = json!(outcome);
                data["listener"] = json!(row.listener);
                tx.emit(&event(kind, &row, data))?;
            }
            Ok::<_, BrokerError>(())
        });
        write.await
    }
}

fn assigned_before(
    tx: &Tx<'_>,
    there: TaskRow,
    assignment: &TaskAssignment,
) -> Result<Published, BrokerError> {
    if there.assignment != *assignment {
        return Err(BrokerError::OtherTask(there.id));
    }
    match find_event(tx, EventKey::Id(&there.event))? {
        Some(event) => Ok(Published { event, duplicate: true, task: Some(there.info()) }),
        None => {
            let why = format!("was assigned long ago, and is {}", there.state.as_str());
            Err(BrokerError::TaskState { id: there.id, why })
        }
    }
}

fn next(
    conn: &Connection,
    queue: &str,
    agent: Option<&str>,
    is_held: impl Fn(&str) -> bool,
) -> Result<Option<TaskRow>, BrokerError> {
    let of_agent = "(agent_id IS NULL OR ?2 IS NULL OR agent_id = ?2)";
    let left = format!(
        "SELECT {COLUMNS} FROM tasks WHERE state = 'running' AND queue = ?1 AND {of_agent} ORDER BY place"
    );
    let mut left = conn.prepare_cached(&left)?;
    for row in left.query_map(params![queue, agent], TaskRow::read)? {
        let row = row?;
        if !is_held(&row.id) {
            return Ok(Some(row));
        }
    }
    // The first condition is the index's, word by word.
    let waiting = format!(
        "SELECT {COLUMNS} FROM tasks WHERE queue = ?1 AND state IN ('assigned', 'running') AND state = 'assigned'
         AND not_before <= ?3 AND {of_agent} ORDER BY place LIMIT 1"
    );
    let mut waiting = conn.prepare_cached(&waiting)?;
    Ok(waiting.query_row(params![queue, agent, now_ms()], TaskRow::read).optional()?)
}

fn accept(tx: &Tx<'_>, row: TaskRow, listener: &str) -> Result<Task, BrokerError> {
    let goes_on = row.state == TaskState::Running;
    let session = row.session.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let sql =
        "UPDATE tasks SET state = 'running', listener = ?2, session = ?3, cuts = cuts + ?4, not_before = 0,
        changed_at = ?5 WHERE id = ?1";
    tx.execute(sql, params![row.id, listener, session, goes_on, tx.now])?;
    let row = found(tx, &row.id)?;
    let data = json!({ "id": row.id, "queue": row.queue, "task": row.assignment.task, "listener": listener,
        "session": session, "attempts": row.attempts, "goesOn": goes_on });
    tx.emit(&event("task.accepted", &row, data))?;
    Ok(row.task(listener, session))
}

fn event(kind: &'static str, row: &TaskRow, data: serde_json::Value) -> NewEvent {
    let mut event = NewEvent::new(kind, format!("task/{}", row.id), data);
    event.correlation = row.correlation.clone();
    event.causation = Some(row.event.clone());
    event
}

fn found(conn: &Connection, id: &str) -> Result<TaskRow, BrokerError> {
    TaskRow::find(conn, id)?.ok_or_else(|| BrokerError::NoTask(id.to_owned()))
}

/// The schema was checked before: what still does not fit is a number too large, say.
fn read<T: serde::de::DeserializeOwned>(event: &NewEvent) -> Result<T, BrokerError> {
    serde_json::from_value(event.data.clone())
        .map_err(|e| BrokerError::Data { kind: event.kind.to_string(), problems: vec![e.to_string()] })
}
