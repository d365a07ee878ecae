//! Provider `local`: a small model in this process. Works offline, without a key, and is exact on resuming.

mod host;

use std::sync::Arc;

use async_trait::async_trait;
use podium_models::{Generation, GenerationState, LoadedModel, Message, ModelError, Role, SamplerParams};
use podium_models::{Segment, SegmentMode, StopReason, catalogue};
use podium_protocol::{ProviderInfo, SessionProgress, Usage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::host::ModelHost;
use crate::Env;
use crate::provider::{Chunk, Provider, ProviderError, Revival, SYSTEM, Speaker, Turn, TurnOutcome, Window};

/// The embedded model as a provider.
pub struct Local {
    host: Arc<ModelHost>,
}

impl Local {
    #[must_use]
    pub fn new(host: Arc<ModelHost>) -> Self {
        Self { host }
    }
}

#[async_trait]
impl Provider for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn info(&self, _env: &Env) -> ProviderInfo {
        let present = self.host.present();
        let why = match present.first() {
            Some(name) => format!("model {name} is on this machine"),
            None => "no model is on this machine; run `podium models fetch`".to_owned(),
        };
        ProviderInfo { name: self.name().to_owned(), usable: !present.is_empty(), why, models: present }
    }

    fn replays(&self) -> bool {
        true
    }

    fn window(&self, turn: &Turn) -> Option<Window> {
        let entry = catalogue::find(turn.model.as_deref().unwrap_or(default_model())).ok()?;
        let answer = turn.max_tokens.unwrap_or(self.host.max_tokens());
        Some(Window { tokens: entry.context_length as u64, answer: u64::from(answer) })
    }

    /// It computes in this very process: what hangs here would hang again.
    fn revival(&self) -> Revival {
        Revival::Park
    }

    fn known_models(&self) -> Option<Vec<&'static str>> {
        let names = |entry: &'static catalogue::CatalogueEntry| {
            std::iter::once(entry.name).chain(entry.aliases.iter().copied())
        };
        Some(catalogue::entries().iter().flat_map(names).collect())
    }

    async fn answer(
        &self,
        turn: Turn,
        out: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<TurnOutcome, ProviderError> {
        let _ = out.send(progress("loading_model", 0, 0)).await;
        let model = tokio::select! {
            model = self.host.load(turn.model.as_deref()) => model.map_err(failed)?,
            () = stop.cancelled() => return Err(ProviderError::Stopped),
        };
        let max_tokens = self.host.max_tokens();
        let work = move || Answer { model: &model, out: &out, stop: &stop, max_tokens }.run(&turn);
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| Err(ProviderError::Failed { reason: "the model's thread ended".to_owned() }))
    }
}

struct Answer<'a> {
    model: &'a LoadedModel,
    out: &'a mpsc::Sender<Chunk>,
    stop: &'a CancellationToken,
    /// Longest answer where the caller gave no bound.
    max_tokens: u32,
}

