//! Ports and database names: unique among all worktrees of all repositories, written where the worktree's programs find
//! them, and free again as soon as the worktree's row is gone, however it went.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use podium_config::Config;
use podium_protocol::{WireError, WorktreeEnv, WorktreeEnvParams};
use podium_store::rusqlite::{self, Connection, OptionalExtension, params};
use podium_store::{Durability, Tx};
use serde_json::{Value, json};

use crate::error::{Error, Result, blocking};
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;

/// The file in the worktree that tells what it was given.
pub(crate) const FILE: &str = ".podium.env";
const PATTERN: &[u8] = b"/.podium.env";
const HEADER: &str = "# Written by Podium: no other worktree on this machine has these. Changes are lost.\n";
/// Longest name that Postgres and MySQL both take.
const LONGEST_NAME: usize = 63;
/// Numbers tried behind a database name that is taken.
const NUMBERS: u32 = 10_000;

/// What a worktree was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Had {
    pub(crate) ports: Vec<u16>,
    pub(crate) database: Option<String>,
}

impl Had {
    fn to_json(&self) -> Value {
        json!({ "ports": self.ports, "database": self.database })
    }

    fn from_json(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let ports = value["ports"].as_array().into_iter().flatten();
        Self {
            ports: ports.filter_map(|port| port.as_u64().and_then(|port| u16::try_from(port).ok())).collect(),
            database: value["database"].as_str().map(str::to_owned),
        }
    }

    fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.database.is_none()
    }

    fn of(conn: &Connection, worktree: &str) -> rusqlite::Result<Self> {
        let sql = "SELECT port FROM leased_ports WHERE worktree = ?1 ORDER BY port";
        let ports: Result<Vec<u16>, _> =
            conn.prepare_cached(sql)?.query_map([worktree], |row| row.get(0))?.collect();
        let sql = "SELECT name FROM leased_databases WHERE worktree = ?1";
        let database = conn.prepare_cached(sql)?.query_row([worktree], |row| row.get(0)).optional()?;
        Ok(Self { ports: ports?, database })
    }

    /// As programs read them: `PODIUM_PORT`, `PODIUM_PORT_2`, ..., `PODIUM_DATABASE`.
    fn variables(&self, name: &str) -> Vec<(String, String)> {
        let mut variables = vec![("PODIUM_WORKTREE".to_owned(), name.to_owned())];
        for (at, port) in self.ports.iter().enumerate() {
            let key = if at == 0 { "PODIUM_PORT".to_owned() } else { format!("PODIUM_PORT_{}", at + 1) };
            variables.push((key, port.to_string()));
        }
        variables.extend(self.database.iter().map(|name| ("PODIUM_DATABASE".to_owned(), name.clone())));
        variables
    }
}

/// Gives a new worktree what the settings ask for, in the transaction that makes its row.
pub(crate) fn lease_new(tx: &Tx<'_>, config: &Config, row: &WorktreeRow) -> Result<()> {
    lease(tx, config, row, &Had::default())
}

/// Gives a worktree that comes back what it had, as far as nobody else has it now.
pub(crate) fn lease_again(tx: &Tx<'_>, config: &Config, row: &WorktreeRow) -> Result<()> {
    let sql = "SELECT had FROM lease_memories WHERE worktree = ?1";
    let had: Option<String> = tx.query_row(sql, [&row.id], |row| row.get(0)).optional()?;
    match had {
        Some(had) => lease(tx, config, row, &Had::from_json(&had)),
        None => Ok(()),
    }
}

fn lease(tx: &Tx<'_>, config: &Config, row: &WorktreeRow, wish: &Had) -> Result<()> {
    let wanted = usize::try_from(config.integer("worktree.ports")).unwrap_or(0).max(wish.ports.len());
    let mut had = Had::default();
    let candidates = wish.ports.iter().copied().chain(range(config.text("worktree.port_range")));
    for port in candidates {
        if had.ports.len() == wanted {
            break;
        }
        let wished = wish.ports.contains(&port);
        let sql = "INSERT OR IGNORE INTO leased_ports (port, worktree) VALUES (?1, ?2)";
        // One that some other program listens on would be no use; of its own old ones the worktree is the user.
        if (wished || is_free(tx, port)?) && tx.prepare_cached(sql)?.execute(params![port, row.id])? == 1 {
            had.ports.push(port);
        }
    }
    if had.ports.len() < wanted {
        tracing::warn!(worktree = row.name, "the range of ports is used up; some are missing");
    }
    let template = config.text("worktree.database");
    let wish =
        wish.database.clone().or_else(|| (!template.is_empty()).then(|| database(template, &row.name)));
    if let Some(name) = wish {
        had.database = lease_database(tx, &name, &row.id)?;
    }
    if had.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO lease_memories (worktree, had, changed_at) VALUES (?1, ?2, ?3)
        ON CONFLICT (worktree) DO UPDATE SET had = ?2, changed_at = ?3";
    tx.execute(sql, params![row.id, had.to_json().to_string(), tx.now])?;
    Ok(())
}

