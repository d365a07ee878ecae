//! Listens to what happens to worktrees, claims, sessions and the inbox, so that hints, status line and questions follow
//! it.

use std::sync::Arc;
use std::time::Duration;

use podium_client::ConnectionState;
use tower_lsp::ls_types::MessageType;

use crate::state::State;
use crate::to_lsp::to_sentence;

const TYPES: &[&str] = &["worktree.*", "claim.*", "session.*", "inbox.*"];
/// Pause between two attempts to reach a daemon that cannot be started.
const RETRY: Duration = Duration::from_secs(5);

pub(crate) async fn listen(state: Arc<State>) {
    let types: Vec<String> = TYPES.iter().map(|&t| t.to_owned()).collect();
    let mut told = false;
    loop {
        match state.daemon.subscribe(None, types.clone()).await {
            Ok(mut stream) => {
                state.radar.doubt();
                refresh(&state);
                state.inbox.notify_one();
                while let Some(event) = stream.next().await {
                    if event.kind.starts_with("inbox.") {
                        state.inbox.notify_one();
                        continue;
                    }
                    if bears_on_conflicts(&event.kind) {
                        state.radar.doubt();
                    }
                    if event.kind.starts_with("worktree.") || event.kind.starts_with("session.") {
                        state.files.notify_one();
                    }
                    refresh(&state);
                }
            }
            Err(error) => {
                if !told && !state.daemon.is_stopped() {
                    told = true;
                    state.editor.log(MessageType::WARNING, format!("Podium: {}", to_sentence(&error))).await;
                }
                tracing::warn!(%error, "no events");
            }
        }
        wait(&state).await;
    }
}

fn refresh(state: &State) {
    state.places.forget();
    state.changed.notify_one();
}

/// What changes who conflicts with whom, or who is named as the other's owner.
fn bears_on_conflicts(kind: &str) -> bool {
    kind.starts_with("worktree.") && !matches!(kind, "worktree.changed" | "worktree.commit")
}

/// Waits before the next attempt: after a deliberate stop until a person acts.
async fn wait(state: &State) {
    tokio::time::sleep(RETRY).await;
    let _ = state.daemon.state().wait_for(|s| *s != ConnectionState::Stopped).await;
}
