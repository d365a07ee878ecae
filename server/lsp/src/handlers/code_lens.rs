//! `textDocument/codeLens` and `codeLens/resolve`: a lens on each TODO, which gets its command when it is shown.

use std::sync::Arc;

use serde_json::json;
use tower_lsp::ls_types::{CodeLens, CodeLensParams, Command};

use crate::commands::{SEND_SCRATCH, START};
use crate::melody;
use crate::requests::{Spot, Task};
use crate::scratch;
use crate::state::{State, lock};
use crate::todo::todo_of;

/// Lenses in one document; the TODOs behind them are reached by the code action.
const MAX_LENSES: usize = 200;

pub(crate) fn code_lens(state: &Arc<State>, params: &CodeLensParams) -> Vec<CodeLens> {
    let uri = params.text_document.uri.as_str();
    let encoding = state.editor.abilities().encoding;
    let documents = lock(&state.documents);
    let Some(document) = documents.get(uri) else { return Vec::new() };
    if scratch::is_scratch(state, uri) {
        let argument = json!({ "uri": uri, "interactive": true });
        let command =
            Command::new("Send to Podium".to_owned(), SEND_SCRATCH.to_owned(), Some(vec![argument]));
        return vec![CodeLens {
            range: document.line_range(0, encoding),
            command: Some(command),
            data: None,
        }];
    }
    let mut lenses = Vec::new();
    if melody::format_of(uri).is_some() {
        lenses = super::melody::lenses(uri, document.line_range(0, encoding));
    }
    let todos = (0..document.line_count())
        .filter(|line| todo_of(document.line(*line)).is_some())
        .take(MAX_LENSES)
        .map(|line| CodeLens {
            range: document.line_range(line, encoding),
            command: None,
            data: Some(json!({ "uri": uri })),
        });
    lenses.extend(todos);
    lenses
}

pub(crate) async fn resolve_code_lens(state: &Arc<State>, mut lens: CodeLens) -> CodeLens {
    let Some(uri) = lens.data.as_ref().and_then(|data| data["uri"].as_str()).map(str::to_owned) else {
        return lens;
    };
    let Some(document) = lock(&state.documents).get(&uri).cloned() else { return lens };
    let place = state.place_of(&uri).await.ok().flatten();
    let spot = Spot {
        uri: &uri,
        document: &document,
        range: lens.range,
        diagnostics: &[],
        worktree: place.as_deref().map(|p| &p.worktree),
        encoding: state.editor.abilities().encoding,
    };
    let argument = spot.start(Task::Implement);
    lens.command =
        Some(Command::new("Implement with Podium".to_owned(), START.to_owned(), Some(vec![argument])));
    lens
}
