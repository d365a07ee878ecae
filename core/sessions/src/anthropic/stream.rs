//! What the events of a stream say, block by block.

use podium_protocol::Usage;
use serde_json::{Value, json};

use crate::http::{Event, Step, is_too_long};
use crate::pricing::{Counted, Price};
use crate::provider::{Chunk, Message, Part, ProviderError, Speaker, ToolCall, TurnOutcome};

/// A block of the answer that is open.
enum Block {
    Text,
    Thinking { signature: Option<String> },
    Sealed { data: String },
    Tool { id: String, name: String, input: String },
    Other,
}

/// What was said in one answer, over all its streams.
pub(super) struct Said {
    text: String,
    /// White space at the end of what was said, which a request leaves out and the model may say again.
    said_space: String,
    block: Option<Block>,
    /// Complete calls of this stream.
    calls: usize,
    stop: Option<String>,
    /// Of this stream, and of those before it.
    used: Counted,
    used_before: Usage,
    price: Option<Price>,
}

impl Said {
    pub(super) fn new(messages: &[Message], price: Option<Price>) -> Self {
        let last = messages.last().filter(|message| message.speaker == Speaker::Assistant);
        let said_space = match last.and_then(|message| message.parts.last()) {
            Some(Part::Text(text)) => space_at_end(text).to_owned(),
            _ => String::new(),
        };
        Self {
            text: String::new(),
            said_space,
            block: None,
            calls: 0,
            stop: None,
            used: Counted::default(),
            used_before: Usage::default(),
            price,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Calls that are complete can run, whatever became of the rest.
    pub(super) fn at_end(&self) -> Option<Step> {
        (self.calls > 0).then_some(Step::Done(TurnOutcome::WantsTools))
    }

    /// Rises with all that is worth another attempt.
    pub(super) fn progress(&self) -> usize {
        self.text.len() + self.calls
    }

    /// A stream begins.
    pub(super) fn begin(&mut self) {
        self.used_before = self.usage();
        self.used = Counted::default();
        if !self.text.is_empty() {
            self.said_space = space_at_end(&self.text).to_owned();
        }
        (self.block, self.calls, self.stop) = (None, 0, None);
    }

    /// # Errors
    /// An error of the server that no further attempt would mend.
    pub(super) fn event(&mut self, event: &Event) -> Result<(Vec<Chunk>, Option<Step>), ProviderError> {
        let known = matches!(
            event.kind.as_str(),
            "message_start"
                | "content_block_start"
                | "content_block_delta"
                | "content_block_stop"
                | "message_delta"
                | "message_stop"
                | "error"
        );
        if !known {
            return Ok((Vec::new(), None));
        }
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
            return Ok((Vec::new(), Some(Step::Cut("the server sent an unreadable event".to_owned()))));
        };
        let chunks = match event.kind.as_str() {
            "message_start" => self.count(&data["message"]["usage"]),
            "content_block_start" => self.open(&data["content_block"]),
            "content_block_delta" => self.delta(&data["delta"]),
            "content_block_stop" => self.close(),
            "message_delta" => {
                self.stop = data["delta"]["stop_reason"].as_str().map(str::to_owned).or(self.stop.take());
                self.count(&data["usage"])
            }
            "message_stop" => return Ok((Vec::new(), Some(self.end()))),
            _ => return self.error(&data["error"]).map(|step| (Vec::new(), Some(step))),
        };
        Ok((chunks, None))
    }

    fn open(&mut self, block: &Value) -> Vec<Chunk> {
        let text = |key: &str| block[key].as_str().unwrap_or_default().to_owned();
        self.block = Some(match block["type"].as_str() {
            Some("text") => Block::Text,
            Some("thinking") => Block::Thinking { signature: None },
            Some("redacted_thinking") => Block::Sealed { data: text("data") },
            Some("tool_use") => Block::Tool { id: text("id"), name: text("name"), input: String::new() },
            _ => Block::Other,
        });
        match block["type"].as_str() {
            Some("text") => self.say(&text("text")),
            Some("thinking") => think(text("thinking")),
            _ => Vec::new(),
        }
    }

    fn delta(&mut self, delta: &Value) -> Vec<Chunk> {
        let text = |key: &str| delta[key].as_str().unwrap_or_default();
        match delta["type"].as_str() {
            Some("text_delta") => return self.say(text("text")),
            Some("thinking_delta") => return think(text("thinking").to_owned()),
            Some("signature_delta") => {
                if let Some(Block::Thinking { signature }) = &mut self.block {
                    signature.get_or_insert_default().push_str(text("signature"));
                }
            }
            Some("input_json_delta") => {
                if let Some(Block::Tool { input, .. }) = &mut self.block {
                    input.push_str(text("partial_json"));
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn say(&mut self, text: &str) -> Vec<Chunk> {
        let mut fresh = text;
        // The model begins with the white space that it was not told it had said.
        while let (Some(said), Some(now)) = (self.said_space.chars().next(), fresh.chars().next()) {
            if said != now {
                self.said_space.clear();
                break;
            }
            self.said_space.drain(..said.len_utf8());
            fresh = &fresh[now.len_utf8()..];
        }
        if !fresh.is_empty() {
            self.said_space.clear();
        }
        self.text.push_str(fresh);
        let chunk = Chunk::Text { text: fresh.to_owned(), tokens: Vec::new() };
        if fresh.is_empty() { Vec::new() } else { vec![chunk] }
    }

    fn close(&mut self) -> Vec<Chunk> {
        match self.block.take() {
            Some(Block::Thinking { signature }) => vec![Chunk::ThoughtEnd { signature }],
            Some(Block::Sealed { data }) => vec![Chunk::SealedThought(data)],
            Some(Block::Tool { id, name, input }) => {
                self.calls += 1;
                let input = match input.trim() {
                    "" => json!({}),
                    written => serde_json::from_str(written).unwrap_or(Value::String(input)),
                };
                vec![Chunk::ToolCall(ToolCall { id, name, input })]
            }
            _ => Vec::new(),
        }
    }

    /// Counts are of the whole stream so far.
    fn count(&mut self, usage: &Value) -> Vec<Chunk> {
        let take = |count: &mut u64, key: &str| *count = usage[key].as_u64().unwrap_or(*count);
        take(&mut self.used.input, "input_tokens");
        take(&mut self.used.cache_write, "cache_creation_input_tokens");
        take(&mut self.used.cached, "cache_read_input_tokens");
        take(&mut self.used.output, "output_tokens");
        let context = self.used.asked() + self.used.output;
        vec![Chunk::Usage(self.usage()), Chunk::Context { used: context, window: None }]
    }

    fn usage(&self) -> Usage {
        let now = Usage {
            input_tokens: self.used.asked(),
            output_tokens: self.used.output,
            cost_usd: self.price.map(|price| price.cost(&self.used)),
        };
        // A stream that counted nothing yet adds nothing of an unknown price.
        if self.used == Counted::default() { self.used_before.clone() } else { self.used_before.plus(&now) }
    }

    fn end(&self) -> Step {
        match self.stop.as_deref() {
            _ if self.calls > 0 => Step::Done(TurnOutcome::WantsTools),
            Some("max_tokens" | "model_context_window_exceeded") => Step::Done(TurnOutcome::Cut),
            Some("refusal") => Step::Done(TurnOutcome::Refused),
            Some("pause_turn") => Step::Again,
            _ => Step::Done(TurnOutcome::Complete),
        }
    }

    fn error(&self, error: &Value) -> Result<Step, ProviderError> {
        let message = error["message"].as_str().unwrap_or("the server reports an error").to_owned();
        match error["type"].as_str() {
            Some("invalid_request_error" | "request_too_large") if is_too_long(&message) => {
                Err(ProviderError::TooLong { reason: format!("anthropic: {message}") })
            }
            Some("invalid_request_error" | "not_found_error" | "request_too_large") => {
                Err(ProviderError::Failed { reason: format!("anthropic: {message}") })
            }
            Some("authentication_error" | "permission_error") => {
                Err(ProviderError::Parked { reason: format!("needs_key: {message}") })
            }
            _ => Ok(Step::Cut(message)),
        }
    }
}

fn think(text: String) -> Vec<Chunk> {
    if text.is_empty() { Vec::new() } else { vec![Chunk::Thinking(text)] }
}

fn space_at_end(text: &str) -> &str {
    &text[text.trim_end().len()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(messages: &[Message]) -> Said {
        Said::new(messages, Price::of(&podium_config::Config::default(), "claude-haiku-4-5"))
    }

    fn feed(said: &mut Said, kind: &str, data: Value) -> (Vec<Chunk>, Option<Step>) {
        said.event(&Event { kind: kind.into(), data: data.to_string() }).unwrap()
    }

    fn text(chunks: &[Chunk]) -> String {
        let text = |chunk: &Chunk| match chunk {
            Chunk::Text { text, .. } => text.clone(),
            other => panic!("{other:?}"),
        };
        chunks.iter().map(text).collect()
    }

    fn delta(text: &str) -> Value {
        json!({ "delta": { "type": "text_delta", "text": text } })
    }

    #[test]
    fn white_space_that_was_said_before_the_cut_is_not_said_twice() {
        for (first, second, expected) in
            [(" ", "w2", "w2"), (" w2", "", "w2"), ("w2", "", "w2"), ("\n w2", "", "\n w2")]
        {
            let parts = vec![Part::Text("w1 ".into())];
            let mut said = said(&[Message { speaker: Speaker::Assistant, parts }]);
            said.begin();
            let mut all = text(&feed(&mut said, "content_block_delta", delta(first)).0);
            all += &text(&feed(&mut said, "content_block_delta", delta(second)).0);
            assert_eq!(all, expected, "{first:?} {second:?}");
        }
    }

    #[test]
    fn a_call_is_given_when_it_is_complete_and_bad_json_is_kept_as_it_was_written() {
        for (written, input) in [
            ("", json!({})),
            (r#"{"path":"a"}"#, json!({ "path": "a" })),
            (r#"{"path":"#, json!(r#"{"path":"#)),
        ] {
            let mut said = said(&[]);
            said.begin();
            let start = json!({ "content_block": { "type": "tool_use", "id": "t", "name": "read_file" } });
            assert!(feed(&mut said, "content_block_start", start).0.is_empty());
            let part = json!({ "delta": { "type": "input_json_delta", "partial_json": written } });
            assert!(feed(&mut said, "content_block_delta", part).0.is_empty());
            let (chunks, _) = feed(&mut said, "content_block_stop", json!({}));
            let call = ToolCall { id: "t".into(), name: "read_file".into(), input };
            assert_eq!(chunks, [Chunk::ToolCall(call)]);
            assert_eq!(
                feed(&mut said, "message_stop", json!({})).1,
                Some(Step::Done(TurnOutcome::WantsTools))
            );
        }
    }

    #[test]
    fn the_cache_is_counted_and_paid_for() {
        let mut said = said(&[]);
        said.begin();
        let usage = json!({ "input_tokens": 100, "cache_read_input_tokens": 1000, "output_tokens": 1 });
        feed(&mut said, "message_start", json!({ "message": { "usage": usage } }));
        feed(&mut said, "message_delta", json!({ "delta": {}, "usage": { "output_tokens": 50 } }));
        let used = said.usage();
        assert_eq!((used.input_tokens, used.output_tokens), (1100, 50));
        let cost = used.cost_usd.unwrap();
        assert!((cost - (100.0 + 100.0 + 250.0) / 1e6).abs() < 1e-12, "{cost}");
    }

    #[test]
    fn unknown_events_say_nothing_and_errors_their_kind() {
        let mut said = said(&[]);
        said.begin();
        assert_eq!(feed(&mut said, "ping", json!({})), (vec![], None));
        assert_eq!(feed(&mut said, "hologram", json!({ "delta": 1 })), (vec![], None));
        let overloaded = json!({ "error": { "type": "overloaded_error", "message": "busy" } });
        assert_eq!(feed(&mut said, "error", overloaded).1, Some(Step::Cut("busy".into())));
        let refused = json!({ "error": { "type": "invalid_request_error", "message": "no" } });
        let event = Event { kind: "error".into(), data: refused.to_string() };
        assert!(matches!(said.event(&event), Err(ProviderError::Failed { .. })));
    }
}
