//! Diagnostics of open documents (who else holds the worktree, which lines another one changes too) and the status
//! line: all follow what changes.

use std::sync::Arc;
use std::time::Duration;

use podium_protocol::StatusLine;
use tower_lsp::ls_types::{Diagnostic, DiagnosticSeverity, NumberOrString, Position, Range};

use crate::notifications::PodiumStatus;
use crate::places::{Place, Standing};
use crate::radar::{self, Shown};
use crate::shown::Part;
use crate::state::{State, lock};
use crate::uris;

/// Changes that come together are shown together.
const SETTLE: Duration = Duration::from_millis(20);

pub(crate) async fn keep(state: Arc<State>) {
    let mut status = None;
    loop {
        state.changed.notified().await;
        tokio::time::sleep(SETTLE).await;
        refresh_hints(&state).await;
        if state.editor.abilities().podium {
            refresh_status(&state, &mut status).await;
        }
    }
}

/// Publishes the hints that differ from what the editor shows.
async fn refresh_hints(state: &Arc<State>) {
    let home = state.home();
    let open: Vec<String> = lock(&state.documents).uris().cloned().collect();
    state.clear_diagnostics(&open).await;
    for uri in open.into_iter().filter(|uri| uris::is_source(uri, &home)) {
        // While the daemon is away, what was last known stays.
        let Ok(place) = state.place_of(&uri).await else { continue };
        let mut diagnostics: Vec<Diagnostic> = place.as_deref().and_then(hint).into_iter().collect();
        if let Some(place) = place.as_deref() {
            diagnostics.extend(conflicts(state, &uri, place).await);
        }
        if lock(&state.documents).get(&uri).is_some() {
            state.show_diagnostics(&uri, Part::Hints, diagnostics).await;
        }
    }
}

/// Lines of a document that another worktree changes too.
async fn conflicts(state: &Arc<State>, uri: &str, place: &Place) -> Vec<Diagnostic> {
    let pairs = radar::conflicts(state, &place.worktree);
    if pairs.is_empty() {
        return Vec::new();
    }
    let Some(document) = lock(&state.documents).get(uri).cloned() else { return Vec::new() };
    let Some(path) = uris::to_path(uri) else { return Vec::new() };
    let (worktree, encoding) = (place.worktree.clone(), state.editor.abilities().encoding);
    let look = move || {
        let shown = Shown { path, worktree: &worktree, document: &document, encoding };
        radar::diagnostics(&shown, &pairs)
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

/// Says who holds the worktree, on the first line. Times are left out: they would make every refresh a change.
fn hint(place: &Place) -> Option<Diagnostic> {
    let (name, claim) = (&place.worktree.name, place.foreign_claim()?);
    let message = match place.standing {
        Standing::Dead => {
            format!("Worktree {name} was claimed by {}, which is gone: it can be taken over", claim.agent_id)
        }
        _ => format!("Worktree {name} is claimed by {} since {}", claim.agent_id, claim.since),
    };
    Some(Diagnostic {
        range: Range::new(Position::new(0, 0), Position::new(0, 0)),
        severity: Some(DiagnosticSeverity::INFORMATION),
        code: Some(NumberOrString::String("claimed".to_owned())),
        source: Some("podium".to_owned()),
        message,
        ..Default::default()
    })
}

async fn refresh_status(state: &State, shown: &mut Option<StatusLine>) {
    let line = state.status_line(None).await;
    // The text holds an age; what else is in it is in the other fields.
    let same =
        shown.as_ref().is_some_and(|old| StatusLine { text: line.text.clone(), ..old.clone() } == line);
    if !same {
        *shown = Some(line.clone());
        state.editor.announce_custom::<PodiumStatus>(line).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::{Alive, ClaimInfo, RepoRef, Worktree, WorktreeState};

    fn place(standing: Standing) -> Place {
        let claim = (standing != Standing::Free).then(|| ClaimInfo {
            agent_id: "claude-1".into(),
            host: "h".into(),
            pid: None,
            since: "2026-01-01T00:00:00Z".into(),
            token: 1,
            alive: Alive::Unknown,
            session: None,
        });
        let worktree = Worktree {
            id: "w".into(),
            repo: RepoRef { id: "r".into(), root: "/r".into() },
            name: "feat-x".into(),
            path: "/r/feat-x".into(),
            path_bytes: None,
            branch: None,
            kind: "feat".into(),
            trunk: false,
            pr: None,
            claim,
            status: None,
            last_commit: None,
            conflicts_with: vec![],
            state: WorktreeState::Ready,
        };
        Place { worktree, standing }
    }

    #[test]
    fn only_somebody_else_s_worktree_has_a_hint() {
        assert_eq!(hint(&place(Standing::Free)), None);
        assert_eq!(hint(&place(Standing::Mine)), None);
        assert!(hint(&place(Standing::Other)).unwrap().message.contains("claimed by claude-1"));
        assert!(hint(&place(Standing::Dead)).unwrap().message.contains("gone"));
    }
}
