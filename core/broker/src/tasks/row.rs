//! The table `tasks`.

use podium_protocol::{TaskAssignment, TaskInfo, TaskOutcome, TaskState};
use podium_store::rfc3339;
use podium_store::rusqlite::{self, Connection, OptionalExtension as _, Row};

use super::Task;

pub(super) const COLUMNS: &str = "id, queue, event, correlation, assignment, state, attempts, cuts, listener, session, \
    worktree, reason, not_before, outcome, created_at, changed_at";

#[derive(Debug, Clone)]
pub(super) struct TaskRow {
    pub(super) id: String,
    pub(super) queue: String,
    pub(super) event: String,
    pub(super) correlation: Option<String>,
    pub(super) assignment: TaskAssignment,
    pub(super) state: TaskState,
    pub(super) attempts: u32,
    pub(super) cuts: u32,
    pub(super) listener: Option<String>,
    pub(super) session: Option<String>,
    pub(super) worktree: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) not_before: i64,
    pub(super) outcome: Option<TaskOutcome>,
    pub(super) created_at: i64,
    pub(super) changed_at: i64,
}

impl TaskRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (assignment, state): (String, String) = (row.get(4)?, row.get(5)?);
        let outcome: Option<String> = row.get(13)?;
        Ok(Self {
            id: row.get(0)?,
            queue: row.get(1)?,
            event: row.get(2)?,
            correlation: row.get(3)?,
            assignment: serde_json::from_str(&assignment).unwrap_or_default(),
            state: TaskState::ALL.into_iter().find(|s| s.as_str() == state).unwrap_or(TaskState::Dead),
            attempts: row.get(6)?,
            cuts: row.get(7)?,
            listener: row.get(8)?,
            session: row.get(9)?,
            worktree: row.get(10)?,
            reason: row.get(11)?,
            not_before: row.get(12)?,
            outcome: outcome.and_then(|text| serde_json::from_str(&text).ok()),
            created_at: row.get(14)?,
            changed_at: row.get(15)?,
        })
    }

    pub(super) fn find(conn: &Connection, id: &str) -> rusqlite::Result<Option<Self>> {
        let sql = format!("SELECT {COLUMNS} FROM tasks WHERE id = ?1");
        conn.prepare_cached(&sql)?.query_row([id], Self::read).optional()
    }

    pub(super) fn info(self) -> TaskInfo {
        let waits = self.state == TaskState::Assigned && self.not_before > 0;
        TaskInfo {
            id: self.id,
            queue: self.queue,
            state: self.state,
            assignment: self.assignment,
            event: self.event,
            attempts: self.attempts,
            cuts: self.cuts,
            listener: self.listener,
            session: self.session,
            reason: self.reason,
            not_before: waits.then(|| rfc3339(self.not_before)),
            assigned_at: rfc3339(self.created_at),
            changed_at: rfc3339(self.changed_at),
            outcome: self.outcome,
        }
    }

    pub(super) fn task(self, listener: &str, session: String) -> Task {
        Task {
            id: self.id,
            queue: self.queue,
            assignment: self.assignment,
            attempts: self.attempts,
            cuts: self.cuts,
            listener: listener.to_owned(),
            session,
            worktree: self.worktree,
            reason: self.reason,
        }
    }
}
