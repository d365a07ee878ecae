//! The body of a request.

use serde_json::{Value, json};

use crate::provider::{GO_ON, Message, Part, SYSTEM, Speaker, Turn};

pub(super) struct Ask<'a> {
    pub(super) model: &'a str,
    pub(super) turn: &'a Turn,
    /// Said in this answer since the turn was given.
    pub(super) said: &'a str,
    pub(super) max_tokens: u64,
    pub(super) is_openai: bool,
}

/// Where the interface begins: what has no path gets the usual one.
pub(super) fn base(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    if path.contains('/') { url.to_owned() } else { format!("{url}/v1") }
}

pub(super) fn body(ask: &Ask<'_>) -> Value {
    let turn = ask.turn;
    let system = if turn.system.is_empty() { SYSTEM } else { &turn.system };
    let mut messages = vec![json!({ "role": "system", "content": system })];
    for message in &turn.messages {
        match message.speaker {
            Speaker::User => user(message, &mut messages),
            Speaker::Assistant => messages.push(assistant(message)),
        }
    }
    go_on(ask.said, &mut messages);
    let mut body = json!({
        "model": ask.model,
        "messages": messages,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    // Others do not know the newer name.
    let bound = if ask.is_openai { "max_completion_tokens" } else { "max_tokens" };
    body[bound] = json!(ask.max_tokens);
    if let Some(temperature) = turn.temperature {
        body["temperature"] = json!(temperature);
    }
    if !turn.tools.is_empty() {
        let tools = turn.tools.iter().map(|tool| {
            let function = json!({
                "name": tool.name, "description": tool.description, "parameters": tool.input_schema,
            });
            json!({ "type": "function", "function": function })
        });
        body["tools"] = tools.collect();
    }
    body
}

/// Results are messages of their own, before the words.
fn user(message: &Message, messages: &mut Vec<Value>) {
    for part in &message.parts {
        if let Part::ToolResult(result) = part {
            messages.push(json!({ "role": "tool", "tool_call_id": result.id, "content": result.text }));
        }
    }
    // A summary, a prompt: each stands by itself.
    let texts: Vec<&str> = message
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if !texts.is_empty() {
        messages.push(json!({ "role": "user", "content": texts.join("\n\n") }));
    }
}

fn assistant(message: &Message) -> Value {
    let calls: Vec<Value> = message
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::ToolCall(call) => {
                let arguments = match &call.input {
                    Value::String(written) => written.clone(),
                    input => input.to_string(),
                };
                let function = json!({ "name": call.name, "arguments": arguments });
                Some(json!({ "id": call.id, "type": "function", "function": function }))
            }
            _ => None,
        })
        .collect();
    let text = message.text();
    let mut wire = json!({ "role": "assistant" });
    wire["content"] = if text.is_empty() { Value::Null } else { json!(text) };
    if !calls.is_empty() {
        wire["tool_calls"] = json!(calls);
    }
    wire
}

/// What was cut off ends the conversation, followed by the question to go on.
fn go_on(said: &str, messages: &mut Vec<Value>) {
    let cut_off = messages.last().is_some_and(|last| last["role"] == "assistant");
    match messages.last_mut() {
        Some(last) if cut_off && !said.is_empty() => {
            let before = last["content"].as_str().unwrap_or_default().to_owned();
            last["content"] = json!(before + said);
        }
        _ if !said.is_empty() => messages.push(json!({ "role": "assistant", "content": said })),
        _ if !cut_off => return,
        _ => {}
    }
    messages.push(json!({ "role": "user", "content": GO_ON }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_path_has_the_usual_one() {
        for (given, expected) in [
            ("http://localhost:11434", "http://localhost:11434/v1"),
            ("http://localhost:11434/v1/", "http://localhost:11434/v1"),
            ("https://host/api/openai", "https://host/api/openai"),
        ] {
            assert_eq!(base(given), expected);
        }
    }
}
