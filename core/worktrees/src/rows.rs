//! The rows of this crate's tables.

use std::path::{Path, PathBuf};

use podium_process::ProcessIdentity;
use podium_store::rusqlite::{self, Connection, OptionalExtension, Row, params};

use crate::error::Result;
use crate::{observe, paths};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepoRow {
    pub(crate) id: String,
    pub(crate) common_dir: PathBuf,
    /// Folder of the main worktree; the common folder when bare.
    pub(crate) root: PathBuf,
}

impl RepoRow {
    pub(crate) fn is_bare(&self) -> bool {
        self.root == self.common_dir
    }

    pub(crate) fn to_ref(&self) -> podium_protocol::RepoRef {
        podium_protocol::RepoRef { id: self.id.clone(), root: self.root.to_string_lossy().into_owned() }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, common_dir: path(row, 1)?, root: path(row, 2)? })
    }

    pub(crate) fn all(conn: &Connection) -> rusqlite::Result<Vec<Self>> {
        let sql = "SELECT id, common_dir, root FROM repos ORDER BY root";
        conn.prepare_cached(sql)?.query_map([], Self::read)?.collect()
    }

    pub(crate) fn by_id(conn: &Connection, id: &str) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT id, common_dir, root FROM repos WHERE id = ?1";
        conn.prepare_cached(sql)?.query_row([id], Self::read).optional()
    }

    pub(crate) fn by_common_dir(conn: &Connection, dir: &Path) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT id, common_dir, root FROM repos WHERE common_dir = ?1";
        conn.prepare_cached(sql)?.query_row([paths::to_bytes(dir)], Self::read).optional()
    }
}

/// What proves that the owner of a claim still exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Binding {
    Process(ProcessIdentity),
    Session(String),
    /// Calls with its token and changes in its tree.
    Heartbeat,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Whose settings say how long silence is normal.
    pub(crate) repo: String,
    pub(crate) agent_id: String,
    pub(crate) token: u64,
    pub(crate) host: String,
    pub(crate) binding: Binding,
    pub(crate) claimed_at: i64,
    pub(crate) heartbeat_at: i64,
    pub(crate) owner_dead_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorktreeRow {
    pub(crate) id: String,
    pub(crate) repo: String,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) admin_dir: PathBuf,
    pub(crate) kind: String,
    pub(crate) is_main: bool,
    pub(crate) pr: Option<u64>,
    pub(crate) branch: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) removing: Option<String>,
    pub(crate) claim: Option<Claim>,
}

const WORKTREE: &str = "SELECT id, repo, name, path, admin_dir, kind, is_main, pr, branch, created_at, removing,
    agent_id, token, host, pid, pid_start, boot_id, session, claimed_at, heartbeat_at, owner_dead_at FROM worktrees";

