//! What agents ask is put to the person by the editor's own means, one question at a time. Editors with a plugin have
//! their own inbox, fed by the events they subscribe to.

use std::collections::HashSet;
use std::sync::Arc;

use podium_protocol::{
    InboxAnswer, InboxAnswerParams, InboxDecision, InboxItem, InboxListMethod, InboxListParams, InboxScope,
};
use tower_lsp::ls_types::MessageType;

use crate::state::State;
use crate::to_lsp::to_sentence;

/// Lines of what would be done that fit into a message.
const DETAIL_LINES: usize = 12;
const DETAIL_CHARS: usize = 800;

pub(crate) async fn ask(state: Arc<State>) {
    state.editor.initialized().await;
    if state.editor.abilities().podium {
        return;
    }
    let mut asked = HashSet::new();
    loop {
        state.inbox.notified().await;
        while let Some(item) = open(&state).await.into_iter().find(|item| !asked.contains(&item.id)) {
            asked.insert(item.id.clone());
            put(&state, &item).await;
        }
    }
}

/// Shows a question until it is answered, here or elsewhere, or withdrawn.
async fn put(state: &Arc<State>, item: &InboxItem) {
    let choices = choices(item);
    let labels: Vec<String> = choices.iter().map(|(label, ..)| (*label).to_owned()).collect();
    let question = text(item);
    let chosen = tokio::select! {
        chosen = state.editor.ask(&question, &labels) => chosen,
        () = closed(state, &item.id) => None,
    };
    let Some(&(_, decision, scope)) = chosen.and_then(|index| choices.get(index)) else { return };
    let params = InboxAnswerParams { id: item.id.clone(), decision, scope: Some(scope) };
    if let Err(error) = state.daemon.call::<InboxAnswer>(params).await {
        state.editor.show(MessageType::INFO, to_sentence(&error)).await;
    }
}

async fn open(state: &Arc<State>) -> Vec<InboxItem> {
    match state.daemon.call::<InboxListMethod>(InboxListParams::default()).await {
        Ok(answer) => answer.items.into_iter().filter(InboxItem::is_open).collect(),
        Err(error) => {
            tracing::debug!(%error, "the inbox is not known");
            Vec::new()
        }
    }
}

/// Returns when the question is open no more.
async fn closed(state: &Arc<State>, id: &str) {
    loop {
        state.inbox.notified().await;
        let listed = state.daemon.call::<InboxListMethod>(InboxListParams::default()).await;
        // While the daemon is away, nothing says that it was answered.
        if listed.is_ok_and(|answer| answer.items.iter().all(|item| item.id != id)) {
            // Others may have come with the same event.
            state.inbox.notify_one();
            return;
        }
    }
}

fn choices(item: &InboxItem) -> Vec<(&'static str, InboxDecision, InboxScope)> {
    use InboxDecision::{Allow, Deny};
    if item.options.contains(&InboxScope::Session) {
        vec![
            ("Allow once", Allow, InboxScope::Once),
            ("Allow for session", Allow, InboxScope::Session),
            ("Deny", Deny, InboxScope::Once),
        ]
    } else {
        vec![("Allow", Allow, InboxScope::Once), ("Deny", Deny, InboxScope::Once)]
    }
}

fn text(item: &InboxItem) -> String {
    let asks = if item.tool.is_some() { "wants to" } else { "asks:" };
    let mut text = format!("{} {asks} {}", item.agent_id, item.question);
    if let Some(detail) = item.detail.as_deref().filter(|detail| !item.question.contains(*detail)) {
        let lines: Vec<&str> = detail.lines().take(DETAIL_LINES).collect();
        let shown: String = lines.join("\n").chars().take(DETAIL_CHARS).collect();
        let more = if shown.len() + 1 < detail.len() { "\n..." } else { "" };
        text.push_str(&format!("\n{shown}{more}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_who_wants_what() {
        let mut item = InboxItem {
            agent_id: "claude-1".into(),
            question: "run `make`".into(),
            tool: Some("run_command".into()),
            detail: Some("make".into()),
            ..InboxItem::default()
        };
        assert_eq!(text(&item), "claude-1 wants to run `make`");
        item.detail = Some("x\n".repeat(50));
        assert!(text(&item).lines().count() < 16 && text(&item).ends_with("..."));
        item.tool = None;
        item.detail = None;
        assert_eq!(text(&item), "claude-1 asks: run `make`");
        let labels = |item: &InboxItem| choices(item).iter().map(|(label, ..)| *label).collect::<Vec<_>>();
        assert_eq!(labels(&item), ["Allow", "Deny"]);
        item.options = vec![InboxScope::Once, InboxScope::Session, InboxScope::Project];
        assert_eq!(labels(&item), ["Allow once", "Allow for session", "Deny"]);
    }
}
