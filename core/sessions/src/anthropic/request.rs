//! The body of a request.

use serde_json::{Value, json};

use crate::provider::{GO_ON, Message, Part, SYSTEM, Speaker, Turn};

/// How an answer that was cut off goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Continuation {
    /// The conversation ends with what was said.
    Prefix,
    /// What was said is followed by a question to go on.
    Question,
}

pub(super) struct Ask<'a> {
    pub(super) model: &'a str,
    pub(super) turn: &'a Turn,
    /// Said in this answer since the turn was given.
    pub(super) said: &'a str,
    pub(super) continuation: Continuation,
    pub(super) max_tokens: u64,
    /// Budget for thoughts; 0: none.
    pub(super) thinking: u64,
}

pub(super) fn body(ask: &Ask<'_>) -> Value {
    let turn = ask.turn;
    let system = if turn.system.is_empty() { SYSTEM } else { &turn.system };
    let mut body = json!({
        "model": ask.model,
        "max_tokens": ask.max_tokens.max(ask.thinking + u64::from(ask.thinking > 0) * 1024),
        "stream": true,
        "system": [{ "type": "text", "text": system, "cache_control": { "type": "ephemeral" } }],
        "messages": messages(ask),
    });
    if !turn.tools.is_empty() {
        let tools = turn.tools.iter().map(|tool| {
            json!({ "name": tool.name, "description": tool.description, "input_schema": tool.input_schema })
        });
        body["tools"] = tools.collect();
    }
    if ask.thinking > 0 {
        body["thinking"] = json!({ "type": "enabled", "budget_tokens": ask.thinking });
    } else if let Some(temperature) = turn.temperature {
        // Its scale ends at 1.
        body["temperature"] = json!(temperature.clamp(0.0, 1.0));
    }
    body
}

fn messages(ask: &Ask<'_>) -> Vec<Value> {
    let mut messages = ask.turn.messages.clone();
    if !ask.said.is_empty() {
        say(&mut messages, ask.said);
    }
    let cut_off = messages.last().is_some_and(|last| last.speaker == Speaker::Assistant);
    if cut_off {
        trim_end(&mut messages);
    }
    let still_cut_off = messages.last().is_some_and(|last| last.speaker == Speaker::Assistant);
    if still_cut_off && ask.continuation == Continuation::Question {
        let parts = vec![Part::Text(GO_ON.to_owned())];
        messages.push(Message { speaker: Speaker::User, parts });
    }
    let mut wire: Vec<Value> = messages.iter().map(message).collect();
    mark_for_cache(&mut wire);
    wire
}

fn say(messages: &mut Vec<Message>, said: &str) {
    match messages.last_mut() {
        Some(last) if last.speaker == Speaker::Assistant => match last.parts.last_mut() {
            Some(Part::Text(text)) => text.push_str(said),
            _ => last.parts.push(Part::Text(said.to_owned())),
        },
        _ => {
            let parts = vec![Part::Text(said.to_owned())];
            messages.push(Message { speaker: Speaker::Assistant, parts });
        }
    }
}

/// A prefix that ends with white space is refused, and so is an empty one, or one of nothing but thoughts.
fn trim_end(messages: &mut Vec<Message>) {
    let Some(last) = messages.last_mut() else { return };
    while let Some(Part::Text(text)) = last.parts.last_mut() {
        text.truncate(text.trim_end().len());
        if !text.is_empty() {
            break;
        }
        last.parts.pop();
    }
    if !last.parts.iter().any(|part| matches!(part, Part::Text(_) | Part::ToolCall(_))) {
        messages.pop();
    }
}

fn message(message: &Message) -> Value {
    let role = match message.speaker {
        Speaker::User => "user",
        Speaker::Assistant => "assistant",
    };
    json!({ "role": role, "content": message.parts.iter().map(part).collect::<Vec<_>>() })
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Thinking { text, signature } => {
            json!({ "type": "thinking", "thinking": text, "signature": signature })
        }
        Part::SealedThinking(data) => json!({ "type": "redacted_thinking", "data": data }),
        Part::ToolCall(call) => {
            let input = if call.input.is_object() { call.input.clone() } else { json!({}) };
            json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
        }
        Part::ToolResult(result) => json!({
            "type": "tool_result",
            "tool_use_id": result.id,
            "content": result.text,
            "is_error": result.is_error,
        }),
    }
}

/// The conversation up to the newest words of the user is the same next time.
fn mark_for_cache(messages: &mut [Value]) {
    let newest = messages.iter_mut().rev().find(|message| message["role"] == "user");
    let block = newest.and_then(|m| m["content"].as_array_mut()).and_then(|parts| parts.last_mut());
    if let Some(block) = block
        && block["text"].as_str() != Some("")
    {
        block["cache_control"] = json!({ "type": "ephemeral" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(messages: Vec<Message>) -> Turn {
        Turn {
            session: "s".into(),
            model: None,
            system: String::new(),
            messages,
            tools: Vec::new(),
            state: None,
            tokens: Vec::new(),
            resumed: false,
            seed: 0,
            max_tokens: None,
            temperature: None,
            worktree: None,
            env: crate::Env::new(),
            redactor: Default::default(),
            link: Default::default(),
        }
    }

    fn user(text: &str) -> Message {
        Message { speaker: Speaker::User, parts: vec![Part::Text(text.into())] }
    }

    fn assistant(text: &str) -> Message {
        Message { speaker: Speaker::Assistant, parts: vec![Part::Text(text.into())] }
    }

    fn sent(turn: &Turn, said: &str, continuation: Continuation) -> Vec<(String, String)> {
        let ask = Ask { model: "m", turn, said, continuation, max_tokens: 10, thinking: 0 };
        let text = |m: &Value| {
            let parts = m["content"].as_array().unwrap().iter();
            parts.map(|p| p["text"].as_str().unwrap()).collect::<String>()
        };
        messages(&ask).iter().map(|m| (m["role"].as_str().unwrap().to_owned(), text(m))).collect()
    }

    #[test]
    fn a_cut_answer_is_the_last_message_without_white_space_at_its_end() {
        let turn = turn(vec![user("count"), assistant("one two ")]);
        let expected =
            [("user".to_owned(), "count".to_owned()), ("assistant".into(), "one two three".into())];
        assert_eq!(sent(&turn, "three \n", Continuation::Prefix), expected);
        let question = sent(&turn, "three", Continuation::Question);
        assert_eq!((question.len(), question[2].1.as_str()), (3, GO_ON));
    }

    #[test]
    fn nothing_but_white_space_was_not_said() {
        let turn = turn(vec![user("count"), assistant(" \n")]);
        assert_eq!(sent(&turn, "", Continuation::Prefix), [("user".to_owned(), "count".to_owned())]);
        assert_eq!(sent(&turn, "", Continuation::Question).len(), 1);
    }

    #[test]
    fn thoughts_leave_room_for_the_answer() {
        let turn = turn(vec![user("p")]);
        let ask = Ask {
            model: "m",
            turn: &turn,
            said: "",
            continuation: Continuation::Question,
            max_tokens: 100,
            thinking: 4000,
        };
        let body = body(&ask);
        assert_eq!(body["thinking"]["budget_tokens"], 4000);
        assert!(body["max_tokens"].as_u64().unwrap() > 4000);
    }
}
