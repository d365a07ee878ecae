//! Keeping a conversation within a model's window. The transcript is never altered: a compaction is an item of it, and
//! what the model is told follows from the items, so that a resumed session is told the same.

mod outline;
mod room;

use podium_protocol::SessionItem;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::provider::{Message, Part, Speaker};

pub(crate) use outline::{ask_for_summary, without_model};
pub(crate) use room::{Room, question, said};

/// Bytes of a tool's result that stay where it is shortened.
const KEPT_OF_RESULT: usize = 600;
/// Messages at the end whose results stay whole at first.
const RECENT: usize = 4;

/// What is left out of the conversation from an item on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compaction {
    /// Long results of tools, but for those in this many messages at the end.
    Results { recent: usize },
    /// All messages but this many at the end. A summary stands for the others; a prompt that is not answered yet stays.
    Older { kept: usize },
}

impl Compaction {
    pub(crate) const OLDER_RESULTS: Self = Self::Results { recent: RECENT };
    pub(crate) const ALL_RESULTS: Self = Self::Results { recent: 0 };

    /// What an item says about it.
    pub(crate) fn of(item: &SessionItem) -> Option<Self> {
        serde_json::from_value(item.data.as_ref()?.get("compaction")?.clone()).ok()
    }

    /// As an item carries it.
    pub(crate) fn data(&self) -> Value {
        json!({ "compaction": self })
    }

    pub(crate) fn apply(&self, messages: &mut Vec<Message>, summary: &str) {
        match self {
            Self::Results { recent } => {
                let older = messages.len().saturating_sub(*recent);
                messages[..older].iter_mut().for_each(shorten_results);
            }
            Self::Older { kept } => leave_out(messages, *kept, summary),
        }
    }

    /// Whether it would leave anything out.
    pub(crate) fn shortens(&self, messages: &[Message]) -> bool {
        let mut shortened = messages.to_vec();
        self.apply(&mut shortened, "");
        shortened != messages
    }

    /// What of the messages should stay: as many as fit into `bytes`, from the beginning of a turn or of a step of the
    /// newest; the newest at least. `None` where there is nothing before them.
    pub(crate) fn older(messages: &[Message], bytes: usize) -> Option<Self> {
        let newest = messages.iter().rposition(is_prompt)?;
        let starts = |at: &usize| match *at > newest {
            true => messages[*at].speaker == Speaker::Assistant,
            false => is_prompt(&messages[*at]),
        };
        let cuts: Vec<usize> = (1..messages.len()).filter(starts).collect();
        let fits = |at: &&usize| messages[**at..].iter().map(size).sum::<usize>() <= bytes;
        let cut = cuts.iter().find(fits).or(cuts.last())?;
        Some(Self::Older { kept: messages.len() - cut })
    }
}

/// Whether a turn begins here.
fn is_prompt(message: &Message) -> bool {
    message.speaker == Speaker::User && message.parts.iter().any(|part| matches!(part, Part::Text(_)))
}

fn shorten_results(message: &mut Message) {
    for part in &mut message.parts {
        if let Part::ToolResult(result) = part
            && result.text.len() > KEPT_OF_RESULT * 2
        {
            let text = &result.text;
            let head = text.floor_char_boundary(KEPT_OF_RESULT / 2);
            let tail = text.ceil_char_boundary(text.len() - KEPT_OF_RESULT / 2);
            let left_out = tail - head;
            result.text =
                format!("{}\n[... {left_out} bytes left out ...]\n{}", &text[..head], &text[tail..]);
        }
    }
}

fn leave_out(messages: &mut Vec<Message>, kept: usize, summary: &str) {
    let cut = messages.len().saturating_sub(kept);
    let older: Vec<Message> = messages.drain(..cut).collect();
    let mut parts = vec![Part::Text(format!("[The conversation before, in short:]\n{summary}"))];
    match messages.first_mut() {
        Some(first) if first.speaker == Speaker::User => {
            // Its results are of calls that are not told any more.
            parts.extend(first.parts.drain(..).filter(|part| !matches!(part, Part::ToolResult(_))));
            first.parts = parts;
        }
        _ => {
            // What is being worked on was asked before: it stays in the person's own words.
            let asked = older.iter().rev().find_map(prompt_of);
            parts.extend(asked.map(Part::Text));
            messages.insert(0, Message { speaker: Speaker::User, parts });
        }
    }
}