fn is_free(conn: &Connection, port: u16) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM leased_ports WHERE port = ?1)";
    let leased: bool = conn.prepare_cached(sql)?.query_row([port], |row| row.get(0))?;
    Ok(!leased && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

fn lease_database(tx: &Tx<'_>, wanted: &str, worktree: &str) -> Result<Option<String>> {
    let sql = "INSERT OR IGNORE INTO leased_databases (name, worktree) VALUES (?1, ?2)";
    for number in 1..=NUMBERS {
        let suffix = if number == 1 { String::new() } else { format!("_{number}") };
        let room = LONGEST_NAME.saturating_sub(suffix.len());
        let name = format!("{}{suffix}", wanted.chars().take(room).collect::<String>());
        if tx.prepare_cached(sql)?.execute([&name, worktree])? == 1 {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// `FIRST-LAST`; nothing where that is not what it says.
fn range(text: &str) -> impl Iterator<Item = u16> {
    let ends = text.split_once('-').and_then(|(first, last)| {
        Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
    });
    // Below 1024 only root may listen.
    ends.filter(|(first, _)| *first >= 1024).into_iter().flat_map(|(first, last)| first..=last)
}

/// Letters, digits and `_` alone, so that no server needs quotes.
fn database(template: &str, name: &str) -> String {
    let filled = template.replace("{name}", name).to_lowercase();
    filled.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Drops the memory of worktrees that cannot come back.
fn forget_unneeded(tx: &Tx<'_>) -> Result<()> {
    let sql = "DELETE FROM lease_memories WHERE worktree NOT IN (SELECT id FROM worktrees)
        AND worktree NOT IN (SELECT worktree FROM removals WHERE state IN ('intent', 'trashed', 'restoring'))";
    tx.execute(sql, [])?;
    Ok(())
}

impl Worktrees {
    /// Ports and database name of a worktree, as variables.
    ///
    /// # Errors
    /// `NotFound` when there is no such worktree.
    pub async fn env(&self, params: WorktreeEnvParams, caller: &Caller) -> Result<WorktreeEnv, WireError> {
        let (_, row) = self.find(&params.at, params.name.as_deref(), caller).await?;
        let had = self.leases_of(&row.id).await?;
        Ok(WorktreeEnv {
            file: row.path.join(FILE).to_string_lossy().into_owned(),
            variables: had.variables(&row.name).into_iter().collect(),
            worktree: row.name,
            ports: had.ports,
            database: had.database,
        })
    }

    pub(crate) async fn leases_of(&self, worktree: &str) -> Result<Had> {
        let id = worktree.to_owned();
        self.inner.store.read(move |conn| Ok(Had::of(conn, &id)?)).await
    }

    /// Variables for programs that run in a worktree.
    pub(crate) async fn variables_of(&self, row: &WorktreeRow) -> Vec<(String, String)> {
        self.leases_of(&row.id).await.unwrap_or_default().variables(&row.name)
    }

    /// Writes the file that tells a worktree what it has. One that the repository tracks is left alone.
    pub(crate) async fn write_env_file(&self, handle: &Arc<RepoHandle>, row: &WorktreeRow) -> Result<()> {
        let had = self.leases_of(&row.id).await?;
        if had.is_empty() {
            return Ok(());
        }
        let (handle, row) = (handle.clone(), row.clone());
        blocking(move || {
            let path = row.path.join(FILE);
            if !may_write(&path) {
                tracing::warn!(path = %path.display(), "a file of this name is somebody's; the leases are not written");
                return Ok(());
            }
            handle.repo.write(handle.patience())?.add_excludes(&[PATTERN.to_vec()])?;
            let mut text = HEADER.to_owned();
            for (key, value) in had.variables(&row.name) {
                let _ = writeln!(text, "{key}={value}");
            }
            let staged = row.path.join(".podium.env.new");
            let written = std::fs::write(&staged, text).and_then(|()| std::fs::rename(&staged, &path));
            written.map_err(|error| Error::io("written", &path, error))
        })
        .await
    }

    /// Files that a killed daemon did not come to write.
    pub(crate) async fn recover_env_files(&self, handle: &Arc<RepoHandle>) -> Result<()> {
        let repo = handle.row.id.clone();
        let rows: Result<Vec<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &repo)?)).await;
        for row in rows?.into_iter().filter(|row| !row.is_main && row.path.is_dir()) {
            if !row.path.join(FILE).exists() {
                self.write_env_file(handle, &row).await?;
            }
        }
        Ok(())
    }

    /// Drops what only worktrees that are gone for good would need.
    pub(crate) async fn forget_leases(&self) {
        let forgotten: Result<()> = self.inner.store.write(Durability::Process, forget_unneeded).await;
        if let Err(error) = forgotten {
            tracing::warn!(%error, "old leases were not forgotten");
        }
    }
}

/// Nothing is there, or what we wrote; never through a link.
fn may_write(path: &Path) -> bool {
    match path.symlink_metadata() {
        Err(_) => true,
        Ok(data) if data.is_file() && data.len() < 64 * 1024 => {
            std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(HEADER))
        }
        Ok(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_makes_no_sense_is_empty() {
        assert_eq!(range("20000-20002").collect::<Vec<_>>(), [20_000, 20_001, 20_002]);
        for text in ["", "1-5", "20000", "30000-20000", "a-b", "20000-70000"] {
            assert_eq!(range(text).count(), 0, "{text}");
        }
    }

    #[test]
    fn database_names_need_no_quotes() {
        assert_eq!(database("app_{name}", "feat-Ü\"; drop"), "app_feat_____drop");
    }
}
