//! What was told last, and the events that follow from what is found now.

use std::collections::BTreeMap;
use std::sync::Arc;

use podium_protocol::ConflictPair;
use podium_store::rusqlite::{Connection, params};
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;

use super::Found;
use crate::error::Result;
use crate::rows::RepoRow;
use crate::service::{Worktrees, lock};

type Told = BTreeMap<(String, String), ConflictPair>;

impl Worktrees {
    /// Writes what is found, with one event for each pair that changed.
    pub(super) async fn tell_conflicts(&self, repo: &str, found: Vec<Found>) -> Result<Arc<Vec<Found>>> {
        let found = Arc::new(found);
        let (id, now) = (repo.to_owned(), found.clone());
        let told: Result<Told> = self.inner.store.read(move |conn| read(conn, &id)).await;
        if told? == by_ids(&found) {
            return Ok(found);
        }
        let id = repo.to_owned();
        let write = move |tx: &Tx<'_>| -> Result<()> {
            // Forgotten meanwhile: there is nobody to tell.
            if RepoRow::by_id(tx, &id)?.is_none() {
                return Ok(());
            }
            let (old, new) = (read(tx, &id)?, by_ids(&now));
            for (ids, pair) in &old {
                if !new.contains_key(ids) {
                    tx.execute(
                        "DELETE FROM conflicts WHERE repo = ?1 AND a = ?2 AND b = ?3",
                        params![id, ids.0, ids.1],
                    )?;
                    let pair = ConflictPair { files: Vec::new(), ..pair.clone() };
                    emit(tx, "worktree.conflict.cleared", &id, ids, &pair)?;
                }
            }
            for (ids, pair) in new.iter().filter(|(ids, pair)| old.get(*ids) != Some(*pair)) {
                let sql = "INSERT INTO conflicts (repo, a, b, pair) VALUES (?1, ?2, ?3, ?4)
                    ON CONFLICT DO UPDATE SET pair = excluded.pair";
                tx.execute(sql, params![id, ids.0, ids.1, json!(pair).to_string()])?;
                emit(tx, "worktree.conflict", &id, ids, pair)?;
            }
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await?;
        Ok(found)
    }

    /// Remembers what an earlier daemon told, until the first look.
    pub(crate) async fn recover_conflicts(&self, repo: &str) -> Result<()> {
        let id = repo.to_owned();
        let told: Result<Told> = self.inner.store.read(move |conn| read(conn, &id)).await;
        let found: Vec<Found> = told?
            .into_iter()
            .map(|((a, b), pair)| Found { a, b: Some(b).filter(|b| !b.is_empty()), pair })
            .collect();
        if !found.is_empty() {
            *lock(&self.inner.radar.scope(repo).found) = Arc::new(found);
        }
        Ok(())
    }
}

fn by_ids(found: &[Found]) -> Told {
    let ids = |found: &Found| (found.a.clone(), found.b.clone().unwrap_or_default());
    found.iter().map(|found| (ids(found), found.pair.clone())).collect()
}

fn read(conn: &Connection, repo: &str) -> Result<Told> {
    let mut statement = conn.prepare_cached("SELECT a, b, pair FROM conflicts WHERE repo = ?1")?;
    let rows =
        statement.query_map([repo], |row| Ok(((row.get(0)?, row.get(1)?), row.get::<_, String>(2)?)))?;
    let mut told = Told::new();
    for row in rows {
        let (ids, pair) = row?;
        // One of another version counts as never told.
        if let Ok(pair) = serde_json::from_str(&pair) {
            told.insert(ids, pair);
        }
    }
    Ok(told)
}

fn emit(
    tx: &Tx<'_>,
    kind: &'static str,
    repo: &str,
    (a, b): &(String, String),
    pair: &ConflictPair,
) -> Result<()> {
    let data = json!({
        "worktree": a,
        "repo": repo,
        "name": pair.a,
        "a": pair.a,
        "b": pair.b,
        "otherWorktree": (!b.is_empty()).then_some(b),
        "trunk": pair.trunk,
        "files": pair.files,
    });
    tx.emit(&NewEvent::new(kind, format!("worktree/{a}"), data))?;
    Ok(())
}
