//! What stands in the queues.

use podium_protocol::{TaskInfo, TaskListParams, TaskState};
use podium_store::rusqlite::{Connection, OptionalExtension as _, params};
use podium_store::{Durability, StoreError, now_ms};

use super::Tasks;
use super::row::{COLUMNS, TaskRow};
use crate::BrokerError;

impl Tasks {
    /// Tasks, newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn list(&self, params: TaskListParams) -> Result<Vec<TaskInfo>, BrokerError> {
        let limit = params.limit.unwrap_or(100).clamp(1, 1000) as usize;
        let wanted = if params.states.is_empty() { TaskState::ALL.to_vec() } else { params.states };
        self.store()
            .read(move |conn: &Connection| {
                let mut found = Vec::new();
                for state in TaskState::ALL.into_iter().filter(|state| wanted.contains(state)) {
                    let sql = format!(
                        "SELECT {COLUMNS}, place FROM tasks WHERE state = ?1 AND (?2 IS NULL OR queue = ?2)
                         ORDER BY place DESC LIMIT ?3"
                    );
                    let mut statement = conn.prepare_cached(&sql)?;
                    let rows = statement.query_map(params![state.as_str(), params.queue, limit], |row| {
                        Ok((row.get::<_, i64>(16)?, TaskRow::read(row)?))
                    })?;
                    found.extend(rows.collect::<Result<Vec<_>, _>>()?);
                }
                found.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
                Ok(found.into_iter().take(limit).map(|(_, row)| row.info()).collect())
            })
            .await
    }

    /// One task, by its id or the unique beginning of it.
    ///
    /// # Errors
    /// [`BrokerError::NoTask`] where there is none, or more than one.
    pub async fn show(&self, id: &str) -> Result<TaskInfo, BrokerError> {
        let id = id.to_owned();
        self.store().read(move |conn: &Connection| Ok(resolve(conn, &id)?.info())).await
    }

    /// How many tasks of a queue wait or run, of those that this agent (`None`: anybody) may do.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn open(&self, queue: &str, agent: Option<String>) -> Result<u64, BrokerError> {
        let queue = queue.to_owned();
        let sql = "SELECT count(*) FROM tasks WHERE queue = ?1 AND state IN ('assigned', 'running')
            AND (agent_id IS NULL OR ?2 IS NULL OR agent_id = ?2)";
        self.store()
            .read(move |conn: &Connection| Ok(conn.query_row(sql, params![queue, agent], |row| row.get(0))?))
            .await
    }

    /// Whether a session belongs to a task that has no outcome yet: whoever listens goes on with it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn has_open(&self, session: &str) -> Result<bool, BrokerError> {
        let session = session.to_owned();
        let sql = "SELECT 1 FROM tasks WHERE session = ?1 AND state IN ('assigned', 'running')";
        let read = self.store().read(move |conn: &Connection| {
            let found = conn.query_row(sql, [session], |_| Ok(())).optional()?;
            Ok::<_, BrokerError>(found.is_some())
        });
        read.await
    }

    /// How many tasks a listener brought to an outcome.
    pub(super) async fn ended_by(&self, listener: &str) -> Result<u32, BrokerError> {
        let listener = listener.to_owned();
        let sql = "SELECT count(*) FROM tasks WHERE listener = ?1 AND state IN ('done', 'failed', 'dead')";
        self.store()
            .read(move |conn: &Connection| Ok(conn.query_row(sql, [listener], |row| row.get(0))?))
            .await
    }

    /// When the next task of a queue may be tried again; `None` where none waits for that. Milliseconds from now.
    pub(super) async fn next_due(&self, queue: &str) -> Result<Option<u64>, BrokerError> {
        let queue = queue.to_owned();
        let sql = "SELECT min(not_before) FROM tasks WHERE queue = ?1 AND state IN ('assigned', 'running')
            AND state = 'assigned' AND not_before > 0";
        let read = self.store().read(move |conn: &Connection| {
            let due: Option<i64> = conn.query_row(sql, [queue], |row| row.get(0))?;
            Ok::<_, BrokerError>(due.map(|due| u64::try_from(due - now_ms()).unwrap_or(0)))
        });
        read.await
    }

    /// Forgets tasks whose outcome is older than `before` (milliseconds). Returns how many.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn purge(&self, before: i64) -> Result<usize, StoreError> {
        let sql = "DELETE FROM tasks WHERE state IN ('done', 'failed', 'dead') AND changed_at < ?1";
        self.store().write(Durability::Process, move |tx| Ok(tx.execute(sql, [before])?)).await
    }
}

/// By the whole id, else by its beginning.
pub(super) fn resolve(conn: &Connection, id: &str) -> Result<TaskRow, BrokerError> {
    if let Some(row) = TaskRow::find(conn, id)? {
        return Ok(row);
    }
    let sql = format!("SELECT {COLUMNS} FROM tasks WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut found = statement.query_map([id], TaskRow::read)?.collect::<Result<Vec<_>, _>>()?;
    match (found.pop(), found.is_empty()) {
        (Some(row), true) if !id.is_empty() => Ok(row),
        _ => Err(BrokerError::NoTask(id.chars().filter(|c| !c.is_control()).take(128).collect())),
    }
}
