//! A session's transcript as Markdown.

use std::fmt::Write as _;

use podium_protocol::{ItemKind, SessionInfo, SessionItem};

/// `more` tells that the session holds items that are not in `items`.
pub(crate) fn render(session: &SessionInfo, items: &[SessionItem], more: bool) -> String {
    let mut text = format!("# {}\n\n", session.title);
    let place = session.worktree.as_deref().map(|w| format!(" in {w}")).unwrap_or_default();
    let model = session.model.as_deref().map(|m| format!(" ({m})")).unwrap_or_default();
    let _ = writeln!(
        text,
        "{}{model}{place}, {}, {} tokens in, {} out, session {}",
        session.provider,
        session.status.as_str().replace('_', " "),
        session.usage.input_tokens,
        session.usage.output_tokens,
        session.id
    );
    let mut previous = None;
    for item in items {
        let continues = item.kind == ItemKind::Text && previous == Some(ItemKind::Text);
        push(&mut text, item, continues);
        previous = match item.kind {
            // They stand between the pieces of one answer and say nothing to a reader.
            ItemKind::Checkpoint | ItemKind::Usage => previous,
            kind => Some(kind),
        };
    }
    if more {
        text.push_str("\n\n*The transcript goes on; this file holds its beginning.*");
    }
    text.push('\n');
    text
}

fn push(text: &mut String, item: &SessionItem, continues: bool) {
    let _ = match item.kind {
        ItemKind::Text if continues => write!(text, "{}", item.text),
        ItemKind::Text => write!(text, "\n## Answer\n\n{}", item.text),
        ItemKind::Prompt => write!(text, "\n\n## Prompt\n\n{}\n", item.text),
        ItemKind::Thinking => write!(text, "\n\n{}\n", quoted(&item.text)),
        ItemKind::ToolCall => write!(text, "\n\n### Tool\n\n{}\n", fenced(item)),
        ItemKind::ToolResult => write!(text, "\n\n### Result\n\n{}\n", fenced(item)),
        ItemKind::Permission => write!(text, "\n\n**Permission:** {}\n", item.text),
        ItemKind::Error => write!(text, "\n\n**Error:** {}\n", item.text),
        ItemKind::Checkpoint | ItemKind::Usage => Ok(()),
    };
}

fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("> {line}\n")).collect()
}

/// In a fence that is longer than any within.
fn fenced(item: &SessionItem) -> String {
    let content = match &item.data {
        Some(data) if item.text.is_empty() => serde_json::to_string_pretty(data).unwrap_or_default(),
        _ => item.text.clone(),
    };
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{content}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::{SessionStatus, Usage};

    fn item(seq: u64, kind: ItemKind, text: &str) -> SessionItem {
        SessionItem { seq, kind, text: text.into(), is_final: false, data: None, time: String::new() }
    }

    #[test]
    fn pieces_of_an_answer_are_joined_without_a_seam() {
        let session = SessionInfo {
            id: "s1".into(),
            provider: "local".into(),
            model: None,
            status: SessionStatus::Completed,
            reason: None,
            title: "Say hello".into(),
            agent_id: None,
            worktree: Some("feat-x".into()),
            worktree_path: None,
            repo: None,
            created_at: String::new(),
            updated_at: String::new(),
            checkpoint: None,
            last_seq: 5,
            usage: Usage { input_tokens: 3, output_tokens: 2, cost_usd: Some(0.0) },
            context: None,
            health: None,
            confinement: None,
            artifact: None,
        };
        let items = [
            item(1, ItemKind::Prompt, "Say hello"),
            item(2, ItemKind::Text, "Hel"),
            item(3, ItemKind::Checkpoint, ""),
            item(4, ItemKind::Text, "lo"),
            item(5, ItemKind::ToolResult, "a ``` b"),
        ];
        assert_eq!(
            render(&session, &items, true),
            "# Say hello\n\nlocal in feat-x, completed, 3 tokens in, 2 out, session s1\n\n\n## Prompt\n\nSay hello\n\n\
             ## Answer\n\nHello\n\n### Result\n\n````\na ``` b\n````\n\n\n*The transcript goes on; this file holds its \
             beginning.*\n"
        );
    }
}