impl WorktreeRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            repo: row.get(1)?,
            name: row.get(2)?,
            path: path(row, 3)?,
            admin_dir: path(row, 4)?,
            kind: row.get(5)?,
            is_main: row.get(6)?,
            pr: row.get(7)?,
            branch: row.get(8)?,
            created_at: row.get(9)?,
            removing: row.get(10)?,
            claim: Claim::read(row)?,
        })
    }

    fn one(conn: &Connection, rest: &str, params: impl rusqlite::Params) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached(&format!("{WORKTREE} {rest}"))?.query_row(params, Self::read).optional()
    }

    fn many(conn: &Connection, rest: &str, params: impl rusqlite::Params) -> rusqlite::Result<Vec<Self>> {
        conn.prepare_cached(&format!("{WORKTREE} {rest}"))?.query_map(params, Self::read)?.collect()
    }

    pub(crate) fn by_id(conn: &Connection, id: &str) -> rusqlite::Result<Option<Self>> {
        Self::one(conn, "WHERE id = ?1", [id])
    }

    /// By its name, else by its branch, else by the number of its pull request (`pr-7`).
    pub(crate) fn by_name(conn: &Connection, repo: &str, name: &str) -> rusqlite::Result<Option<Self>> {
        if let Some(row) = Self::one(conn, "WHERE repo = ?1 AND name = ?2", [repo, name])? {
            return Ok(Some(row));
        }
        if let Some(row) = Self::one(conn, "WHERE repo = ?1 AND branch = ?2 ORDER BY name", [repo, name])? {
            return Ok(Some(row));
        }
        // Without its type, as it was given to `imi feat`, while only one has it.
        let short = "WHERE repo = ?1 AND name = kind || '-' || ?2 AND 1 =
            (SELECT count(*) FROM worktrees WHERE repo = ?1 AND name = kind || '-' || ?2)";
        if let Some(row) = Self::one(conn, short, [repo, name])? {
            return Ok(Some(row));
        }
        match name.strip_prefix("pr-").and_then(|number| number.parse::<u64>().ok()) {
            Some(number) => {
                Self::one(conn, "WHERE repo = ?1 AND pr = ?2 ORDER BY name", params![repo, number])
            }
            None => Ok(None),
        }
    }

    pub(crate) fn by_path(conn: &Connection, path: &Path) -> rusqlite::Result<Option<Self>> {
        Self::one(conn, "WHERE path = ?1 ORDER BY created_at DESC", [paths::to_bytes(path)])
    }

    /// The main worktree first, then by name.
    pub(crate) fn of_repo(conn: &Connection, repo: &str) -> rusqlite::Result<Vec<Self>> {
        Self::many(conn, "WHERE repo = ?1 ORDER BY is_main DESC, name", [repo])
    }

    pub(crate) fn of_session(conn: &Connection, session: &str) -> rusqlite::Result<Vec<Self>> {
        Self::many(conn, "WHERE session = ?1 AND agent_id IS NOT NULL", [session])
    }

    pub(crate) fn insert(&self, conn: &Connection) -> Result<()> {
        let sql = "INSERT INTO worktrees
            (id, repo, name, path, admin_dir, kind, is_main, pr, branch, created_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let (path, admin) = (paths::to_bytes(&self.path), paths::to_bytes(&self.admin_dir));
        conn.prepare_cached(sql)?.execute(params![
            self.id,
            self.repo,
            self.name,
            path,
            admin,
            self.kind,
            self.is_main,
            self.pr,
            self.branch,
            self.created_at
        ])?;
        observe::baseline(conn, self)
    }

    pub(crate) fn subject(&self) -> String {
        format!("worktree/{}", self.id)
    }
}

impl Claim {
    fn read(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let Some(agent_id) = row.get(11)? else { return Ok(None) };
        let process: Option<u32> = row.get(14)?;
        let session: Option<String> = row.get(17)?;
        let binding = match (process, session) {
            (Some(pid), _) => Binding::Process(ProcessIdentity {
                pid,
                start_time: row.get::<_, Option<u64>>(15)?.unwrap_or_default(),
                boot_id: row.get::<_, Option<String>>(16)?.unwrap_or_default(),
            }),
            (None, Some(session)) => Binding::Session(session),
            (None, None) => Binding::Heartbeat,
        };
        Ok(Some(Self {
            repo: row.get(1)?,
            agent_id,
            token: row.get(12)?,
            host: row.get::<_, Option<String>>(13)?.unwrap_or_default(),
            binding,
            claimed_at: row.get::<_, Option<i64>>(18)?.unwrap_or_default(),
            heartbeat_at: row.get::<_, Option<i64>>(19)?.unwrap_or_default(),
            owner_dead_at: row.get(20)?,
        }))
    }
}

pub(crate) fn path(row: &Row<'_>, column: usize) -> rusqlite::Result<PathBuf> {
    Ok(paths::from_bytes(row.get(column)?))
}

/// A name that no other worktree of the repository has, nor one about to be made.
pub(crate) fn free_name(conn: &Connection, repo: &str, wanted: &str) -> rusqlite::Result<String> {
    let sql = "SELECT EXISTS (SELECT 1 FROM worktrees WHERE repo = ?1 AND name = ?2)
        OR EXISTS (SELECT 1 FROM creations WHERE repo = ?1 AND name = ?2)";
    let mut statement = conn.prepare_cached(sql)?;
    let mut name = wanted.to_owned();
    let mut number = 2;
    while statement.query_row([repo, &name], |row| row.get::<_, bool>(0))? {
        name = format!("{wanted}-{number}");
        number += 1;
    }
    Ok(name)
}
