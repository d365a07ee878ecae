//! Continuing a conversation, one token at a time, so that it can be saved after any token and taken up
//! again exactly.

use crate::chat::Message;
use crate::error::{ModelError, Result};
use crate::network::{LoadedModel, Memory};
use crate::sampler::SamplerParams;
use crate::tokenizer::TextDecoder;
use serde::{Deserialize, Serialize};

/// Prompt tokens run through the network between two looks at cancellation and two progress reports.
pub const PREFILL_BATCH: usize = 64;
/// Latest tokens (prompt included) that the repeat penalty looks at.
pub const REPEAT_WINDOW: usize = 64;

/// Where a run of tokens came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentMode {
    /// Given, run through the network in batches.
    Prefill,
    /// Drawn by the model, one by one.
    Single,
}

/// A run of tokens of one origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub mode: SegmentMode,
    pub tokens: Vec<u32>,
}

/// Everything a generation is made of, besides the model: some 4 bytes per token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationState {
    /// Hash of the model's file.
    pub model_sha256: String,
    pub segments: Vec<Segment>,
    pub params: SamplerParams,
    /// Tokens drawn so far: the state of the random numbers, together with the seed.
    pub step: u64,
    /// Set once the present turn is over.
    pub done: Option<StopReason>,
}

impl GenerationState {
    /// Tokens in all.
    pub fn position(&self) -> usize {
        self.segments.iter().map(|segment| segment.tokens.len()).sum()
    }

    /// Tokens drawn in the present turn.
    fn drawn_in_turn(&self) -> usize {
        self.segments
            .last()
            .filter(|segment| segment.mode == SegmentMode::Single)
            .map_or(0, |s| s.tokens.len())
    }

    /// Why nothing is drawn behind the last drawn token; `None` where something is.
    fn end(&self, model: &LoadedModel) -> Option<StopReason> {
        let drawn = self.drawn_in_turn();
        if drawn > 0 && self.last_token() == Some(model.chat().end) {
            Some(StopReason::End)
        } else if drawn > 0
            && (drawn >= self.params.max_tokens as usize || self.position() >= model.context_length())
        {
            Some(StopReason::Length)
        } else {
            None
        }
    }

    fn last_token(&self) -> Option<u32> {
        self.segments.last().and_then(|segment| segment.tokens.last()).copied()
    }

    fn recent(&self) -> Vec<u32> {
        let newest_first = self.segments.iter().rev().flat_map(|segment| segment.tokens.iter().rev());
        newest_first.take(REPEAT_WINDOW).copied().collect()
    }

    fn check(&self, model: &LoadedModel) -> Result<()> {
        if self.model_sha256 != model.sha256() {
            return Err(ModelError::WrongModel {
                saved: self.model_sha256.clone(),
                loaded: model.sha256().to_owned(),
            });
        }
        let invalid = |reason: &str| Err(ModelError::InvalidState { reason: reason.to_owned() });
        if self.segments.first().is_none_or(|first| first.mode != SegmentMode::Prefill) {
            return invalid("it does not begin with a prompt");
        }
        if self.segments.iter().any(|segment| segment.tokens.is_empty()) {
            return invalid("it has an empty segment");
        }
        let vocabulary = model.tokenizer().vocabulary_size();
        if self.segments.iter().flat_map(|segment| &segment.tokens).any(|id| *id as usize >= vocabulary) {
            return invalid("it has tokens this model does not have");
        }
        let singles = self.segments.iter().filter(|segment| segment.mode == SegmentMode::Single);
        if singles.map(|segment| segment.tokens.len() as u64).sum::<u64>() != self.step {
            return invalid("its step count does not match its tokens");
        }
        self.params.validate()
    }
}

/// Why a turn is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model ended its answer.
    End,
    /// `max_tokens` were drawn, or the context is full.
    Length,
}

/// What one call of [`Generation::next_token`] brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The token drawn; `None` when none could be (the turn was over, or the context full).
    pub token: Option<u32>,
    /// Text that became complete. Several tokens may make one character.
    pub text_delta: String,
    /// Set with the last token of the turn, and from then on.
    pub done: Option<StopReason>,
}

/// One conversation over a model. Computes on the calling thread only.
pub struct Generation {
    model: LoadedModel,
    state: GenerationState,
    memory: Memory,
    decoder: TextDecoder,
}

impl Generation {
    /// Begins with a prompt (see [`LoadedModel::encode_conversation`]). The prompt is run by the first
    /// [`next_token`](Self::next_token), or by [`prefill`](Self::prefill) with progress.
    ///
    /// # Errors
    /// An empty prompt, one that leaves no room for an answer, or parameters out of range.
    pub fn start(model: &LoadedModel, prompt: Vec<u32>, params: SamplerParams) -> Result<Self> {
        let state = GenerationState {
            model_sha256: model.sha256().to_owned(),
            segments: Vec::new(),
            params,
            step: 0,
            done: None,
        };
        let mut generation =
            Self { memory: model.memory(), model: model.clone(), state, decoder: TextDecoder::default() };
        generation.state.params.validate()?;
        generation.extend(prompt)?;
        Ok(generation)
    }

