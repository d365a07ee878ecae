//! `initialize`, `initialized`, `shutdown`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tower_lsp::ls_types::{
    CodeActionKind, CodeActionOptions, CodeActionProviderCapability, CodeLensOptions, ExecuteCommandOptions,
    InitializeParams, InitializeResult, OneOf, ServerCapabilities, ServerInfo, TextDocumentSyncCapability,
    TextDocumentSyncKind, TextDocumentSyncOptions, TextDocumentSyncSaveOptions, WorkDoneProgressOptions,
    WorkspaceFoldersServerCapabilities, WorkspaceServerCapabilities,
};

use crate::abilities::Abilities;
use crate::commands;
use crate::melody;
use crate::state::{State, lock};
use crate::tasks;

/// Answers from what it was given: the daemon is not asked, so that an editor starts as fast without one.
pub(crate) fn initialize(state: &Arc<State>, params: InitializeParams) -> InitializeResult {
    let abilities = Abilities::of(&params);
    let mut capabilities = capabilities(&abilities);
    melody::announce(&mut capabilities, &abilities.melody_later);
    *lock(&state.folders) = folders_of(&params);
    state.parent.send_replace(params.process_id);
    tracing::info!(client = params.client_info.as_ref().map(|c| c.name.as_str()), ?abilities, "initialize");
    state.editor.announce(abilities);
    InitializeResult {
        capabilities,
        server_info: Some(ServerInfo {
            name: "podium".to_owned(),
            version: Some(podium_protocol::VERSION.to_owned()),
        }),
        ..Default::default()
    }
}

pub(crate) fn initialized(state: &Arc<State>) {
    state.editor.set_initialized();
    let later = melody::registrations(&state.editor.abilities().melody_later);
    if !later.is_empty() {
        let state = Arc::clone(state);
        // The client's answer is not waited for here: it may want one of ours first.
        tokio::spawn(async move { state.editor.register(later).await });
    }
    tasks::start(state);
}

pub(crate) fn shutdown(state: &Arc<State>) {
    state.shut_down.store(true, Ordering::Release);
    state.subscriptions.end_all();
}

fn folders_of(params: &InitializeParams) -> Vec<String> {
    let named = params.workspace_folders.iter().flatten().map(|folder| folder.uri.as_str().to_owned());
    let folders: Vec<String> = named.collect();
    if !folders.is_empty() {
        return folders;
    }
    #[expect(deprecated, reason = "older clients name their only folder in rootUri")]
    params.root_uri.iter().map(|uri| uri.as_str().to_owned()).collect()
}

fn capabilities(abilities: &Abilities) -> ServerCapabilities {
    ServerCapabilities {
        position_encoding: Some(abilities.encoding.kind()),
        text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::INCREMENTAL),
            save: Some(TextDocumentSyncSaveOptions::Supported(true)),
            ..Default::default()
        })),
        code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
            code_action_kinds: Some(vec![
                CodeActionKind::QUICKFIX,
                CodeActionKind::REFACTOR,
                CodeActionKind::REFACTOR_REWRITE,
            ]),
            ..Default::default()
        })),
        code_lens_provider: Some(CodeLensOptions { resolve_provider: Some(true) }),
        workspace_symbol_provider: Some(OneOf::Left(true)),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: commands::names(),
            work_done_progress_options: WorkDoneProgressOptions::default(),
        }),
        workspace: Some(WorkspaceServerCapabilities {
            workspace_folders: Some(WorkspaceFoldersServerCapabilities {
                supported: Some(true),
                change_notifications: Some(OneOf::Left(true)),
            }),
            file_operations: None,
        }),
        ..Default::default()
    }
}
