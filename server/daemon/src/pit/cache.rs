//! Outputs of pure nodes by what they were given, bounded.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use podium_pit::dag::{ActionCache, ActionKey};
use podium_store::rusqlite::{OptionalExtension as _, params};
use podium_store::{Durability, Store, StoreError};
use serde_json::{Map, Value};

/// Bytes of all outputs that are kept; the ones used longest ago go first.
const MOST: i64 = 64 * 1024 * 1024;

pub(super) struct StoredActions(pub(super) Store);

impl ActionCache for StoredActions {
    fn find(&self, key: ActionKey) -> BoxFuture<'static, Option<Map<String, Value>>> {
        let store = self.0.clone();
        async move {
            let wanted = key.as_bytes().to_vec();
            let read = store.read::<Option<String>, StoreError>(move |conn| {
                let sql = "SELECT outputs FROM melody_actions WHERE key = ?1";
                Ok(conn.prepare_cached(sql)?.query_row([wanted], |row| row.get(0)).optional()?)
            });
            serde_json::from_str(&read.await.ok()??).ok()
        }
        .boxed()
    }

    fn keep(&self, key: ActionKey, outputs: &Map<String, Value>) {
        let (store, key) = (self.0.clone(), key.as_bytes().to_vec());
        let Ok(text) = serde_json::to_string(outputs) else { return };
        tokio::spawn(async move {
            let kept = store.write::<(), StoreError>(Durability::Process, move |tx| {
                let sql = "INSERT INTO melody_actions (key, outputs, bytes, used_at) VALUES (?1, ?2, ?3, ?4)
                    ON CONFLICT (key) DO UPDATE SET used_at = excluded.used_at";
                let bytes = i64::try_from(text.len()).unwrap_or(i64::MAX);
                tx.prepare_cached(sql)?.execute(params![key, text, bytes, tx.now])?;
                let total: i64 =
                    tx.query_row("SELECT coalesce(sum(bytes), 0) FROM melody_actions", [], |row| row.get(0))?;
                if total > MOST {
                    tx.execute(
                        "DELETE FROM melody_actions WHERE key IN
                             (SELECT key FROM melody_actions ORDER BY used_at LIMIT
                              (SELECT 1 + count(*) / 8 FROM melody_actions))",
                        [],
                    )?;
                }
                Ok(())
            });
            if let Err(error) = kept.await {
                tracing::warn!(%error, "the outputs of a node could not be kept for later");
            }
        });
    }
}
