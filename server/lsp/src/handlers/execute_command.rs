//! `workspace/executeCommand`.

use std::sync::Arc;

use podium_protocol::WireError;
use serde_json::Value;
use tower_lsp::ls_types::ExecuteCommandParams;

use crate::commands::{self, Call};
use crate::state::State;

/// Runs in a task of its own: a client that cancels drops the answer, not the command half done.
pub(crate) async fn execute_command(
    state: &Arc<State>,
    params: ExecuteCommandParams,
) -> Result<Value, WireError> {
    let call = Call::parse(state, params.command, params.arguments)?;
    // A command is a person's act: it may start a daemon that was stopped.
    state.daemon.wake();
    let state = Arc::clone(state);
    tokio::spawn(async move { commands::run(&state, call).await })
        .await
        .unwrap_or_else(|error| Err(WireError::internal(format!("the command failed: {error}"))))
}
