//! What a transcript says about the turns so far. It follows the items as they are stored: the model is told what the
//! transcript holds, and nothing else.

use podium_protocol::{ItemKind, SessionItem};
use serde_json::{Value, json};

use crate::compaction::Compaction;
use crate::provider::{Message, Part, Speaker, ToolCall, ToolResult};
use crate::rows::StoredItem;

/// What a call is answered with whose result never came.
const NEVER_RAN: &str = "The turn ended before this call had a result. Look before you repeat it.";

/// What the transcript says about the newest turn and those before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    messages: Vec<Message>,
    /// Text and tokens of the newest turn's answer.
    pub(crate) shown: String,
    pub(crate) tokens: Vec<u32>,
    /// Calls of the newest turn without a result, oldest first.
    pub(crate) open_calls: Vec<ToolCall>,
    /// Item of the newest prompt; 0 before the first.
    pub(crate) prompt: u64,
    /// Thought that has no signature yet.
    thought: String,
}

impl History {
    pub(crate) fn of(items: Vec<StoredItem>) -> Self {
        let mut history = Self::default();
        for StoredItem { item, tokens, .. } in that_count(items) {
            history.push(&item, tokens);
        }
        history
    }

    /// The conversation as a provider gets it.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.messages.clone()
    }

    /// Goes on with an item that is stored.
    pub(crate) fn push(&mut self, item: &SessionItem, tokens: Vec<u32>) {
        if item.kind != ItemKind::Thinking {
            // Without a signature nobody takes it back.
            self.thought.clear();
        }
        match item.kind {
            ItemKind::Prompt => {
                self.prompt = item.seq;
                self.prompt(&item.text);
            }
            ItemKind::Text => {
                self.shown.push_str(&item.text);
                self.tokens.extend(tokens);
                self.say(&item.text);
            }
            ItemKind::Thinking => self.think(item),
            ItemKind::ToolCall => {
                let call = call_of(item);
                self.open_calls.push(call.clone());
                self.parts(Speaker::Assistant).push(Part::ToolCall(call));
            }
            ItemKind::ToolResult => {
                let result = result_of(item);
                self.open_calls.retain(|call| call.id != result.id);
                self.parts(Speaker::User).push(Part::ToolResult(result));
            }
            ItemKind::Usage => {
                if let Some(compaction) = Compaction::of(item) {
                    compaction.apply(&mut self.messages, &item.text);
                }
            }
            _ => {}
        }
    }

    fn prompt(&mut self, text: &str) {
        for call in std::mem::take(&mut self.open_calls) {
            let result = ToolResult { id: call.id, text: NEVER_RAN.to_owned(), is_error: true, data: None };
            self.parts(Speaker::User).push(Part::ToolResult(result));
        }
        self.shown.clear();
        self.tokens.clear();
        self.parts(Speaker::User).push(Part::Text(text.to_owned()));
    }

    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let parts = self.parts(Speaker::Assistant);
        match parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => parts.push(Part::Text(text.to_owned())),
        }
    }

    fn think(&mut self, item: &SessionItem) {
        if let Some(sealed) = item.data.as_ref().and_then(|data| data["sealed"].as_str()) {
            self.thought.clear();
            self.parts(Speaker::Assistant).push(Part::SealedThinking(sealed.to_owned()));
            return;
        }
        self.thought.push_str(&item.text);
        if let Some(signature) = item.data.as_ref().and_then(|data| data["signature"].as_str()) {
            let (text, signature) = (std::mem::take(&mut self.thought), signature.to_owned());
            self.parts(Speaker::Assistant).push(Part::Thinking { text, signature });
        }
    }

    /// Parts of the message that `speaker` is at, a new one when the other spoke last.
    fn parts(&mut self, speaker: Speaker) -> &mut Vec<Part> {
        if self.messages.last().is_none_or(|last| last.speaker != speaker) {
            self.messages.push(Message { speaker, parts: Vec::new() });
        }
        let last = self.messages.len() - 1;
        &mut self.messages[last].parts
    }
}

/// Where an item took the session back to: the items behind that one do not count any more.
fn taken_back_to(item: &SessionItem) -> Option<u64> {
    if item.kind != ItemKind::Checkpoint {
        return None;
    }
    item.data.as_ref()?["rewind"]["seq"].as_u64()
}

/// Without those that a rewind took back. A rewind may itself be among them.
fn that_count(mut items: Vec<StoredItem>) -> Vec<StoredItem> {
    let mut ranges = Vec::new();
    let mut until = items.last().map_or(0, |stored| stored.item.seq);
    loop {
        let upto = items.partition_point(|stored| stored.item.seq <= until);
        let mark = items[..upto].iter().rposition(|stored| taken_back_to(&stored.item).is_some());
        match mark {
            None => {
                ranges.push(0..upto);
                break;
            }
            Some(at) => {
                ranges.push(at + 1..upto);
                until = taken_back_to(&items[at].item).unwrap_or(0).min(items[at].item.seq.saturating_sub(1));
            }
        }
    }
    let mut index = 0;
    items.retain(|_| {
        index += 1;
        ranges.iter().any(|range| range.contains(&(index - 1)))
    });
    items
}

