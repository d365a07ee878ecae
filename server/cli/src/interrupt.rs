//! Ctrl-C, heard from the moment one listens and never lost between two waits.

use podium_protocol::WireError;

use crate::output::Failure;

/// Hears every Ctrl-C from its making on; the process no longer ends by it.
#[derive(Debug)]
pub struct Interrupts {
    #[cfg(unix)]
    signals: tokio::signal::unix::Signal,
    #[cfg(windows)]
    signals: tokio::signal::windows::CtrlC,
}

impl Interrupts {
    /// Starts to listen. Within a runtime only.
    ///
    /// # Errors
    /// When the system gives no handler.
    pub fn listen() -> Result<Self, Failure> {
        #[cfg(unix)]
        let signals = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        #[cfg(windows)]
        let signals = tokio::signal::windows::ctrl_c();
        let signals = signals.map_err(|e| WireError::internal(format!("Ctrl-C cannot be heard: {e}")))?;
        Ok(Self { signals })
    }

    /// Waits for a Ctrl-C; one that came while nobody waited counts.
    pub async fn next(&mut self) {
        if self.signals.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
