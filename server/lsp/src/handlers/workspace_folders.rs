//! `workspace/didChangeWorkspaceFolders`.

use std::sync::Arc;

use tower_lsp::ls_types::DidChangeWorkspaceFoldersParams;

use crate::state::{State, lock};

pub(crate) fn did_change_folders(state: &Arc<State>, params: DidChangeWorkspaceFoldersParams) {
    let mut folders = lock(&state.folders);
    folders.retain(|folder| params.event.removed.iter().all(|removed| removed.uri.as_str() != folder));
    for added in params.event.added {
        let uri = added.uri.as_str().to_owned();
        if !folders.contains(&uri) {
            folders.push(uri);
        }
    }
    drop(folders);
    state.changed.notify_one();
}
