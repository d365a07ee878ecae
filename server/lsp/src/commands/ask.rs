//! What a command lacks is asked of the person, by choices: LSP has no input of free text.

use std::sync::Arc;

use podium_protocol::{
    Alive, ArtifactListMethod, ArtifactListParams, Checkpoint, CheckpointKind, InboxListMethod,
    InboxListParams, RepoSelector, SessionCheckpointsMethod, SessionCheckpointsParams, SessionInfo,
    SessionListMethod, SessionListParams, SessionStatus, WireError, Worktree, WorktreeListMethod,
    WorktreeListParams,
};
use serde_json::Value;

use super::Call;
use crate::state::State;
use crate::to_lsp::to_holder;

/// Choices shown at once; the last one leads to the next page.
const PAGE: usize = 8;
const MORE: &str = "More…";
/// Kinds of worktrees that a person makes.
pub(crate) const TYPES: [&str; 4] = ["feat", "fix", "aiops", "devops"];

/// A choice: what is shown, and the value it stands for.
struct Choice {
    label: String,
    value: String,
}

/// Asks for what is missing. False when the person did not choose.
///
/// # Errors
/// When the daemon cannot list the choices, or there are none.
pub(crate) async fn complete(state: &Arc<State>, call: &mut Call) -> Result<bool, WireError> {
    match call.method {
        "worktree/switch" | "worktree/remove" if call.lacks("name") => worktree(state, call, "name").await,
        "claim/acquire" | "claim/release" if call.bare => worktree(state, call, "worktree").await,
        "worktree/create" if call.interactive && !call.lacks("name") && call.lacks("type") => {
            let choices = TYPES.map(|kind| Choice { label: kind.to_owned(), value: kind.to_owned() });
            pick(state, call, "type", "What kind of worktree?", choices.into()).await
        }
        "session/cancel" if call.lacks("id") => session(state, call).await,
        "session/resume" | "session/show" if call.bare => session(state, call).await,
        "session/rewind" | "session/fork" => place_in_session(state, call).await,
        "artifact/get" if call.lacks("id") => artifact(state, call).await,
        "inbox/answer" => inbox(state, call).await,
        _ => Ok(true),
    }
}

async fn worktree(state: &Arc<State>, call: &mut Call, field: &str) -> Result<bool, WireError> {
    let at: RepoSelector = serde_json::from_value(Value::Object(call.params.clone())).unwrap_or_default();
    let current = match &at.uri {
        Some(uri) => state.place_of(uri).await.ok().flatten().map(|place| place.worktree.id.clone()),
        None => None,
    };
    let all = state.daemon.call::<WorktreeListMethod>(WorktreeListParams { at, all: false }).await?.worktrees;
    let (question, none) = match call.method {
        "worktree/switch" => ("Which worktree to go to?", "there is no other worktree"),
        "worktree/remove" => ("Which worktree to remove?", "there is no worktree to remove"),
        "claim/acquire" => ("Which worktree to claim?", "there is no worktree to claim"),
        _ => ("Which worktree to release?", "no worktree is claimed"),
    };
    let fits = |tree: &&Worktree| match call.method {
        "worktree/switch" => Some(&tree.id) != current.as_ref(),
        "worktree/remove" => !tree.trunk,
        "claim/release" => tree.claim.is_some(),
        _ => true,
    };
    let choices: Vec<Choice> = all.iter().filter(fits).map(worktree_choice).collect();
    if choices.is_empty() {
        return Err(WireError::not_found(none).hint("`podium.worktree.create` makes one"));
    }
    pick(state, call, field, question, choices).await
}

/// `feat-x: claude-1 (3m)`
fn worktree_choice(tree: &Worktree) -> Choice {
    let holder = match &tree.claim {
        None => "free".to_owned(),
        Some(claim) if claim.alive == Alive::No => format!("{}, gone", to_holder(claim)),
        Some(claim) => to_holder(claim),
    };
    Choice { label: format!("{}: {holder}", tree.name), value: tree.name.clone() }
}

async fn session(state: &Arc<State>, call: &mut Call) -> Result<bool, WireError> {
    let (question, status) = match call.method {
        "session/cancel" => ("Which session to cancel?", Some(SessionStatus::InProgress)),
        "session/resume" => ("Which session to go on with?", None),
        "session/rewind" => ("Which session to take back?", None),
        "session/fork" => ("Which session to fork?", None),
        _ => ("Which session to show?", None),
    };
    let params = SessionListParams { status, ..Default::default() };
    let sessions = state.daemon.call::<SessionListMethod>(params).await?.sessions;
    let resumes = call.method == "session/resume";
    let fits = |session: &&SessionInfo| !resumes || session.status != SessionStatus::InProgress;
    let choices: Vec<Choice> = sessions.iter().filter(fits).map(session_choice).collect();
    if choices.is_empty() {
        return Err(
            WireError::not_found("there is no such session").hint("`podium.session.start` starts one")
        );
    }
    let picked = pick(state, call, "id", question, choices).await?;
    let cancelled = |s: &SessionInfo| s.status == SessionStatus::Cancelled && call.params["id"] == *s.id;
    if picked && resumes && sessions.iter().any(cancelled) {
        // Chosen from the list, where its state stands: the person means it.
        call.params.insert("again".to_owned(), Value::Bool(true));
    }
    Ok(picked)
}

