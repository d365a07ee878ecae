//! Stores what a turn produces, then shows it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podium_artifacts::NewArtifact;
use podium_protocol::{
    CheckpointKind, CheckpointRef, ContextUse, ItemKind, SessionItem, SessionStatus, Usage,
};
use podium_secrets::{Redactor, StreamRedactor, StreamState};
use podium_store::{Durability, now_ms, rfc3339};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::TurnJob;
use super::ending::checkpoint_event;
use crate::SessionError;
use crate::agent::ToolRun;
use crate::checkpoint::{CheckpointRow, TurnTree};
use crate::history::{History, call_data, result_data};
use crate::hub::{Running, Update};
use crate::manager::Inner;
use crate::provider::{Chunk, ToolCall};
use crate::rows::{self, StoredItem};

/// Shortest time from one checkpoint of an answer to the next: however fast it comes, the disk is not what it waits for.
const BETWEEN_CHECKPOINTS: Duration = Duration::from_millis(250);

/// How far the turn's text was when the provider's state was stored: what a resumed provider says again up to what is
/// shown is left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Bytes of the turn's redacted text.
    text: usize,
    redactor: StreamState,
}

/// The provider's state together with where the text was then.
#[derive(Debug, Clone)]
struct Place {
    state: Vec<u8>,
    mark: Mark,
}

/// The thought that is being told: as it came, and as it was shown.
#[derive(Default)]
struct Thought {
    raw: String,
    shown: String,
}

pub(super) struct Recorder {
    pub(super) sessions: Arc<Inner>,
    pub(super) session: String,
    pub(super) title: String,
    pub(super) agent: Option<String>,
    pub(super) worktree: Option<String>,
    pub(super) running: Running,
    pub(super) history: History,
    pub(super) known: Arc<Redactor>,
    /// Of text, and of thoughts.
    text_stream: StreamRedactor,
    thought_stream: StreamRedactor,
    thought: Thought,
    /// Number of the last item; those above `stored` are not committed yet.
    pub(super) seq: u64,
    stored: u64,
    /// Redacted text of this turn, shown or about to be.
    pub(super) text: String,
    /// Bytes of `text` that were shown before this run of the turn.
    shown: usize,
    tokens: Vec<u32>,
    /// State that is stored, or will be with the next items.
    pub(super) state: Vec<u8>,
    /// Where the text was at that state.
    pub(super) mark: Option<Mark>,
    place: Option<Place>,
    /// Something else than text came since a state could be stored.
    beyond_text: bool,
    since_checkpoint: u64,
    /// When the last one was made; the turn's beginning before the first.
    checkpointed: Instant,
    /// Of the steps before, of this one, and how much of both is stored.
    used_before: Usage,
    used_now: Usage,
    used_stored: Usage,
    /// Tokens of the model's window, where that is known.
    pub(super) window: Option<u64>,
    context: Option<ContextUse>,
    /// It is not stored yet.
    context_is_new: bool,
    context_told: Option<ContextUse>,
    pub(super) files: BTreeSet<String>,
    pub(super) tree: TurnTree,
}

impl Recorder {
    /// `replayed`: the provider says the turn's text again from its beginning.
    pub(super) fn new(job: &TurnJob, replayed: bool) -> Self {
        let mark = job.row.mark.clone();
        let shown = &job.history.shown;
        let (said, stream) = match mark {
            _ if replayed => (0, StreamState::default()),
            Some(mark) => (shown.floor_char_boundary(mark.text), mark.redactor),
            None => (shown.len(), StreamState::default()),
        };
        Self {
            sessions: Arc::clone(&job.sessions),
            session: job.row.info.id.clone(),
            title: job.row.info.title.clone(),
            agent: job.row.info.agent_id.clone(),
            worktree: job.row.info.worktree.clone(),
            running: job.running.clone(),
            history: job.history.clone(),
            known: Arc::clone(&job.redactor),
            text_stream: StreamRedactor::with_state(Arc::clone(&job.redactor), stream),
            thought_stream: StreamRedactor::new(Arc::clone(&job.redactor)),
            thought: Thought::default(),
            seq: job.row.info.last_seq,
            stored: job.row.info.last_seq,
            text: shown[..said].to_owned(),
            shown: shown.len(),
            tokens: Vec::new(),
            state: job.row.state.clone().unwrap_or_default(),
            mark: job.row.mark.clone(),
            place: None,
            beyond_text: false,
            since_checkpoint: 0,
            checkpointed: Instant::now(),
            used_before: Usage::default(),
            used_now: Usage::default(),
            used_stored: Usage::default(),
            window: None,
            context: job.row.info.context,
            context_is_new: false,
            context_told: job.row.info.context,
            files: BTreeSet::new(),
            tree: TurnTree::new(&job.sessions, &job.row, job.history.prompt),
        }
    }

