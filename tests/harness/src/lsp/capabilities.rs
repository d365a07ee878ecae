//! What editors announce in `initialize`, and which messages they know.

use serde_json::{Value, json};

/// What a client says it can do, and what it understands.
#[derive(Debug, Clone)]
pub struct Capabilities {
    pub(crate) client: &'static str,
    pub(crate) announced: Value,
    pub(crate) knows: &'static [&'static str],
}

/// What every client has to take, whatever it announces.
const BASE: &[&str] = &[
    "textDocument/publishDiagnostics",
    "window/showMessage",
    "window/showMessageRequest",
    "window/logMessage",
    "telemetry/event",
];

/// What Helix 25 handles. It logs an error for every notification beside these, and answers other requests with
/// "method not found".
const HELIX: &[&str] = &[
    "textDocument/publishDiagnostics",
    "window/showMessage",
    "window/logMessage",
    "window/showMessageRequest",
    "window/showDocument",
    "window/workDoneProgress/create",
    "$/progress",
    "workspace/applyEdit",
    "workspace/workspaceFolders",
    "workspace/configuration",
    "workspace/diagnostic/refresh",
    "client/registerCapability",
    "client/unregisterCapability",
];

const VSCODE: &[&str] = &[
    "textDocument/publishDiagnostics",
    "window/showMessage",
    "window/logMessage",
    "window/showMessageRequest",
    "window/showDocument",
    "window/workDoneProgress/create",
    "$/progress",
    "workspace/applyEdit",
    "workspace/workspaceFolders",
    "workspace/configuration",
    "workspace/codeLens/refresh",
    "workspace/diagnostic/refresh",
    "client/registerCapability",
    "client/unregisterCapability",
    "podium/status",
    "podium/event",
    "podium/session/update",
    "podium/progress",
];

impl Capabilities {
    /// A client that announces nothing at all.
    #[must_use]
    pub fn minimal() -> Self {
        Self { client: "minimal", announced: json!({}), knows: BASE }
    }

    /// Helix 25, word for word.
    #[must_use]
    pub fn helix() -> Self {
        Self { client: "helix", announced: helix(), knows: HELIX }
    }

    /// VS Code's language client with Podium's extension.
    #[must_use]
    pub fn vscode() -> Self {
        let announced = json!({
            "general": { "positionEncodings": ["utf-16"] },
            "window": {
                "workDoneProgress": true,
                "showDocument": { "support": true },
                "showMessage": { "messageActionItem": { "additionalPropertiesSupport": true } },
            },
            "workspace": {
                "applyEdit": true, "configuration": true, "workspaceFolders": true,
                "executeCommand": { "dynamicRegistration": true },
                "codeLens": { "refreshSupport": true },
                "symbol": { "dynamicRegistration": true, "resolveSupport": { "properties": ["location.range"] } },
                "diagnostics": { "refreshSupport": true },
            },
            "textDocument": {
                "synchronization": { "dynamicRegistration": true, "didSave": true },
                "codeAction": {
                    "dynamicRegistration": true, "dataSupport": true, "isPreferredSupport": true,
                    "disabledSupport": true, "resolveSupport": { "properties": ["edit"] },
                    "codeActionLiteralSupport": { "codeActionKind": { "valueSet": [
                        "", "quickfix", "refactor", "refactor.extract", "refactor.inline", "refactor.rewrite",
                        "source", "source.organizeImports",
                    ] } },
                },
                "codeLens": { "dynamicRegistration": true, "resolveSupport": { "properties": ["command"] } },
                "publishDiagnostics": { "relatedInformation": true, "versionSupport": false },
            },
            "experimental": { "podium": true },
        });
        Self { client: "Visual Studio Code", announced, knows: VSCODE }
    }

    /// The same client with other position encodings, best first.
    #[must_use]
    pub fn with_encodings(mut self, encodings: &[&str]) -> Self {
        self.announced["general"]["positionEncodings"] = json!(encodings);
        self
    }
}

/// The capabilities in Helix' `initialize` request (its `helix-lsp/src/client.rs`, version 25.07).
fn helix() -> Value {
    json!({
        "workspace": {
            "applyEdit": true,
            "configuration": true,
            "didChangeConfiguration": { "dynamicRegistration": false },
            "didChangeWatchedFiles": { "dynamicRegistration": true, "relativePatternSupport": true },
            "diagnostic": { "refreshSupport": true },
            "executeCommand": { "dynamicRegistration": false },
            "fileOperations": { "didRename": true, "willRename": true },
            "inlayHint": { "refreshSupport": false },
            "symbol": { "dynamicRegistration": false },
            "workspaceEdit": {
                "documentChanges": true,
                "failureHandling": "abort",
                "normalizesLineEndings": false,
                "resourceOperations": ["create", "rename", "delete"],
            },
            "workspaceFolders": true,
        },
        "textDocument": {
            "codeAction": {
                "codeActionLiteralSupport": { "codeActionKind": { "valueSet": [
                    "", "quickfix", "refactor", "refactor.extract", "refactor.inline", "refactor.rewrite",
                    "source", "source.organizeImports", "source.fixAll",
                ] } },
                "dataSupport": true,
                "disabledSupport": true,
                "isPreferredSupport": true,
                "resolveSupport": { "properties": ["edit", "command"] },
            },
            "completion": {
                "completionItem": {
                    "deprecatedSupport": true,
                    "insertReplaceSupport": true,
                    "resolveSupport": { "properties": ["documentation", "detail", "additionalTextEdits"] },
                    "snippetSupport": true,
                    "tagSupport": { "valueSet": [1] },
                },
                "completionItemKind": {},
            },
            "diagnostic": { "dynamicRegistration": false, "relatedDocumentSupport": true },
            "formatting": { "dynamicRegistration": false },
            "hover": { "contentFormat": ["markdown"] },
            "inlayHint": { "dynamicRegistration": false },
            "publishDiagnostics": { "tagSupport": { "valueSet": [1, 2] }, "versionSupport": true },
            "rename": { "dynamicRegistration": false, "honorsChangeAnnotations": false, "prepareSupport": true },
            "signatureHelp": { "signatureInformation": {
                "activeParameterSupport": true,
                "documentationFormat": ["markdown"],
                "parameterInformation": { "labelOffsetSupport": true },
            } },
        },
        "window": { "showDocument": { "support": true }, "workDoneProgress": true },
        "general": { "positionEncodings": ["utf-8", "utf-32", "utf-16"] },
    })
}
