//! The table `task_runs`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use podium_protocol::{RunInfo, RunState, SessionStatus, WireError};
use podium_store::rusqlite::{Connection, OptionalExtension as _, Row, params};
use podium_store::{Durability, NewEvent, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Outcome {
    pub(super) status: Option<SessionStatus>,
    pub(super) commits: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) uncommitted: Vec<String>,
    pub(super) released: bool,
    pub(super) problem: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct RunRow {
    pub(super) session: String,
    pub(super) task: String,
    pub(super) agent_id: String,
    /// Id, name and place of the worktree.
    pub(super) worktree: String,
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) branch: Option<String>,
    pub(super) token: u64,
    pub(super) base: Option<String>,
    pub(super) commits_rest: bool,
    pub(super) keeps_claim: bool,
    pub(super) state: RunState,
    pub(super) outcome: Outcome,
}

impl RunRow {
    pub(super) fn info(&self) -> RunInfo {
        RunInfo {
            session: self.session.clone(),
            task: self.task.clone(),
            agent_id: self.agent_id.clone(),
            worktree: self.name.clone(),
            path: self.path.to_string_lossy().into_owned(),
            branch: self.branch.clone(),
            token: self.token,
            state: self.state,
            status: self.outcome.status,
            commits: self.outcome.commits.clone(),
            files_changed: self.outcome.files.clone(),
            uncommitted: self.outcome.uncommitted.clone(),
            released: self.outcome.released,
            problem: self.outcome.problem.clone(),
        }
    }

    fn event(&self, kind: &'static str) -> NewEvent {
        let data = json!({
            "session": self.session,
            "task": self.task,
            "agentId": self.agent_id,
            "worktree": self.name,
            "worktreeId": self.worktree,
            "status": self.outcome.status,
            "commits": self.outcome.commits,
            "filesChanged": self.outcome.files,
            "uncommitted": self.outcome.uncommitted,
            "released": self.outcome.released,
            "problem": self.outcome.problem,
        });
        NewEvent::new(kind, format!("session/{}", self.session), data).correlated(self.session.clone())
    }

    fn read(row: &Row<'_>) -> podium_store::rusqlite::Result<Self> {
        let (path, state): (Vec<u8>, String) = (row.get(5)?, row.get(11)?);
        let outcome: Option<String> = row.get(12)?;
        Ok(Self {
            session: row.get(0)?,
            task: row.get(1)?,
            agent_id: row.get(2)?,
            worktree: row.get(3)?,
            name: row.get(4)?,
            path: PathBuf::from(OsString::from_vec(path)),
            branch: row.get(6)?,
            token: row.get(7)?,
            base: row.get(8)?,
            commits_rest: row.get(9)?,
            keeps_claim: row.get(10)?,
            state: match state.as_str() {
                "working" => RunState::Working,
                "finishing" => RunState::Finishing,
                _ => RunState::Ended,
            },
            outcome: outcome.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
        })
    }
}

const COLUMNS: &str = "session, task, agent_id, worktree, worktree_name, worktree_path, branch, token, base, \
    commits_rest, keeps_claim, state, outcome";

pub(super) async fn find(store: &Store, session: &str) -> Result<Option<RunRow>, WireError> {
    let session = session.to_owned();
    let read = store.read(move |conn: &Connection| -> Result<_, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM task_runs WHERE session = ?1");
        Ok(conn.prepare_cached(&sql)?.query_row([session], RunRow::read).optional()?)
    });
    Ok(read.await?)
}

/// Sessions of the runs that did not end, oldest first.
pub(super) async fn open(store: &Store) -> Result<Vec<String>, WireError> {
    let read = store.read(|conn: &Connection| -> Result<Vec<String>, StoreError> {
        let sql = "SELECT session FROM task_runs WHERE state <> 'ended' ORDER BY created_at";
        let mut statement = conn.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    Ok(read.await?)
}

/// Writes the intent. The index refuses a second open run in one worktree, should a claim ever let it come so far.
pub(super) async fn insert(store: &Store, row: RunRow) -> Result<(), WireError> {
    let name = row.name.clone();
    let write = store.write::<bool, StoreError>(Durability::Power, move |tx| {
        let sql = "INSERT INTO task_runs (session, task, agent_id, worktree, worktree_name, worktree_path, branch,
                token, base, commits_rest, keeps_claim, state, created_at)
            SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'working', ?12
            WHERE NOT EXISTS (SELECT 1 FROM task_runs WHERE worktree = ?4 AND state <> 'ended' AND session <> ?1)
            ON CONFLICT (session) DO UPDATE SET task = excluded.task, agent_id = excluded.agent_id,
                worktree = excluded.worktree, worktree_name = excluded.worktree_name,
                worktree_path = excluded.worktree_path, branch = excluded.branch, token = excluded.token,
                base = excluded.base, commits_rest = excluded.commits_rest, keeps_claim = excluded.keeps_claim,
                state = 'working', outcome = NULL, ended_at = NULL";
        let changed = tx.execute(
            sql,
            params![
                row.session,
                row.task,
                row.agent_id,
                row.worktree,
                row.name,
                row.path.as_os_str().as_bytes(),
                row.branch,
                row.token,
                row.base,
                row.commits_rest,
                row.keeps_claim,
                tx.now
            ],
        )?;
        if changed == 1 {
            tx.emit(&row.event("task.started"))?;
        }
        Ok(changed == 1)
    });
    if write.await? {
        return Ok(());
    }
    Err(WireError::conflict(format!("another task is worked on in `{name}`")))
}

/// Stores how far it is; with its end comes the event.
pub(super) async fn save(store: &Store, row: &RunRow) -> Result<(), WireError> {
    let row = row.clone();
    let write = store.write::<(), StoreError>(Durability::Power, move |tx| {
        let ended = (row.state == RunState::Ended).then_some(tx.now);
        let outcome = serde_json::to_string(&row.outcome).unwrap_or_default();
        let sql = "UPDATE task_runs SET state = ?2, outcome = ?3, ended_at = ?4 WHERE session = ?1";
        tx.execute(sql, params![row.session, row.state.as_str(), outcome, ended])?;
        if ended.is_some() {
            tx.emit(&row.event("task.ended"))?;
        }
        Ok(())
    });
    Ok(write.await?)
}

/// Ends the run of a session that was never stored.
pub(super) async fn never_began(
    store: &Store,
    session: &str,
    why: &str,
    released: bool,
) -> Result<(), WireError> {
    let Some(mut row) = find(store, session).await? else { return Ok(()) };
    row.state = RunState::Ended;
    row.outcome = Outcome {
        status: Some(SessionStatus::Failed),
        released,
        problem: Some(format!("the session did not begin: {why}")),
        ..Outcome::default()
    };
    save(store, &row).await
}

/// Whether there is a run of this session; it is open again.
pub(super) async fn reopen(store: &Store, session: &str, token: Option<u64>) -> Result<bool, WireError> {
    let session = session.to_owned();
    let write = store.write::<bool, StoreError>(Durability::Power, move |tx| {
        let sql = "UPDATE task_runs SET state = 'working', ended_at = NULL, token = coalesce(?2, token) WHERE session = ?1
            AND NOT EXISTS (SELECT 1 FROM task_runs AS other WHERE other.worktree = task_runs.worktree
                AND other.state <> 'ended' AND other.session <> ?1)";
        Ok(tx.execute(sql, params![session, token])? == 1)
    });
    Ok(write.await?)
}