/// A session, and a place in it: a rewind needs one, a fork begins from the present where none is named.
async fn place_in_session(state: &Arc<State>, call: &mut Call) -> Result<bool, WireError> {
    let (field, question) = match call.method {
        "session/rewind" => ("to", "Where to go back to?"),
        _ => ("at", "Where does it begin?"),
    };
    let asked = call.lacks("id");
    if asked && !session(state, call).await? {
        return Ok(false);
    }
    if !call.lacks(field) || (field == "at" && !asked) {
        return Ok(true);
    }
    let id = call.params["id"].as_str().map(str::to_owned);
    let params = SessionCheckpointsParams { id };
    let found = state.daemon.call::<SessionCheckpointsMethod>(params).await?.checkpoints;
    if found.is_empty() {
        return Err(WireError::not_found("the session has no checkpoint yet"));
    }
    // The newest is what is looked for most.
    let choices: Vec<Choice> = found.into_iter().rev().map(checkpoint_choice).collect();
    pick(state, call, field, question, choices).await
}

/// `before: Write the tests`
fn checkpoint_choice(checkpoint: Checkpoint) -> Choice {
    let when = match checkpoint.kind {
        CheckpointKind::TurnStart => "before",
        CheckpointKind::Turn => "within",
        CheckpointKind::TurnEnd => "after",
        CheckpointKind::Rewind => "before the rewind, after",
    };
    Choice { label: format!("{when}: {}", checkpoint.title), value: checkpoint.id }
}

fn session_choice(session: &SessionInfo) -> Choice {
    let place = session.worktree.as_deref().map(|w| format!(" in {w}")).unwrap_or_default();
    let label = format!("{} ({}{place})", session.title, session.status.as_str());
    Choice { label, value: session.id.clone() }
}

async fn artifact(state: &Arc<State>, call: &mut Call) -> Result<bool, WireError> {
    let artifacts = state.daemon.call::<ArtifactListMethod>(ArtifactListParams::default()).await?.artifacts;
    let choices: Vec<Choice> = artifacts
        .into_iter()
        .map(|a| Choice { label: format!("{} ({})", a.title, a.kind), value: a.id })
        .collect();
    if choices.is_empty() {
        return Err(WireError::not_found("there is no artifact yet"));
    }
    pick(state, call, "id", "Which artifact to open?", choices).await
}

async fn inbox(state: &Arc<State>, call: &mut Call) -> Result<bool, WireError> {
    if call.lacks("id") {
        let items = state.daemon.call::<InboxListMethod>(InboxListParams::default()).await?.items;
        let choices: Vec<Choice> = items
            .into_iter()
            .map(|item| Choice { label: format!("{}: {}", item.agent_id, item.question), value: item.id })
            .collect();
        if choices.is_empty() {
            return Err(WireError::not_found("no agent waits for an answer"));
        }
        if !pick(state, call, "id", "Which question to answer?", choices).await? {
            return Ok(false);
        }
    }
    if call.lacks("decision") {
        let choices = ["allow", "deny"].map(|d| Choice { label: d.to_owned(), value: d.to_owned() });
        return pick(state, call, "decision", "Allow or deny?", choices.into()).await;
    }
    Ok(true)
}

/// Has the person choose and puts the choice into the parameters. False without a choice.
async fn pick(
    state: &Arc<State>,
    call: &mut Call,
    field: &str,
    question: &str,
    mut choices: Vec<Choice>,
) -> Result<bool, WireError> {
    call.interactive = true;
    make_unique(&mut choices);
    let mut shown = 0;
    loop {
        let page = &choices[shown..(shown + PAGE).min(choices.len())];
        let more = shown + page.len() < choices.len();
        let mut labels: Vec<String> = page.iter().map(|choice| choice.label.clone()).collect();
        if more {
            labels.push(MORE.to_owned());
        }
        match state.editor.choose(question, &labels).await {
            None => return Ok(false),
            Some(chosen) if chosen < page.len() => {
                call.set(field, page[chosen].value.clone());
                return Ok(true);
            }
            Some(_) => shown += page.len(),
        }
    }
}

/// The answer of the editor is the label: two choices must not share one.
fn make_unique(choices: &mut [Choice]) {
    let mut seen = std::collections::HashSet::new();
    for choice in choices {
        if choice.label == MORE || !seen.insert(choice.label.clone()) {
            let end = choice.value.char_indices().rev().nth(7).map_or(0, |(at, _)| at);
            choice.label = format!("{} [{}]", choice.label, &choice.value[end..]);
            seen.insert(choice.label.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_choices_look_the_same() {
        let mut choices = ["0001-aaaaaaaa", "0001-bbbbbbbb", "x"]
            .map(|value| Choice { label: "hello".into(), value: value.into() });
        make_unique(&mut choices);
        let labels: Vec<&str> = choices.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(labels, ["hello", "hello [bbbbbbbb]", "hello [x]"]);
    }
}
