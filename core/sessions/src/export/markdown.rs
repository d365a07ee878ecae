//! Markdown, for people and for pasting somewhere.

use podium_protocol::{ItemKind, SessionInfo, SessionItem};

use super::Format;

pub(super) struct Markdown;

impl Format for Markdown {
    fn media_type(&self) -> &'static str {
        "text/markdown"
    }

    fn head(&self, session: &SessionInfo) -> String {
        let mut text = format!("# {}\n\n", one_line(&session.title));
        let mut fact = |name: &str, value: &str| text += &format!("- {name}: {value}\n");
        fact("Session", &format!("`{}`", session.id));
        let model = session.model.as_ref().map_or_else(String::new, |model| format!(" ({model})"));
        fact("Provider", &format!("{}{model}", session.provider));
        if let Some(worktree) = &session.worktree {
            fact("Worktree", &format!("`{worktree}`"));
        }
        fact("Status", &session.status.as_str().replace('_', " "));
        fact("Begun", &session.created_at);
        fact("Tokens", &format!("{} in, {} out", session.usage.input_tokens, session.usage.output_tokens));
        text
    }

    fn items(&self, before: Option<&SessionItem>, items: &[SessionItem]) -> String {
        let mut text = String::new();
        let mut last = before.map(|item| item.kind);
        for item in items {
            write(&mut text, item, last);
            if counts(item) {
                last = Some(item.kind);
            }
        }
        text
    }

    fn tail(&self) -> String {
        "\n".to_owned()
    }
}

/// Whether a reader sees it.
pub(super) fn counts(item: &SessionItem) -> bool {
    match item.kind {
        ItemKind::Usage => false,
        ItemKind::Checkpoint => !item.text.is_empty(),
        _ => true,
    }
}

fn write(text: &mut String, item: &SessionItem, last: Option<ItemKind>) {
    let goes_on = last == Some(item.kind);
    match item.kind {
        ItemKind::Prompt => *text += &format!("\n\n## Prompt\n\n{}\n", item.text.trim_end()),
        ItemKind::Text if goes_on => *text += &item.text,
        ItemKind::Text => *text += &format!("\n\n## Answer\n\n{}", item.text),
        ItemKind::Thinking if goes_on => *text += &quoted_on(&item.text),
        ItemKind::Thinking => *text += &format!("\n\n> *Thinking:* {}", quoted_on(&item.text)),
        ItemKind::ToolCall => {
            let input = item.data.as_ref().map(|data| &data["input"]).filter(|input| !input.is_null());
            let input = input.and_then(|input| serde_json::to_string_pretty(input).ok()).unwrap_or_default();
            *text += &format!("\n\n**→ {}**\n\n{}\n", one_line(&item.text), fenced("json", &input));
        }
        ItemKind::ToolResult => *text += &format!("\n\n**← result**\n\n{}\n", fenced("", &item.text)),
        ItemKind::Permission => *text += &format!("\n\n*Permission: {}*\n", one_line(&item.text)),
        ItemKind::Error => *text += &format!("\n\n**Error:** {}\n", item.text.trim_end()),
        ItemKind::Checkpoint if !item.text.is_empty() => {
            *text += &format!("\n\n---\n\n*{}*\n\n---\n", one_line(&item.text));
        }
        ItemKind::Checkpoint | ItemKind::Usage => {}
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines of a quotation after its first.
fn quoted_on(text: &str) -> String {
    text.replace('\n', "\n> ")
}

/// A block whose fence is longer than any in it.
fn fenced(language: &str, text: &str) -> String {
    let mut longest = 2;
    let mut run = 0;
    for letter in text.chars() {
        run = if letter == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence}{language}\n{}\n{fence}", text.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(seq: u64, kind: ItemKind, text: &str) -> SessionItem {
        SessionItem { seq, kind, text: text.into(), is_final: false, data: None, time: String::new() }
    }

    #[test]
    fn pieces_of_a_text_join_wherever_the_document_is_cut() {
        let items = [
            item(1, ItemKind::Prompt, "Why?"),
            item(2, ItemKind::Text, "Be"),
            item(3, ItemKind::Checkpoint, ""),
            item(4, ItemKind::Text, "cause"),
            item(5, ItemKind::ToolResult, "a ```fence``` inside"),
            item(6, ItemKind::Checkpoint, "Taken back."),
        ];
        let whole = Markdown.items(None, &items);
        assert!(whole.contains("## Answer\n\nBecause"), "{whole}");
        assert!(whole.contains("````\na ```fence``` inside\n````"), "{whole}");
        assert!(whole.contains("*Taken back.*"), "{whole}");
        for cut in 1..6 {
            let before = items[..cut].iter().rfind(|item| counts(item));
            let pieces = Markdown.items(None, &items[..cut]) + &Markdown.items(before, &items[cut..]);
            assert_eq!(pieces, whole, "cut behind {cut}");
        }
    }
}
