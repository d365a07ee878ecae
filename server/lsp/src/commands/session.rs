//! Before a session starts: the text of its context, and whose worktree it would write in.

use std::sync::Arc;

use podium_protocol::{RepoSelector, WireError, WorktreeCreate, WorktreeCreateParams};
use serde_json::Value;
use tower_lsp::ls_types::{Diagnostic, Range};

use super::Call;
use crate::requests::{Spot, Task};
use crate::state::{State, lock};
use crate::to_lsp::to_holder;

const NEW_WORKTREE: &str = "In a new worktree";
const NEVERTHELESS: &str = "Here nevertheless";

/// Completes the parameters of `session/start`. False when the person does not want it after all.
///
/// # Errors
/// When a new worktree was wanted and cannot be made.
pub(crate) async fn prepare(state: &Arc<State>, call: &mut Call) -> Result<bool, WireError> {
    add_text(state, call);
    if call.interactive && !call.lacks("worktree") { ask_about_owner(state, call).await } else { Ok(true) }
}

/// A program names a range of an open document; the text is the language server's to add.
fn add_text(state: &State, call: &mut Call) {
    let Some(context) = call.params.get_mut("context").filter(|c| c.is_object() && c["text"].is_null())
    else {
        return;
    };
    let Some(uri) = context["uri"].as_str().map(str::to_owned) else { return };
    let Ok(range) = serde_json::from_value::<Range>(context["range"].clone()) else { return };
    let diagnostics: Vec<Diagnostic> =
        serde_json::from_value(context["diagnostics"].clone()).unwrap_or_default();
    let documents = lock(&state.documents);
    let Some(document) = documents.get(&uri) else { return };
    let encoding = state.editor.abilities().encoding;
    let spot = Spot { uri: &uri, document, range, diagnostics: &diagnostics, worktree: None, encoding };
    let full = spot.context(Task::Ask);
    context["text"] = full["text"].clone();
    if context["language"].is_null() {
        context["language"] = full["language"].clone();
    }
}

/// A session that writes needs the worktree. Where somebody else holds it, the person decides what to do.
async fn ask_about_owner(state: &Arc<State>, call: &mut Call) -> Result<bool, WireError> {
    let Some(uri) = call.params.get("uri").and_then(Value::as_str).map(str::to_owned) else {
        return Ok(true);
    };
    // The state may have changed since the action was offered.
    state.places.forget();
    let Some(place) = state.place_of(&uri).await? else { return Ok(true) };
    let same = call.params.get("worktree").and_then(Value::as_str) == Some(place.worktree.name.as_str());
    let Some(claim) = place.foreign_claim().filter(|_| same) else { return Ok(true) };
    let question =
        format!("{} is held by {}. Where should the session work?", place.worktree.name, to_holder(claim));
    let options = [NEW_WORKTREE.to_owned(), NEVERTHELESS.to_owned()];
    match state.editor.choose(&question, &options).await {
        Some(0) => {
            let name = new_worktree(state, &uri, call).await?;
            call.set("worktree", name);
            Ok(true)
        }
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

async fn new_worktree(state: &Arc<State>, uri: &str, call: &Call) -> Result<String, WireError> {
    let params = WorktreeCreateParams {
        at: RepoSelector { uri: Some(uri.to_owned()), ..Default::default() },
        kind: Some("feat".to_owned()),
        name: Some(format!("session-{}", jiff::Zoned::now().strftime("%m%d-%H%M%S"))),
        agent_id: call.params.get("agentId").and_then(|a| a.as_str()).map(str::to_owned),
        ..Default::default()
    };
    let created = state.daemon.call::<WorktreeCreate>(params).await?;
    Ok(created.worktree.name)
}
