//! `workspace/executeCommand`: the protocol's methods as commands, usable with a JSON object, with a bare text, and
//! with nothing at all, when the person is asked.

mod arguments;
mod ask;
mod model;
mod open;
mod session;
mod summary;

use std::sync::Arc;

use podium_protocol::WireError;
use serde_json::{Map, Value, json};
use tower_lsp::ls_types::MessageType;

pub(crate) use arguments::Call;
pub(crate) use model::percentage;
pub(crate) use open::open_file;

use crate::melody;
use crate::scratch;
use crate::state::{State, lock};
use crate::to_lsp::to_sentence;
use crate::{follow, follow_run, methods};

/// Opens a scratch document in which a question about a selection is written.
pub(crate) const ASK: &str = "podium.ask";
/// Sends a scratch document.
pub(crate) const SEND_SCRATCH: &str = "podium.scratch.send";
pub(crate) const START: &str = "podium.session.start";
/// Judges a melody; answered by the language server itself.
pub(crate) const VALIDATE_MELODY: &str = "podium.melody.validate";
/// Runs a melody, where the daemon can.
pub(crate) const RUN_MELODY: &str = "podium.melody.run";
/// Commands beyond the protocol's methods.
pub(crate) const OWN: [&str; 3] = [ASK, SEND_SCRATCH, VALIDATE_MELODY];

/// Names of all commands.
pub(crate) fn names() -> Vec<String> {
    methods::commands().map(|m| m.command()).chain(OWN.map(str::to_owned)).collect()
}

/// Runs a command. A person who started it sees its outcome; a program gets the daemon's answer as it is.
pub(crate) async fn run(state: &Arc<State>, call: Call) -> Result<Value, WireError> {
    let interactive = call.interactive;
    let outcome = match call.command.as_str() {
        ASK => scratch::open(state, "session/start", call.params).await,
        SEND_SCRATCH => scratch::send(state, &call.params).await,
        VALIDATE_MELODY => melody::validate(state, &call.params, call.current, interactive).await,
        _ => forward(state, call).await,
    };
    if let (true, Err(error)) = (interactive, &outcome) {
        state.editor.show(MessageType::ERROR, to_sentence(error)).await;
    }
    outcome
}

async fn forward(state: &Arc<State>, mut call: Call) -> Result<Value, WireError> {
    methods::fill(state, call.method, &mut call.params, call.current.take());
    complete_and_perform(state, call).await
}

/// Asks for what is missing, then does it. `null` when the person did not want it after all.
pub(crate) async fn complete_and_perform(state: &Arc<State>, mut call: Call) -> Result<Value, WireError> {
    if !ask::complete(state, &mut call).await? {
        return Ok(Value::Null);
    }
    if let Some(instead) = scratch::instead_of(state, &call).await {
        return instead;
    }
    if call.method == "session/start" && !session::prepare(state, &mut call).await? {
        return Ok(Value::Null);
    }
    perform(state, call).await
}

/// Calls the daemon with what is complete now, and does what belongs to it in the editor.
async fn perform(state: &Arc<State>, call: Call) -> Result<Value, WireError> {
    let Call { method, mut params, interactive, open, .. } = call;
    if method == "melody/run" {
        add_text(state, &mut params);
    }
    let asked = Value::Object(params);
    let mut answer = match method {
        "model/fetch" | "model/verify" => model::run(state, method, asked.clone()).await?,
        _ => state.daemon.call_value(method, asked.clone()).await?,
    };
    remember(state, method, &asked, &answer);
    match method {
        "session/start" | "session/resume" => follow::start(state, &answer),
        "melody/run" => follow_run::start(state, &answer),
        "worktree/switch" if open.unwrap_or(true) => open::worktree(state, &answer).await,
        "session/show" if open.unwrap_or(true) => open::transcript(state, &mut answer).await?,
        "artifact/get" if open.unwrap_or(interactive) => open::artifact(state, &answer).await,
        "artifact/search" if interactive => open::hit(state, &answer).await?,
        _ => {}
    }
    if interactive && let Some(text) = summary::of(method, &answer) {
        state.editor.show(MessageType::INFO, text).await;
    }
    Ok(answer)
}

/// A melody runs as the editor shows it, saved or not.
fn add_text(state: &State, params: &mut Map<String, Value>) {
    let Some(uri) = params.get("uri").and_then(Value::as_str).filter(|_| !params.contains_key("text")) else {
        return;
    };
    let text = lock(&state.documents).get(uri).map(|document| document.text.clone());
    if let Some(text) = text {
        params.insert("text".to_owned(), Value::String(text));
    }
}

/// Remembers whom this window acted for: what they hold is the window's own.
pub(crate) fn remember(state: &State, method: &str, asked: &Value, answer: &Value) {
    let mut mine = lock(&state.mine);
    let agents: &[&Value] = match method {
        // The daemon tells who an unnamed caller is.
        "claim/acquire" => &[&asked["agentId"], &answer["agentId"]],
        "worktree/create" | "session/start" => &[&asked["agentId"]],
        _ => &[],
    };
    mine.agents.extend(agents.iter().filter_map(|agent| agent.as_str()).map(str::to_owned));
    if let ("session/start" | "session/resume", Some(id)) = (method, answer["id"].as_str()) {
        mine.sessions.insert(id.to_owned());
    }
}

/// An answer that only says what happened instead of the call.
pub(crate) fn instead(what: &str, value: impl Into<Value>) -> Value {
    json!({ what: value.into() })
}
