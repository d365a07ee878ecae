//! SIGTERM and SIGINT end the daemon in order.

use std::sync::Arc;

use podium_protocol::StopReason;
use podium_sessions::StopCause;
use tokio::signal::unix::{SignalKind, signal};

use crate::state::Daemon;

pub(crate) async fn run(daemon: Arc<Daemon>) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("ended by a signal");
    daemon.sessions.interrupt_all(StopCause::DaemonStopped).await;
    daemon.end(StopReason::Deliberate);
}
