//! Following a run: the states of its nodes as they are stored, and its end.

use std::sync::Arc;

use podium_protocol::{MelodyNode, PitAttachParams, PitAttached, PitUpdate, WireError, notify};
use tokio::sync::watch;

use super::rows;
use crate::call::Call;

/// Nodes of one message.
const TOGETHER: usize = 500;

pub(crate) async fn attach(call: Call, params: PitAttachParams) -> Result<PitAttached, WireError> {
    let row = super::owned(&call, &params.run).await?;
    if let Some(bench) = call.daemon.pit.bench(&row.id) {
        bench.set_env(call.env.clone());
    }
    let subscription =
        call.peer.reserve().ok_or_else(|| WireError::busy("too many subscriptions on this connection"))?;
    let live = call.daemon.pit.watch(&row.id);
    let (peer, request, run) = (Arc::clone(&call.peer), call.request, row.info());
    let follower = Follower { call, subscription, id: row.id, number: row.number, seq: params.from_seq };
    peer.run(request, subscription, follower.run(live));
    Ok(PitAttached { subscription, run })
}

struct Follower {
    call: Call,
    subscription: u64,
    id: String,
    number: i64,
    seq: u64,
}

impl Follower {
    async fn run(mut self, mut live: Option<watch::Receiver<u64>>) {
        let mut status = None;
        loop {
            if !self.send_stored().await {
                return;
            }
            let Ok(row) = rows::find(&self.call.daemon.store, &self.id).await else { return };
            let over = row.ended_at.is_some();
            if over && !self.send_stored().await {
                return;
            }
            if (over || status != Some(row.status)) && !self.send(Vec::new(), Some(row.info())).await {
                return;
            }
            if over {
                return;
            }
            status = Some(row.status);
            // A run that this daemon does not work on yet is about to be taken up.
            let changed = match &mut live {
                Some(told) => told.changed().await.is_ok(),
                None => false,
            };
            if !changed {
                live = self.call.daemon.pit.wait_for(&self.id).await;
                // It was taken up after this client came: what the client brought is its own only now.
                if let Some(bench) = self.call.daemon.pit.bench(&self.id) {
                    bench.set_env(self.call.env.clone());
                }
            }
        }
    }

    async fn send_stored(&mut self) -> bool {
        loop {
            let changes = rows::changes(&self.call.daemon.store, self.number, self.seq).await;
            let Ok((mut nodes, last, more)) = changes else { return false };
            self.seq = last;
            while !nodes.is_empty() {
                let rest = nodes.split_off(nodes.len().min(TOGETHER));
                if !self.send(nodes, None).await {
                    return false;
                }
                nodes = rest;
            }
            if !more {
                return true;
            }
        }
    }

    async fn send(&self, nodes: Vec<MelodyNode>, run: Option<podium_protocol::MelodyRun>) -> bool {
        let update = PitUpdate { subscription: self.subscription, nodes, run };
        self.call.peer.notify(notify::PIT_UPDATE, &update).await
    }
}
