//! `textDocument/didOpen`, `didChange`, `didSave`, `didClose`.

use std::sync::Arc;

use tower_lsp::ls_types::{
    DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams,
    DidSaveTextDocumentParams, TextDocumentItem,
};

use crate::melody;
use crate::state::{State, lock};

pub(crate) fn did_open(state: &Arc<State>, params: DidOpenTextDocumentParams) {
    let TextDocumentItem { uri, language_id, version, text } = params.text_document;
    lock(&state.documents).open(uri.as_str().to_owned(), language_id, version, text);
    state.changed.notify_one();
    state.melodies.notify_one();
    // An editor may open a file with changes that it had kept: only the disk says that there are none.
    state.files.notify_one();
}

pub(crate) fn did_change(state: &Arc<State>, params: DidChangeTextDocumentParams) {
    let encoding = state.editor.abilities().encoding;
    let document = params.text_document;
    lock(&state.documents).change(document.uri.as_str(), document.version, params.content_changes, encoding);
    if melody::format_of(document.uri.as_str()).is_some() {
        state.melodies.notify_one();
    }
}

pub(crate) fn did_save(state: &Arc<State>, params: &DidSaveTextDocumentParams) {
    let uri = params.text_document.uri.as_str();
    let mut documents = lock(&state.documents);
    if let Some(version) = documents.get(uri).map(|document| document.version) {
        documents.saved(uri, version);
    }
}

pub(crate) fn did_close(state: &Arc<State>, params: DidCloseTextDocumentParams) {
    lock(&state.documents).close(params.text_document.uri.as_str());
    melody::forget(state, params.text_document.uri.as_str());
    state.melodies.notify_one();
    state.changed.notify_one();
}
