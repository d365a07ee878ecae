//! Open documents whose files somebody changes on the disk: sessions do. Editors with a plugin see to it themselves. In
//! others a document without unsaved changes becomes what the disk has, by `workspace/applyEdit`; of one with unsaved
//! changes the person is told, once for each change, and nothing of it is touched.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tower_lsp::ls_types::MessageType;

use crate::documents::{Document, print};
use crate::state::{State, lock};
use crate::uris;

/// Changes that come together are looked at together, and an editor that reads files again by itself is first.
const SETTLE: Duration = Duration::from_millis(300);
/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// When a file was written, and how long it is.
type Stamp = (SystemTime, u64);

/// What was seen of a file, and told of it.
#[derive(Default)]
struct Seen {
    /// Document's version and file's stamp at the last look.
    at: Option<(i32, Stamp)>,
    told: Option<u64>,
}

pub(crate) async fn follow(state: Arc<State>) {
    state.editor.initialized().await;
    if state.editor.abilities().podium {
        return;
    }
    let mut seen = HashMap::new();
    loop {
        state.files.notified().await;
        // The first look at a document says whether it has unsaved changes, so it is not put off.
        look(&state, &mut seen, false).await;
        let mut settled = std::pin::pin!(tokio::time::sleep(SETTLE));
        loop {
            tokio::select! {
                () = &mut settled => break,
                () = state.files.notified() => look(&state, &mut seen, false).await,
            }
        }
        look(&state, &mut seen, true).await;
    }
}

/// Compares the open documents with their files; `act` says whether anything is done about what differs.
async fn look(state: &Arc<State>, seen: &mut HashMap<String, Seen>, act: bool) {
    let home = state.home();
    let open: Vec<(String, Arc<Document>)> = {
        let documents = lock(&state.documents);
        let uris = documents.uris().filter(|uri| uris::is_source(uri, &home));
        uris.filter_map(|uri| Some((uri.clone(), Arc::clone(documents.get(uri)?)))).collect()
    };
    seen.retain(|uri, _| open.iter().any(|(known, _)| known == uri));
    for (uri, document) in open {
        let Some(path) = uris::to_path(&uri) else { continue };
        let known = seen.entry(uri.clone()).or_default();
        let before = known.at.filter(|(version, _)| *version == document.version).map(|(_, stamp)| stamp);
        let Some((stamp, text)) = changed(path.clone(), before).await else { continue };
        if text == document.text {
            lock(&state.documents).saved(&uri, document.version);
        } else if act {
            differs(state, &uri, &path, &document, &text, known).await;
        } else {
            continue;
        }
        known.at = Some((document.version, stamp));
    }
}

async fn differs(state: &State, uri: &str, path: &Path, document: &Document, text: &str, known: &mut Seen) {
    let abilities = state.editor.abilities();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if document.is_clean() && abilities.apply_edit {
        let edit = document.edit_to(text, abilities.encoding);
        if state.editor.edit(uri, document.version, edit).await {
            lock(&state.documents).given(uri, text);
            return;
        }
    }
    if known.told.replace(print(text)) != Some(print(text)) {
        let what = if document.is_clean() {
            format!("{name} was changed on the disk: read it again")
        } else {
            format!("{name} was changed on the disk while it has unsaved changes here. Yours are untouched")
        };
        state.editor.show(MessageType::WARNING, what).await;
    }
}

/// The text of a file, unless it is as it was, too long, or no text.
async fn changed(path: PathBuf, before: Option<Stamp>) -> Option<(Stamp, String)> {
    let read = move || {
        let meta = fs::metadata(&path).ok().filter(|meta| meta.is_file() && meta.len() <= MAX_BYTES)?;
        let stamp = (meta.modified().ok()?, meta.len());
        if before == Some(stamp) {
            return None;
        }
        Some((stamp, fs::read_to_string(&path).ok()?))
    };
    tokio::task::spawn_blocking(read).await.ok().flatten()
}