    /// Stores a batch in one transaction, then shows it. A checkpoint comes behind it: nobody waits for the disk, or for a
    /// look at the files, to see a text.
    pub(super) async fn record(&mut self, batch: Vec<Chunk>) -> Result<(), SessionError> {
        let mut items = Vec::new();
        for chunk in batch {
            self.take(chunk, &mut items);
        }
        self.store(items).await?;
        if self.context != self.context_told {
            self.context_told = self.context;
            self.context.into_iter().for_each(|context| self.running.tell(Update::Context(context)));
        }
        let due = self.since_checkpoint >= self.sessions.checkpoint_items();
        if due && self.checkpointed.elapsed() >= BETWEEN_CHECKPOINTS {
            self.store_checkpoint().await?;
        }
        Ok(())
    }

    fn take(&mut self, chunk: Chunk, items: &mut Vec<StoredItem>) {
        match chunk {
            Chunk::Batch(chunks) => {
                for chunk in chunks {
                    self.take(chunk, items);
                }
            }
            Chunk::Progress(progress) => self.running.tell(Update::Progress(progress)),
            Chunk::Usage(usage) => self.used_now = usage,
            Chunk::Context { used, window } => {
                self.context = Some(ContextUse { used, window: window.or(self.window) });
                self.context_is_new = true;
            }
            Chunk::State(state) => self.take_state(state, items),
            Chunk::Flush => {
                self.flush_text(items);
                self.flush_thought(items);
            }
            Chunk::Replay(text) => self.take_text(&text, Vec::new(), items),
            Chunk::Text { text, tokens } => {
                self.flush_thought(items);
                self.take_text(&text, tokens, items);
            }
            Chunk::Thinking(text) => {
                self.flush_text(items);
                self.thought.raw.push_str(&text);
                let safe = self.thought_stream.push(&text);
                self.push_thought(safe, None, items);
            }
            Chunk::ThoughtEnd { signature } => {
                let rest = self.end_thought();
                let whole = format!("{}{rest}", self.thought.shown);
                // A signature is over the words as they were: redacted ones cannot be given back.
                let signature = signature.filter(|_| whole == self.thought.raw);
                let data = signature.map(|signature| json!({ "signature": signature }));
                self.push_thought(rest, data, items);
                self.thought = Thought::default();
            }
            Chunk::SealedThought(sealed) => {
                self.flush_text(items);
                self.flush_thought(items);
                // Encrypted: nothing in it can be redacted, and it has to stay as it came.
                let item = self.item(ItemKind::Thinking, String::new(), Some(json!({ "sealed": sealed })));
                items.push(item);
                self.beyond_text = true;
            }
            Chunk::Compaction { summary, data } => self.other(ItemKind::Usage, &summary, Some(data), items),
            Chunk::ToolCall(call) => {
                let data = call_data(&call);
                self.other(ItemKind::ToolCall, &call.name, Some(data), items);
            }
            Chunk::ToolResult(result) => {
                self.tree.touched();
                let data = result_data(&result);
                self.other(ItemKind::ToolResult, &result.text, Some(data), items);
            }
            Chunk::Permission { text, data } => self.other(ItemKind::Permission, &text, Some(data), items),
        }
    }

    /// What belongs to no stream: it is complete.
    fn other(&mut self, kind: ItemKind, text: &str, data: Option<Value>, items: &mut Vec<StoredItem>) {
        self.flush_text(items);
        self.flush_thought(items);
        let data = data.map(|data| redacted(&self.known, data));
        let item = self.item(kind, self.known.redact(text), data);
        items.push(item);
        self.beyond_text = true;
        self.since_checkpoint += 1;
    }

    fn take_state(&mut self, state: Vec<u8>, items: &mut Vec<StoredItem>) {
        if self.beyond_text {
            // Going on from an older state would repeat what is no text.
            self.flush_text(items);
            self.flush_thought(items);
        }
        if self.text_stream.pending().is_empty() && self.thought_stream.pending().is_empty() {
            let mark = Mark { text: self.text.len(), redactor: self.text_stream.state().clone() };
            self.place = Some(Place { state, mark });
            self.beyond_text = false;
        }
    }

