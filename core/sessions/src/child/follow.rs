//! Following one agent: its output, its end, the turn's stop, and what of it is stored.

use std::time::Duration;

use podium_process::runner::{AgentEnd, Attached, Controls, Event, RunnerError};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Room;
use super::host::{AgentHost, GRACE, failed};
use super::memory::Memory;
use crate::hub::TurnLink;
use crate::provider::{Chunk, ProviderError, StopCause, Turn};

/// How long an end waits for what came before it to be stored.
const SETTLE: Duration = Duration::from_secs(2);

/// How long an agent may take to be dead; it is killed long before.
const CANCEL: Duration = Duration::from_secs(5);

/// What happened next.
pub(crate) enum Next {
    /// Bytes that follow those before.
    Output(Vec<u8>),
    Ended(AgentEnd),
    /// The turn is stopped. Told once.
    Stop(Stopping),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopping {
    /// The agent ends with the turn.
    End,
    /// The agent lives on for the next daemon.
    Leave,
}

pub(crate) struct Follow {
    attached: Attached,
    controls: Controls,
    link: TurnLink,
    run: String,
    stop: CancellationToken,
    stopping: bool,
}

impl Follow {
    pub(crate) async fn open(
        host: &AgentHost,
        (turn, room): (&Turn, &Room),
        argv: &[String],
        (run, offset): (&str, u64),
        stop: &CancellationToken,
    ) -> Result<Self, RunnerError> {
        let attached = host.attach_or_start(turn, room, argv, (run, offset)).await?;
        Ok(Self {
            controls: attached.controls(),
            attached,
            link: turn.link.clone(),
            run: run.to_owned(),
            stop: stop.clone(),
            stopping: false,
        })
    }

    pub(crate) fn controls(&self) -> &Controls {
        &self.controls
    }

    /// Number of the last input that reached the agent.
    pub(crate) fn applied(&self) -> u64 {
        self.attached.status().applied
    }

    /// Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Next, ProviderError> {
        loop {
            tokio::select! {
                event = self.attached.next() => return match event {
                    Ok(Event::Output { bytes, .. }) => Ok(Next::Output(bytes)),
                    Ok(Event::Ended(end)) => Ok(Next::Ended(end)),
                    Err(error) => Err(failed(&error)),
                },
                () = self.stop.cancelled(), if !self.stopping => {
                    self.stopping = true;
                    return Ok(Next::Stop(self.stopping()));
                }
                state = self.link.stored() => self.acknowledge(&state).await,
            }
        }
    }

    fn stopping(&self) -> Stopping {
        match self.link.cause() {
            Some(StopCause::DaemonReplaced) => Stopping::Leave,
            _ => Stopping::End,
        }
    }

    /// What is stored need not be kept by the runner.
    async fn acknowledge(&self, state: &[u8]) {
        if let Some(memory) = Memory::<Value>::read(Some(state)).filter(|memory| memory.run == self.run) {
            self.controls.acknowledge(memory.offset).await;
        }
    }

    /// Ends the agent; [`Next::Ended`] follows.
    pub(crate) async fn end(&self) {
        self.controls.end(GRACE).await;
    }

    /// Ends the agent and reads nothing of what it still says.
    pub(crate) async fn cancel(mut self) {
        self.controls.end(GRACE).await;
        let over = async { while !matches!(self.attached.next().await, Ok(Event::Ended(_)) | Err(_)) {} };
        if tokio::time::timeout(CANCEL, over).await.is_err() {
            tracing::warn!(run = self.run, "an agent is still ending");
            return;
        }
        self.remove().await;
    }

    async fn remove(self) {
        if let Err(error) = self.attached.finish().await {
            tracing::warn!(%error, "what an agent left cannot be removed");
        }
    }

    /// To be called once the end is stored: clears the run away.
    pub(crate) async fn close(self) {
        self.remove().await;
    }
}

/// Waits a bounded time until `state` is stored.
pub(crate) async fn settled(link: &TurnLink, state: &[u8]) -> bool {
    tokio::time::timeout(SETTLE, link.clone().wait_stored(state)).await.is_ok()
}

pub(crate) async fn send(out: &mpsc::Sender<Chunk>, chunks: Vec<Chunk>) -> Result<(), ProviderError> {
    // The reader is gone only when the turn is being ended.
    out.send(Chunk::Batch(chunks)).await.map_err(|_| ProviderError::Stopped)
}
