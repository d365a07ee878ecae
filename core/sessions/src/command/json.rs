//! Lines of JSON as agents' command lines print them. Known are
//!
//! - plain ones: `text`, `thinking`, `tool_call`, `tool_result`, `usage`, `error`;
//! - Claude Code (`--output-format stream-json`, also with `--include-partial-messages`);
//! - Codex (`exec --json`) and Gemini CLI (`--output-format stream-json`).
//!
//! Whatever else comes is left out with a note in the log: such formats grow.

use podium_protocol::Usage;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::provider::{Chunk, ToolCall, ToolResult};

/// What has to be known of the lines before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lines {
    /// Text was said since the last thing that was none.
    said: bool,
    /// Something was said in this turn.
    ever: bool,
    /// The message that is told in pieces; its whole comes afterwards and is left out.
    streamed: bool,
    /// Id of the last whole message.
    message: String,
    pub(super) error: Option<String>,
}

impl Lines {
    pub(super) fn read(&mut self, line: &[u8], chunks: &mut Vec<Chunk>) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let Ok(value) = serde_json::from_slice::<Value>(line) else {
            tracing::debug!(bytes = line.len(), "an agent's line is no JSON");
            return;
        };
        let kind = value["type"].as_str().unwrap_or_default();
        match kind {
            "assistant" => self.message(&value["message"], chunks),
            "user" => self.results(&value["message"], chunks),
            "stream_event" => self.event(&value["event"], chunks),
            "result" => self.result(&value, chunks),
            "text" => self.say(text_of(&value), chunks),
            "message" if value["role"] == "assistant" => self.say(str_of(&value["content"]), chunks),
            "thinking" => self.think(str_or(&value, &["text", "thinking"]), chunks),
            "tool_call" | "tool_use" => self.call(&value, chunks),
            "tool_result" => self.tool_result(&value, chunks),
            "usage" => chunks.push(Chunk::Usage(usage_of(&value, &value))),
            "error" | "turn.failed" => self.error = Some(error_of(&value)),
            "item.started" | "item.completed" => self.codex(kind == "item.completed", &value["item"], chunks),
            "turn.completed" => chunks.push(Chunk::Usage(usage_of(&value["usage"], &value))),
            other => tracing::debug!(kind = other, "an agent's line of this type is left out"),
        }
    }

    /// Text of a new message stands apart from what was said before.
    fn say(&mut self, text: &str, chunks: &mut Vec<Chunk>) {
        if text.is_empty() {
            return;
        }
        let apart = if self.ever && !self.said { "\n\n" } else { "" };
        chunks.push(Chunk::Text { text: format!("{apart}{text}"), tokens: Vec::new() });
        (self.said, self.ever) = (true, true);
    }

    fn think(&mut self, text: &str, chunks: &mut Vec<Chunk>) {
        if !text.is_empty() {
            chunks.push(Chunk::Thinking(text.to_owned()));
            self.said = false;
        }
    }

    /// `id`, `name` and `input`, under the names that are in use.
    fn call(&mut self, value: &Value, chunks: &mut Vec<Chunk>) {
        let input =
            ["input", "parameters", "arguments"].iter().map(|key| &value[key]).find(|it| !it.is_null());
        chunks.push(Chunk::ToolCall(ToolCall {
            id: str_or(value, &["id", "tool_id", "toolCallId"]).to_owned(),
            name: str_or(value, &["name", "tool_name"]).to_owned(),
            input: input.cloned().unwrap_or_else(|| json!({})),
        }));
        self.said = false;
    }

    fn tool_result(&mut self, value: &Value, chunks: &mut Vec<Chunk>) {
        let content = ["content", "output", "text"].iter().map(|key| &value[key]).find(|it| !it.is_null());
        chunks.push(Chunk::ToolResult(ToolResult {
            id: str_or(value, &["tool_use_id", "tool_id", "id"]).to_owned(),
            text: content.map(flat).unwrap_or_default(),
            is_error: value["is_error"] == true || value["status"] == "error",
            data: None,
        }));
        self.said = false;
    }

    /// A whole message of Claude Code.
    fn message(&mut self, message: &Value, chunks: &mut Vec<Chunk>) {
        let streamed = std::mem::take(&mut self.streamed);
        // Blocks of one message come in a line each.
        let id = str_of(&message["id"]);
        if !streamed && id != self.message {
            self.message = id.to_owned();
            self.said = false;
        }
        for block in message["content"].as_array().map_or(&[][..], Vec::as_slice) {
            match block["type"].as_str() {
                Some("text") if !streamed => self.say(text_of(block), chunks),
                Some("thinking") if !streamed => self.think(str_of(&block["thinking"]), chunks),
                Some("tool_use") => self.call(block, chunks),
                _ => {}
            }
        }
    }

    fn results(&mut self, message: &Value, chunks: &mut Vec<Chunk>) {
        for block in message["content"].as_array().map_or(&[][..], Vec::as_slice) {
            if block["type"] == "tool_result" {
                self.tool_result(block, chunks);
            }
        }
    }

    /// A piece of a message.
    fn event(&mut self, event: &Value, chunks: &mut Vec<Chunk>) {
        let delta = &event["delta"];
        match (event["type"].as_str(), delta["type"].as_str()) {
            (Some("message_start"), _) => (self.streamed, self.said) = (false, false),
            (Some("content_block_delta"), Some("text_delta")) => {
                self.streamed = true;
                self.say(text_of(delta), chunks);
            }
            (Some("content_block_delta"), Some("thinking_delta")) => {
                self.streamed = true;
                self.think(str_of(&delta["thinking"]), chunks);
            }
            _ => {}
        }
    }

    /// The end of a turn of Claude Code or Gemini.
    fn result(&mut self, value: &Value, chunks: &mut Vec<Chunk>) {
        let used = if value["usage"].is_object() { &value["usage"] } else { &value["stats"] };
        if used.is_object() {
            chunks.push(Chunk::Usage(usage_of(used, value)));
        }
        if value["is_error"] == true || value["status"] == "error" {
            self.error = Some(error_of(value));
        } else if !self.ever {
            // Without any message the result is all there is.
            self.say(str_of(&value["result"]), chunks);
        }
    }

    fn codex(&mut self, over: bool, item: &Value, chunks: &mut Vec<Chunk>) {
        let id = str_of(&item["id"]);
        match item["type"].as_str() {
            Some("agent_message") if over => {
                self.said = false;
                self.say(text_of(item), chunks);
            }
            Some("reasoning") if over => self.think(text_of(item), chunks),
            Some("command_execution") if !over => {
                self.call(
                    &json!({ "id": id, "name": "command", "input": { "command": item["command"] } }),
                    chunks,
                );
            }
            Some("command_execution") => {
                let failed = item["exit_code"].as_i64().is_some_and(|code| code != 0);
                let result = json!({ "id": id, "output": item["aggregated_output"], "is_error": failed });
                self.tool_result(&result, chunks);
            }
            Some("file_change") if over => {
                self.call(&json!({ "id": id, "name": "file_change", "input": item["changes"] }), chunks);
                let failed = item["status"] == "failed";
                self.tool_result(&json!({ "id": id, "output": item["status"], "is_error": failed }), chunks);
            }
            _ => {}
        }
    }
}