    /// Takes up a saved generation. What it draws from here on is what it would have drawn.
    ///
    /// # Errors
    /// A state of another model, or one that was tampered with.
    pub fn resume(model: &LoadedModel, mut state: GenerationState) -> Result<Self> {
        state.check(model)?;
        check_fits(model, state.position())?;
        // The last token may have been saved, and that it was the last one not.
        state.done = state.done.or_else(|| state.end(model));
        let mut decoder = TextDecoder::default();
        if let Some(segment) = state.segments.last().filter(|segment| segment.mode == SegmentMode::Single) {
            for token in &segment.tokens {
                decoder.push(model.tokenizer().bytes(*token));
            }
            if state.done.is_some() {
                decoder.finish();
            }
        }
        Ok(Self { memory: model.memory(), model: model.clone(), state, decoder })
    }

    /// What to save. Whatever was returned by [`next_token`](Self::next_token) is in it.
    pub fn state(&self) -> &GenerationState {
        &self.state
    }

    /// Text of the present turn's tokens so far, whole characters only.
    pub fn turn_text(&self) -> String {
        let drawn = self.state.drawn_in_turn();
        let tokens = self.state.segments.last().map_or(&[][..], |segment| &segment.tokens[..drawn]);
        let mut decoder = TextDecoder::default();
        let mut text: String =
            tokens.iter().map(|token| decoder.push(self.model.tokenizer().bytes(*token))).collect();
        if self.state.done.is_some() {
            text.push_str(&decoder.finish());
        }
        text
    }

    /// Adds given tokens and opens a new turn.
    ///
    /// # Errors
    /// No tokens, or more than fit with room for an answer; nothing is changed then.
    pub fn extend(&mut self, tokens: Vec<u32>) -> Result<()> {
        if tokens.is_empty() {
            return Err(ModelError::InvalidParameter { reason: "the prompt is empty".to_owned() });
        }
        let vocabulary = self.model.tokenizer().vocabulary_size();
        if let Some(id) = tokens.iter().find(|id| **id as usize >= vocabulary) {
            return Err(ModelError::InvalidParameter {
                reason: format!("{id} is not a token of this model"),
            });
        }
        // One place must be left for an answer.
        check_fits(&self.model, self.state.position() + tokens.len() + 1)?;
        self.state.segments.push(Segment { mode: SegmentMode::Prefill, tokens });
        self.state.done = None;
        self.decoder = TextDecoder::default();
        Ok(())
    }

    /// Adds messages after the assistant's answer, finished or not, and opens the next turn.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    pub fn extend_turn(&mut self, messages: &[Message]) -> Result<()> {
        let chat = self.model.chat();
        let ended = self.state.last_token() == Some(chat.end);
        let tokens = chat.next_turn(self.model.tokenizer(), ended, messages)?;
        self.extend(tokens)
    }

    /// Runs all known tokens but the last through the network. `progress` gets (done, in all) after each
    /// [`PREFILL_BATCH`] and answers whether to go on; it may be called again later to go on after all.
    ///
    /// # Errors
    /// [`ModelError::Cancelled`] when `progress` says stop.
    pub fn prefill(&mut self, progress: &mut dyn FnMut(usize, usize) -> bool) -> Result<()> {
        let known: Vec<u32> = self
            .state
            .segments
            .iter()
            .flat_map(|segment| &segment.tokens)
            .skip(self.memory.length)
            .copied()
            .collect();
        let Some((_, waiting)) = known.split_last() else { return Ok(()) };
        let total = self.memory.length + waiting.len();
        for batch in waiting.chunks(PREFILL_BATCH) {
            self.model.forward(&mut self.memory, batch)?;
            if !progress(self.memory.length, total) {
                return Err(ModelError::Cancelled);
            }
        }
        Ok(())
    }

    /// Draws the next token. Blocking: milliseconds, and longer when a prompt is to be run first.
    ///
    /// # Errors
    /// Only when the state is not one this model can have made.
    pub fn next_token(&mut self) -> Result<Step> {
        if self.state.done.is_none() && self.state.position() >= self.model.context_length() {
            self.state.done = Some(StopReason::Length);
        }
        if let Some(done) = self.state.done {
            return Ok(Step { token: None, text_delta: self.decoder.finish(), done: Some(done) });
        }
        self.prefill(&mut |_, _| true)?;
        if let Some(last) = self.state.last_token() {
            // A prompt's last token goes alone like a drawn one, so both look the same on resuming.
            if self.memory.length < self.state.position() {
                self.model.forward(&mut self.memory, &[last])?;
            }
        }
        let recent = self.state.recent();
        let token = self.state.params.draw(self.model.logits(&mut self.memory), &recent, self.state.step);
        Ok(self.accept(token))
    }

    fn accept(&mut self, token: u32) -> Step {
        match self.state.segments.last_mut() {
            Some(segment) if segment.mode == SegmentMode::Single => segment.tokens.push(token),
            _ => self.state.segments.push(Segment { mode: SegmentMode::Single, tokens: vec![token] }),
        }
        self.state.step += 1;
        let mut text_delta = self.decoder.push(self.model.tokenizer().bytes(token));
        self.state.done = self.state.end(&self.model);
        if self.state.done.is_some() {
            text_delta.push_str(&self.decoder.finish());
        }
        Step { token: Some(token), text_delta, done: self.state.done }
    }
}

fn check_fits(model: &LoadedModel, tokens: usize) -> Result<()> {
    let limit = model.context_length();
    if tokens > limit { Err(ModelError::ContextOverflow { tokens, limit }) } else { Ok(()) }
}
