//! Commits of persons in spite of a claim become events.

use std::fs;
use std::path::PathBuf;

use podium_protocol::WireError;
use podium_store::rusqlite::params;
use podium_store::{Durability, NewEvent, Tx};
use serde_json::json;

use super::shims;
use crate::error::{Error, Result, blocking};
use crate::paths;
use crate::rows::WorktreeRow;
use crate::service::{Worktrees, new_id};

const SPOOL: &str = "overridden";
/// Bytes of one file that are read; a commit writes about 300.
const LONGEST: usize = 1024 * 1024;

impl Worktrees {
    /// Where the guard writes overrides of a repository, for a watcher.
    pub(crate) fn override_file(common_dir: &std::path::Path) -> PathBuf {
        shims::folder(common_dir).join(SPOOL)
    }

    /// Turns what the guard wrote into events, each once.
    ///
    /// # Errors
    /// What the disk or the store refuses.
    pub async fn read_overrides(&self, repo: &str) -> Result<(), WireError> {
        let Some(handle) = self.known_handle(repo).await? else { return Ok(()) };
        let _turn = self.inner.gates.enter(format!("overrides/{repo}")).await;
        let folder = shims::folder(&handle.row.common_dir);
        let waiting = blocking(move || {
            let spool = folder.join(SPOOL);
            if spool.exists() {
                // Whoever has it open writes its one line into the file under its new name.
                let taken = folder.join(format!("{SPOOL}.{}", new_id()));
                fs::rename(&spool, &taken).map_err(|error| Error::io("renamed", &spool, error))?;
            }
            let entries = folder.read_dir().into_iter().flatten().flatten();
            let taken = entries.filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                name.strip_prefix("overridden.").map(|id| (id.to_owned(), entry.path()))
            });
            Ok(taken.collect::<Vec<_>>())
        });
        for (id, path) in waiting.await? {
            self.read_spool(repo, id, path).await?;
        }
        Ok(())
    }

    async fn read_spool(&self, repo: &str, id: String, path: PathBuf) -> Result<()> {
        let file = path.clone();
        let mut content =
            blocking(move || fs::read(&file).map_err(|error| Error::io("read", &file, error))).await?;
        content.truncate(LONGEST);
        let (text, repo) = (String::from_utf8_lossy(&content).into_owned(), repo.to_owned());
        let write = move |tx: &Tx<'_>| -> Result<()> {
            let sql = "INSERT OR IGNORE INTO guard_spools (id, read_at) VALUES (?1, ?2)";
            // A daemon was killed between the events and the deletion of the file.
            if tx.execute(sql, params![id, tx.now])? == 0 {
                return Ok(());
            }
            let rows = WorktreeRow::of_repo(tx, &repo)?;
            text.lines().try_for_each(|line| tell(tx, &repo, &rows, line))
        };
        self.inner.store.write(Durability::Power, write).await?;
        blocking(move || fs::remove_file(&path).map_err(|error| Error::io("deleted", &path, error))).await
    }
}

/// A line is `folder TAB token TAB user TAB old new reference TAB owner`.
fn tell(tx: &Tx<'_>, repo: &str, rows: &[WorktreeRow], line: &str) -> Result<()> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().unwrap_or_default();
    let (folder, token, user, update, owner) = (next(), next(), next(), next(), next());
    let row = rows.iter().find(|row| paths::to_bytes(&row.admin_dir) == folder.as_bytes());
    let mut words = update.split(' ');
    let (from, to, reference) = (words.next(), words.next(), words.next());
    let data = json!({
        "repo": repo,
        "worktree": row.map(|row| &row.id),
        "name": row.map(|row| &row.name),
        "agentId": owner,
        "token": token.parse::<u64>().ok(),
        "user": user,
        "reference": reference,
        "from": from,
        "to": to,
    });
    let subject = row.map_or_else(|| format!("repo/{repo}"), WorktreeRow::subject);
    tx.emit(&NewEvent::new("claim.overridden", subject, data))?;
    Ok(())
}
