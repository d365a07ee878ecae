//! `textDocument/codeAction`: what an agent can be asked about a selection.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tower_lsp::ls_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeActionParams, Command, Diagnostic,
};

use crate::commands::{ASK, SEND_SCRATCH, START};
use crate::places::{Place, Standing};
use crate::requests::{Spot, Task};
use crate::scratch;
use crate::state::{State, lock};

/// Longest wait for the daemon: an editor asks at every move of the cursor.
const PLACE_TIMEOUT: Duration = Duration::from_millis(150);

/// A code action before it has the form that the client takes.
struct Offer {
    title: String,
    kind: CodeActionKind,
    command: &'static str,
    argument: Value,
    diagnostics: Option<Vec<Diagnostic>>,
}

pub(crate) async fn code_action(state: &Arc<State>, params: CodeActionParams) -> Vec<CodeActionOrCommand> {
    let uri = params.text_document.uri.as_str().to_owned();
    // Taken before the first await: later changes of the text belong to later requests.
    let Some(document) = lock(&state.documents).get(&uri).cloned() else { return Vec::new() };
    let offers = if scratch::is_scratch(state, &uri) {
        vec![send_offer(&uri)]
    } else {
        let place = tokio::time::timeout(PLACE_TIMEOUT, state.place_of(&uri))
            .await
            .ok()
            .and_then(Result::ok)
            .flatten();
        // Our own hint about a claim is nothing to fix.
        let diagnostics: Vec<Diagnostic> = params
            .context
            .diagnostics
            .into_iter()
            .filter(|d| d.source.as_deref() != Some("podium"))
            .collect();
        let spot = Spot {
            uri: &uri,
            document: &document,
            range: params.range,
            diagnostics: &diagnostics,
            worktree: place.as_deref().map(|p| &p.worktree),
            encoding: state.editor.abilities().encoding,
        };
        Task::ALL
            .into_iter()
            .filter(|task| spot.offers(*task))
            .map(|task| offer(task, &spot, place.as_deref()))
            .collect()
    };
    let literals = state.editor.abilities().code_action_literals;
    let only = params.context.only;
    offers
        .into_iter()
        .filter(|offer| wanted(&offer.kind, only.as_deref()))
        .map(|offer| form(offer, literals))
        .collect()
}

fn offer(task: Task, spot: &Spot<'_>, place: Option<&Place>) -> Offer {
    let (what, kind) = match task {
        Task::Explain => ("Explain", CodeActionKind::EMPTY),
        Task::Fix if spot.diagnostics.len() == 1 => ("Fix this diagnostic", CodeActionKind::QUICKFIX),
        Task::Fix => ("Fix these diagnostics", CodeActionKind::QUICKFIX),
        Task::Implement => ("Implement this TODO", CodeActionKind::REFACTOR_REWRITE),
        Task::Tests => ("Write tests", CodeActionKind::REFACTOR),
        Task::Ask => ("Ask about this", CodeActionKind::EMPTY),
    };
    let held = if task.writes() { place.and_then(held_by).unwrap_or_default() } else { String::new() };
    Offer {
        title: format!("Podium: {what}{held}"),
        kind,
        command: if task == Task::Ask { ASK } else { START },
        argument: spot.start(task),
        diagnostics: (task == Task::Fix).then(|| spot.diagnostics.to_vec()),
    }
}

/// ` (feat-x is held by claude-1)`
fn held_by(place: &Place) -> Option<String> {
    let claim = place.foreign_claim()?;
    let gone = if place.standing == Standing::Dead { ", which is gone" } else { "" };
    Some(format!(" ({} is held by {}{gone})", place.worktree.name, claim.agent_id))
}

fn send_offer(uri: &str) -> Offer {
    Offer {
        title: "Send to Podium".to_owned(),
        kind: CodeActionKind::QUICKFIX,
        command: SEND_SCRATCH,
        argument: json!({ "uri": uri, "interactive": true }),
        diagnostics: None,
    }
}

/// A kind is wanted when nothing else is asked for, or one of its parents.
fn wanted(kind: &CodeActionKind, only: Option<&[CodeActionKind]>) -> bool {
    only.is_none_or(|only| {
        only.iter().any(|asked| {
            let rest = kind.as_str().strip_prefix(asked.as_str());
            asked.as_str().is_empty() || rest.is_some_and(|r| r.is_empty() || r.starts_with('.'))
        })
    })
}

fn form(offer: Offer, literals: bool) -> CodeActionOrCommand {
    let Offer { title, kind, command, argument, diagnostics } = offer;
    let command = Command::new(title.clone(), command.to_owned(), Some(vec![argument]));
    if !literals {
        return CodeActionOrCommand::Command(command);
    }
    CodeActionOrCommand::CodeAction(CodeAction {
        title,
        kind: Some(kind),
        diagnostics,
        command: Some(command),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kinds_below_the_asked_ones_are_wanted() {
        let only = [CodeActionKind::REFACTOR];
        assert!(wanted(&CodeActionKind::REFACTOR_REWRITE, Some(&only)));
        assert!(wanted(&CodeActionKind::REFACTOR, Some(&only)));
        assert!(!wanted(&CodeActionKind::QUICKFIX, Some(&only)));
        assert!(!wanted(&CodeActionKind::EMPTY, Some(&only)));
        assert!(!wanted(&CodeActionKind::new("refactoring"), Some(&only)));
        assert!(wanted(&CodeActionKind::QUICKFIX, None));
        assert!(wanted(&CodeActionKind::QUICKFIX, Some(&[CodeActionKind::EMPTY])));
    }
}
