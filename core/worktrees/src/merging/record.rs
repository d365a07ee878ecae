//! Rows of `merges`.

use podium_git::Oid;
use podium_protocol::MergeMode;
use podium_store::rusqlite::{self, Connection, OptionalExtension, Row, params};

/// One merge. `state` says how far it is: `intent`, `merged`, `undoing`, `undone`.
#[derive(Debug, Clone)]
pub(crate) struct Merge {
    pub(crate) id: String,
    pub(crate) repo: String,
    pub(crate) worktree: String,
    pub(crate) name: String,
    pub(crate) branch: String,
    pub(crate) head: String,
    pub(crate) trunk: String,
    pub(crate) old: String,
    pub(crate) new: String,
    pub(crate) mode: &'static str,
    /// The removal that came with it.
    pub(crate) removal: Option<String>,
    pub(crate) merged_by: String,
    pub(crate) merged_at: i64,
    pub(crate) purge_at: i64,
}

const MERGE: &str =
    "SELECT id, repo, worktree, name, branch, head, trunk, old, new, mode, removal, merged_by,
    merged_at, purge_at FROM merges";

impl Merge {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            repo: row.get(1)?,
            worktree: row.get(2)?,
            name: row.get(3)?,
            branch: row.get(4)?,
            head: row.get(5)?,
            trunk: row.get(6)?,
            old: row.get(7)?,
            new: row.get(8)?,
            mode: mode(&row.get::<_, String>(9)?),
            removal: row.get(10)?,
            merged_by: row.get(11)?,
            merged_at: row.get(12)?,
            purge_at: row.get(13)?,
        })
    }

    /// A merge that may be undone: this one, or the newest of the repository.
    pub(crate) fn undoable(
        conn: &Connection,
        repo: &str,
        id: Option<&str>,
    ) -> rusqlite::Result<Option<Self>> {
        let sql = format!(
            "{MERGE} WHERE repo = ?1 AND state = 'merged' AND (?2 IS NULL OR id = ?2)
             ORDER BY merged_at DESC, id DESC LIMIT 1"
        );
        conn.prepare_cached(&sql)?.query_row(params![repo, id], Self::read).optional()
    }

    pub(crate) fn in_state(conn: &Connection, repo: &str, state: &str) -> rusqlite::Result<Vec<Self>> {
        let sql = format!("{MERGE} WHERE repo = ?1 AND state = ?2 ORDER BY merged_at DESC, id DESC");
        conn.prepare_cached(&sql)?.query_map([repo, state], Self::read)?.collect()
    }

    pub(crate) fn insert(&self, conn: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT INTO merges (id, repo, state, worktree, name, branch, head, trunk, old, new, mode, removal,
            merged_by, merged_at, purge_at)
            VALUES (?1, ?2, 'intent', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
        conn.execute(
            sql,
            params![
                self.id,
                self.repo,
                self.worktree,
                self.name,
                self.branch,
                self.head,
                self.trunk,
                self.old,
                self.new,
                self.mode,
                self.removal,
                self.merged_by,
                self.merged_at,
                self.purge_at
            ],
        )?;
        Ok(())
    }

    /// Moves on only from the state it is thought to be in.
    pub(crate) fn advance(&self, conn: &Connection, from: &str, to: &str) -> rusqlite::Result<bool> {
        let sql = "UPDATE merges SET state = ?3 WHERE id = ?1 AND state = ?2";
        Ok(conn.execute(sql, params![self.id, from, to])? == 1)
    }

    pub(crate) fn delete(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.execute("DELETE FROM merges WHERE id = ?1", [&self.id]).map(drop)
    }

    pub(crate) fn refname(&self) -> String {
        format!("refs/heads/{}", self.trunk)
    }

    /// Trunk's commits before and after.
    pub(crate) fn ends(&self) -> Option<(Oid, Oid)> {
        Some((self.old.parse().ok()?, self.new.parse().ok()?))
    }
}

pub(crate) const fn mode_name(mode: MergeMode) -> &'static str {
    match mode {
        MergeMode::FastForward => "fast_forward",
        MergeMode::Merge => "merge",
        MergeMode::Squash => "squash",
    }
}

fn mode(name: &str) -> &'static str {
    let all = [MergeMode::FastForward, MergeMode::Merge, MergeMode::Squash];
    all.into_iter().map(mode_name).find(|known| *known == name).unwrap_or("merge")
}
