//! What the client said it can do. Nothing else is asked of it.

use serde_json::Value;
use tower_lsp::ls_types::{ClientCapabilities, InitializeParams};

use crate::melody;
use crate::position::Encoding;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub(crate) encoding: Encoding,
    pub(crate) show_document: bool,
    pub(crate) work_done_progress: bool,
    /// Code actions as literals; else they are plain commands.
    pub(crate) code_action_literals: bool,
    /// `workspace/applyEdit`.
    pub(crate) apply_edit: bool,
    /// Edits of a document that name its version.
    pub(crate) versioned_edits: bool,
    /// Completions with places to fill in.
    pub(crate) snippets: bool,
    /// Symbols of a document as a tree; else they are a flat list.
    pub(crate) nested_symbols: bool,
    /// Features for melodies that it can be told of later, for melody files alone.
    pub(crate) melody_later: Vec<&'static str>,
    /// The custom notifications `podium/...`.
    pub(crate) podium: bool,
}

impl Abilities {
    pub(crate) fn of(params: &InitializeParams) -> Self {
        let ClientCapabilities { general, window, text_document, workspace, experimental, .. } =
            &params.capabilities;
        let offered = general.as_ref().and_then(|g| g.position_encodings.as_deref());
        let code_action = text_document.as_ref().and_then(|t| t.code_action.as_ref());
        let completion = text_document.as_ref().and_then(|t| t.completion.as_ref());
        let item = completion.and_then(|c| c.completion_item.as_ref());
        let symbol = text_document.as_ref().and_then(|t| t.document_symbol.as_ref());
        let workspace = workspace.as_ref();
        let edits = workspace.and_then(|w| w.workspace_edit.as_ref());
        Self {
            apply_edit: workspace.and_then(|w| w.apply_edit).unwrap_or_default(),
            versioned_edits: edits.and_then(|e| e.document_changes).unwrap_or_default(),
            encoding: Encoding::negotiate(offered),
            show_document: window.as_ref().and_then(|w| w.show_document.as_ref()).is_some_and(|s| s.support),
            work_done_progress: window.as_ref().and_then(|w| w.work_done_progress).unwrap_or_default(),
            code_action_literals: code_action.is_some_and(|c| c.code_action_literal_support.is_some()),
            snippets: item.and_then(|item| item.snippet_support).unwrap_or_default(),
            nested_symbols: symbol
                .and_then(|symbol| symbol.hierarchical_document_symbol_support)
                .unwrap_or_default(),
            melody_later: melody::dynamic(&params.capabilities),
            podium: announces_podium(experimental.as_ref()),
        }
    }
}

/// `experimental.podium` is `true`, or an object for what may be told beside it later.
fn announces_podium(experimental: Option<&Value>) -> bool {
    match experimental.and_then(|e| e.get("podium")) {
        Some(Value::Bool(announced)) => *announced,
        Some(Value::Object(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn custom_notifications_need_an_announcement() {
        for (experimental, expected) in [
            (json!({"podium": true}), true),
            (json!({"podium": {}}), true),
            (json!({"podium": false}), false),
            (json!({"podium": "yes"}), false),
            (json!({}), false),
            (json!(true), false),
        ] {
            assert_eq!(announces_podium(Some(&experimental)), expected, "{experimental}");
        }
        assert!(!announces_podium(None));
    }
}