    fn take_text(&mut self, text: &str, tokens: Vec<u32>, items: &mut Vec<StoredItem>) {
        self.tokens.extend(tokens);
        let safe = self.text_stream.push(text);
        self.push_text(&safe, false, items);
    }

    /// Shows what was held back: what follows is no text.
    pub(super) fn flush_text(&mut self, items: &mut Vec<StoredItem>) {
        let rest = self.last_text();
        self.push_text(&rest, false, items);
    }

    /// What was held back of a text that is complete.
    pub(super) fn last_text(&mut self) -> String {
        let fresh = StreamRedactor::new(Arc::clone(&self.known));
        std::mem::replace(&mut self.text_stream, fresh).finish()
    }

    fn end_thought(&mut self) -> String {
        let fresh = StreamRedactor::new(Arc::clone(&self.known));
        std::mem::replace(&mut self.thought_stream, fresh).finish()
    }

    pub(super) fn flush_thought(&mut self, items: &mut Vec<StoredItem>) {
        let rest = self.end_thought();
        self.push_thought(rest, None, items);
        self.thought = Thought::default();
    }

    fn push_thought(&mut self, text: String, data: Option<Value>, items: &mut Vec<StoredItem>) {
        if !text.is_empty() || data.is_some() {
            self.thought.shown.push_str(&text);
            let item = self.item(ItemKind::Thinking, text, data);
            items.push(item);
            self.beyond_text = true;
        }
    }

