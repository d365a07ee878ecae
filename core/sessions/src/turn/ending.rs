//! How a turn ends: its last items, what it made, and the event that tells of it.

use std::sync::Arc;

use podium_artifacts::NewArtifact;
use podium_protocol::{CheckpointKind, CheckpointRef, ItemKind, SessionEnd, SessionStatus};
use podium_store::{Durability, NewEvent};
use serde_json::json;

use super::recorder::Recorder;
use crate::SessionError;
use crate::checkpoint::{CheckpointRow, Ended, new_id, rows as checkpoints};
use crate::hub::Update;
use crate::provider::{ProviderError, StopCause, TurnOutcome};
use crate::rows::{self, StoredItem};

impl Recorder {
    /// Stores how the turn ended and what it made. A disk that refuses even this leaves the session to be found as
    /// interrupted by the next daemon.
    pub(super) async fn finish(mut self, outcome: Result<TurnOutcome, ProviderError>) -> SessionEnd {
        let cause = self.running.cause();
        let (status, reason) = status_of(&outcome, cause);
        let mut items = Vec::new();
        if matches!(status, SessionStatus::Completed | SessionStatus::Cancelled) {
            self.flush_thought(&mut items);
            let tail = self.last_text();
            self.push_text(&tail, status == SessionStatus::Completed, &mut items);
        }
        if status == SessionStatus::Failed {
            let item = self.item(ItemKind::Error, reason.clone().unwrap_or_default(), None);
            items.push(item);
        }
        let checkpoint = (status != SessionStatus::Failed).then(|| self.checkpoint_item(&mut items));
        let made = self.look_at_tree(status).await;
        let usage = self.usage();
        if status == SessionStatus::Completed {
            let data = serde_json::to_value(&usage).unwrap_or_default();
            let item = self.item(ItemKind::Usage, String::new(), Some(data));
            items.push(item);
        }
        let files_changed = self.files.iter().cloned().collect();
        match self.store_end(items, checkpoint, made, status, reason.clone()).await {
            Ok(artifact) => SessionEnd { status, reason, usage, files_changed, artifact },
            Err(error) => {
                tracing::error!(session = self.session, %error, "the end of a session could not be stored");
                let reason = Some(error.to_string());
                SessionEnd {
                    status: SessionStatus::Interrupted,
                    reason,
                    usage,
                    files_changed,
                    artifact: None,
                }
            }
        }
    }

    /// What became of the files. They tell better than the calls of tools what was changed.
    async fn look_at_tree(&mut self, status: SessionStatus) -> Ended {
        if status == SessionStatus::Interrupted {
            // The daemon ends, and the turn does not: it is compared when it is over.
            return Ended { snapshot: self.tree.at_checkpoint().await, ..Ended::default() };
        }
        let known = Arc::clone(&self.known);
        let made = self.tree.end(&known).await;
        if let Some(files) = &made.files {
            self.files = files.iter().cloned().collect();
        }
        made
    }

