//! `pit/control`: pause, resume, cancel, and nodes that run again.

use std::sync::Arc;
use std::time::Duration;

use podium_pit::dag::{Batch, Durability, History, Journal as _, NodePath, Outcome, Record, RunId};
use podium_protocol::{MelodyRun, MelodyRunStatus, PitAction, PitControlParams, WireError};
use podium_store::now_ms;
use serde_json::Map;

use super::drive::{self, Taken};
use super::journal::Slot;
use super::rows::RunRow;
use super::{owned, rows};
use crate::call::Call;

/// How long the answer waits for what was asked for to be stored.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn control(call: Call, params: PitControlParams) -> Result<MelodyRun, WireError> {
    let row = owned(&call, &params.run).await?;
    let turn = call.daemon.pit.turn(&row.id).await;
    // It may have come to its end while others decided.
    let row = rows::find(&call.daemon.store, &row.id).await?;
    let (id, node) = (row.id.clone(), params.node);
    match params.action {
        PitAction::Pause => pause(&call, &row)?,
        PitAction::Resume => resume(&call, row).await?,
        PitAction::Cancel => cancel(&call, &row).await?,
        PitAction::Retry => again(&call, row, |taken| retried(taken, node.as_deref())).await?,
        PitAction::Rerun => {
            let node = node.ok_or_else(|| WireError::usage("the node to begin at is missing"))?;
            again(&call, row, |taken| rerun(taken, &node)).await?;
        }
    }
    drop(turn);
    let reached = |status: MelodyRunStatus| match params.action {
        PitAction::Pause => status == MelodyRunStatus::Paused || status.is_over(),
        PitAction::Cancel => status.is_over(),
        PitAction::Resume => status != MelodyRunStatus::Paused,
        PitAction::Retry | PitAction::Rerun => true,
    };
    settled(&call, &id, reached).await
}

/// The run once its row says what was asked for, or as it is by then.
async fn settled(
    call: &Call,
    id: &str,
    reached: impl Fn(MelodyRunStatus) -> bool,
) -> Result<MelodyRun, WireError> {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let told = call.daemon.pit.watch(id);
        let row = rows::find(&call.daemon.store, id).await?;
        let Some(mut told) = told.filter(|_| !reached(row.status)) else { return Ok(row.info()) };
        // The row may have changed between the two: then it is looked at again at once.
        if tokio::time::timeout_at(until, told.changed()).await.is_err() {
            return Ok(row.info());
        }
    }
}

fn pause(call: &Call, row: &RunRow) -> Result<(), WireError> {
    over(row)?;
    match call.daemon.pit.live().get(&row.id) {
        Some(live) => live.handle.pause(),
        None if row.status == MelodyRunStatus::Paused => {}
        None => return Err(WireError::busy("the run is about to be taken up").hint("try again")),
    }
    Ok(())
}

async fn resume(call: &Call, row: RunRow) -> Result<(), WireError> {
    over(&row)?;
    if let Some(live) = call.daemon.pit.live().get(&row.id) {
        live.handle.resume();
        return Ok(());
    }
    let env = (!call.env.is_empty()).then(|| call.env.clone());
    let taken = drive::take(&call.daemon, row, env).await?;
    drive::set_off(&call.daemon, taken)
}

async fn cancel(call: &Call, row: &RunRow) -> Result<(), WireError> {
    if row.ended_at.is_some() {
        return Ok(());
    }
    if let Some(live) = call.daemon.pit.live().get(&row.id) {
        live.handle.cancel();
        return Ok(());
    }
    let _ = call.daemon.inbox.withdraw_of(&row.id).await;
    let status = MelodyRunStatus::Cancelled;
    rows::end(&call.daemon.store, row.number, status, Map::new(), None, row.elapsed_us).await?;
    call.daemon.pit.tell();
    Ok(())
}

fn over(row: &RunRow) -> Result<(), WireError> {
    if row.ended_at.is_none() {
        return Ok(());
    }
    let error = WireError::conflict(format!("the run is over: {}", row.status.as_str()));
    Err(error.hint("`podium runs retry ID` or `podium runs rerun ID --node NODE` goes on with it"))
}

/// Forgets nodes of a run that is over, and goes on with it.
async fn again(
    call: &Call,
    row: RunRow,
    forgotten: impl FnOnce(&mut Taken) -> Result<Vec<Record>, WireError>,
) -> Result<(), WireError> {
    if row.ended_at.is_none() {
        return Err(WireError::conflict("the run is not over").hint("wait for its end, or cancel it"));
    }
    let env = (!call.env.is_empty()).then(|| call.env.clone());
    let mut taken = drive::take(&call.daemon, row, env).await?;
    let records = forgotten(&mut taken)?;
    rows::reopen(&call.daemon.store, taken.row.number).await?;
    if !records.is_empty() {
        let slot: Arc<Slot> = Slot::new(&taken.row, Default::default(), taken.last_seq);
        taken.last_seq += records.len() as u64;
        call.daemon.pit.journal.open(slot);
        let run = RunId::new(taken.row.id.as_str());
        let batch = Batch { run, records, durability: Durability::Strict };
        let kept = call.daemon.pit.journal.append(batch).await;
        kept.map_err(|error| {
            WireError::unavailable(format!("what is to run again cannot be kept: {error}"))
        })?;
    }
    drive::set_off(&call.daemon, taken)
}

/// One node that failed, or everything that failed or was cancelled.
fn retried(taken: &mut Taken, node: Option<&str>) -> Result<Vec<Record>, WireError> {
    let now = u64::try_from(now_ms()).unwrap_or_default();
    let nodes: Vec<(NodePath, bool)> = match node {
        Some(node) => vec![(NodePath::new(node), was_cancelled(&taken.history, node))],
        None => unfinished(&taken.history),
    };
    let mut records = Vec::new();
    for (node, cancelled) in nodes {
        let record = match cancelled {
            true => taken.history.rerun_from(&taken.plan, &node, now),
            false => taken.history.retry(&taken.plan, &node, now),
        };
        let record = record.map_err(|error| WireError::user(error.to_string()))?;
        taken.history.push(record.clone());
        records.push(record);
    }
    Ok(records)
}

fn was_cancelled(history: &History, node: &str) -> bool {
    let ended = history.node(&NodePath::new(node)).and_then(|past| past.ended.as_ref());
    ended.is_some_and(|ended| matches!(ended.outcome, Outcome::Cancelled))
}

/// Nodes that failed or were cancelled, and which of the two.
fn unfinished(history: &History) -> Vec<(NodePath, bool)> {
    let of = |(node, past): (&NodePath, &podium_pit::dag::Past)| {
        let cancelled = match past.ended.as_ref()?.outcome {
            Outcome::Cancelled => true,
            Outcome::Failed { tolerated: false, .. } => false,
            _ => return None,
        };
        (!node.as_str().contains('[')).then(|| (node.clone(), cancelled))
    };
    let mut nodes: Vec<_> = history.nodes().filter_map(of).collect();
    nodes.sort_unstable();
    nodes
}

fn rerun(taken: &mut Taken, node: &str) -> Result<Vec<Record>, WireError> {
    let now = u64::try_from(now_ms()).unwrap_or_default();
    let record = taken.history.rerun_from(&taken.plan, &NodePath::new(node), now);
    let record = record.map_err(|error| WireError::user(error.to_string()))?;
    taken.history.push(record.clone());
    Ok(vec![record])
}
