//! What a transcript says about the turns so far.

use podium_protocol::ItemKind;

use crate::provider::Speaker;
use crate::rows::StoredItem;

/// What the transcript says about the newest turn and those before it.
pub(crate) struct History {
    pub(crate) messages: Vec<(Speaker, String)>,
    /// Text and tokens of the newest turn's answer.
    pub(crate) shown: String,
    pub(crate) tokens: Vec<u32>,
}

impl History {
    pub(crate) fn of(items: Vec<StoredItem>) -> Self {
        let mut history = Self { messages: Vec::new(), shown: String::new(), tokens: Vec::new() };
        for StoredItem { item, tokens, .. } in items {
            match item.kind {
                ItemKind::Prompt => {
                    let answer = std::mem::take(&mut history.shown);
                    history.tokens.clear();
                    if !answer.is_empty() {
                        history.messages.push((Speaker::Assistant, answer));
                    }
                    history.messages.push((Speaker::User, item.text));
                }
                ItemKind::Text => {
                    history.shown.push_str(&item.text);
                    history.tokens.extend(tokens);
                }
                _ => {}
            }
        }
        if !history.shown.is_empty() {
            history.messages.push((Speaker::Assistant, history.shown.clone()));
        }
        history
    }
}