    async fn store_end(
        &mut self,
        items: Vec<StoredItem>,
        checkpoint: Option<CheckpointRef>,
        made: Ended,
        status: SessionStatus,
        reason: Option<String>,
    ) -> Result<Option<String>, SessionError> {
        let artifact = match status {
            SessionStatus::Completed if !self.text.trim().is_empty() => {
                Some(self.sessions.artifacts.prepare(self.answer_artifact()).await?)
            }
            _ => None,
        };
        let (session, usage, rows) = (self.session.clone(), self.unstored_usage(), items.clone());
        let Ended { snapshot, files, diff } = made;
        let ids = [&artifact, &diff].map(|made| made.as_ref().map(|made| made.artifact.id.clone()));
        let event = self.end_event(status, reason.as_deref(), ids);
        let shown = checkpoint.is_some();
        // A turn that failed has no checkpoint among its items, but its files can be compared and gone back to.
        let at = checkpoint.unwrap_or_else(|| CheckpointRef { id: new_id(), seq: self.seq });
        let end =
            CheckpointRow::new(at, CheckpointKind::TurnEnd, status, &self.state, self.mark.clone(), snapshot);
        let (prompt, unknown) = (self.tree.prompt, self.sessions.unknown_price());
        let context = self.unstored_context();
        let id = artifact.as_ref().map(|a| a.artifact.id.clone());
        let write = self.sessions.store.write::<(), SessionError>(Durability::Power, move |tx| {
            rows::append(tx, &session, &rows)?;
            rows::add_usage(tx, &session, &usage, unknown)?;
            if let Some(context) = context {
                rows::set_context(tx, &session, context)?;
            }
            if shown {
                rows::add_checkpoint(tx, &session, &end)?;
                tx.emit(&checkpoint_event(&session, &end.at))?;
            } else if end.snapshot.is_some() {
                checkpoints::insert(tx, &session, &end)?;
            }
            if let Some(files) = files {
                let diff = diff.as_ref().map(|diff| diff.artifact.id.as_str());
                checkpoints::end_turn(tx, &session, prompt, &end.at.id, &files, diff)?;
            }
            if let Some(diff) = &diff {
                diff.record(tx)?;
            }
            rows::set_status(tx, &session, status, reason.as_deref(), None)?;
            if let Some(artifact) = &artifact {
                artifact.record(tx)?;
                rows::set_artifact(tx, &session, &artifact.artifact.id)?;
            }
            tx.emit(&event)?;
            Ok(())
        });
        write.await?;
        self.sessions.artifacts.wake();
        self.running.tell(Update::Items(items.into_iter().map(|stored| stored.item).collect()));
        Ok(id)
    }

    fn answer_artifact(&self) -> NewArtifact {
        NewArtifact {
            title: self.title.clone(),
            kind: "report".to_owned(),
            media_type: "text/markdown".to_owned(),
            content: self.text.clone().into_bytes(),
            session: Some(self.session.clone()),
            worktree: self.worktree.clone(),
        }
    }

    fn end_event(
        &self,
        status: SessionStatus,
        reason: Option<&str>,
        [artifact, diff]: [Option<String>; 2],
    ) -> NewEvent {
        let kind = match status {
            SessionStatus::Failed => "session.failed",
            SessionStatus::Interrupted => "session.interrupted",
            SessionStatus::Parked => "session.parked",
            _ => "session.ended",
        };
        let data = json!({
            "id": self.session,
            "status": status.as_str(),
            "reason": reason,
            "agentId": self.agent,
            "worktree": self.worktree,
            "usage": self.usage(),
            "filesChanged": self.files,
            "artifact": artifact,
            "diff": diff,
            "lastSeq": self.seq,
        });
        NewEvent::new(kind, format!("session/{}", self.session), data).correlated(self.session.clone())
    }
}

pub(super) fn checkpoint_event(session: &str, checkpoint: &CheckpointRef) -> NewEvent {
    let data = json!({ "id": session, "checkpoint": checkpoint.id, "seq": checkpoint.seq });
    NewEvent::new("session.checkpoint", format!("session/{session}"), data).correlated(session)
}

fn status_of(
    outcome: &Result<TurnOutcome, ProviderError>,
    cause: Option<StopCause>,
) -> (SessionStatus, Option<String>) {
    match (outcome, cause) {
        (Ok(TurnOutcome::Cut), _) => {
            (SessionStatus::Completed, Some("the answer reached its upper bound".to_owned()))
        }
        (Ok(TurnOutcome::Refused), _) => {
            (SessionStatus::Completed, Some("the provider declined to go on".to_owned()))
        }
        (Ok(_), _) => (SessionStatus::Completed, None),
        (Err(ProviderError::Stopped), Some(StopCause::DaemonReplaced)) => {
            (SessionStatus::Interrupted, Some("daemon replaced".to_owned()))
        }
        (Err(ProviderError::Stopped), Some(StopCause::DaemonStopped)) => {
            (SessionStatus::Interrupted, Some("daemon stopped".to_owned()))
        }
        (Err(ProviderError::Stopped), Some(StopCause::WorktreeRemoved)) => {
            (SessionStatus::Interrupted, Some("its worktree was removed".to_owned()))
        }
        (Err(ProviderError::Stopped), _) => (SessionStatus::Cancelled, None),
        (Err(ProviderError::Parked { reason }), _) => (SessionStatus::Parked, Some(reason.clone())),
        (Err(ProviderError::Failed { reason } | ProviderError::TooLong { reason }), _) => {
            (SessionStatus::Failed, Some(reason.clone()))
        }
    }
}
