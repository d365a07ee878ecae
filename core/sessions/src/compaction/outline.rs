//! What a model is asked to sum up, and what stands in for its summary.

use crate::provider::{Message, Part, Speaker};

const ASK: &str = "Sum up the conversation below for whoever goes on with it: what was asked for, what was found out, \
    decided and changed, with the names of files, and what is still to do. At most 300 words, and nothing but the \
    summary.";
/// Bytes of one part that are told.
const LONGEST_PART: usize = 2_000;

/// The question for a summary, of at most about `bytes`: the end of the conversation counts most.
pub(crate) fn ask_for_summary(messages: &[Message], bytes: usize) -> Message {
    let mut lines: Vec<String> = messages.iter().flat_map(outlined).collect();
    let mut size: usize = lines.iter().map(|line| line.len() + 1).sum();
    let mut left_out = 0;
    while size > bytes && left_out + 1 < lines.len() {
        size -= lines[left_out].len() + 1;
        left_out += 1;
    }
    lines.drain(..left_out);
    let text = format!("{ASK}\n\n{}", lines.join("\n"));
    Message { speaker: Speaker::User, parts: vec![Part::Text(text)] }
}

/// Stands for the conversation where no model sums it up: what was asked for.
pub(crate) fn without_model(messages: &[Message]) -> String {
    const LAST: usize = 20;
    let users = messages.iter().filter(|message| message.speaker == Speaker::User);
    let asked: Vec<String> =
        users.map(Message::text).filter(|text| !text.is_empty()).map(|text| cut(&text, 200)).collect();
    let newest = &asked[asked.len().saturating_sub(LAST)..];
    format!("It is left out here. The person had asked:\n- {}", newest.join("\n- "))
}

fn outlined(message: &Message) -> Vec<String> {
    let who = match message.speaker {
        Speaker::User => "User",
        Speaker::Assistant => "Assistant",
    };
    let line = |part: &Part| match part {
        Part::Text(text) => Some(format!("{who}: {}", cut(text, LONGEST_PART))),
        Part::ToolCall(call) => {
            Some(format!("Assistant calls {}: {}", call.name, cut(&call.input.to_string(), LONGEST_PART)))
        }
        Part::ToolResult(result) => Some(format!("Result: {}", cut(&result.text, LONGEST_PART))),
        Part::Thinking { .. } | Part::SealedThinking(_) => None,
    };
    message.parts.iter().filter_map(line).collect()
}

fn cut(text: &str, bytes: usize) -> String {
    let end = text.floor_char_boundary(bytes);
    if end == text.len() { text.to_owned() } else { format!("{}...", &text[..end]) }
}
