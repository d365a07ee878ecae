//! How a session and its turns begin: id, row, prompt, events.

use podium_protocol::{ItemKind, SessionInfo, SessionItem, SessionStarted, SessionStatus, Usage};
use podium_store::{NewEvent, now_ms, rfc3339};
use serde_json::json;

use crate::SessionError;
use crate::manager::Start;
use crate::next::Bounds;
use crate::prompt;
use crate::rows::{SessionRow, StoredItem};

/// Longest id a caller may give.
const MAX_ID: usize = 64;

pub(crate) fn new_row(id: &str, start: &Start, provider: &str, prompt: &str) -> SessionRow {
    let now = rfc3339(now_ms());
    let info = SessionInfo {
        id: id.to_owned(),
        provider: provider.to_owned(),
        model: start.model.clone(),
        status: SessionStatus::InProgress,
        reason: None,
        title: prompt::title(prompt),
        agent_id: start.agent_id.clone(),
        worktree: start.worktree.as_ref().map(|w| w.name.clone()),
        worktree_path: start.worktree.as_ref().map(|w| w.path.to_string_lossy().into_owned()),
        repo: None,
        created_at: now.clone(),
        updated_at: now,
        checkpoint: None,
        last_seq: 0,
        usage: Usage::default(),
        context: None,
        health: None,
        confinement: None,
        artifact: None,
    };
    let bounds = Bounds { seed: start.seed, max_tokens: start.max_tokens, temperature: start.temperature };
    SessionRow {
        info,
        repo: start.repo.clone().or_else(|| start.worktree.as_ref().map(|w| w.repo.clone())),
        worktree_id: start.worktree.as_ref().map(|w| w.id.clone()),
        request: start.limits.over(&bounds.stored()),
        state: None,
        mark: None,
    }
}

pub(crate) fn prompt_item(seq: u64, text: &str) -> StoredItem {
    let at = now_ms();
    let item = SessionItem {
        seq,
        kind: ItemKind::Prompt,
        text: text.to_owned(),
        is_final: false,
        data: None,
        time: rfc3339(at),
    };
    StoredItem { item, at, tokens: Vec::new() }
}

pub(crate) fn started_event(kind: &'static str, row: &SessionRow) -> NewEvent {
    let data = json!({
        "id": row.info.id,
        "provider": row.info.provider,
        "title": row.info.title,
        "agentId": row.info.agent_id,
        "worktree": row.info.worktree,
        "worktreeId": row.worktree_id,
    });
    NewEvent::new(kind, format!("session/{}", row.info.id), data).correlated(row.info.id.clone())
}

pub(crate) fn started(row: &SessionRow) -> SessionStarted {
    SessionStarted {
        id: row.info.id.clone(),
        provider: row.info.provider.clone(),
        model: row.info.model.clone(),
        worktree: row.info.worktree.clone(),
        status: row.info.status,
        last_seq: row.info.last_seq,
        joined: false,
    }
}

pub(crate) fn check_id(id: &str) -> Result<String, SessionError> {
    let fine = !id.is_empty()
        && id.len() <= MAX_ID
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && id.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if fine {
        return Ok(id.to_owned());
    }
    Err(SessionError::Invalid(format!(
        "a session id has 1 to {MAX_ID} letters, digits, `-`, `_` or `.` and begins with a letter or digit"
    )))
}