impl Answer<'_> {
    /// Blocking: computes on this thread.
    fn run(&self, turn: &Turn) -> Result<TurnOutcome, ProviderError> {
        let mut generation = self.generation(turn)?;
        let given = input_tokens(generation.state());
        let phase = if turn.resumed { "restoring" } else { "reading_prompt" };
        let mut report = |done: usize, total: usize| {
            let _ = self.out.try_send(progress(phase, done as u64, total as u64));
            !self.stop.is_cancelled()
        };
        generation.prefill(&mut report).map_err(failed)?;
        loop {
            if self.stop.is_cancelled() {
                return Err(ProviderError::Stopped);
            }
            let step = generation.next_token().map_err(failed)?;
            let tokens = step.token.into_iter().collect();
            self.send(Chunk::Text { text: step.text_delta, tokens })?;
            if let Some(reason) = step.done {
                let drawn = output_tokens(generation.state());
                let cost_usd = Some(0.0);
                self.send(Chunk::Usage(Usage { input_tokens: given, output_tokens: drawn, cost_usd }))?;
                self.send(Chunk::Context { used: given + drawn, window: None })?;
                let cut = reason == StopReason::Length;
                return Ok(if cut { TurnOutcome::Cut } else { TurnOutcome::Complete });
            }
        }
    }

    fn generation(&self, turn: &Turn) -> Result<Generation, ProviderError> {
        let saved = turn.state.as_deref().map(serde_json::from_slice::<GenerationState>).transpose();
        let saved = saved
            .map_err(|e| ProviderError::Failed { reason: format!("the saved state is unreadable: {e}") })?;
        match saved {
            Some(state) if turn.resumed && !turn.tokens.is_empty() => self.go_on(state, &turn.tokens),
            _ => self.begin(turn),
        }
    }

    /// A turn that was cut off: the state before it, and the tokens that are stored.
    fn go_on(&self, mut state: GenerationState, tokens: &[u32]) -> Result<Generation, ProviderError> {
        state.step += tokens.len() as u64;
        state.segments.push(Segment { mode: SegmentMode::Single, tokens: tokens.to_vec() });
        let generation = Generation::resume(self.model, state).map_err(failed)?;
        self.send(Chunk::Replay(generation.turn_text()))?;
        Ok(generation)
    }

    /// A new turn: the whole conversation as the prompt.
    fn begin(&self, turn: &Turn) -> Result<Generation, ProviderError> {
        let mut messages = vec![Message::new(Role::System, SYSTEM)];
        for message in &turn.messages {
            let role = if message.speaker == Speaker::User { Role::User } else { Role::Assistant };
            messages.push(Message::new(role, message.text()));
        }
        // A turn that was stopped before its first stored token begins again from its prompt.
        while messages.len() > 2 && messages.last().is_some_and(|m| m.role == Role::Assistant) {
            messages.pop();
        }
        let params = SamplerParams {
            seed: turn.seed,
            max_tokens: turn.max_tokens.unwrap_or(self.max_tokens),
            temperature: turn.temperature.map_or(SamplerParams::default().temperature, |t| t as f32),
            ..SamplerParams::default()
        };
        let prompt = self.model.encode_conversation(&messages).map_err(failed)?;
        let generation = Generation::start(self.model, prompt, params).map_err(failed)?;
        let state = serde_json::to_vec(generation.state())
            .map_err(|e| ProviderError::Failed { reason: format!("the state cannot be saved: {e}") })?;
        self.send(Chunk::State(state))?;
        Ok(generation)
    }

    fn send(&self, chunk: Chunk) -> Result<(), ProviderError> {
        // The reader is gone only when the turn is being ended.
        self.out.blocking_send(chunk).map_err(|_| ProviderError::Stopped)
    }
}

fn input_tokens(state: &GenerationState) -> u64 {
    count(state, SegmentMode::Prefill)
}

fn output_tokens(state: &GenerationState) -> u64 {
    count(state, SegmentMode::Single)
}

fn count(state: &GenerationState, mode: SegmentMode) -> u64 {
    state.segments.iter().filter(|s| s.mode == mode).map(|s| s.tokens.len() as u64).sum()
}

fn progress(phase: &str, done: u64, total: u64) -> Chunk {
    Chunk::Progress(SessionProgress { phase: phase.to_owned(), done, total })
}

fn failed(error: ModelError) -> ProviderError {
    if matches!(error, ModelError::Cancelled) {
        return ProviderError::Stopped;
    }
    let mut reason = error.to_string();
    for hint in error.hints() {
        reason = format!("{reason} ({hint})");
    }
    match error {
        ModelError::ContextOverflow { .. } => ProviderError::TooLong { reason },
        _ => ProviderError::Failed { reason },
    }
}

/// Name of the model that answers when none is asked for.
#[must_use]
pub fn default_model() -> &'static str {
    catalogue::entries().first().map_or("", |entry| entry.name)
}
