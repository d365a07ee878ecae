//! Tells the person, in one line, that the daemon was restarted or stopped.

use std::sync::Arc;

use podium_client::ConnectionState;
use podium_protocol::{DaemonStopping, StopReason};
use tower_lsp::ls_types::MessageType;

use crate::notifications::PodiumDaemonStopping;
use crate::state::State;

pub(crate) async fn tell(state: Arc<State>) {
    let mut connection = state.daemon.state();
    let mut known: Option<String> = None;
    loop {
        let now = connection.borrow_and_update().clone();
        match now {
            ConnectionState::Connected { instance, .. } => {
                let restarted = known.as_ref().is_some_and(|k| *k != instance);
                known = Some(instance);
                if restarted {
                    let line = "Podium's daemon was restarted; this window is connected again";
                    state.editor.show(MessageType::INFO, line).await;
                }
            }
            ConnectionState::Stopped => {
                // It comes back by a person's command only, who need not be told.
                known = None;
                let stopping = DaemonStopping { reason: StopReason::Deliberate };
                state.editor.announce_custom::<PodiumDaemonStopping>(stopping).await;
                let line = "Podium's daemon was stopped; the next Podium command starts it again";
                state.editor.show(MessageType::INFO, line).await;
            }
            ConnectionState::Disconnected => {}
        }
        state.places.forget();
        state.radar.doubt();
        state.changed.notify_one();
        if connection.changed().await.is_err() {
            return;
        }
    }
}
