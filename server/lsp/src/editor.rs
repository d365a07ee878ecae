//! The way to the editor: what is sent to it, only what it announced, and never before `initialized`.

use std::collections::HashMap;
use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tower_lsp::Client;
use tower_lsp::ls_types::notification::{self, Notification};
use tower_lsp::ls_types::{
    Diagnostic, DocumentChanges, MessageActionItem, MessageType, OneOf,
    OptionalVersionedTextDocumentIdentifier, ProgressParams, ProgressParamsValue, ProgressToken,
    Registration, ShowDocumentParams, TextDocumentEdit, TextEdit, Uri, WorkDoneProgress, WorkspaceEdit,
};

use crate::abilities::Abilities;
use crate::transport::WayOut;

/// Longest wait for a person's choice.
const PERSON_TIMEOUT: Duration = Duration::from_secs(300);
/// Longest wait for an answer that the editor gives by itself.
const EDITOR_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Editor {
    client: Client,
    /// The way out, for what many come of: straight into the queue, and past the service's own.
    out: WayOut,
    abilities: OnceLock<Abilities>,
    initialized: watch::Sender<bool>,
}

/// A notification as it goes over the wire.
#[derive(Serialize)]
struct Custom<P> {
    jsonrpc: &'static str,
    method: &'static str,
    params: P,
}

impl Editor {
    pub(crate) fn new(client: Client, out: WayOut) -> Self {
        Self { client, out, abilities: OnceLock::new(), initialized: watch::Sender::new(false) }
    }

    pub(crate) fn announce(&self, abilities: Abilities) {
        let _ = self.abilities.set(abilities);
    }

    /// What the client can do; nothing before `initialize`.
    pub(crate) fn abilities(&self) -> Abilities {
        self.abilities.get().cloned().unwrap_or_default()
    }

    pub(crate) fn set_initialized(&self) {
        self.initialized.send_replace(true);
    }

    pub(crate) async fn initialized(&self) {
        if !*self.initialized.borrow() {
            let _ = self.initialized.subscribe().wait_for(|ready| *ready).await;
        }
    }

    pub(crate) async fn show(&self, kind: MessageType, message: impl std::fmt::Display) {
        self.initialized().await;
        self.client.show_message(kind, message).await;
    }

    pub(crate) async fn log(&self, kind: MessageType, message: impl std::fmt::Display) {
        self.initialized().await;
        self.client.log_message(kind, message).await;
    }

    /// Has the person choose; the index of the choice, `None` without one.
    pub(crate) async fn choose(&self, question: &str, options: &[String]) -> Option<usize> {
        let actions = options
            .iter()
            .map(|o| MessageActionItem { title: o.clone(), properties: HashMap::new() })
            .collect();
        let request = self.client.show_message_request(MessageType::INFO, question, Some(actions));
        let chosen = self.answer(PERSON_TIMEOUT, request).await??;
        options.iter().position(|option| *option == chosen.title)
    }

    /// As [`Editor::choose`], for as long as it takes: whoever asks ends it.
    pub(crate) async fn ask(&self, question: &str, options: &[String]) -> Option<usize> {
        let action = |title: &String| MessageActionItem { title: title.clone(), properties: HashMap::new() };
        let actions = options.iter().map(action).collect();
        self.initialized().await;
        let asked = self.client.show_message_request(MessageType::INFO, question, Some(actions)).await;
        let chosen = asked.ok()??;
        options.iter().position(|option| *option == chosen.title)
    }

    /// Opens a file in the editor. False where it cannot or did not.
    pub(crate) async fn show_document(&self, uri: &str) -> bool {
        if !self.abilities().show_document {
            return false;
        }
        let Ok(uri) = uri.parse::<Uri>() else { return false };
        let params =
            ShowDocumentParams { uri, external: Some(false), take_focus: Some(true), selection: None };
        self.answer(EDITOR_TIMEOUT, self.client.show_document(params)).await.unwrap_or_default()
    }

    /// Has the editor change a document, if it is still of this version. False where it cannot or did not.
    pub(crate) async fn edit(&self, uri: &str, version: i32, edit: TextEdit) -> bool {
        let Ok(uri) = uri.parse::<Uri>() else { return false };
        let edit = if self.abilities().versioned_edits {
            let text_document = OptionalVersionedTextDocumentIdentifier { uri, version: Some(version) };
            let edits = vec![OneOf::Left(edit)];
            let changes = DocumentChanges::Edits(vec![TextDocumentEdit { text_document, edits }]);
            WorkspaceEdit { document_changes: Some(changes), ..Default::default() }
        } else {
            WorkspaceEdit { changes: Some(HashMap::from([(uri, vec![edit])])), ..Default::default() }
        };
        self.answer(EDITOR_TIMEOUT, self.client.apply_edit(edit)).await.is_some_and(|answer| answer.applied)
    }

    /// Makes a place for progress. False where the client shows none.
    pub(crate) async fn create_progress(&self, token: &ProgressToken) -> bool {
        self.abilities().work_done_progress
            && self
                .answer(EDITOR_TIMEOUT, self.client.create_work_done_progress(token.clone()))
                .await
                .is_some()
    }

    pub(crate) async fn progress(&self, token: &ProgressToken, value: WorkDoneProgress) {
        let params = ProgressParams { token: token.clone(), value: ProgressParamsValue::WorkDone(value) };
        self.notify::<notification::Progress>(params).await;
    }

    /// Tells the client of features that it can be told of later.
    pub(crate) async fn register(&self, registrations: Vec<Registration>) {
        let _ = self.answer(EDITOR_TIMEOUT, self.client.register_capability(registrations)).await;
    }

    pub(crate) async fn publish(&self, uri: &str, diagnostics: Vec<Diagnostic>) {
        let Ok(uri) = uri.parse::<Uri>() else { return };
        self.initialized().await;
        self.client.publish_diagnostics(uri, diagnostics, None).await;
    }

    /// Sends a custom notification, to clients that announced them.
    pub(crate) async fn announce_custom<N: Notification>(&self, params: N::Params) {
        if self.takes_custom() {
            self.initialized().await;
            // A client that is gone is told nothing.
            let _ = self.out.send(&Custom { jsonrpc: "2.0", method: N::METHOD, params }).await;
        }
    }

    fn takes_custom(&self) -> bool {
        self.abilities.get().is_some_and(|abilities| abilities.podium)
    }

    async fn notify<N: Notification>(&self, params: N::Params) {
        self.initialized().await;
        self.client.send_notification::<N>(params).await;
    }

    async fn answer<T>(
        &self,
        timeout: Duration,
        request: impl Future<Output = tower_lsp::jsonrpc::Result<T>>,
    ) -> Option<T> {
        self.initialized().await;
        match tokio::time::timeout(timeout, request).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the client refused a request");
                None
            }
            Err(_) => {
                tracing::debug!("the client did not answer in time");
                None
            }
        }
    }
}
