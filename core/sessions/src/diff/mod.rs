//! What a session changed in its worktree, and taking single changes back.

mod hunks;

pub(crate) use hunks::redacted_patch;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use podium_git::{GitError, Reverted, TreeChange, TreeEntry, TreeSnapshot};
use podium_protocol::{CheckpointKind, SessionDiff, SessionDiffParams, SessionRevertParams, SessionReverted};
use podium_secrets::Redactor;
use podium_store::rusqlite::Connection;
use podium_store::{Durability, NewEvent};
use serde_json::json;

use crate::checkpoint::{CheckpointRow, Snapshots, Tree, blocking, record, rows as checkpoints};
use crate::rows::{self as session_rows, SessionRow};
use crate::{Env, SessionError, Sessions};

/// What is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Choice {
    turn: Option<u64>,
    from: Option<String>,
    to: Option<String>,
}

/// Both ends, as they are stored.
struct Ends {
    row: SessionRow,
    from: Option<CheckpointRow>,
    to: Option<CheckpointRow>,
    artifact: Option<String>,
}

/// Both ends as git knows them.
#[derive(Clone)]
struct Compared {
    snapshots: Arc<Snapshots>,
    tree: Tree,
    session: String,
    from: TreeSnapshot,
    to: TreeSnapshot,
}

impl Sessions {
    /// What a session changed: in one turn, between checkpoints, or at all.
    ///
    /// # Errors
    /// `NotFound`, `NoCheckpoint`, `NoTurn`, `NoFiles`; those of git.
    pub async fn diff(&self, params: SessionDiffParams, env: &Env) -> Result<SessionDiff, SessionError> {
        let SessionDiffParams { id, turn, from, to } = params;
        let ends = self.ends(id.as_deref(), Choice { turn, from, to }).await?;
        let mut diff = SessionDiff {
            id: ends.row.info.id.clone(),
            from: ends.from.as_ref().map(|row| row.at.id.clone()),
            to: ends.to.as_ref().map(|row| row.at.id.clone()),
            files: Vec::new(),
            truncated: false,
            artifact: ends.artifact.clone(),
        };
        if ends.from.is_none() || ends.to.is_none() {
            return Ok(diff);
        }
        let compared = self.compared(&ends).await?;
        let known = self.inner.settings.keys.redactor(env, Some(compared.tree.at.path.clone())).await;
        let look = move || {
            hunks::files(&compared.snapshots.open(&compared.session, &compared.tree)?, &compared, &known)
        };
        (diff.files, diff.truncated) = blocking(look).await?;
        Ok(diff)
    }

    /// Takes back what a session changed in one file. Whoever calls this has seen that its worktree may be changed.
    ///
    /// # Errors
    /// As [`Sessions::diff`]; `Running`; `NoChange`, `NoHunk`, `ChangedSince`.
    pub async fn revert(
        &self,
        params: SessionRevertParams,
        env: &Env,
    ) -> Result<SessionReverted, SessionError> {
        let choice = Choice { turn: params.turn, from: params.from, to: params.to };
        let ends = self.ends(Some(&params.id), choice).await?;
        let id = ends.row.info.id.clone();
        // Between two turns: a model is not to see its files change under its hands.
        let running = self.inner.hub.begin(&id).ok_or_else(|| SessionError::Running(id.clone()))?;
        let path = match &params.path_bytes {
            Some(bytes) => record::path_of(bytes),
            None => PathBuf::from(&params.path),
        };
        let done = self.revert_taken(ends, path, params.hunks, env).await;
        self.inner.hub.end(&id);
        drop(running);
        done
    }

    async fn revert_taken(
        &self,
        ends: Ends,
        path: PathBuf,
        chosen: Option<Vec<u32>>,
        env: &Env,
    ) -> Result<SessionReverted, SessionError> {
        let compared = self.compared(&ends).await?;
        let _gate = compared.snapshots.gate(&compared.tree.at).await;
        let known = self.inner.settings.keys.redactor(env, Some(compared.tree.at.path.clone())).await;
        let shown = path.to_string_lossy().into_owned();
        let indexes: Option<Vec<usize>> =
            chosen.map(|chosen| chosen.into_iter().filter_map(|index| index.try_into().ok()).collect());
        let work = move || compared.revert(&path, indexes.as_deref(), &known);
        let (reverted, file) = blocking(work).await?;
        let Some(file) = file else { return Err(SessionError::NoChange(shown)) };
        let changed = match reverted {
            Reverted::Done(paths) => record::shown(&paths),
            Reverted::Gone => Vec::new(),
            Reverted::Changed => return Err(SessionError::ChangedSince(shown)),
            Reverted::NoSuchHunk => return Err(SessionError::NoHunk(shown)),
        };
        let id = ends.row.info.id;
        if !changed.is_empty() {
            let data = json!({ "id": id, "filesChanged": changed });
            let event = NewEvent::new("session.reverted", format!("session/{id}"), data).correlated(&id);
            let write = self
                .inner
                .store
                .write::<_, SessionError>(Durability::Process, move |tx| Ok(tx.emit(&event)?));
            write.await?;
        }
        Ok(SessionReverted { id, files_changed: changed, file })
    }

