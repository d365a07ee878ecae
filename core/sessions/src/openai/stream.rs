//! What the events of a stream say.

use podium_protocol::Usage;
use serde_json::{Value, json};

use crate::http::{Event, Step, is_too_long};
use crate::pricing::{Counted, Price};
use crate::provider::{Chunk, ProviderError, ToolCall, TurnOutcome};

/// A call that is being written, by its index.
#[derive(Debug, Default)]
struct Writing {
    id: String,
    name: String,
    arguments: String,
}

/// What was said in one answer, over all its streams.
#[derive(Debug, Default)]
pub(super) struct Said {
    text: String,
    thinks: bool,
    /// Of this stream.
    calls: Vec<Writing>,
    finish: Option<String>,
    used: Counted,
    used_before: Usage,
    price: Option<Price>,
}

impl Said {
    pub(super) fn priced(price: Option<Price>) -> Self {
        Self { price, ..Self::default() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn progress(&self) -> usize {
        self.text.len()
    }

    pub(super) fn begin(&mut self) {
        self.used_before = self.usage();
        self.used = Counted::default();
        (self.calls, self.finish, self.thinks) = (Vec::new(), None, false);
    }

    pub(super) fn event(&mut self, event: &Event) -> Result<(Vec<Chunk>, Option<Step>), ProviderError> {
        let data = event.data.trim();
        if data == "[DONE]" {
            return Ok(self.end());
        }
        let Ok(data) = serde_json::from_str::<Value>(data) else {
            return Ok((Vec::new(), Some(Step::Cut("the server sent an unreadable event".to_owned()))));
        };
        if !data["error"].is_null() {
            let said = data["error"]["message"].as_str().or_else(|| data["error"].as_str());
            let said = said.unwrap_or("the server reports an error").to_owned();
            if is_too_long(&said) || data["error"]["code"] == "context_length_exceeded" {
                return Err(ProviderError::TooLong { reason: format!("openai: {said}") });
            }
            return Ok((Vec::new(), Some(Step::Cut(said))));
        }
        let mut chunks = Vec::new();
        if let Some(choice) = data["choices"].get(0) {
            self.delta(&choice["delta"], &mut chunks);
            if let Some(reason) = choice["finish_reason"].as_str() {
                self.finish = Some(reason.to_owned());
            }
        }
        if data["usage"].is_object() {
            let usage = &data["usage"];
            let count = |value: &Value| value.as_u64().unwrap_or_default();
            let asked = count(&usage["prompt_tokens"]);
            // Counted among what was asked.
            let cached = count(&usage["prompt_tokens_details"]["cached_tokens"]).min(asked);
            let output = count(&usage["completion_tokens"]);
            self.used = Counted { input: asked - cached, cached, cache_write: 0, output };
            chunks.push(Chunk::Usage(self.usage()));
            chunks.push(Chunk::Context { used: asked + output, window: None });
        }
        Ok((chunks, None))
    }

    /// A stream may end without saying so once it has given its reason.
    pub(super) fn at_end(&mut self) -> (Vec<Chunk>, Option<Step>) {
        if self.finish.is_some() { self.end() } else { (Vec::new(), None) }
    }

    fn delta(&mut self, delta: &Value, chunks: &mut Vec<Chunk>) {
        let thought = delta["reasoning_content"].as_str().or_else(|| delta["reasoning"].as_str());
        if let Some(thought) = thought.filter(|text| !text.is_empty()) {
            self.thinks = true;
            chunks.push(Chunk::Thinking(thought.to_owned()));
        }
        if let Some(text) = delta["content"].as_str().filter(|text| !text.is_empty()) {
            self.end_thought(chunks);
            self.text.push_str(text);
            chunks.push(Chunk::Text { text: text.to_owned(), tokens: Vec::new() });
        }
        for call in delta["tool_calls"].as_array().map_or(&[][..], Vec::as_slice) {
            self.write(call);
        }
    }

    fn end_thought(&mut self, chunks: &mut Vec<Chunk>) {
        if std::mem::take(&mut self.thinks) {
            chunks.push(Chunk::ThoughtEnd { signature: None });
        }
    }

    /// A piece of a call. Some servers leave the index out, and give each call whole.
    fn write(&mut self, call: &Value) {
        const MOST: usize = 128;
        let new = call["id"].as_str().filter(|id| !id.is_empty());
        let index = match call["index"].as_u64() {
            Some(index) => usize::try_from(index).unwrap_or(usize::MAX),
            None if new.is_some() => self.calls.len(),
            None => self.calls.len().saturating_sub(1),
        };
        if index >= MOST {
            return;
        }
        while self.calls.len() <= index {
            self.calls.push(Writing::default());
        }
        let Some(writing) = self.calls.get_mut(index) else { return };
        if let Some(id) = new {
            id.clone_into(&mut writing.id);
        }
        let function = &call["function"];
        writing.name.push_str(function["name"].as_str().unwrap_or_default());
        writing.arguments.push_str(function["arguments"].as_str().unwrap_or_default());
    }

    fn end(&mut self) -> (Vec<Chunk>, Option<Step>) {
        let mut chunks = Vec::new();
        self.end_thought(&mut chunks);
        let calls = std::mem::take(&mut self.calls);
        let called = calls.iter().any(|call| !call.name.is_empty());
        for (nth, call) in calls.into_iter().enumerate().filter(|(_, call)| !call.name.is_empty()) {
            // Results are told by id; a server that gives none gets one of ours.
            let id = if call.id.is_empty() {
                format!("call_{nth}_{}", uuid::Uuid::new_v4().simple())
            } else {
                call.id
            };
            let input = match call.arguments.trim() {
                "" => json!({}),
                written => serde_json::from_str(written).unwrap_or(Value::String(call.arguments)),
            };
            chunks.push(Chunk::ToolCall(ToolCall { id, name: call.name, input }));
        }
        let outcome = match self.finish.as_deref() {
            _ if called => TurnOutcome::WantsTools,
            Some("length") => TurnOutcome::Cut,
            Some("content_filter") => TurnOutcome::Refused,
            _ => TurnOutcome::Complete,
        };
        (chunks, Some(Step::Done(outcome)))
    }

    /// Of all streams. A server that does not count says nothing of what it cost either.
    fn usage(&self) -> Usage {
        let now = Usage {
            input_tokens: self.used.asked(),
            output_tokens: self.used.output,
            cost_usd: self.price.map(|price| price.cost(&self.used)),
        };
        if self.used == Counted::default() { self.used_before.clone() } else { self.used_before.plus(&now) }
    }
}
