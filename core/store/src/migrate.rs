//! Opening the file: what it is, whether it may be used, and bringing it to the newest schema.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ffi};
use rusqlite_migration::{M, Migrations};

use crate::StoreError;
use crate::error::code;

const STEPS: &[M<'static>] = &[
    M::up(include_str!("../migrations/0001_foundation.sql")),
    M::up(include_str!("../migrations/0002_spares.sql")),
    M::up(include_str!("../migrations/0003_observe.sql")),
    M::up(include_str!("../migrations/0004_sync.sql")),
    M::up(include_str!("../migrations/0005_radar.sql")),
    M::up(include_str!("../migrations/0006_reviews.sql")),
    M::up(include_str!("../migrations/0007_agents.sql")),
    M::up(include_str!("../migrations/0008_permissions.sql")),
    M::up(include_str!("../migrations/0009_layouts.sql")),
    M::up(include_str!("../migrations/0011_checkpoints.sql")),
    M::up(include_str!("../migrations/0012_usage.sql")),
    M::up(include_str!("../migrations/0013_runs.sql")),
    M::up(include_str!("../migrations/0014_pit.sql")),
    M::up(include_str!("../migrations/0015_health.sql")),
    M::up(include_str!("../migrations/0016_tasks.sql")),
];

/// Number of the newest schema.
pub(crate) const NEWEST: usize = STEPS.len();

/// Opens the file for writing and brings it to the newest schema; a copy is made before.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let sort = |error: rusqlite::Error| sort_error(path, error);
    let mut conn = Connection::open(path).map_err(sort)?;
    conn.busy_timeout(std::time::Duration::from_secs(10)).map_err(sort)?;
    // The first read of the file: here shows whether it is a database at all.
    let version: usize = conn.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sort)?;
    if version > NEWEST {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: NEWEST });
    }
    check(&conn, path)?;
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).map_err(sort)?;
    conn.pragma_update(None, "foreign_keys", true).map_err(sort)?;
    if version > 0 && version < NEWEST {
        back_up(&conn, path, version)?;
    }
    Migrations::from_slice(STEPS)
        .to_latest(&mut conn)
        .map_err(|source| StoreError::Migration { to: NEWEST, source })?;
    // Proves that the file can be written, before anything relies on it.
    conn.execute_batch("BEGIN IMMEDIATE; UPDATE sequences SET value = value WHERE name = 'fence'; COMMIT")
        .map_err(sort)?;
    Ok(conn)
}

/// Looks through the whole file. Page checksums do not exist, but structure and indexes are compared.
fn check(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| sort_error(path, error))?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Corrupt { path: path.to_owned(), detail: found }) }
}

fn back_up(conn: &Connection, path: &Path, version: usize) -> Result<(), StoreError> {
    let copy = backup_path(path, version);
    let failed = |source| StoreError::Backup { path: copy.clone(), source };
    let _ = std::fs::remove_file(&copy);
    let text = copy.to_string_lossy().into_owned();
    conn.execute("VACUUM INTO ?1", [text]).map(drop).map_err(failed)
}

fn backup_path(path: &Path, version: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".backup-{version}"));
    PathBuf::from(name)
}

fn sort_error(path: &Path, error: rusqlite::Error) -> StoreError {
    match code(&error) {
        Some(ffi::ErrorCode::NotADatabase | ffi::ErrorCode::DatabaseCorrupt) => {
            StoreError::Corrupt { path: path.to_owned(), detail: error.to_string() }
        }
        Some(ffi::ErrorCode::ReadOnly | ffi::ErrorCode::PermissionDenied) => {
            StoreError::ReadOnly { path: path.to_owned() }
        }
        Some(ffi::ErrorCode::DiskFull) => StoreError::DiskFull,
        _ => StoreError::Open { path: path.to_owned(), source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_valid() {
        Migrations::from_slice(STEPS).validate().unwrap();
    }

    #[test]
    fn a_copy_is_made_that_can_be_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.db");
        let conn = open(&path).unwrap();
        back_up(&conn, &path, 1).unwrap();
        let copy = Connection::open(backup_path(&path, 1)).unwrap();
        let fence: i64 = copy.query_row("SELECT value FROM sequences", [], |r| r.get(0)).unwrap();
        assert_eq!(fence, 0);
    }
}
