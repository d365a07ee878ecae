//! Runs for people.

use jiff::Timestamp;
use podium_cli::style::{Painter, one_line, printable, shortened};
use podium_cli::table::Rows;
use podium_cli::time::{ago, duration};
use podium_protocol::{
    Durations, MelodyNode, MelodyNodeState, MelodyRun, MelodyRunStatus, PitLogs, PitMetrics, PitShown,
    PoolList,
};
use serde_json::Value;

/// Characters of an output that are shown.
const OUTPUT: usize = 400;

fn milliseconds(ms: f64) -> String {
    if ms < 1.0 { format!("{ms:.2} ms") } else { duration(ms as u64) }
}

fn status(status: MelodyRunStatus, paint: Painter) -> String {
    let text = status.as_str();
    match status {
        MelodyRunStatus::Completed => paint.green(text),
        MelodyRunStatus::Failed => paint.red(text),
        MelodyRunStatus::Cancelled | MelodyRunStatus::Paused => paint.yellow(text),
        MelodyRunStatus::Queued | MelodyRunStatus::Executing => paint.cyan(text),
    }
}

/// A line about a node.
pub(super) fn node(node: &MelodyNode, paint: Painter) -> String {
    let text = node.state.as_str();
    let state = match node.state {
        MelodyNodeState::Completed => paint.green(text),
        MelodyNodeState::Failed => paint.red(text),
        MelodyNodeState::Retrying => paint.yellow(text),
        _ => paint.dim(text),
    };
    let took = node.duration_ms.map(|ms| format!(" ({})", milliseconds(ms))).unwrap_or_default();
    let why = node.error.as_deref().map(|why| format!(": {}", one_line(why))).unwrap_or_default();
    format!("{state} {}{took}{why}\n", printable(&node.id))
}

/// How a run ended.
pub(super) fn end(run: &MelodyRun, paint: Painter) -> String {
    let mut text = format!(
        "{} in {}: {} of {} nodes",
        status(run.status, paint),
        milliseconds(run.elapsed_ms),
        run.nodes.completed,
        run.nodes.total
    );
    for (count, what) in [(run.nodes.failed, "failed"), (run.nodes.skipped, "skipped")] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text.push('\n');
    if let Some(error) = &run.error {
        text += &format!("{}\n", printable(error));
    }
    for (name, value) in &run.outputs {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        text += &format!(
            "{} {}\n",
            paint.bold(&format!("{}:", one_line(name))),
            printable(&shortened(&value, OUTPUT))
        );
    }
    text
}

pub(super) fn list(runs: &[MelodyRun], now: Timestamp, paint: Painter) -> String {
    if runs.is_empty() {
        return "no runs; `podium melody run FILE` starts one".to_owned();
    }
    let mut rows = Rows::new(&["ID", "MELODY", "STATUS", "NODES", "TOOK", "STARTED", "BY"]).right(4);
    for run in runs {
        rows.push([
            run.id.clone(),
            run.melody.clone(),
            run.status.as_str().to_owned(),
            format!("{}/{}", run.nodes.completed, run.nodes.total),
            milliseconds(run.elapsed_ms),
            ago(&run.created_at, now),
            run.started_by.clone(),
        ]);
    }
    rows.render(paint)
}

pub(super) fn shown(shown: &PitShown, paint: Painter) -> String {
    let mut text = end(&shown.run, paint);
    let mut rows = Rows::new(&["NODE", "STATE", "ATTEMPT", "TOOK", "SESSION", "WHY"]).right(2).right(3);
    for node in &shown.node_list {
        rows.push([
            node.id.clone(),
            node.state.as_str().to_owned(),
            if node.attempt > 1 { node.attempt.to_string() } else { String::new() },
            node.duration_ms.map(milliseconds).unwrap_or_default(),
            node.session.clone().unwrap_or_default(),
            node.error.clone().unwrap_or_default(),
        ]);
    }
    if !rows.is_empty() {
        text += &rows.render(paint);
    }
    text
}

pub(super) fn logs(logs: &PitLogs, paint: Painter) -> String {
    let mut text = String::new();
    for entry in &logs.entries {
        let head = format!("{} {}", printable(&entry.node), entry.stream);
        for line in entry.text.lines() {
            text += &format!("{} {}\n", paint.dim(&head), printable(line));
        }
    }
    text
}

pub(super) fn metrics(metrics: &PitMetrics, paint: Painter) -> String {
    if metrics.runs.is_empty() {
        return "no completed runs yet".to_owned();
    }
    let mut rows =
        Rows::new(&["MELODY", "NODE", "COUNT", "AVG", "P50", "P99"]).right(2).right(3).right(4).right(5);
    for one in metrics.runs.iter().chain(&metrics.nodes) {
        let Durations { count, avg, p50, p99 } = one.durations;
        let (avg, p50, p99) = (milliseconds(avg), milliseconds(p50), milliseconds(p99));
        rows.push([one.melody.clone(), one.node.clone(), count.to_string(), avg, p50, p99]);
    }
    rows.render(paint)
}

pub(super) fn pool(pool: &PoolList, paint: Painter) -> String {
    let mut rows = Rows::new(&["NAME", "KIND", "STATE", "ACTIVE", "SIZE", "WHY"]).right(3).right(4);
    for entry in &pool.entries {
        let active = if entry.active > 0 { entry.active.to_string() } else { String::new() };
        let size = entry.bytes.map(podium_cli::style::size).unwrap_or_default();
        rows.push([
            entry.name.clone(),
            entry.kind.clone(),
            entry.state.clone(),
            active,
            size,
            entry.reason.clone(),
        ]);
    }
    rows.render(paint)
}
