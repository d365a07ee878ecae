//! Following a run of a melody, across the deaths of the daemon: the next one goes on with it by itself.

use std::time::Duration;

use podium_protocol::{ErrorKind, PitAttachParams, PitAttached, PitUpdate, WireError};

use crate::client::Client;
use crate::connection::Told;
use crate::streams::{RECONNECT_PAUSES, Source};

/// The states of a run's nodes, each change once and in order.
pub struct RunStream {
    client: Client,
    run: String,
    last_seq: u64,
    source: Option<Source>,
    attached: PitAttached,
    done: bool,
}

impl RunStream {
    pub(crate) async fn open(client: Client, run: String, from_seq: u64) -> Result<Self, WireError> {
        let (attached, source) = attach(&client, &run, from_seq).await?;
        let run = attached.run.id.clone();
        Ok(Self { client, run, last_seq: from_seq, source: Some(source), attached, done: false })
    }

    /// The run as it was when the stream was (last) attached.
    #[must_use]
    pub fn attached(&self) -> &PitAttached {
        &self.attached
    }

    /// Sequence number of the last change given.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The next update. `None` behind the one with the end of the run.
    ///
    /// An error means that the run could not be followed any further; it goes on all the same.
    pub async fn next(&mut self) -> Option<Result<PitUpdate, WireError>> {
        while !self.done {
            let Some(source) = &mut self.source else {
                if let Err(error) = self.come_back().await {
                    self.done = true;
                    return Some(Err(error));
                }
                continue;
            };
            let Some(message) = source.messages.recv().await else {
                self.source = None;
                continue;
            };
            let Told::Other(message) = message else { continue };
            let Ok(update) = serde_json::from_value::<PitUpdate>(message.params) else { continue };
            if let Some(node) = update.nodes.last() {
                self.last_seq = node.seq;
            }
            self.done = update.run.as_ref().is_some_and(|run| run.ended_at.is_some());
            return Some(Ok(update));
        }
        None
    }

    async fn come_back(&mut self) -> Result<(), WireError> {
        let mut last = WireError::unavailable("the daemon went away");
        for pause in RECONNECT_PAUSES {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if self.client.is_stopped() {
                return Err(WireError::unavailable("the daemon was stopped"));
            }
            match attach(&self.client, &self.run, self.last_seq).await {
                Ok((attached, source)) => {
                    (self.attached, self.source) = (attached, Some(source));
                    return Ok(());
                }
                Err(error) if error.kind == ErrorKind::NotFound => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

async fn attach(client: &Client, run: &str, from_seq: u64) -> Result<(PitAttached, Source), WireError> {
    let params = PitAttachParams { run: run.to_owned(), from_seq };
    let (answer, connection, messages) = client.open_run(&params).await?;
    let attached: PitAttached =
        serde_json::from_value(answer).map_err(|e| WireError::internal(e.to_string()))?;
    let source = Source { subscription: attached.subscription, connection, messages };
    Ok((attached, source))
}
