//! Scratch documents: where a person writes what LSP has no input for. Each has a file beside it that says what
//! becomes of the text, so that it can be sent by a later language server too.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_protocol::WireError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tower_lsp::ls_types::MessageType;

use crate::commands::{self, Call, instead, open_file};
use crate::state::{State, lock};
use crate::views::{flatten, make_private_folder, set_mode};
use crate::{methods, uris};

/// Longest text that is sent, in bytes.
const MAX_TEXT: usize = 1024 * 1024;
const HINT_START: &str = "<!-- Podium:";
const HINT_END: &str = "-->";

/// What becomes of a scratch document.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    method: String,
    params: Map<String, Value>,
}

/// A form: what the text is, and which lines above it the person may fill in.
struct Form {
    name: &'static str,
    method: &'static str,
    /// Parameter that the text becomes.
    text: &'static str,
    hint: &'static str,
    fields: &'static [&'static str],
}

const FORMS: &[Form] = &[
    Form {
        name: "session",
        method: "session/start",
        text: "prompt",
        hint: "write your prompt below, then choose the code action \"Send to Podium\".",
        fields: &["worktree", "provider", "model", "agentId"],
    },
    Form {
        name: "worktree",
        method: "worktree/create",
        text: "name",
        hint: "write the worktree's name below (type: feat, fix, aiops or devops), then choose \"Send to Podium\".",
        fields: &["type", "from", "agentId"],
    },
    Form {
        name: "search",
        method: "artifact/search",
        text: "query",
        hint: "write what to search for below, then choose the code action \"Send to Podium\".",
        fields: &["kind", "worktree"],
    },
];

fn form_of(method: &str) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.method == method)
}

/// A scratch document in place of a call that lacks its text.
pub(crate) async fn instead_of(state: &Arc<State>, call: &Call) -> Option<Result<Value, WireError>> {
    let form = form_of(call.method)?;
    let goes_on = call.params.get("continue") == Some(&Value::Bool(true));
    if !call.lacks(form.text) || goes_on {
        return None;
    }
    Some(open(state, form.method, call.params.clone()).await)
}

/// Makes a scratch document and opens it. The answer names it: `{"scratch": uri}`.
///
/// # Errors
/// `unavailable` when it cannot be written.
pub(crate) async fn open(
    state: &Arc<State>,
    method: &str,
    mut params: Map<String, Value>,
) -> Result<Value, WireError> {
    let form = form_of(method).ok_or_else(|| WireError::internal(format!("`{method}` has no form")))?;
    params.remove("interactive");
    methods::fill(state, method, &mut params, state.current_uri());
    let text = blank(form, &params);
    let plan = Plan { method: method.to_owned(), params };
    let folder = state.daemon.options().home.scratch();
    let stamp = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let name = format!("{}-{stamp}-{}-{}", form.name, std::process::id(), state.next_number());
    let path = folder.join(format!("{name}.md"));
    let target = path.clone();
    let written = tokio::task::spawn_blocking(move || write(&folder, &target, &text, &plan)).await;
    flatten(written).map_err(|e| unwritable(&path, &e))?;
    open_file(state, &path, "What you write it in").await;
    Ok(instead("scratch", uris::from_path(&path).unwrap_or_default()))
}

