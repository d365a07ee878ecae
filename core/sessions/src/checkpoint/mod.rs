//! Places of a session to go back to: how far the transcript was, and what the files of its worktree were.

pub(crate) mod record;
pub(crate) mod rows;
mod turn;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use podium_git::{GitError, Oid, Repo, SnapshotLimits, SnapshotStore, TreeSnapshot, WorktreeLocation};
use podium_protocol::{Checkpoint, CheckpointKind, SessionCheckpoints, WireError};
use podium_store::rusqlite::Connection;
use podium_store::{Durability, now_ms};
use tokio::sync::OwnedMutexGuard;

use crate::manager::Inner;
use crate::{SessionError, Sessions, rows as session_rows};

pub(crate) use rows::CheckpointRow;
pub(crate) use turn::{Ended, TurnTree};

/// Snapshots that one session keeps; the oldest go first.
const MOST: usize = 300;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// A worktree as git knows it.
#[derive(Debug, Clone)]
pub struct Tree {
    pub repo: Repo,
    pub at: WorktreeLocation,
}

/// Finds worktrees. The daemon knows them; a session only asks.
#[async_trait]
pub trait Trees: Send + Sync {
    /// To look at; `None` only where it is gone for sure.
    ///
    /// # Errors
    /// Where that cannot be said now.
    async fn find(&self, worktree: &str) -> Result<Option<Tree>, WireError>;
}

/// `true` makes a rewind stop after this step, as a SIGKILL there would.
pub type StopAfter = Arc<dyn Fn(crate::RewindStep) -> bool + Send + Sync>;

/// Where snapshots of worktrees are kept, and of which.
pub struct Snapshots {
    folder: PathBuf,
    trees: Arc<dyn Trees>,
    limits: SnapshotLimits,
    /// One worktree is changed by one at a time.
    gates: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
    pub(crate) stop_after: Option<StopAfter>,
}

impl Snapshots {
    /// Snapshots below `folder`, one folder for each session.
    #[must_use]
    pub fn new(folder: PathBuf, trees: Arc<dyn Trees>) -> Self {
        Self { folder, trees, limits: SnapshotLimits::default(), gates: Mutex::default(), stop_after: None }
    }

    /// For tests of crashes.
    #[must_use]
    pub fn stopping_after(mut self, stop: StopAfter) -> Self {
        self.stop_after = Some(stop);
        self
    }

    /// `None` where there is none or it is gone.
    pub(crate) async fn tree(&self, worktree: Option<&str>) -> Result<Option<Tree>, SessionError> {
        use std::io::ErrorKind::{NotADirectory, NotFound};
        let Some(worktree) = worktree else { return Ok(None) };
        let Some(tree) = self.trees.find(worktree).await.map_err(Box::new)? else { return Ok(None) };
        match tree.at.path.metadata() {
            Ok(found) => Ok(found.is_dir().then_some(tree)),
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
            Err(error) => Err(io(&tree.at.path, error).into()),
        }
    }

    pub(crate) fn folder_of(&self, session: &str) -> PathBuf {
        self.folder.join(format!("{session}.git"))
    }

    /// Blocks.
    pub(crate) fn open(&self, session: &str, tree: &Tree) -> Result<SnapshotStore, GitError> {
        std::fs::create_dir_all(&self.folder).map_err(|error| io(&self.folder, error))?;
        SnapshotStore::open(&tree.repo, &self.folder_of(session))
    }

    /// Waits for the turn to change a worktree.
    pub(crate) async fn gate(&self, at: &WorktreeLocation) -> OwnedMutexGuard<()> {
        let gate = {
            let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
            Arc::clone(gates.entry(at.path.clone()).or_default())
        };
        gate.lock_owned().await
    }

    /// The worktree as it is now.
    pub(crate) async fn take(
        self: &Arc<Self>,
        session: &str,
        tree: &Tree,
        last: Option<TreeSnapshot>,
    ) -> Result<TreeSnapshot, SessionError> {
        let (this, session, tree) = (Arc::clone(self), session.to_owned(), tree.clone());
        let take = move || this.open(&session, &tree)?.take(&tree.at, &this.limits, last.as_ref());
        blocking(take).await
    }
}

pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn io(path: &Path, source: std::io::Error) -> GitError {
    GitError::Io { path: path.to_owned(), source }
}

