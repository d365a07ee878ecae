//! The diagnostics that the editor shows. Whoever publishes replaces all of a document: so its parts come together
//! here.

use std::collections::HashMap;

use tokio::sync::Mutex;
use tower_lsp::ls_types::Diagnostic;

use crate::state::State;

/// Who says something about a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Who else holds the worktree, and which lines another one changes.
    Hints,
    /// Faults of a melody.
    Melody,
}

#[derive(Default)]
pub(crate) struct Shown {
    by_uri: Mutex<HashMap<String, [Vec<Diagnostic>; 2]>>,
}

impl State {
    /// Shows what one part says now, beside what the other said; nothing is sent where nothing changed.
    pub(crate) async fn show_diagnostics(&self, uri: &str, part: Part, diagnostics: Vec<Diagnostic>) {
        let mut shown = self.shown.by_uri.lock().await;
        let parts = shown.entry(uri.to_owned()).or_default();
        let slot = &mut parts[part as usize];
        if *slot == diagnostics {
            if parts.iter().all(Vec::is_empty) {
                shown.remove(uri);
            }
            return;
        }
        *slot = diagnostics;
        let all = parts.concat();
        if all.is_empty() {
            shown.remove(uri);
        }
        // Published under the lock, so that what is newer is never overtaken.
        self.editor.publish(uri, all).await;
    }

    /// Takes back what is shown of documents that are not open any more.
    pub(crate) async fn clear_diagnostics(&self, open: &[String]) {
        let mut shown = self.shown.by_uri.lock().await;
        let closed: Vec<String> = shown.keys().filter(|uri| !open.contains(uri)).cloned().collect();
        for uri in closed {
            shown.remove(&uri);
            self.editor.publish(&uri, Vec::new()).await;
        }
    }
}