fn str_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn text_of(value: &Value) -> &str {
    str_of(&value["text"])
}

fn str_or<'a>(value: &'a Value, keys: &[&str]) -> &'a str {
    keys.iter().find_map(|key| value[key].as_str()).unwrap_or_default()
}

/// A text, or the texts of blocks.
fn flat(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            blocks.iter().map(text_of).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn usage_of(used: &Value, whole: &Value) -> Usage {
    let count = |key: &str| used[key].as_u64().unwrap_or_default();
    // What was read from a cache was read as well.
    let input = ["input_tokens", "inputTokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
    Usage {
        input_tokens: input.iter().map(|key| count(key)).sum(),
        output_tokens: count("output_tokens") + count("outputTokens"),
        cost_usd: whole["total_cost_usd"].as_f64().or_else(|| whole["costUsd"].as_f64()),
    }
}

fn error_of(value: &Value) -> String {
    let error = &value["error"];
    let said = [&error["message"], error, &value["message"], &value["result"], &value["subtype"]];
    let found = said.iter().find_map(|it| it.as_str().filter(|text| !text.trim().is_empty()));
    found.unwrap_or("it failed and did not say why").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[Value]) -> (Vec<Chunk>, Lines) {
        let (mut state, mut chunks) = (Lines::default(), Vec::new());
        for line in lines {
            // A new daemon may read on at any line.
            let stored = serde_json::to_vec(&state).unwrap();
            state = serde_json::from_slice(&stored).unwrap();
            state.read(line.to_string().as_bytes(), &mut chunks);
        }
        (chunks, state)
    }

    fn said(text: &str) -> Chunk {
        Chunk::Text { text: text.into(), tokens: vec![] }
    }

    fn call(id: &str, name: &str, input: Value) -> Chunk {
        Chunk::ToolCall(ToolCall { id: id.into(), name: name.into(), input })
    }

    fn result(id: &str, text: &str, is_error: bool) -> Chunk {
        Chunk::ToolResult(ToolResult { id: id.into(), text: text.into(), is_error, data: None })
    }

    #[test]
    fn a_turn_of_claude_code_is_understood() {
        let (chunks, state) = read(&[
            json!({ "type": "system", "subtype": "init", "session_id": "s", "model": "m", "tools": ["Bash"] }),
            json!({ "type": "assistant", "message": { "id": "m1", "content": [
                { "type": "thinking", "thinking": "hm", "signature": "x" }] } }),
            json!({ "type": "assistant", "message": { "id": "m1", "content": [{ "type": "text", "text": "I look." }] } }),
            json!({ "type": "assistant", "message": { "id": "m1", "content": [
                { "type": "tool_use", "id": "t1", "name": "Bash", "input": { "command": "ls" } }] } }),
            json!({ "type": "user", "message": { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "t1", "content": [{ "type": "text", "text": "a.rs" }] }] } }),
            json!({ "type": "assistant", "message": { "id": "m2", "content": [{ "type": "text", "text": "Done." }] } }),
            json!({ "type": "result", "subtype": "success", "is_error": false, "result": "Done.", "total_cost_usd": 0.5,
                "usage": { "input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 7 } }),
        ]);
        let usage = Usage { input_tokens: 13, output_tokens: 7, cost_usd: Some(0.5) };
        let expected = [
            Chunk::Thinking("hm".into()),
            said("I look."),
            call("t1", "Bash", json!({ "command": "ls" })),
            result("t1", "a.rs", false),
            said("\n\nDone."),
            Chunk::Usage(usage),
        ];
        assert_eq!((chunks.as_slice(), state.error), (&expected[..], None));
    }

    #[test]
    fn pieces_of_a_message_are_not_told_twice() {
        let delta = |text: &str| {
            let delta = json!({ "type": "text_delta", "text": text });
            json!({ "type": "stream_event", "event": { "type": "content_block_delta", "delta": delta } })
        };
        let (chunks, _) = read(&[
            json!({ "type": "stream_event", "event": { "type": "message_start" } }),
            delta("Hel"),
            delta("lo"),
            json!({ "type": "assistant", "message": { "content": [{ "type": "text", "text": "Hello" }] } }),
            json!({ "type": "stream_event", "event": { "type": "message_start" } }),
            delta("Bye"),
            json!({ "type": "assistant", "message": { "content": [{ "type": "text", "text": "Bye" }] } }),
            json!({ "type": "result", "is_error": false, "result": "Bye" }),
        ]);
        assert_eq!(chunks, [said("Hel"), said("lo"), said("\n\nBye")]);
    }

    #[test]
    fn plain_lines_and_those_of_others_are_understood() {
        let (chunks, state) = read(&[
            json!({ "type": "text", "text": "a" }),
            json!({ "type": "text", "text": "b" }),
            json!({ "type": "from the future", "text": "?" }),
            json!({ "type": "message", "role": "user", "content": "the prompt" }),
            json!({ "type": "tool_use", "tool_name": "read", "tool_id": "g1", "parameters": { "path": "x" } }),
            json!({ "type": "tool_result", "tool_id": "g1", "status": "error", "output": "no such file" }),
            json!({ "type": "message", "role": "assistant", "content": "c", "delta": true }),
            json!({ "type": "item.started", "item": { "id": "i1", "type": "command_execution", "command": "ls" } }),
            json!({ "type": "item.completed", "item": { "id": "i1", "type": "command_execution", "command": "ls",
                "aggregated_output": "f\n", "exit_code": 0 } }),
            json!({ "type": "item.completed", "item": { "id": "i2", "type": "agent_message", "text": "d" } }),
            json!({ "type": "turn.completed", "usage": { "input_tokens": 4, "output_tokens": 2 } }),
        ]);
        let usage = Usage { input_tokens: 4, output_tokens: 2, cost_usd: None };
        let expected = [
            said("a"),
            said("b"),
            call("g1", "read", json!({ "path": "x" })),
            result("g1", "no such file", true),
            said("\n\nc"),
            call("i1", "command", json!({ "command": "ls" })),
            result("i1", "f\n", false),
            said("\n\nd"),
            Chunk::Usage(usage),
        ];
        assert_eq!((chunks.as_slice(), state.error), (&expected[..], None));
    }

    #[test]
    fn errors_are_told_in_the_agents_words() {
        for (line, expected) in [
            (json!({ "type": "error", "message": "no key" }), "no key"),
            (json!({ "type": "turn.failed", "error": { "message": "quota" } }), "quota"),
            (json!({ "type": "result", "is_error": true, "subtype": "error_max_turns" }), "error_max_turns"),
            (json!({ "type": "error" }), "it failed and did not say why"),
        ] {
            assert_eq!(read(&[line]).1.error.as_deref(), Some(expected));
        }
    }
}