/// Git blocks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GitError> + Send + 'static,
) -> Result<T, SessionError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(SessionError::CutOff),
    }
}

impl Inner {
    pub(crate) fn snapshots(&self) -> Option<&Arc<Snapshots>> {
        self.snapshots.get()
    }
}

impl Sessions {
    /// Keeps the files of worktrees with checkpoints from now on. Sessions are made before worktrees are, so these come
    /// later.
    pub fn keep_snapshots(&self, snapshots: Snapshots) {
        let _ = self.inner.snapshots.set(Arc::new(snapshots));
    }

    /// The checkpoints of a session (the newest where no id is given), oldest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn checkpoints(&self, id: Option<&str>) -> Result<SessionCheckpoints, SessionError> {
        let id = id.map(str::to_owned);
        let read = move |conn: &Connection| -> Result<_, SessionError> {
            let row = session_rows::resolve_or_newest(conn, id.as_deref())?;
            let prompts = rows::prompts(conn, &row.info.id)?;
            let found = rows::all(conn, &row.info.id)?;
            let checkpoints = found.into_iter().map(|found| shown(found, &prompts)).collect();
            Ok(SessionCheckpoints { id: row.info.id, checkpoints })
        };
        self.inner.store.read(read).await
    }

    /// What a session's newest turn changed, as it was stored with its end.
    ///
    /// # Errors
    /// What the database says.
    pub async fn files_changed(&self, id: &str) -> Result<Vec<String>, SessionError> {
        let id = id.to_owned();
        self.inner.store.read(move |conn: &Connection| Ok(rows::newest_files(conn, &id)?)).await
    }

    /// Lets go of the files that checkpoints hold: of sessions that are gone or were not used for so many days.
    ///
    /// # Errors
    /// What the database or the disk say.
    pub async fn purge_snapshots(&self, keep_days: i64) -> Result<usize, SessionError> {
        let Some(snapshots) = self.inner.snapshots().cloned() else { return Ok(0) };
        let folder = snapshots.folder.clone();
        let list = move || match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            entries => {
                let names = entries.map_err(|error| io(&folder, error))?.flatten();
                Ok(names.filter_map(|entry| entry.file_name().into_string().ok()).collect())
            }
        };
        let mut gone = 0;
        for name in blocking(list).await? {
            let Some(session) = name.strip_suffix(".git").map(str::to_owned) else { continue };
            if self.is_active(&session).await {
                continue;
            }
            let before = now_ms() - keep_days.saturating_mul(DAY_MS);
            let (id, drop) =
                (session.clone(), move |tx: &podium_store::Tx<'_>, id: &str| rows::let_go(tx, id, before));
            let write =
                self.inner.store.write::<_, SessionError>(Durability::Process, move |tx| Ok(drop(tx, &id)?));
            if write.await? {
                let folder = snapshots.folder_of(&session);
                let remove = move || std::fs::remove_dir_all(&folder).map_err(|error| io(&folder, error));
                blocking(remove).await?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}

fn shown(row: CheckpointRow, prompts: &[(u64, String)]) -> Checkpoint {
    let before = prompts.iter().filter(|(seq, _)| *seq <= row.at.seq).count();
    let turn = before + usize::from(row.kind == CheckpointKind::TurnStart);
    let title = prompts.get(turn.saturating_sub(1)).map(|(_, text)| crate::prompt::title(text));
    Checkpoint {
        id: row.at.id,
        kind: row.kind,
        seq: row.at.seq,
        turn: turn as u64,
        title: title.unwrap_or_default(),
        usage: row.usage,
        snapshot: row.snapshot.as_ref().map(record::told),
        created_at: podium_store::rfc3339(row.created_at),
    }
}

/// Keeps the number of snapshots of a session bounded.
pub(crate) async fn bound(sessions: &Arc<Inner>, session: &str, tree: &Tree) -> Result<(), SessionError> {
    let Some(snapshots) = sessions.snapshots().cloned() else { return Ok(()) };
    let id = session.to_owned();
    let write = sessions
        .store
        .write::<_, SessionError>(Durability::Process, move |tx| Ok(rows::beyond(tx, &id, MOST)?));
    let commits: Vec<Oid> = write.await?;
    if commits.is_empty() {
        return Ok(());
    }
    let (session, tree) = (session.to_owned(), tree.clone());
    blocking(move || snapshots.open(&session, &tree)?.forget(&commits)).await
}