    /// Adds what is not shown yet as one item, with all tokens that came since the last.
    pub(super) fn push_text(&mut self, safe: &str, is_final: bool, items: &mut Vec<StoredItem>) {
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

    pub(super) fn item(&mut self, kind: ItemKind, text: String, data: Option<Value>) -> StoredItem {
        self.seq += 1;
        let at = now_ms();
        let item = SessionItem { seq: self.seq, kind, text, is_final: false, data, time: rfc3339(at) };
        StoredItem { item, at, tokens: Vec::new() }
    }

    pub(super) fn checkpoint_item(&mut self, items: &mut Vec<StoredItem>) -> CheckpointRef {
        self.since_checkpoint = 0;
        self.checkpointed = Instant::now();
        let id = uuid::Uuid::now_v7().to_string();
        let checkpoint = CheckpointRef { id: id.clone(), seq: self.seq };
        let item =
            self.item(ItemKind::Checkpoint, String::new(), Some(json!({ "id": id, "seq": checkpoint.seq })));
        items.push(item);
        checkpoint
    }

    /// Commits, then shows. Pieces of text survive the death of the process.
    async fn store(&mut self, items: Vec<StoredItem>) -> Result<(), SessionError> {
        let place = self.place.take();
        if items.is_empty() && place.is_none() {
            return Ok(());
        }
        let placed = place.is_some();
        if let Some(place) = &place {
            self.state.clone_from(&place.state);
            self.mark = Some(place.mark.clone());
        }
        let (session, rows) = (self.session.clone(), Arc::new(items));
        let stored = Arc::clone(&rows);
        let context = self.unstored_context();
        let write = self.sessions.store.write::<(), SessionError>(Durability::Process, move |tx| {
            rows::append(tx, &session, &rows)?;
            if let Some(context) = context {
                rows::set_context(tx, &session, context)?;
            }
            if let Some(place) = place {
                rows::set_state(tx, &session, &place.state, &place.mark)?;
            }
            Ok(())
        });
        self.written(write.await)?;
        self.context_is_new = false;
        self.now_stored(stored);
        if placed {
            self.running.stored(&self.state);
        }
        Ok(())
    }

    /// Commits a checkpoint of what is stored, which survives the loss of power, then shows it.
    async fn store_checkpoint(&mut self) -> Result<(), SessionError> {
        let mut items = Vec::new();
        let at = self.checkpoint_item(&mut items);
        let checkpoint = self.within(at).await;
        let (session, rows) = (self.session.clone(), Arc::new(items));
        let stored = Arc::clone(&rows);
        let (usage, unknown) = (self.unstored_usage(), self.sessions.unknown_price());
        let write = self.sessions.store.write::<(), SessionError>(Durability::Power, move |tx| {
            rows::append(tx, &session, &rows)?;
            rows::add_usage(tx, &session, &usage, unknown)?;
            rows::add_checkpoint(tx, &session, &checkpoint)?;
            tx.emit(&checkpoint_event(&session, &checkpoint.at))?;
            Ok(())
        });
        self.written(write.await)?;
        self.usage_is_stored();
        self.now_stored(stored);
        Ok(())
    }

    fn written(&mut self, outcome: Result<(), SessionError>) -> Result<(), SessionError> {
        if outcome.is_err() {
            // Their numbers are free again: what ends the turn follows what is stored.
            self.seq = self.stored;
        }
        outcome
    }

    /// A checkpoint in the middle of the answer, with the files as they are.
    async fn within(&mut self, at: CheckpointRef) -> CheckpointRow {
        let snapshot = self.tree.at_checkpoint().await;
        let (state, mark) = (&self.state, self.mark.clone());
        CheckpointRow::new(at, CheckpointKind::Turn, SessionStatus::Interrupted, state, mark, snapshot)
    }

    /// Items that are committed become known and shown.
    fn now_stored(&mut self, items: Arc<Vec<StoredItem>>) {
        self.stored = self.seq;
        // The writer is done with them.
        let items = Arc::unwrap_or_clone(items);
        let mut shown = Vec::with_capacity(items.len());
        for stored in items {
            self.history.push(&stored.item, stored.tokens);
            shown.push(stored.item);
        }
        if !shown.is_empty() {
            self.running.tell(Update::Items(shown.into()));
        }
    }

    /// The result of a call, and what it left behind.
    pub(super) async fn tool_ran(&mut self, call: &ToolCall, ran: ToolRun) -> Result<(), SessionError> {
        let mut result = ran.result;
        self.files.extend(ran.changed);
        if let Some(rest) = ran.overflow {
            let whole = self.known.redact(&String::from_utf8_lossy(&rest));
            let artifact = self.keep(format!("{}: {}", call.name, self.title), whole).await?;
            result.text.push_str(&format!("\n[the whole output is artifact {artifact}]"));
        }
        self.record(vec![Chunk::ToolResult(result)]).await
    }

    /// Keeps a long output.
    async fn keep(&self, title: String, text: String) -> Result<String, SessionError> {
        let artifact = NewArtifact {
            title,
            kind: "log".to_owned(),
            media_type: "text/plain".to_owned(),
            content: text.into_bytes(),
            session: Some(self.session.clone()),
            worktree: self.worktree.clone(),
        };
        let prepared = self.sessions.artifacts.prepare(artifact).await?;
        let id = prepared.artifact.id.clone();
        let write = self.sessions.store.write::<(), SessionError>(Durability::Process, move |tx| {
            prepared.record(tx)?;
            Ok(())
        });
        write.await?;
        self.sessions.artifacts.wake();
        Ok(id)
    }

    /// A question to the provider was answered; another follows.
    pub(super) fn step_over(&mut self) {
        self.used_before = self.usage();
        self.used_now = Usage::default();
    }

    /// Used by a question beside the conversation; [`Recorder::step_over`] follows.
    pub(super) fn used_aside(&mut self, usage: Usage) {
        self.used_now = usage;
    }

    /// Tokens of the newest question, as its provider counts them.
    pub(super) fn counted(&self) -> u64 {
        self.used_now.input_tokens
    }

    /// Used by the turn.
    pub(super) fn usage(&self) -> Usage {
        self.used_before.plus(&self.used_now)
    }

    /// How full the window is, where that is not stored.
    pub(super) fn unstored_context(&self) -> Option<ContextUse> {
        self.context.filter(|_| self.context_is_new)
    }

    pub(super) fn usage_is_stored(&mut self) {
        self.used_stored = self.usage();
    }

    pub(super) fn unstored_usage(&self) -> Usage {
        let (now, stored) = (self.usage(), &self.used_stored);
        Usage {
            input_tokens: now.input_tokens.saturating_sub(stored.input_tokens),
            output_tokens: now.output_tokens.saturating_sub(stored.output_tokens),
            // What is not known of the whole is not known of its rest.
            cost_usd: now.cost_usd.map(|cost| (cost - stored.cost_usd.unwrap_or_default()).max(0.0)),
        }
    }
}

/// Every text in it.
fn redacted(known: &Redactor, data: Value) -> Value {
    match data {
        Value::String(text) => Value::String(known.redact(&text)),
        Value::Array(list) => list.into_iter().map(|value| redacted(known, value)).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, redacted(known, value))).collect(),
        other => other,
    }
}
