//! `pit/runs`, `pit/show`, `pit/logs`, `pit/metrics`, and what `podium doctor` says of the Pit.

use podium_protocol::{
    Part, PartState, PitLogEntry, PitLogs, PitLogsParams, PitMetrics, PitMetricsParams, PitRuns,
    PitRunsParams, PitShowParams, PitShown, WireError, count,
};
use podium_store::rusqlite::params;
use podium_store::{StoreError, rfc3339};

use super::{metrics, owned, rows};
use crate::call::Call;
use crate::state::Daemon;

/// Nodes of one answer.
const MOST_NODES: usize = 20_000;
/// Log entries of one answer, and their text in bytes.
const MOST_ENTRIES: usize = 1_000;
const MOST_TEXT: usize = 4 * 1024 * 1024;

pub(crate) async fn list(call: Call, params: PitRunsParams) -> Result<PitRuns, WireError> {
    let limit = params.limit.unwrap_or(50).clamp(1, 1_000);
    let session = call.agent().map(|(session, _)| session.to_owned());
    let rows = rows::list(&call.daemon.store, params.melody, params.open, session, limit).await?;
    Ok(PitRuns { runs: rows.iter().map(rows::RunRow::info).collect() })
}

pub(crate) async fn show(call: Call, params: PitShowParams) -> Result<PitShown, WireError> {
    let row = owned(&call, &params.run).await?;
    let mut newest = std::collections::HashMap::new();
    let (mut from, mut more) = (params.from_seq, true);
    while more && newest.len() < MOST_NODES {
        let (nodes, last, goes_on) = rows::changes(&call.daemon.store, row.number, from).await?;
        for node in nodes {
            let earlier: Option<podium_protocol::MelodyNode> = newest.remove(&node.id);
            // Its start and its session are told with another change than its end.
            let started_at =
                node.started_at.clone().or_else(|| earlier.as_ref().and_then(|e| e.started_at.clone()));
            let session = node.session.clone().or_else(|| earlier.and_then(|e| e.session));
            newest.insert(node.id.clone(), podium_protocol::MelodyNode { started_at, session, ..node });
        }
        (from, more) = (last, goes_on);
    }
    let mut node_list: Vec<_> = newest.into_values().collect();
    node_list.sort_unstable_by(|a, b| (a.seq, &a.id).cmp(&(b.seq, &b.id)));
    Ok(PitShown { run: row.info(), node_list, more })
}

pub(crate) async fn logs(call: Call, params: PitLogsParams) -> Result<PitLogs, WireError> {
    let row = owned(&call, &params.run).await?;
    let read = call.daemon.store.read::<_, StoreError>(move |conn| {
        let sql = "SELECT seq, node, attempt, stream, text, at FROM melody_logs
            WHERE run = ?1 AND seq > ?2 AND (?3 IS NULL OR node = ?3 OR node LIKE ?3 || '[%') ORDER BY seq LIMIT ?4";
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![row.number, params.from_seq, params.node, MOST_ENTRIES + 1])?;
        let (mut entries, mut bytes, mut more) = (Vec::new(), 0, false);
        while let Some(row) = rows.next()? {
            if entries.len() == MOST_ENTRIES || bytes > MOST_TEXT {
                more = true;
                break;
            }
            let text: String = row.get(4)?;
            bytes += text.len();
            entries.push(PitLogEntry {
                seq: row.get(0)?,
                node: row.get(1)?,
                attempt: row.get(2)?,
                stream: row.get(3)?,
                text,
                time: rfc3339(row.get(5)?),
            });
        }
        Ok(PitLogs { entries, more })
    });
    Ok(read.await?)
}

pub(crate) async fn measure(call: Call, params: PitMetricsParams) -> Result<PitMetrics, WireError> {
    let melody = match &params.run {
        Some(run) => Some(owned(&call, run).await?.melody),
        None if call.agent().is_some() => return Err(WireError::user("an agent names a run of its own")),
        None => None,
    };
    metrics::measure(&call.daemon.store, melody, params.prometheus).await
}

/// The executor and its runs.
pub(crate) async fn health(daemon: &Daemon) -> Part {
    let part = |state, message: String, hint: &str| Part {
        name: "pit".to_owned(),
        state,
        message,
        hint: hint.to_owned(),
    };
    let open = match rows::open(&daemon.store).await {
        Ok(open) => open.iter().filter(|run| run.status != podium_protocol::MelodyRunStatus::Paused).count(),
        Err(error) => return part(PartState::Broken, error.message, "see the part `store`"),
    };
    let running = daemon.pit.running();
    let message = format!("{} of {} worked on", running.min(open), count(open as u64, "open run"));
    if running < open {
        let hint = "`podium runs list --open` shows them; `podium runs cancel ID` gives one up";
        return part(PartState::Degraded, message, hint);
    }
    part(PartState::Ok, message, "")
}
