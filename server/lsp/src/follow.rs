//! Sessions that this window started: their progress, and in one sentence how they ended.

use std::sync::Arc;

use podium_client::SessionStream;
use podium_protocol::{
    HealthState, ItemKind, SessionCancel, SessionCancelParams, SessionEnd, SessionStatus, SessionUpdate,
    WireError,
};
use serde_json::Value;
use tower_lsp::ls_types::{MessageType, ProgressToken};

use crate::commands::percentage;
use crate::follow_run;
use crate::progress::Progressing;
use crate::state::{State, lock};
use crate::to_lsp::to_sentence;

/// Characters of the newest text in a progress message.
const TAIL: usize = 80;

/// Follows the session of an answer in the background, once.
pub(crate) fn start(state: &Arc<State>, answer: &Value) {
    let (Some(id), from_seq) = (answer["id"].as_str(), answer["lastSeq"].as_u64().unwrap_or_default()) else {
        return;
    };
    let token = format!("podium/session/{id}/{}", state.next_number());
    {
        let mut followed = lock(&state.followed);
        if followed.values().any(|session| session == id) {
            return;
        }
        followed.insert(ProgressToken::String(token.clone()), id.to_owned());
    }
    let (state, id) = (Arc::clone(state), id.to_owned());
    tokio::spawn(async move {
        follow(&state, &id, from_seq, token.clone()).await;
        lock(&state.followed).remove(&ProgressToken::String(token));
        state.changed.notify_one();
    });
}

/// The person pressed the cancel button of a progress.
pub(crate) fn cancel(state: &Arc<State>, token: &ProgressToken) {
    let Some(id) = lock(&state.followed).get(token).cloned() else { return };
    let state = Arc::clone(state);
    tokio::spawn(async move {
        if let Some(run) = follow_run::run_of(&id) {
            return follow_run::cancel(&state, run).await;
        }
        if let Err(error) = state.daemon.call::<SessionCancel>(SessionCancelParams { id }).await {
            state.editor.show(MessageType::ERROR, to_sentence(&error)).await;
        }
    });
}

async fn follow(state: &Arc<State>, id: &str, from_seq: u64, token: String) {
    // Attached before the editor is asked for a progress: that may take it seconds.
    let stream = state.daemon.attach(id, from_seq, true).await;
    let title = match &stream {
        Ok(stream) => format!("Podium: {}", stream.attached().session.title),
        Err(_) => "Podium".to_owned(),
    };
    let mut shown = Progressing::begin(state, token, title, true).await;
    let outcome = match stream {
        Ok(stream) => show(stream, &mut shown).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(end) => {
            shown.end(end.status.as_str().replace('_', " ")).await;
            let kind =
                if end.status == SessionStatus::Failed { MessageType::ERROR } else { MessageType::INFO };
            state.editor.show(kind, sentence(&end)).await;
        }
        Err(error) => {
            shown.end("interrupted".to_owned()).await;
            // That the daemon was stopped is told once, for everything.
            if !state.daemon.is_stopped() {
                state.editor.show(MessageType::WARNING, to_sentence(&error)).await;
            }
        }
    }
}

async fn show(mut stream: SessionStream, shown: &mut Progressing) -> Result<SessionEnd, WireError> {
    let mut tail = String::new();
    while let Some(update) = stream.next().await {
        let SessionUpdate { items, progress, health, end, .. } = update?;
        if let Some(health) = health.filter(|health| health.state == HealthState::Silent) {
            shown.report(format!("silent since {}", health.since), None).await;
        }
        for item in items.iter().filter(|item| item.kind == ItemKind::Text) {
            push_tail(&mut tail, &item.text);
        }
        if let Some(progress) = progress {
            shown.report(progress.phase.replace('_', " "), percentage(progress.done, progress.total)).await;
        }
        if !tail.trim().is_empty() && !items.is_empty() {
            shown.report(tail.split_whitespace().collect::<Vec<_>>().join(" "), None).await;
        }
        if let Some(end) = end {
            return Ok(end);
        }
    }
    Err(WireError::unavailable("the session's end was not seen"))
}

/// Keeps the last characters of what was said.
fn push_tail(tail: &mut String, text: &str) {
    tail.push_str(text);
    if let Some((at, _)) = tail.char_indices().rev().nth(TAIL) {
        tail.drain(..at);
    }
}

fn sentence(end: &SessionEnd) -> String {
    let reason = end.reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
    match end.status {
        SessionStatus::Completed => match end.files_changed.as_slice() {
            [] => "The session is done".to_owned(),
            [file] => format!("The session is done; it changed {file}"),
            files => format!("The session is done; it changed {} files", files.len()),
        },
        SessionStatus::Failed => format!("The session failed{reason}"),
        SessionStatus::Cancelled => "The session was cancelled; what it said is kept".to_owned(),
        SessionStatus::Parked => format!("The session waits for you{reason}"),
        SessionStatus::Interrupted | SessionStatus::InProgress => {
            format!("The session was interrupted{reason}; `podium.session.resume` goes on with it")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_short_whatever_the_text() {
        let mut tail = String::new();
        for _ in 0..100 {
            push_tail(&mut tail, "é😀 word ");
        }
        assert_eq!(tail.chars().count(), TAIL + 1);
        assert!(tail.ends_with("word "));
    }
}
