//! What sessions used, by day, worktree and provider.

use podium_protocol::{SessionUsage, UsageRow};
use podium_store::StoreError;
use podium_store::rusqlite::{Connection, params};

use crate::SessionError;
use crate::manager::Sessions;

impl Sessions {
    /// What was used on the newest `days` days on which something was, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn usage(&self, days: u32) -> Result<SessionUsage, SessionError> {
        let read = move |conn: &Connection| -> Result<_, SessionError> { Ok(rows(conn, days)?) };
        Ok(SessionUsage { rows: self.inner.store.read(read).await? })
    }
}

fn rows(conn: &Connection, days: u32) -> Result<Vec<UsageRow>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT day, provider, worktree_name, COUNT(*), SUM(input_tokens), SUM(output_tokens), TOTAL(cost_usd),
             MAX(unpriced)
         FROM usage WHERE day IN (SELECT DISTINCT day FROM usage ORDER BY day DESC LIMIT ?1)
         GROUP BY day, provider, worktree, worktree_name
         ORDER BY day DESC, provider, worktree_name",
    )?;
    let read = |row: &podium_store::rusqlite::Row<'_>| {
        Ok(UsageRow {
            day: row.get(0)?,
            provider: row.get(1)?,
            worktree: row.get(2)?,
            sessions: row.get(3)?,
            input_tokens: row.get(4)?,
            output_tokens: row.get(5)?,
            cost_usd: crate::rows::cost(row.get(6)?, row.get(7)?),
        })
    };
    let rows = statement.query_map(params![days], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
