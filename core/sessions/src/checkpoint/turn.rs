//! The worktree of a turn: how it was when the turn began, in between, and at its end.

use std::path::PathBuf;
use std::sync::Arc;

use podium_artifacts::{NewArtifact, Prepared};
use podium_git::TreeSnapshot;
use podium_protocol::{CheckpointKind, CheckpointRef, SessionStatus};
use podium_secrets::Redactor;
use podium_store::Durability;
use podium_store::rusqlite::Connection;

use super::rows::{self, CheckpointRow};
use super::{Snapshots, Tree, blocking, record};
use crate::SessionError;
use crate::manager::Inner;
use crate::rows::SessionRow;

/// Bytes of a diff that is kept as an artifact.
const LONGEST_DIFF: usize = 8 * 1024 * 1024;

/// What a turn made of its worktree.
#[derive(Default)]
pub(crate) struct Ended {
    pub(crate) snapshot: Option<TreeSnapshot>,
    /// Paths that differ from the turn's beginning; `None` where nothing was recorded.
    pub(crate) files: Option<Vec<String>>,
    pub(crate) diff: Option<Prepared>,
}

/// Follows the worktree of one turn. Whatever fails here is logged: an answer does not fail because of it.
pub(crate) struct TurnTree {
    sessions: Arc<Inner>,
    session: String,
    title: String,
    worktree: Option<String>,
    place: Option<(Arc<Snapshots>, Tree)>,
    began: Option<TreeSnapshot>,
    last: Option<TreeSnapshot>,
    /// Item of the prompt.
    pub(crate) prompt: u64,
    /// Somebody may have changed files since `last`.
    dirty: bool,
}

impl TurnTree {
    /// `prompt`: the item that the turn answers.
    pub(crate) fn new(sessions: &Arc<Inner>, row: &SessionRow, prompt: u64) -> Self {
        Self {
            sessions: Arc::clone(sessions),
            session: row.info.id.clone(),
            title: row.info.title.clone(),
            worktree: row.info.worktree.clone(),
            place: None,
            began: None,
            last: None,
            prompt,
            dirty: false,
        }
    }

    /// Records how the worktree is before anything happens. A turn that is gone on with began before.
    pub(crate) async fn begin(&mut self, row: &SessionRow) {
        let Some(snapshots) = self.sessions.snapshots().cloned() else { return };
        let tree = match snapshots.tree(row.worktree_id.as_deref()).await {
            Ok(Some(tree)) => tree,
            Ok(None) => return,
            Err(error) => return self.warn(&error),
        };
        self.place = Some((snapshots, tree));
        if let Err(error) = self.record_beginning(row).await {
            self.warn(&error);
        }
    }

    async fn record_beginning(&mut self, row: &SessionRow) -> Result<(), SessionError> {
        let (session, seq) = (self.session.clone(), self.prompt);
        let read = move |conn: &Connection| -> Result<_, SessionError> {
            let began = rows::turns(conn, &session)?.into_iter().find(|turn| turn.seq == seq);
            let began = began.map(|turn| rows::find(conn, &session, &turn.started)).transpose()?;
            Ok((began.and_then(|row| row.snapshot), rows::newest_snapshot(conn, &session)?))
        };
        let (began, last) = self.sessions.store.read(read).await?;
        self.last = last;
        if began.is_some() {
            self.began = began;
            self.dirty = true;
            return Ok(());
        }
        let snapshot = self.take().await?;
        self.began = Some(snapshot.clone());
        let checkpoint = CheckpointRow {
            at: CheckpointRef { id: super::new_id(), seq: self.prompt.saturating_sub(1) },
            kind: CheckpointKind::TurnStart,
            status: SessionStatus::Completed,
            state: row.state.clone(),
            mark: row.mark.clone(),
            snapshot: Some(snapshot),
            usage: row.info.usage.clone(),
            created_at: 0,
        };
        let (session, seq) = (self.session.clone(), self.prompt);
        let write = self.sessions.store.write::<(), SessionError>(Durability::Process, move |tx| {
            rows::insert(tx, &session, &checkpoint)?;
            rows::begin_turn(tx, &session, seq, &checkpoint.at.id)?;
            Ok(())
        });
        write.await
    }

    /// Something ran that may have changed files.
    pub(crate) fn touched(&mut self) {
        self.dirty = true;
    }

    /// The files as a checkpoint in the middle of the answer holds them.
    pub(crate) async fn at_checkpoint(&mut self) -> Option<TreeSnapshot> {
        if !self.dirty {
            return self.last.clone();
        }
        match self.take().await {
            Ok(snapshot) => Some(snapshot),
            Err(error) => {
                self.warn(&error);
                None
            }
        }
    }

    /// The files at the end, and what became of them since the beginning.
    pub(crate) async fn end(&mut self, known: &Arc<Redactor>) -> Ended {
        if self.place.is_none() {
            return Ended::default();
        }
        // Not every change comes by a tool that is told of.
        match self.compare(known).await {
            Ok(ended) => ended,
            Err(error) => {
                self.warn(&error);
                Ended::default()
            }
        }
    }

    async fn compare(&mut self, known: &Arc<Redactor>) -> Result<Ended, SessionError> {
        let snapshot = self.take().await?;
        let (Some(began), Some((snapshots, tree))) = (self.began.clone(), self.place.clone()) else {
            return Ok(Ended { snapshot: Some(snapshot), ..Ended::default() });
        };
        if let Err(error) = super::bound(&self.sessions, &self.session, &tree).await {
            self.warn(&error);
        }
        if began.files == snapshot.files {
            return Ok(Ended { snapshot: Some(snapshot), files: Some(Vec::new()), diff: None });
        }
        let (session, to) = (self.session.clone(), snapshot.files.clone());
        let look = move || {
            let store = snapshots.open(&session, &tree)?;
            let changes = store.changes(&tree.at, &began.files, &to, false)?;
            let paths: Vec<PathBuf> = changes.into_iter().map(|change| change.path).collect();
            Ok((paths, store.patch(&tree.at, &began.files, &to, LONGEST_DIFF)?))
        };
        let (paths, patch) = blocking(look).await?;
        let diff = match patch {
            Some(patch) if !patch.is_empty() => Some(self.keep(&patch, known).await?),
            _ => None,
        };
        Ok(Ended { snapshot: Some(snapshot), files: Some(record::shown(&paths)), diff })
    }

    async fn keep(&self, patch: &[u8], known: &Redactor) -> Result<Prepared, SessionError> {
        let title = format!("Changes: {}", self.title);
        let artifact = NewArtifact {
            title: title.chars().take(300).collect(),
            kind: "code".to_owned(),
            media_type: "text/x-diff".to_owned(),
            content: crate::diff::redacted_patch(known, &String::from_utf8_lossy(patch)).into_bytes(),
            session: Some(self.session.clone()),
            worktree: self.worktree.clone(),
        };
        Ok(self.sessions.artifacts.prepare(artifact).await?)
    }

    async fn take(&mut self) -> Result<TreeSnapshot, SessionError> {
        let Some((snapshots, tree)) = &self.place else { return Err(SessionError::CutOff) };
        let snapshot = snapshots.take(&self.session, tree, self.last.clone()).await?;
        self.last = Some(snapshot.clone());
        self.dirty = false;
        Ok(snapshot)
    }

    fn warn(&self, error: &SessionError) {
        tracing::warn!(session = self.session, %error, "the files of a worktree could not be recorded");
    }
}
