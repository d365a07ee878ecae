//! A turn that has fallen silent: nudged, or begun anew, a few times; then a person decides.

use podium_store::{Durability, NewEvent};
use serde_json::json;
use tokio::sync::mpsc;

use super::vitals::{self, Due};
use super::{CHUNKS_WAITING, Steps, unstored};
use crate::SessionError;
use crate::provider::{Chunk, ProviderError, Revival, TurnOutcome};

impl Steps {
    /// Asks, and again where the provider fell silent.
    pub(super) async fn ask(&mut self) -> Result<TurnOutcome, ProviderError> {
        loop {
            let outcome = self.ask_once().await;
            let silent = std::mem::take(&mut self.interrupted);
            match outcome {
                Err(ProviderError::Stopped) if silent && !self.running.stop.is_cancelled() => {}
                outcome => return outcome,
            }
            if self.provider.revival() == Revival::Park || !self.vitals.revive() {
                return Err(ProviderError::Parked { reason: self.too_silent() });
            }
            self.log("session.restarted").await?;
            // As a next daemon would go on with it.
            self.recorder.step_over();
            self.turn.messages = self.recorder.history.messages();
            self.turn.state = Some(self.recorder.state.clone()).filter(|state| !state.is_empty());
            self.turn.resumed = true;
        }
    }

    fn too_silent(&self) -> String {
        let (name, seconds) = (self.provider.name(), self.vitals.patience());
        let times = match self.provider.revival() {
            Revival::Park => String::new(),
            _ => format!(", {} times", vitals::REVIVALS + 1),
        };
        format!("silent: nothing came from {name} for {seconds} s{times}; resume goes on with it")
    }

    /// Stores and shows whatever comes, until the sender is done.
    pub(super) async fn record_all(
        &mut self,
        mut chunks: mpsc::Receiver<Chunk>,
    ) -> Result<(), ProviderError> {
        loop {
            let deadline = self.vitals.deadline();
            let first = tokio::select! {
                biased;
                chunk = chunks.recv() => match chunk {
                    Some(chunk) => chunk,
                    None => return Ok(()),
                },
                () = self.running.pulse().beats() => {
                    self.vitals.alive();
                    continue;
                }
                () = vitals::at(deadline) => {
                    self.notice_silence().await?;
                    continue;
                }
            };
            let mut batch = vec![first];
            while batch.len() < CHUNKS_WAITING
                && let Ok(chunk) = chunks.try_recv()
            {
                batch.push(chunk);
            }
            batch.iter().for_each(|chunk| self.vitals.sees(chunk));
            if let Err(error) = self.recorder.record(batch).await {
                // Nothing that cannot be stored is shown; the sender has no reader any more and ends.
                self.running.stop.cancel();
                return Err(unstored(&error));
            }
        }
    }

    async fn notice_silence(&mut self) -> Result<(), ProviderError> {
        match (self.vitals.due(), self.provider.revival()) {
            (Due::Nothing, _) => Ok(()),
            (Due::Tell, _) => self.log("session.silent").await,
            (Due::Act, Revival::Nudge) => {
                // How often is enough is counted by who asks again.
                self.vitals.revive();
                self.log("session.nudged").await?;
                self.running.pulse().nudge();
                Ok(())
            }
            (Due::Act, Revival::Restart | Revival::Park) => {
                self.vitals.suspend();
                self.interrupted = true;
                self.asking.cancel();
                Ok(())
            }
        }
    }

    async fn log(&self, kind: &'static str) -> Result<(), ProviderError> {
        let (session, health) = (self.recorder.session.clone(), self.running.health());
        let data = json!({
            "id": session,
            "provider": self.provider.name(),
            "since": health.since,
            "revived": health.revived,
            "seconds": self.vitals.patience(),
        });
        tracing::info!(session, kind, provider = self.provider.name(), "a turn is silent");
        let event = NewEvent::new(kind, format!("session/{session}"), data).correlated(session);
        let write =
            self.sessions.store.write::<_, SessionError>(Durability::Process, move |tx| Ok(tx.emit(&event)?));
        write.await.map(drop).map_err(|error| unstored(&error))
    }
}
