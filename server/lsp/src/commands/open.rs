//! Shows in the editor what a command gave: a file of another worktree, a transcript, an artifact.

use std::path::Path;
use std::sync::Arc;

use podium_protocol::{
    ArtifactGet, ArtifactGetParams, ArtifactHits, SessionShow, SessionShowParams, SessionShown, WireError,
    WorktreeSwitched,
};
use serde_json::{Value, json};
use tower_lsp::ls_types::MessageType;

use crate::state::State;
use crate::{transcript, uris, views};

/// Pages of a transcript that are put into one file.
const MAX_PAGES: usize = 8;
/// Hits the person chooses from.
const MAX_HITS: usize = 9;

/// Opens the same file in the other worktree. Editors open files only, so that without one its place is told.
pub(crate) async fn worktree(state: &Arc<State>, answer: &Value) {
    let Ok(switched) = serde_json::from_value::<WorktreeSwitched>(answer.clone()) else { return };
    let opened = match &switched.uri {
        Some(uri) => state.editor.show_document(uri).await,
        None => false,
    };
    if !opened {
        let place = switched.uri.as_deref().and_then(uris::to_path);
        let place = place.map_or(switched.worktree.path, |path| path.display().to_string());
        state.editor.show(MessageType::INFO, format!("{} is at {place}", switched.worktree.name)).await;
    }
}

/// Writes the transcript to a read-only file and opens it; `path` and `uri` of the answer say where it is.
pub(crate) async fn transcript(state: &Arc<State>, answer: &mut Value) -> Result<(), WireError> {
    let first: SessionShown =
        serde_json::from_value(answer.clone()).map_err(|e| WireError::internal(e.to_string()))?;
    let (mut items, mut more) = (first.items, first.more);
    for _ in 1..MAX_PAGES {
        let Some(last) = items.last().filter(|_| more) else { break };
        let params = SessionShowParams { id: Some(first.session.id.clone()), from_seq: Some(last.seq) };
        let next = state.daemon.call::<SessionShow>(params).await?;
        more = next.more;
        items.extend(next.items);
    }
    let text = transcript::render(&first.session, &items, more);
    let path = views::write(state, "sessions", &first.session.id, text).await?;
    answer["path"] = json!(path);
    answer["uri"] = json!(uris::from_path(&path));
    open_file(state, &path, "The transcript").await;
    Ok(())
}

pub(crate) async fn artifact(state: &Arc<State>, answer: &Value) {
    if let Some(path) = answer["path"].as_str() {
        open_file(state, Path::new(path), "The artifact").await;
    }
}

/// Lets the person choose one of the hits and opens it.
pub(crate) async fn hit(state: &Arc<State>, answer: &Value) -> Result<(), WireError> {
    let hits = serde_json::from_value::<ArtifactHits>(answer.clone()).map(|a| a.hits).unwrap_or_default();
    if hits.is_empty() {
        state.editor.show(MessageType::INFO, "No artifact matches").await;
        return Ok(());
    }
    let labels: Vec<String> = hits
        .iter()
        .take(MAX_HITS)
        .enumerate()
        .map(|(n, hit)| format!("{}. {} ({})", n + 1, hit.title, hit.kind))
        .collect();
    let Some(chosen) = state.editor.choose("Which artifact to open?", &labels).await else { return Ok(()) };
    let params = ArtifactGetParams { id: hits[chosen].id.clone() };
    let content = state.daemon.call::<ArtifactGet>(params).await?;
    open_file(state, Path::new(&content.path), "The artifact").await;
    Ok(())
}

/// Opens a file, or says where it is.
pub(crate) async fn open_file(state: &Arc<State>, path: &Path, what: &str) {
    let opened = match uris::from_path(path) {
        Some(uri) => state.editor.show_document(&uri).await,
        None => false,
    };
    if !opened {
        state.editor.show(MessageType::INFO, format!("{what} is in {}", path.display())).await;
    }
}
