//! Drives one turn: what the provider produces is stored, then shown.

use std::sync::Arc;

use podium_artifacts::NewArtifact;
use podium_protocol::{CheckpointRef, ItemKind, SessionEnd, SessionItem, SessionStatus, Usage};
use podium_secrets::StreamRedactor;
use podium_store::{Durability, NewEvent, now_ms, rfc3339};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::SessionError;
use crate::hub::{Running, Update};
use crate::manager::Inner;
use crate::provider::{Chunk, Provider, ProviderError, StopCause, Turn, TurnOutcome};
use crate::rows::{self, SessionRow, StoredItem};

/// Chunks that may wait for the store before the provider does.
const CHUNKS_WAITING: usize = 64;

/// Everything one turn needs.
pub(crate) struct TurnJob {
    pub(crate) sessions: Arc<Inner>,
    pub(crate) row: SessionRow,
    pub(crate) turn: Turn,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) running: Running,
    /// Text of this turn's answer that is stored and was shown.
    pub(crate) shown: String,
    pub(crate) redactor: StreamRedactor,
}

/// Runs the turn to its end, whatever that is, and gives the session free.
pub(crate) async fn drive(job: TurnJob) {
    let TurnJob { sessions, row, turn, provider, running, shown, redactor } = job;
    let (sender, mut chunks) = mpsc::channel(CHUNKS_WAITING);
    let answering = tokio::spawn({
        let (provider, stop) = (Arc::clone(&provider), running.stop.clone());
        async move { provider.answer(turn, sender, stop).await }
    });
    let mut recorder = Recorder::new(Arc::clone(&sessions), &row, running.clone(), shown, redactor);
    let mut stored = Ok(());
    while let Some(first) = chunks.recv().await {
        let mut batch = vec![first];
        while batch.len() < CHUNKS_WAITING
            && let Ok(chunk) = chunks.try_recv()
        {
            batch.push(chunk);
        }
        stored = recorder.record(batch).await;
        if stored.is_err() {
            // Nothing that cannot be stored is shown; the provider has no reader any more and ends.
            running.stop.cancel();
            break;
        }
    }
    drop(chunks);
    let outcome = answering.await.unwrap_or_else(|_| {
        Err(ProviderError::Failed { reason: "the provider stopped unexpectedly".to_owned() })
    });
    let outcome = match stored {
        Ok(()) => outcome,
        Err(error) => Err(ProviderError::Failed { reason: error.to_string() }),
    };
    let end = recorder.finish(outcome).await;
    sessions.hub.end(&row.info.id);
    running.tell(Update::End(end));
}

struct Recorder {
    sessions: Arc<Inner>,
    session: String,
    title: String,
    agent: Option<String>,
    worktree: Option<String>,
    running: Running,
    redactor: Option<StreamRedactor>,
    /// Number of the last item; those above `stored` are not committed yet.
    seq: u64,
    stored: u64,
    /// Redacted text of this turn, shown or about to be.
    text: String,
    /// Bytes of `text` that were shown before this run of the turn.
    shown: usize,
    tokens: Vec<u32>,
    state: Vec<u8>,
    since_checkpoint: u64,
    usage: Usage,
}

impl Recorder {
    fn new(
        sessions: Arc<Inner>,
        row: &SessionRow,
        running: Running,
        shown: String,
        redactor: StreamRedactor,
    ) -> Self {
        Self {
            sessions,
            session: row.info.id.clone(),
            title: row.info.title.clone(),
            agent: row.info.agent_id.clone(),
            worktree: row.info.worktree.clone(),
            running,
            redactor: Some(redactor),
            seq: row.info.last_seq,
            stored: row.info.last_seq,
            shown: shown.len(),
            text: String::new(),
            tokens: Vec::new(),
            state: row.state.clone().unwrap_or_default(),
            since_checkpoint: 0,
            usage: Usage::default(),
        }
    }

