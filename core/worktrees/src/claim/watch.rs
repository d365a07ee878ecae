//! Processes that claims are bound to. The kernel tells of their end.

use std::collections::HashMap;
use std::sync::Mutex;

use podium_process::{ProcessIdentity, watch_exit};
use podium_store::rusqlite::params;
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;
use tokio::task::AbortHandle;

use crate::error::Result;
use crate::rows::{Binding, WorktreeRow};
use crate::service::{Worktrees, lock};

/// One task for each worktree whose claim is bound to a process.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    tasks: Mutex<HashMap<String, AbortHandle>>,
}

impl Watches {
    fn put(&self, worktree: &str, task: AbortHandle) {
        if let Some(old) = lock(&self.tasks).insert(worktree.to_owned(), task) {
            old.abort();
        }
    }

    pub(crate) fn end(&self, worktree: &str) {
        if let Some(task) = lock(&self.tasks).remove(worktree) {
            task.abort();
        }
    }

    pub(crate) fn stop(&self) {
        for (_, task) in lock(&self.tasks).drain() {
            task.abort();
        }
    }
}

impl Worktrees {
    /// Watches the owner of a claim, if it is a process of this machine.
    pub(crate) fn watch(&self, row: &WorktreeRow) {
        let Some(claim) = &row.claim else { return self.inner.watches.end(&row.id) };
        let Binding::Process(process) = &claim.binding else { return self.inner.watches.end(&row.id) };
        if claim.host != self.inner.settings.host || claim.owner_dead_at.is_some() {
            return self.inner.watches.end(&row.id);
        }
        let (this, id, token, process) = (self.clone(), row.id.clone(), claim.token, process.clone());
        let task = tokio::spawn(async move { this.await_death(id, token, process).await });
        self.inner.watches.put(&row.id, task.abort_handle());
    }

    async fn await_death(&self, id: String, token: u64, process: ProcessIdentity) {
        if let Err(error) = watch_exit(&process).await {
            tracing::warn!(%error, "the owner of a claim cannot be watched; its death shows at the next request");
            return;
        }
        // The abort of this very task must not stop what follows.
        let this = self.clone();
        tokio::spawn(async move { this.owner_died(&id, token).await });
    }

    /// Notes an owner's proven death, once, and wakes those who wait. The claim stays until somebody takes it over.
    pub(crate) async fn owner_died(&self, id: &str, token: u64) {
        let (row, now) = (id.to_owned(), self.now());
        let noted = self.inner.store.write(Durability::Power, move |tx| orphan(tx, &row, token, now)).await;
        if let Err(error) = noted {
            tracing::error!(%error, worktree = id, "the death of a claim's owner was not stored");
        }
        self.inner.queues.wake(id);
    }
}

fn orphan(tx: &Tx<'_>, id: &str, token: u64, now: i64) -> Result<()> {
    let sql = "UPDATE worktrees SET owner_dead_at = ?3
        WHERE id = ?1 AND token = ?2 AND agent_id IS NOT NULL AND owner_dead_at IS NULL";
    if tx.execute(sql, params![id, token, now])? == 0 {
        return Ok(());
    }
    let Some(row) = WorktreeRow::by_id(tx, id)? else { return Ok(()) };
    let agent_id = row.claim.as_ref().map(|claim| claim.agent_id.clone());
    let data = json!({ "worktree": row.id, "name": row.name, "agentId": agent_id, "token": token });
    tx.emit(&NewEvent::new("worktree.claim_orphaned", row.subject(), data))?;
    Ok(())
}