/// The newest words of a person in a message.
fn prompt_of(message: &Message) -> Option<String> {
    let text = message.parts.iter().rev().find_map(|part| match part {
        Part::Text(text) => Some(text.clone()),
        _ => None,
    });
    text.filter(|_| message.speaker == Speaker::User)
}

/// Bytes of a message, with what a provider puts around its parts.
pub(crate) fn size(message: &Message) -> usize {
    const AROUND: usize = 16;
    let part = |part: &Part| match part {
        Part::Text(text) | Part::SealedThinking(text) => text.len(),
        Part::Thinking { text, signature } => text.len() + signature.len(),
        Part::ToolCall(call) => call.name.len() + call.id.len() + call.input.to_string().len(),
        Part::ToolResult(result) => result.id.len() + result.text.len(),
    };
    message.parts.iter().map(|p| part(p) + AROUND).sum::<usize>() + AROUND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{ToolCall, ToolResult};

    fn user(text: &str) -> Message {
        Message { speaker: Speaker::User, parts: vec![Part::Text(text.into())] }
    }

    fn assistant(text: &str) -> Message {
        Message { speaker: Speaker::Assistant, parts: vec![Part::Text(text.into())] }
    }

    fn step(id: &str, result: &str) -> [Message; 2] {
        let call = ToolCall { id: id.into(), name: "read_file".into(), input: json!({ "path": "a" }) };
        let result = ToolResult { id: id.into(), text: result.into(), is_error: false, data: None };
        [
            Message { speaker: Speaker::Assistant, parts: vec![Part::ToolCall(call)] },
            Message { speaker: Speaker::User, parts: vec![Part::ToolResult(result)] },
        ]
    }

    #[test]
    fn older_turns_become_a_summary_before_the_prompt_that_stays() {
        let mut messages = vec![user("one"), assistant("1"), user("two"), assistant("2"), user("three")];
        let compaction = Compaction::older(&messages, 120).unwrap();
        assert_eq!(compaction, Compaction::Older { kept: 3 });
        compaction.apply(&mut messages, "they counted");
        let first = vec![
            Part::Text("[The conversation before, in short:]\nthey counted".into()),
            Part::Text("two".into()),
        ];
        assert_eq!(
            messages,
            [Message { speaker: Speaker::User, parts: first }, assistant("2"), user("three")]
        );
    }

    #[test]
    fn within_a_turn_whole_steps_go_and_the_prompt_stays() {
        let mut messages = vec![user("look")];
        messages.extend(step("a", &"x".repeat(500)));
        messages.extend(step("b", "small"));
        let kept = step("b", "small");
        let compaction = Compaction::older(&messages, 10).unwrap();
        compaction.apply(&mut messages, "a was read");
        let parts = &messages[0].parts;
        assert_eq!(parts[1], Part::Text("look".into()));
        assert_eq!(messages[1..], kept, "every call keeps its result");
    }

    #[test]
    fn what_an_item_says_is_what_was_meant() {
        for compaction in [Compaction::OLDER_RESULTS, Compaction::Older { kept: 3 }] {
            let item = SessionItem {
                seq: 1,
                kind: podium_protocol::ItemKind::Usage,
                text: String::new(),
                is_final: false,
                data: Some(compaction.data()),
                time: String::new(),
            };
            assert_eq!(Compaction::of(&item), Some(compaction));
        }
    }

    #[test]
    fn results_are_shortened_between_characters_and_once() {
        let mut messages = step("a", &"ä".repeat(5_000)).to_vec();
        assert!(Compaction::ALL_RESULTS.shortens(&messages));
        Compaction::ALL_RESULTS.apply(&mut messages, "");
        assert!(size(&messages[1]) < 800, "{}", size(&messages[1]));
        assert!(!Compaction::ALL_RESULTS.shortens(&messages));
        assert!(!Compaction::OLDER_RESULTS.shortens(&step("a", &"x".repeat(9_000))));
    }
}
