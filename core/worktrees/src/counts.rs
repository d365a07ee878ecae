//! How many worktrees and claims there are, and which claims live by heartbeat.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use podium_protocol::WireError;
use podium_store::StoreError;

use crate::service::Worktrees;

impl Worktrees {
    /// Worktrees of all repositories.
    ///
    /// # Errors
    /// What the database says.
    pub async fn count(&self) -> Result<u32, WireError> {
        self.count_where("1").await
    }

    /// Worktrees that somebody holds.
    ///
    /// # Errors
    /// What the database says.
    pub async fn claimed_count(&self) -> Result<u32, WireError> {
        self.count_where("agent_id IS NOT NULL").await
    }

    /// Id and path of each worktree whose claim no process and no session is bound to.
    ///
    /// # Errors
    /// What the database says.
    pub async fn heartbeat_claims(&self) -> Result<Vec<(String, PathBuf)>, WireError> {
        let found = self.inner.store.read(|conn| -> Result<Vec<(String, PathBuf)>, StoreError> {
            let sql = "SELECT id, path FROM worktrees WHERE agent_id IS NOT NULL AND pid IS NULL AND session IS NULL";
            let mut statement = conn.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                let path: Vec<u8> = row.get(1)?;
                Ok((row.get(0)?, PathBuf::from(OsString::from_vec(path))))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        Ok(found.await?)
    }

    /// Sessions that a claim is bound to.
    ///
    /// # Errors
    /// What the database says.
    pub async fn claiming_sessions(&self) -> Result<Vec<String>, WireError> {
        let found = self.inner.store.read(|conn| -> Result<Vec<String>, StoreError> {
            let sql =
                "SELECT DISTINCT session FROM worktrees WHERE session IS NOT NULL AND agent_id IS NOT NULL";
            let mut statement = conn.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        Ok(found.await?)
    }

    async fn count_where(&self, condition: &'static str) -> Result<u32, WireError> {
        let sql = format!("SELECT count(*) FROM worktrees WHERE {condition}");
        let count = self
            .inner
            .store
            .read(move |conn| -> Result<u32, StoreError> { Ok(conn.query_row(&sql, [], |row| row.get(0))?) });
        Ok(count.await?)
    }
}
