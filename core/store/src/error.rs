//! What can go wrong with the database, sorted by what a person can do about it.

use std::path::PathBuf;

use podium_protocol::{ErrorKind, WireError};
use rusqlite::ffi;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database {} cannot be opened", .path.display())]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("the database {} is damaged: {detail}", .path.display())]
    Corrupt { path: PathBuf, detail: String },
    #[error("the database {} cannot be written: it or its folder is read-only", .path.display())]
    ReadOnly { path: PathBuf },
    #[error("the database {} was made by a newer Podium (schema {found}, this one knows {known})", .path.display())]
    Newer { path: PathBuf, found: usize, known: usize },
    #[error("the database could not be brought to schema {to}")]
    Migration { to: usize, source: rusqlite_migration::Error },
    #[error("the database could not be backed up to {}", .path.display())]
    Backup { path: PathBuf, source: rusqlite::Error },
    #[error("the disk is full")]
    DiskFull,
    #[error("the database refused a statement")]
    Sql(#[source] rusqlite::Error),
    #[error("the transaction was not committed: {reason}")]
    NotCommitted { reason: String },
    #[error("the store is closed")]
    Closed,
}

/// What follows for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    Unavailable,
    Internal,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match code(&error) {
            Some(ffi::ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Sql(error),
        }
    }
}

pub(crate) fn code(error: &rusqlite::Error) -> Option<ffi::ErrorCode> {
    error.sqlite_error_code()
}

impl StoreError {
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Sql(_) => StoreErrorKind::Internal,
            _ => StoreErrorKind::Unavailable,
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Corrupt { path, .. } => vec![
                format!(
                    "move {} away; Podium starts with an empty one and finds the worktrees again",
                    path.display()
                ),
                "a copy from before the last upgrade may lie beside it (*.backup-*)".to_owned(),
            ],
            Self::ReadOnly { path } | Self::Open { path, .. } => {
                vec![format!("check owner and permissions of {} and its folder", path.display())]
            }
            Self::Newer { .. } => {
                vec!["install the newer Podium again, or use another PODIUM_HOME".to_owned()]
            }
            Self::DiskFull | Self::Backup { .. } | Self::NotCommitted { .. } => {
                vec!["free some space on the disk of PODIUM_HOME; nothing that was stored is lost".to_owned()]
            }
            Self::Migration { .. } => {
                vec!["the database is unchanged; a copy lies beside it (*.backup-*)".to_owned()]
            }
            Self::Sql(_) | Self::Closed => Vec::new(),
        }
    }
}

impl From<StoreError> for WireError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::Unavailable => ErrorKind::Unavailable,
            StoreErrorKind::Internal => ErrorKind::Internal,
        };
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        let mut wire = Self::new(kind, message);
        wire.hints = error.hints();
        wire
    }
}
