//! What an editor asks about melodies: `textDocument/completion`, `hover`, `definition`, `references`, `rename`,
//! `prepareRename`, `documentSymbol`, `formatting`, `foldingRange`. Every other document has no answer here.

use std::collections::HashMap;
use std::sync::Arc;

use podium_melody::Span;
use podium_protocol::WireError;
use serde_json::json;
use tower_lsp::ls_types::{
    CodeLens, Command, CompletionItem, DocumentSymbol, DocumentSymbolResponse, FoldingRange, Hover, Location,
    PrepareRenameResponse, SymbolInformation, TextDocumentPositionParams, TextEdit, Uri, WorkspaceEdit,
};

use crate::commands;
use crate::melody::{self, Named, Reading};
use crate::position::Encoding;
use crate::state::State;

pub(crate) async fn completion(
    state: &Arc<State>,
    at: &TextDocumentPositionParams,
) -> Option<Vec<CompletionItem>> {
    let reading = melody::reading(state, at.text_document.uri.as_str()).await?;
    let abilities = state.editor.abilities();
    Some(melody::completions(&reading, at.position, abilities.encoding, abilities.snippets))
}

pub(crate) async fn hover(state: &Arc<State>, at: &TextDocumentPositionParams) -> Option<Hover> {
    let reading = melody::reading(state, at.text_document.uri.as_str()).await?;
    melody::hover(&reading, at.position, state.editor.abilities().encoding)
}

/// Where the node or input is made whose name stands here.
pub(crate) async fn definition(state: &Arc<State>, at: &TextDocumentPositionParams) -> Option<Location> {
    let found = found(state, at).await?;
    let (span, _) = found.places().into_iter().find(|(_, made)| *made)?;
    Some(found.location(&at.text_document.uri, &span))
}

pub(crate) async fn references(
    state: &Arc<State>,
    at: &TextDocumentPositionParams,
    declaration: bool,
) -> Option<Vec<Location>> {
    let found = found(state, at).await?;
    let places = found.places().into_iter().filter(|(_, made)| declaration || !made);
    Some(places.map(|(span, _)| found.location(&at.text_document.uri, &span)).collect())
}

pub(crate) async fn prepare_rename(
    state: &Arc<State>,
    at: &TextDocumentPositionParams,
) -> Option<PrepareRenameResponse> {
    let found = found(state, at).await?;
    Some(PrepareRenameResponse::Range(found.reading.document.range_of(&found.span, found.encoding)))
}

/// Renames a node or an input everywhere.
///
/// # Errors
/// `user` for a name that cannot be one, or that something else has.
pub(crate) async fn rename(
    state: &Arc<State>,
    at: &TextDocumentPositionParams,
    new: &str,
) -> Result<Option<WorkspaceEdit>, WireError> {
    let Some(found) = found(state, at).await else { return Ok(None) };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if new.is_empty() || new.len() > 128 || !new.chars().all(fits) {
        return Err(WireError::user("a name has 1 to 128 letters, digits, `_` and `-`"));
    }
    let taken = found.reading.read.melody.as_ref().is_some_and(|melody| match &found.named {
        Named::Node(_) => melody.nodes.iter().any(|node| node.id == new),
        Named::Input(_) => melody.inputs.contains_key(new),
    });
    if taken && found.named.name() != new {
        return Err(WireError::conflict(format!("`{new}` is there already")));
    }
    let edit = |(span, _): (Span, bool)| {
        TextEdit::new(found.reading.document.range_of(&span, found.encoding), new.to_owned())
    };
    let edits = found.places().into_iter().map(edit).collect();
    Ok(Some(WorkspaceEdit {
        changes: Some(HashMap::from([(at.text_document.uri.clone(), edits)])),
        ..Default::default()
    }))
}

pub(crate) async fn document_symbol(state: &Arc<State>, uri: &Uri) -> Option<DocumentSymbolResponse> {
    let reading = melody::reading(state, uri.as_str()).await?;
    let abilities = state.editor.abilities();
    let symbols = melody::symbols(&reading, abilities.encoding);
    if abilities.nested_symbols {
        return Some(DocumentSymbolResponse::Nested(symbols));
    }
    #[expect(deprecated, reason = "the field has to be there")]
    let flat = |symbol: DocumentSymbol| SymbolInformation {
        name: symbol.name,
        kind: symbol.kind,
        tags: None,
        deprecated: None,
        location: Location { uri: uri.clone(), range: symbol.range },
        container_name: None,
    };
    Some(DocumentSymbolResponse::Flat(symbols.into_iter().map(flat).collect()))
}

/// The one edit that lays the document out; none where it cannot be read.
pub(crate) async fn formatting(state: &Arc<State>, uri: &Uri) -> Option<Vec<TextEdit>> {
    let reading = melody::reading(state, uri.as_str()).await?;
    let encoding = state.editor.abilities().encoding;
    let formatted = tokio::task::spawn_blocking(move || {
        let text = podium_melody::format(&reading.document.text, reading.format).ok()?;
        Some(if text == reading.document.text {
            Vec::new()
        } else {
            vec![reading.document.edit_to(&text, encoding)]
        })
    });
    formatted.await.ok()?
}

pub(crate) async fn folding_range(state: &Arc<State>, uri: &Uri) -> Option<Vec<FoldingRange>> {
    let reading = melody::reading(state, uri.as_str()).await?;
    Some(melody::folds(&reading, state.editor.abilities().encoding))
}

/// What can be done with a melody, on its first line.
pub(crate) fn lenses(uri: &str, range: tower_lsp::ls_types::Range) -> Vec<CodeLens> {
    let lens = |title: &str, command: &str| {
        let argument = json!({ "uri": uri, "interactive": true });
        let command = Command::new(title.to_owned(), command.to_owned(), Some(vec![argument]));
        CodeLens { range, command: Some(command), data: None }
    };
    let known = commands::names();
    [("Run", commands::RUN_MELODY), ("Validate", commands::VALIDATE_MELODY)]
        .into_iter()
        .filter(|(_, command)| known.iter().any(|known| known == command))
        .map(|(title, command)| lens(title, command))
        .collect()
}

/// A name that stands somewhere.
struct Found {
    reading: Arc<Reading>,
    named: Named,
    span: Span,
    encoding: Encoding,
}

impl Found {
    fn places(&self) -> Vec<(Span, bool)> {
        melody::occurrences(&self.reading, &self.named)
    }

    fn location(&self, uri: &Uri, span: &Span) -> Location {
        Location { uri: uri.clone(), range: self.reading.document.range_of(span, self.encoding) }
    }
}

async fn found(state: &Arc<State>, at: &TextDocumentPositionParams) -> Option<Found> {
    let reading = melody::reading(state, at.text_document.uri.as_str()).await?;
    let encoding = state.editor.abilities().encoding;
    let (named, span) = melody::named_at(&reading, at.position, encoding)?;
    Some(Found { reading, named, span, encoding })
}
