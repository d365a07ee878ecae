//! What links replaced is kept in Podium's own folder, readable by the user alone: it may hold secrets.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use podium_protocol::{SyncBackup, SyncBackups, SyncBackupsParams, WireError};
use podium_store::rusqlite::params;
use podium_store::{Durability, Tx, rfc3339};

use crate::error::{Result, blocking};
use crate::paths;
use crate::service::{Worktrees, lock, new_id};
use crate::settings::Caller;

const FOLDER: &str = "sync-backups";
/// Rows that are told.
const TOLD: u32 = 500;

/// Keeps files of one worktree in a folder of this run.
#[derive(Debug)]
pub(super) struct Keeper {
    folder: PathBuf,
    kept: Mutex<Vec<(PathBuf, PathBuf)>>,
}

impl Keeper {
    pub(super) fn new(home: &Path, worktree: &str) -> Self {
        // A folder name that a person finds by worktree, and that no other run has.
        let folder = home.join(FOLDER).join(format!("{worktree}-{}", new_id()));
        Self { folder, kept: Mutex::default() }
    }

    /// Moves a file here and tells where it is. When this returns, the content is on the disk.
    pub(super) fn keep(&self, from: &Path, path: &Path) -> io::Result<PathBuf> {
        let to = self.room(path)?;
        match fs::rename(from, &to) {
            Ok(()) => restrict(&to),
            // The home may be on another file system.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                copy(from, &to)?;
                fs::remove_file(from)?;
            }
            Err(error) => return Err(error),
        }
        lock(&self.kept).push((path.to_owned(), to.clone()));
        Ok(to)
    }

    /// Copies a file here.
    pub(super) fn copy(&self, from: &Path, path: &Path) -> io::Result<PathBuf> {
        let to = self.room(path)?;
        copy(from, &to)?;
        lock(&self.kept).push((path.to_owned(), to.clone()));
        Ok(to)
    }

    /// What was kept since the last time: path in the worktree, and place here.
    pub(super) fn take(&self) -> Vec<(PathBuf, PathBuf)> {
        std::mem::take(&mut *lock(&self.kept))
    }

    /// A free place of that name, in folders for the user alone.
    fn room(&self, path: &Path) -> io::Result<PathBuf> {
        let mut number = 0;
        loop {
            let folder = if number == 0 { self.folder.clone() } else { self.folder.join(number.to_string()) };
            let to = folder.join(path);
            if to.symlink_metadata().is_err() {
                make_private(to.parent().unwrap_or(&folder))?;
                return Ok(to);
            }
            number += 1;
        }
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(unix)]
fn restrict(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if let Ok(data) = file.symlink_metadata()
        && data.is_file()
    {
        // The folder keeps others out already.
        let mode = data.permissions().mode() & 0o700;
        let _ = fs::set_permissions(file, fs::Permissions::from_mode(mode));
    }
}

#[cfg(not(unix))]
fn restrict(_file: &Path) {}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_symlink() {
        #[cfg(unix)]
        return std::os::unix::fs::symlink(from.read_link()?, to);
        #[cfg(not(unix))]
        return fs::write(to, from.read_link()?.as_os_str().as_encoded_bytes());
    }
    fs::copy(from, to)?;
    restrict(to);
    File::open(to)?.sync_all()
}

pub(super) fn record(tx: &Tx<'_>, repo: &str, worktree: &str, kept: &[(PathBuf, PathBuf)]) -> Result<()> {
    let sql = "INSERT INTO sync_backups (id, repo, worktree, path, kept, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    for (path, kept) in kept {
        let (path, kept) = (paths::to_bytes(path), paths::to_bytes(kept));
        tx.prepare_cached(sql)?.execute(params![new_id(), repo, worktree, path, kept, tx.now])?;
    }
    Ok(())
}

impl Worktrees {
    /// What links replaced in a repository, newest first.
    ///
    /// # Errors
    /// `NotFound` outside a repository.
    pub async fn sync_backups(
        &self,
        params: SyncBackupsParams,
        caller: &Caller,
    ) -> Result<SyncBackups, WireError> {
        let handle = self.repo_at(&params.at, caller).await?;
        let repo = handle.row.id.clone();
        let read = self.inner.store.read(move |conn| -> Result<_> {
            let sql = "SELECT worktree, path, kept, created_at FROM sync_backups WHERE repo = ?1
                ORDER BY created_at DESC, id DESC LIMIT ?2";
            let mut statement = conn.prepare_cached(sql)?;
            let found = statement.query_map(params![repo, TOLD], |row| {
                Ok(SyncBackup {
                    worktree: row.get(0)?,
                    path: crate::rows::path(row, 1)?.to_string_lossy().into_owned(),
                    kept: crate::rows::path(row, 2)?.to_string_lossy().into_owned(),
                    time: rfc3339(row.get(3)?),
                })
            })?;
            Ok(found.collect::<std::result::Result<Vec<_>, _>>()?)
        });
        Ok(SyncBackups { backups: read.await? })
    }

    /// Deletes what was kept longer ago than `worktrees.undo_days`.
    pub async fn purge_sync_backups(&self) {
        let days = u64::try_from(self.inner.config.get().integer("worktrees.undo_days")).unwrap_or(30);
        let keep = Duration::from_secs(days.saturating_mul(86_400));
        let root = self.inner.settings.home.join(FOLDER);
        let before = self.now() - i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let deleted = blocking(move || {
            let Ok(entries) = root.read_dir() else { return Ok(()) };
            for entry in entries.flatten() {
                let made = entry.metadata().and_then(|data| data.modified()).ok();
                if made.and_then(|made| made.elapsed().ok()).is_some_and(|age| age > keep) {
                    let _ = fs::remove_dir_all(entry.path());
                }
            }
            Ok(())
        });
        let write = move |tx: &Tx<'_>| -> Result<()> {
            tx.execute("DELETE FROM sync_backups WHERE created_at < ?1", [before])?;
            Ok(())
        };
        let written = match deleted.await {
            Ok(()) => self.inner.store.write(Durability::Process, write).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "old backups of synchronised files stay");
        }
    }
}