    async fn record(&mut self, batch: Vec<Chunk>) -> Result<(), SessionError> {
        let mut items = Vec::new();
        let mut new_state = None;
        let mut checkpoint = None;
        for chunk in batch {
            match chunk {
                Chunk::State(state) => {
                    self.state.clone_from(&state);
                    new_state = Some(state);
                }
                Chunk::Progress(progress) => self.running.tell(Update::Progress(progress)),
                Chunk::Usage(usage) => self.usage = usage,
                Chunk::Thinking(text) => items.push(self.item(ItemKind::Thinking, text, None)),
                Chunk::Replay(text) => {
                    let safe = self.redact(&text);
                    self.push_text(&safe, false, &mut items);
                }
                Chunk::Text { text, tokens } => {
                    self.tokens.extend(tokens);
                    let safe = self.redact(&text);
                    self.push_text(&safe, false, &mut items);
                }
            }
            if self.since_checkpoint >= self.sessions.checkpoint_items() {
                checkpoint = Some(self.checkpoint_item(&mut items));
            }
        }
        self.store(items, new_state, checkpoint).await
    }

    fn redact(&mut self, text: &str) -> String {
        self.redactor.as_mut().map(|r| r.push(text)).unwrap_or_default()
    }

    /// Adds what is not shown yet as one item, with all tokens that came since the last.
    fn push_text(&mut self, safe: &str, is_final: bool, items: &mut Vec<StoredItem>) {
        let before = self.text.len();
        self.text.push_str(safe);
        let from = self.shown.max(before).min(self.text.len());
        let fresh = self.text[self.text.floor_char_boundary(from)..].to_owned();
        if fresh.is_empty() && !is_final {
            return;
        }
        let mut item = self.item(ItemKind::Text, fresh, None);
        item.item.is_final = is_final;
        item.tokens = std::mem::take(&mut self.tokens);
        self.since_checkpoint += 1;
        items.push(item);
    }

    fn item(&mut self, kind: ItemKind, text: String, data: Option<Value>) -> StoredItem {
        self.seq += 1;
        let at = now_ms();
        let item = SessionItem { seq: self.seq, kind, text, is_final: false, data, time: rfc3339(at) };
        StoredItem { item, at, tokens: Vec::new() }
    }

    fn checkpoint_item(&mut self, items: &mut Vec<StoredItem>) -> CheckpointRef {
        self.since_checkpoint = 0;
        let id = uuid::Uuid::now_v7().to_string();
        let checkpoint = CheckpointRef { id: id.clone(), seq: self.seq };
        let item =
            self.item(ItemKind::Checkpoint, String::new(), Some(json!({ "id": id, "seq": checkpoint.seq })));
        items.push(item);
        checkpoint
    }

    /// Commits, then shows. A checkpoint survives the loss of power, pieces of text the death of the process.
    async fn store(
        &mut self,
        items: Vec<StoredItem>,
        new_state: Option<Vec<u8>>,
        checkpoint: Option<CheckpointRef>,
    ) -> Result<(), SessionError> {
        if items.is_empty() && new_state.is_none() {
            return Ok(());
        }
        let durability = if checkpoint.is_some() { Durability::Power } else { Durability::Process };
        let (session, state, rows) = (self.session.clone(), self.state.clone(), items.clone());
        let write = self.sessions.store.write::<(), SessionError>(durability, move |tx| {
            rows::append(tx, &session, &rows)?;
            if let Some(state) = new_state {
                rows::set_state(tx, &session, &state)?;
            }
            if let Some(checkpoint) = checkpoint {
                rows::add_checkpoint(tx, &session, &checkpoint, &state)?;
                tx.emit(&checkpoint_event(&session, &checkpoint))?;
            }
            Ok(())
        });
        if let Err(error) = write.await {
            // Their numbers are free again: what ends the turn follows what is stored.
            self.seq = self.stored;
            return Err(error);
        }
        self.stored = self.seq;
        for item in items {
            self.running.tell(Update::Item(item.item));
        }
        Ok(())
    }

