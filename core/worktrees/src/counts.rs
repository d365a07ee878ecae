//! How many there are, for the daemon's status and to know whether anybody needs it.

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

    async fn count_where(&self, condition: &'static str) -> Result<u32, WireError> {
        let sql = format!("SELECT count(*) FROM worktrees WHERE {condition}");
        let count = self
            .inner
            .store
            .read(move |conn| -> Result<u32, StoreError> { Ok(conn.query_row(&sql, [], |row| row.get(0))?) });
        Ok(count.await?)
    }
}
