//! What editors may ask about melodies. Where a client can be told later, it is told for melody files alone: a
//! formatter or completion for every file would stand in the way of the language's own.

use serde_json::{Value, json};
use tower_lsp::ls_types::{
    ClientCapabilities, CompletionOptions, FoldingRangeProviderCapability, HoverProviderCapability, OneOf,
    Registration, RenameOptions, ServerCapabilities, WorkDoneProgressOptions,
};

/// Method of each feature, and its name among the client's capabilities.
const FEATURES: [(&str, &str); 8] = [
    ("textDocument/completion", "completion"),
    ("textDocument/hover", "hover"),
    ("textDocument/definition", "definition"),
    ("textDocument/references", "references"),
    ("textDocument/rename", "rename"),
    ("textDocument/documentSymbol", "documentSymbol"),
    ("textDocument/formatting", "formatting"),
    ("textDocument/foldingRange", "foldingRange"),
];
const TRIGGERS: [&str; 4] = [".", "\"", "{", "<"];

/// The features that a client can be told of later.
pub(crate) fn dynamic(capabilities: &ClientCapabilities) -> Vec<&'static str> {
    let document = serde_json::to_value(&capabilities.text_document).unwrap_or_default();
    let told = |name: &str| document[name]["dynamicRegistration"] == Value::Bool(true);
    FEATURES.iter().filter(|(_, name)| told(name)).map(|(method, _)| *method).collect()
}

/// Tells a client of these features, for melody files.
pub(crate) fn registrations(methods: &[&'static str]) -> Vec<Registration> {
    let selector = json!([{ "pattern": "**/*.melody.toml" }, { "pattern": "**/*.melody.json" }]);
    let registration = |method: &&'static str| {
        let mut options = json!({ "documentSelector": selector });
        match *method {
            "textDocument/completion" => options["triggerCharacters"] = json!(TRIGGERS),
            "textDocument/rename" => options["prepareProvider"] = json!(true),
            _ => {}
        }
        Registration {
            id: format!("melody/{method}"),
            method: (*method).to_owned(),
            register_options: Some(options),
        }
    };
    methods.iter().map(registration).collect()
}

/// Announces the features that cannot be told of later.
pub(crate) fn announce(capabilities: &mut ServerCapabilities, dynamic: &[&'static str]) {
    let wanted = |method: &str| !dynamic.contains(&method);
    capabilities.completion_provider = wanted("textDocument/completion").then(|| CompletionOptions {
        trigger_characters: Some(TRIGGERS.map(str::to_owned).into()),
        ..Default::default()
    });
    capabilities.hover_provider =
        wanted("textDocument/hover").then_some(HoverProviderCapability::Simple(true));
    capabilities.definition_provider = wanted("textDocument/definition").then_some(OneOf::Left(true));
    capabilities.references_provider = wanted("textDocument/references").then_some(OneOf::Left(true));
    capabilities.rename_provider = wanted("textDocument/rename").then(|| {
        OneOf::Right(RenameOptions {
            prepare_provider: Some(true),
            work_done_progress_options: WorkDoneProgressOptions::default(),
        })
    });
    capabilities.document_symbol_provider =
        wanted("textDocument/documentSymbol").then_some(OneOf::Left(true));
    capabilities.document_formatting_provider =
        wanted("textDocument/formatting").then_some(OneOf::Left(true));
    capabilities.folding_range_provider =
        wanted("textDocument/foldingRange").then_some(FoldingRangeProviderCapability::Simple(true));
}