    /// Stores how the turn ended and what it made. A disk that refuses even this leaves the session to be found as
    /// interrupted by the next daemon.
    async fn finish(mut self, outcome: Result<TurnOutcome, ProviderError>) -> SessionEnd {
        let cause = self.running.cause();
        let (status, reason) = status_of(&outcome, cause);
        let mut items = Vec::new();
        if matches!(status, SessionStatus::Completed | SessionStatus::Cancelled) {
            let tail = self.redactor.take().map(StreamRedactor::finish).unwrap_or_default();
            self.push_text(&tail, status == SessionStatus::Completed, &mut items);
        }
        if status == SessionStatus::Failed {
            let item = self.item(ItemKind::Error, reason.clone().unwrap_or_default(), None);
            items.push(item);
        }
        let checkpoint = (status != SessionStatus::Failed).then(|| self.checkpoint_item(&mut items));
        if status == SessionStatus::Completed {
            let data = serde_json::to_value(&self.usage).unwrap_or_default();
            let item = self.item(ItemKind::Usage, String::new(), Some(data));
            items.push(item);
        }
        match self.store_end(items, checkpoint, status, reason.clone()).await {
            Ok(artifact) => {
                SessionEnd { status, reason, usage: self.usage, files_changed: Vec::new(), artifact }
            }
            Err(error) => {
                tracing::error!(session = self.session, %error, "the end of a session could not be stored");
                SessionEnd {
                    status: SessionStatus::Interrupted,
                    reason: Some(error.to_string()),
                    usage: self.usage,
                    files_changed: Vec::new(),
                    artifact: None,
                }
            }
        }
    }

    async fn store_end(
        &self,
        items: Vec<StoredItem>,
        checkpoint: Option<CheckpointRef>,
        status: SessionStatus,
        reason: Option<String>,
    ) -> Result<Option<String>, SessionError> {
        let artifact = match status {
            SessionStatus::Completed if !self.text.trim().is_empty() => {
                Some(self.sessions.artifacts.prepare(self.answer_artifact()).await?)
            }
            _ => None,
        };
        let (session, state, usage, rows) =
            (self.session.clone(), self.state.clone(), self.usage.clone(), items.clone());
        let event =
            self.end_event(status, reason.as_deref(), artifact.as_ref().map(|a| a.artifact.id.clone()));
        let id = artifact.as_ref().map(|a| a.artifact.id.clone());
        let write = self.sessions.store.write::<(), SessionError>(Durability::Power, move |tx| {
            rows::append(tx, &session, &rows)?;
            if let Some(checkpoint) = &checkpoint {
                rows::add_checkpoint(tx, &session, checkpoint, &state)?;
                tx.emit(&checkpoint_event(&session, checkpoint))?;
            }
            rows::add_usage(tx, &session, &usage)?;
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
        for item in items {
            self.running.tell(Update::Item(item.item));
        }
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

    fn end_event(&self, status: SessionStatus, reason: Option<&str>, artifact: Option<String>) -> NewEvent {
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
            "usage": self.usage,
            "artifact": artifact,
            "lastSeq": self.seq,
        });
        NewEvent::new(kind, format!("session/{}", self.session), data).correlated(self.session.clone())
    }
}

fn checkpoint_event(session: &str, checkpoint: &CheckpointRef) -> NewEvent {
    let data = json!({ "id": session, "checkpoint": checkpoint.id, "seq": checkpoint.seq });
    NewEvent::new("session.checkpoint", format!("session/{session}"), data).correlated(session)
}

fn status_of(
    outcome: &Result<TurnOutcome, ProviderError>,
    cause: Option<StopCause>,
) -> (SessionStatus, Option<String>) {
    match (outcome, cause) {
        (Ok(TurnOutcome { cut: false }), _) => (SessionStatus::Completed, None),
        (Ok(TurnOutcome { cut: true }), _) => {
            (SessionStatus::Completed, Some("the answer reached its upper bound".to_owned()))
        }
        (Err(ProviderError::Stopped), Some(StopCause::DaemonReplaced)) => {
            (SessionStatus::Interrupted, Some("daemon replaced".to_owned()))
        }
        (Err(ProviderError::Stopped), Some(StopCause::DaemonStopped)) => {
            (SessionStatus::Interrupted, Some("daemon stopped".to_owned()))
        }
        (Err(ProviderError::Stopped), _) => (SessionStatus::Cancelled, None),
        (Err(ProviderError::Parked { reason }), _) => (SessionStatus::Parked, Some(reason.clone())),
        (Err(ProviderError::Failed { reason }), _) => (SessionStatus::Failed, Some(reason.clone())),
    }
}