/// What the item of a call carries beside its text.
pub(crate) fn call_data(call: &ToolCall) -> Value {
    json!({ "id": call.id, "name": call.name, "input": call.input })
}

pub(crate) fn result_data(result: &ToolResult) -> Value {
    let mut data = match &result.data {
        Some(Value::Object(data)) => Value::Object(data.clone()),
        _ => json!({}),
    };
    data["id"] = json!(result.id);
    data["isError"] = json!(result.is_error);
    data
}

fn call_of(item: &SessionItem) -> ToolCall {
    let data = item.data.as_ref().unwrap_or(&Value::Null);
    let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
    ToolCall { id: text("id"), name: text("name"), input: data["input"].clone() }
}

fn result_of(item: &SessionItem) -> ToolResult {
    let data = item.data.as_ref().unwrap_or(&Value::Null);
    ToolResult {
        id: data["id"].as_str().unwrap_or_default().to_owned(),
        text: item.text.clone(),
        is_error: data["isError"].as_bool().unwrap_or_default(),
        data: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: ItemKind, text: &str, data: Value) -> StoredItem {
        let data = (!data.is_null()).then_some(data);
        let item =
            SessionItem { seq: 1, kind, text: text.into(), is_final: false, data, time: String::new() };
        StoredItem { item, at: 0, tokens: Vec::new() }
    }

    #[test]
    fn every_call_has_its_result_before_the_next_prompt() {
        let call = json!({ "id": "c1", "name": "read_file", "input": { "path": "a" } });
        let lost = json!({ "id": "c2", "name": "commit", "input": {} });
        let history = History::of(vec![
            item(ItemKind::Prompt, "look", Value::Null),
            item(ItemKind::Thinking, "let me ", Value::Null),
            item(ItemKind::Thinking, "see", json!({ "signature": "s" })),
            item(ItemKind::Text, "I ", Value::Null),
            item(ItemKind::Text, "look", Value::Null),
            item(ItemKind::ToolCall, "", call),
            item(ItemKind::ToolResult, "hello", json!({ "id": "c1" })),
            item(ItemKind::ToolCall, "", lost),
            item(ItemKind::Prompt, "and now?", Value::Null),
        ]);
        let said = |speaker, parts| Message { speaker, parts };
        let call = |id: &str, name: &str, input| {
            Part::ToolCall(ToolCall { id: id.into(), name: name.into(), input })
        };
        let result = |id: &str, text: &str, is_error| {
            Part::ToolResult(ToolResult { id: id.into(), text: text.into(), is_error, data: None })
        };
        let thought = Part::Thinking { text: "let me see".into(), signature: "s".into() };
        let expected = vec![
            said(Speaker::User, vec![Part::Text("look".into())]),
            said(
                Speaker::Assistant,
                vec![thought, Part::Text("I look".into()), call("c1", "read_file", json!({ "path": "a" }))],
            ),
            said(Speaker::User, vec![result("c1", "hello", false)]),
            said(Speaker::Assistant, vec![call("c2", "commit", json!({}))]),
            said(Speaker::User, vec![result("c2", NEVER_RAN, true), Part::Text("and now?".into())]),
        ];
        assert_eq!(history.messages(), expected);
        assert!(history.open_calls.is_empty() && history.shown.is_empty());
    }

    #[test]
    fn what_was_taken_back_is_not_told_and_taking_that_back_tells_it_again() {
        let marker = |seq: u64| json!({ "rewind": { "seq": seq } });
        let mut items = vec![
            item(ItemKind::Prompt, "one", Value::Null),
            item(ItemKind::Text, "first", Value::Null),
            item(ItemKind::Prompt, "two", Value::Null),
            item(ItemKind::Text, "second", Value::Null),
            item(ItemKind::Checkpoint, "", marker(2)),
            item(ItemKind::Prompt, "three", Value::Null),
        ];
        let numbered = |items: &[StoredItem]| {
            let mut items = items.to_vec();
            for (stored, seq) in items.iter_mut().zip(1..) {
                stored.item.seq = seq;
            }
            items
        };
        let told = |items: &[StoredItem]| {
            let history = History::of(numbered(items));
            let texts: Vec<String> = history.messages().iter().map(Message::text).collect();
            (texts.join(" "), history.prompt)
        };
        assert_eq!(told(&items), ("one first three".to_owned(), 6));
        items.push(item(ItemKind::Checkpoint, "", marker(4)));
        assert_eq!(told(&items), ("one first two second".to_owned(), 3));
        items.push(item(ItemKind::Checkpoint, "", marker(6)));
        assert_eq!(told(&items), ("one first three".to_owned(), 6));
        items.push(item(ItemKind::Checkpoint, "", marker(0)));
        assert_eq!(told(&items), (String::new(), 0));
        items.push(item(ItemKind::Checkpoint, "", marker(99)));
        assert_eq!(told(&items), (String::new(), 0), "it cannot lead forward");
    }

    #[test]
    fn a_thought_that_was_cut_off_is_not_given_back() {
        let history = History::of(vec![
            item(ItemKind::Prompt, "p", Value::Null),
            item(ItemKind::Thinking, "half a thou", Value::Null),
            item(ItemKind::Text, "answer", Value::Null),
        ]);
        let parts = &history.messages()[1].parts;
        assert_eq!(parts, &[Part::Text("answer".into())]);
    }
}