    async fn ends(&self, id: Option<&str>, choice: Choice) -> Result<Ends, SessionError> {
        let id = id.map(str::to_owned);
        self.inner.store.read(move |conn: &Connection| ends(conn, id.as_deref(), &choice)).await
    }

    async fn compared(&self, ends: &Ends) -> Result<Compared, SessionError> {
        let session = ends.row.info.id.clone();
        let snapshot = |row: &Option<CheckpointRow>| row.as_ref().and_then(|row| row.snapshot.clone());
        let (Some(snapshots), Some(from), Some(to)) =
            (self.inner.snapshots().cloned(), snapshot(&ends.from), snapshot(&ends.to))
        else {
            return Err(SessionError::NoFiles(session));
        };
        let Some(tree) = snapshots.tree(ends.row.worktree_id.as_deref()).await? else {
            return Err(SessionError::NoTree(session));
        };
        Ok(Compared { snapshots, tree, session, from, to })
    }
}

impl Compared {
    /// Takes it back; how the file stands then. No file: it did not change.
    fn revert(
        &self,
        path: &std::path::Path,
        chosen: Option<&[usize]>,
        known: &Redactor,
    ) -> Result<(Reverted, Option<podium_protocol::FileDiff>), GitError> {
        let store = self.snapshots.open(&self.session, &self.tree)?;
        let changes = store.changes(&self.tree.at, &self.from.files, &self.to.files, true)?;
        let Some(change) = changes.into_iter().find(|change| change.path == path) else {
            return Ok((Reverted::NoSuchHunk, None));
        };
        let reverted = store.revert(&self.tree.at, &change, chosen)?;
        let (files, _) = hunks::of(&store, self, vec![change], known)?;
        Ok((reverted, files.into_iter().next()))
    }
}

fn ends(conn: &Connection, id: Option<&str>, choice: &Choice) -> Result<Ends, SessionError> {
    let row = session_rows::resolve_or_newest(conn, id)?;
    let session = row.info.id.clone();
    let find = |id: &str| checkpoints::find(conn, &session, id);
    let turns = checkpoints::turns(conn, &session)?;
    let (mut from, mut to, mut artifact) = (None, None, None);
    if let Some(number) = choice.turn {
        let prompts = checkpoints::prompts(conn, &session)?;
        let prompt =
            usize::try_from(number).ok().and_then(|n| prompts.get(n.checked_sub(1)?)).map(|(seq, _)| *seq);
        let prompt = prompt.ok_or(SessionError::NoTurn { session: session.clone(), turn: number })?;
        if let Some(turn) = turns.iter().find(|turn| turn.seq == prompt) {
            from = Some(find(&turn.started)?);
            to = turn.ended.as_deref().map(find).transpose()?;
            artifact.clone_from(&turn.diff);
        }
    } else if let Some(first) = turns.first() {
        from = Some(find(&first.started)?);
    }
    if let Some(id) = &choice.from {
        from = Some(find(id)?);
        artifact = None;
    }
    if let Some(id) = &choice.to {
        to = Some(find(id)?);
        artifact = None;
    }
    if to.is_none() && from.is_some() {
        to = newest(conn, &row)?;
    }
    Ok(Ends { row, from, to, artifact })
}

/// The newest checkpoint with files of where the session stands: after a rewind, the one that it went to.
fn newest(conn: &Connection, row: &SessionRow) -> Result<Option<CheckpointRow>, SessionError> {
    let mut all = checkpoints::all(conn, &row.info.id)?;
    all.retain(|checkpoint| checkpoint.snapshot.is_some());
    match (all.last(), &row.info.checkpoint) {
        (Some(last), Some(at)) if last.kind == CheckpointKind::Rewind => {
            Ok(all.iter().find(|checkpoint| checkpoint.at.id == at.id).cloned())
        }
        (last, _) => Ok(last.cloned()),
    }
}

/// Whether one end of a change is no plain file.
fn is_repository(change: &TreeChange) -> bool {
    [&change.old, &change.new].into_iter().flatten().any(TreeEntry::is_repository)
}

/// Ids of the contents of changes, each once.
fn contents(changes: &[TreeChange]) -> Vec<podium_git::Oid> {
    let mut seen = HashSet::new();
    let files = changes.iter().filter(|change| !is_repository(change));
    let entries = files.flat_map(|change| [&change.old, &change.new]).flatten();
    entries.map(|entry| entry.id.clone()).filter(|id| seen.insert(id.clone())).collect()
}
