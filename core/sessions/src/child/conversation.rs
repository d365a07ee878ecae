//! The conversation in words, for agents that know nothing of it.

use std::fmt::Write as _;

use crate::provider::{Message, Speaker, Turn};

const GO_ON: &str =
    "Your answer was cut off. Go on from where it stopped, without repeating what you said already.";

/// The prompt for an agent that knows what came before.
pub(crate) fn prompt(turn: &Turn) -> String {
    let (_, prompt, said) = parts(turn);
    if said.is_empty() { prompt } else { GO_ON.to_owned() }
}

/// The prompt alone at first; later the conversation goes before it, and what was said of an answer that was cut off
/// behind it.
pub(crate) fn with_history(turn: &Turn) -> String {
    let (before, prompt, said) = parts(turn);
    let mut all = String::new();
    if !before.is_empty() {
        all.push_str("The conversation so far:\n");
        for message in before {
            let who = if message.speaker == Speaker::User { "User" } else { "You" };
            let _ = write!(all, "\n{who}:\n{}\n", message.text().trim());
        }
        all.push_str("\nNow the user says:\n");
    }
    all.push_str(&prompt);
    if !said.is_empty() {
        let _ = write!(all, "\n\nYou said already:\n{said}\n\n{GO_ON}");
    }
    all
}

/// What came before the last prompt, that prompt, and what was said of its answer.
fn parts(turn: &Turn) -> (Vec<&Message>, String, String) {
    let is_prompt = |message: &Message| message.speaker == Speaker::User && !message.text().is_empty();
    let last = turn.messages.iter().rposition(is_prompt).unwrap_or(0);
    let before = turn.messages[..last].iter().filter(|message| !message.text().trim().is_empty()).collect();
    let prompt = turn.messages.get(last).map(Message::text).unwrap_or_default();
    let said = turn.messages.iter().skip(last + 1).map(Message::text).collect();
    (before, prompt, said)
}