fn write(folder: &Path, path: &Path, text: &str, plan: &Plan) -> io::Result<()> {
    make_private_folder(folder)?;
    // The plan first: a document without one could not be sent.
    for (path, content) in
        [(plan_of(path), serde_json::to_vec(plan)?), (path.to_owned(), text.as_bytes().to_vec())]
    {
        std::fs::write(&path, content)?;
        set_mode(&path, 0o600)?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> WireError {
    WireError::unavailable(format!("{} cannot be written: {error}", path.display())).hint("is the disk full?")
}

fn plan_of(document: &Path) -> PathBuf {
    document.with_extension("json")
}

/// Whether a document is a scratch document of this home, by its place.
pub(crate) fn is_scratch(state: &State, uri: &str) -> bool {
    path_of(state, uri).is_some()
}

fn path_of(state: &State, uri: &str) -> Option<PathBuf> {
    let path = uris::to_path(uri)?;
    let inside = path.parent() == Some(state.daemon.options().home.scratch().as_path());
    (inside && path.extension().is_some_and(|e| e == "md")).then_some(path)
}

/// Sends a scratch document: does with its text what it was made for.
///
/// # Errors
/// `user` for what is no scratch document or has no text; what the daemon answers otherwise.
pub(crate) async fn send(state: &Arc<State>, params: &Map<String, Value>) -> Result<Value, WireError> {
    let uri = params.get("uri").and_then(Value::as_str).unwrap_or_default();
    let path = path_of(state, uri).ok_or_else(|| {
        WireError::user("this is no scratch document").hint("`podium.session.start` opens one")
    })?;
    let plan = read_plan(&path).await?;
    let form = form_of(&plan.method).ok_or_else(|| WireError::user("this document cannot be sent"))?;
    let open = lock(&state.documents).get(uri).map(|document| document.text.clone());
    let text = match open {
        Some(text) => text,
        None => tokio::fs::read_to_string(&path).await.map_err(|e| WireError::user(e.to_string()))?,
    };
    if text.len() > MAX_TEXT {
        return Err(WireError::user(format!("the text is over the limit of {MAX_TEXT} bytes")));
    }
    let (fields, body) = parse(&text);
    if body.is_empty() {
        return Err(WireError::user("there is nothing to send yet").hint("write it below the comment"));
    }
    let mut call = Call {
        command: String::new(),
        method: form.method,
        params: plan.params,
        interactive: true,
        bare: false,
        open: None,
        current: None,
    };
    for (name, value) in fields {
        if let Some(name) = form.fields.iter().find(|field| **field == name) {
            call.set(name, value);
        }
    }
    call.set(form.text, body);
    let answer = commands::complete_and_perform(state, call).await?;
    if form.method != "artifact/search" && !answer.is_null() {
        // Sent once: a second time would start a second session.
        let _ = tokio::fs::remove_file(plan_of(&path)).await;
        if form.method == "session/start" {
            state.editor.show(MessageType::INFO, "The session has started").await;
        }
    }
    Ok(answer)
}

async fn read_plan(path: &Path) -> Result<Plan, WireError> {
    let gone = || WireError::user("this document was sent already, or is too old").hint("open a new one");
    let bytes = tokio::fs::read(plan_of(path)).await.map_err(|_| gone())?;
    serde_json::from_slice(&bytes).map_err(|_| gone())
}

/// The document as it is opened: its fields, a hint, room for the text.
fn blank(form: &Form, params: &Map<String, Value>) -> String {
    let mut text = "---\n".to_owned();
    for field in form.fields {
        let value = params.get(*field).and_then(Value::as_str).unwrap_or_default();
        text.push_str(format!("{field}: {value}").trim_end());
        text.push('\n');
    }
    let begun = params.get(form.text).and_then(Value::as_str).unwrap_or_default();
    format!("{text}---\n{HINT_START} {} {HINT_END}\n\n{begun}", form.hint)
}

/// Fields with a value, and the text below them.
fn parse(text: &str) -> (Vec<(String, String)>, String) {
    let text = text.replace("\r\n", "\n");
    let (head, body) = match text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")) {
        Some(split) => split,
        None => ("", text.as_str()),
    };
    let fields = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let body = match body.trim_start().strip_prefix(HINT_START).and_then(|rest| rest.split_once(HINT_END)) {
        Some((_, behind)) => behind,
        None => body,
    };
    (fields, body.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::method_info;
    use serde_json::json;

    #[test]
    fn what_is_written_into_a_blank_form_comes_back() {
        let Value::Object(params) = json!({"worktree": "feat-x", "uri": "file:///w"}) else { panic!() };
        let text = blank(&FORMS[0], &params).replace("provider:", "provider: local")
            + "Say <!-- this -->\r\nhello\n";
        let (fields, body) = parse(&text);
        assert_eq!(fields, [("worktree".into(), "feat-x".into()), ("provider".into(), "local".into())]);
        assert_eq!(body, "Say <!-- this -->\nhello");
    }

    #[test]
    fn a_blank_form_has_no_text_and_a_plain_text_no_fields() {
        for form in FORMS {
            assert!(method_info(form.method).is_some());
            assert_eq!(parse(&blank(form, &Map::new())), (vec![], String::new()));
        }
        assert_eq!(parse("hello: world"), (vec![], "hello: world".into()));
    }
}
