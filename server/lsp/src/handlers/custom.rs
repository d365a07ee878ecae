//! The custom methods: `podium/<name>` for every method of the protocol that is not internal, and two of the
//! language server's own.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, LazyLock};

use podium_protocol::{ModelFetch, ModelParams, ModelVerify, StatusLine, UnsubscribeParams, WireError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tower_lsp::LspServiceBuilder;
use tower_lsp::jsonrpc::Result;
use tower_lsp::ls_types::WorkDoneProgressCancelParams;

use crate::commands::remember;
use crate::notifications::{PodiumProgress, ProgressOf};
use crate::server::Server;
use crate::state::{State, lock};
use crate::to_lsp::to_error;
use crate::transport::REQUEST_ID;
use crate::{follow, methods};

/// The custom method of each method. The service wants names that live as long as the program.
static NAMES: LazyLock<HashMap<&'static str, String>> =
    LazyLock::new(|| methods::exposed().map(|m| (m.name, format!("podium/{}", m.name))).collect());

/// `podium/statusLine` and `podium/didFocus`: a file or folder; absent: none.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UriParams {
    #[serde(default)]
    pub(crate) uri: Option<String>,
}

pub(crate) fn register(mut builder: LspServiceBuilder<Server>) -> LspServiceBuilder<Server> {
    for (method, name) in NAMES.iter() {
        let method: &'static str = method;
        builder = builder.custom_method(name.as_str(), move |server: &Server, params: Map<String, Value>| {
            let state = Arc::clone(&server.state);
            async move { forward(&state, method, params).await.map_err(|e| to_error(&e)) }
        });
    }
    builder
        .custom_method("podium/statusLine", |server: &Server, params: UriParams| {
            let state = Arc::clone(&server.state);
            async move { Ok(state.status_line(params.uri).await) as Result<StatusLine> }
        })
        .custom_method("podium/didFocus", |server: &Server, params: UriParams| {
            lock(&server.state.documents).focus(params.uri);
            server.state.changed.notify_one();
            std::future::ready(())
        })
        .custom_method(
            "window/workDoneProgress/cancel",
            |server: &Server, params: WorkDoneProgressCancelParams| {
                follow::cancel(&server.state, &params.token);
                std::future::ready(())
            },
        )
}

async fn forward(
    state: &Arc<State>,
    method: &'static str,
    mut params: Map<String, Value>,
) -> std::result::Result<Value, WireError> {
    let request = params.remove(REQUEST_ID).unwrap_or_default();
    methods::fill(state, method, &mut params, state.current_uri());
    let params = Value::Object(params);
    if methods::is_read(method) {
        return state.daemon.call_value(method, params).await;
    }
    if !matches!(method, "events/subscribe" | "session/attach" | "unsubscribe" | "claim/heartbeat") {
        state.daemon.wake();
    }
    let state = Arc::clone(state);
    // In a task of its own: a client that cancels drops the answer, not the change half done.
    detached(async move {
        match method {
            "events/subscribe" => to_value(state.subscribe_events(read(params)?).await?),
            "session/attach" => to_value(state.attach_session(read(params)?).await?),
            "unsubscribe" => {
                let UnsubscribeParams { subscription } = read(params)?;
                to_value(state.subscriptions.end(subscription))
            }
            "model/fetch" => with_progress::<ModelFetch>(&state, request, read(params)?).await,
            "model/verify" => with_progress::<ModelVerify>(&state, request, read(params)?).await,
            _ => {
                let answer = state.daemon.call_value(method, params.clone()).await?;
                remember(&state, method, &params, &answer);
                Ok(answer)
            }
        }
    })
    .await
}

async fn detached<T: Send + 'static>(
    work: impl Future<Output = std::result::Result<T, WireError>> + Send + 'static,
) -> std::result::Result<T, WireError> {
    tokio::spawn(work)
        .await
        .unwrap_or_else(|error| Err(WireError::internal(format!("the request failed: {error}"))))
}

/// Progress comes as `podium/progress`, which names the LSP request.
async fn with_progress<M>(
    state: &Arc<State>,
    request: Value,
    params: ModelParams,
) -> std::result::Result<Value, WireError>
where
    M: podium_protocol::Method<Params = ModelParams>,
{
    let (newest, mut changes) = tokio::sync::watch::channel(None);
    let call = state.daemon.call_with_progress::<M>(params, move |progress| {
        newest.send_replace(Some(ProgressOf::new(request.clone(), progress)));
    });
    let tell = async {
        while changes.changed().await.is_ok() {
            let progress = changes.borrow_and_update().clone();
            if let Some(progress) = progress {
                state.editor.announce_custom::<PodiumProgress>(progress).await;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = call => to_value(answer?),
        () = tell => Err(WireError::internal("progress ended before its request")),
    }
}

fn read<T: DeserializeOwned>(params: Value) -> std::result::Result<T, WireError> {
    serde_json::from_value(params).map_err(|e| WireError::user(format!("the parameters are wrong: {e}")))
}

fn to_value(answer: impl Serialize) -> std::result::Result<Value, WireError> {
    serde_json::to_value(answer).map_err(|e| WireError::internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::{Exposure, METHODS};

    #[test]
    fn every_method_that_is_not_internal_has_a_custom_method() {
        for method in METHODS {
            let expected = (method.exposure != Exposure::Internal).then(|| format!("podium/{}", method.name));
            assert_eq!(NAMES.get(method.name), expected.as_ref());
        }
    }
}
