//! How long runs and their nodes take, from what was recorded.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use podium_protocol::{Durations, NodeMetrics, PitMetrics, WireError};
use podium_store::rusqlite::{Connection, params};
use podium_store::{Store, StoreError};

/// Runs of each melody that are looked at, newest first.
const RUNS: u32 = 200;
/// Durations of nodes that are looked at in all.
const SAMPLES: u32 = 200_000;
/// Nodes that one answer tells of.
const MOST: usize = 10_000;

/// Of one melody by its id, or of all.
pub(super) async fn measure(
    store: &Store,
    melody: Option<String>,
    prometheus: bool,
) -> Result<PitMetrics, WireError> {
    let read = store.read::<_, StoreError>(move |conn| {
        let runs = runs(conn, melody.as_deref())?;
        let nodes = nodes(conn, melody.as_deref())?;
        let statuses = statuses(conn, melody.as_deref())?;
        Ok(PitMetrics { runs, nodes, statuses, prometheus: None })
    });
    let mut metrics: PitMetrics = read.await?;
    metrics.prometheus = prometheus.then(|| text(&metrics));
    Ok(metrics)
}

const NEWEST: &str =
    "SELECT number, melody, elapsed_us, row_number() OVER (PARTITION BY melody ORDER BY number DESC) AS
    age FROM melody_runs WHERE status = 'completed' AND (?1 IS NULL OR melody = ?1)";

fn runs(conn: &Connection, melody: Option<&str>) -> Result<Vec<NodeMetrics>, StoreError> {
    let sql = format!("SELECT melody, '', elapsed_us FROM ({NEWEST}) WHERE age <= ?2 LIMIT ?3");
    grouped(conn, &sql, melody)
}

fn nodes(conn: &Connection, melody: Option<&str>) -> Result<Vec<NodeMetrics>, StoreError> {
    let sql = format!(
        "SELECT run.melody, record.node, record.took FROM ({NEWEST}) AS run
         JOIN melody_records AS record ON record.run = run.number
         WHERE run.age <= ?2 AND record.state = 'completed' AND record.took IS NOT NULL LIMIT ?3"
    );
    let mut nodes = grouped(conn, &sql, melody)?;
    nodes.truncate(MOST);
    Ok(nodes)
}

fn grouped(conn: &Connection, sql: &str, melody: Option<&str>) -> Result<Vec<NodeMetrics>, StoreError> {
    let mut samples: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![melody, RUNS, SAMPLES])?;
    while let Some(row) = rows.next()? {
        let node: String = row.get(1)?;
        // The times of a `map` are those of one node.
        let node = node.split('[').next().unwrap_or_default().to_owned();
        samples.entry((row.get(0)?, node)).or_default().push(row.get(2)?);
    }
    let told = samples.into_iter().map(|((melody, node), taken)| NodeMetrics {
        melody,
        node,
        durations: durations(taken),
    });
    Ok(told.collect())
}

fn statuses(conn: &Connection, melody: Option<&str>) -> Result<BTreeMap<String, u64>, StoreError> {
    let sql = "SELECT status, count(*) FROM melody_runs WHERE (?1 IS NULL OR melody = ?1) GROUP BY status";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![melody], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// From microseconds. A quantile is the smallest sample that so many are not above.
fn durations(mut taken: Vec<u64>) -> Durations {
    taken.sort_unstable();
    let ms = |us: u64| us as f64 / 1_000.0;
    let rank = |percent: usize| (taken.len() * percent).div_ceil(100).saturating_sub(1);
    let quantile = |percent| taken.get(rank(percent)).copied().map(ms).unwrap_or_default();
    let sum: u64 = taken.iter().sum();
    Durations {
        count: taken.len() as u64,
        avg: if taken.is_empty() { 0.0 } else { ms(sum) / taken.len() as f64 },
        p50: quantile(50),
        p99: quantile(99),
    }
}

fn text(metrics: &PitMetrics) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "# HELP podium_runs Runs of melodies by status.\n# TYPE podium_runs gauge");
    for (status, count) in &metrics.statuses {
        let _ = writeln!(text, "podium_runs{{status=\"{}\"}} {count}", escaped(status));
    }
    summary(&mut text, "podium_run_duration_seconds", "How long completed runs took.", &metrics.runs);
    summary(&mut text, "podium_node_duration_seconds", "How long completed nodes took.", &metrics.nodes);
    text
}

fn summary(text: &mut String, name: &str, help: &str, all: &[NodeMetrics]) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} summary");
    for metrics in all {
        let mut labels = format!("melody=\"{}\"", escaped(&metrics.melody));
        if !metrics.node.is_empty() {
            let _ = write!(labels, ",node=\"{}\"", escaped(&metrics.node));
        }
        let Durations { count, avg, p50, p99 } = metrics.durations;
        for (quantile, value) in [("0.5", p50), ("0.99", p99)] {
            let _ = writeln!(text, "{name}{{{labels},quantile=\"{quantile}\"}} {}", value / 1_000.0);
        }
        let _ = writeln!(text, "{name}_sum{{{labels}}} {}", avg * count as f64 / 1_000.0);
        let _ = writeln!(text, "{name}_count{{{labels}}} {count}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let told = durations((1..=100).rev().map(|ms| ms * 1_000).collect());
        assert_eq!((told.count, told.avg, told.p50, told.p99), (100, 50.5, 50.0, 99.0));
        assert_eq!(durations(vec![7_000]).p99, 7.0);
        assert_eq!(durations(Vec::new()), Durations::default());
    }

    #[test]
    fn the_text_for_prometheus_escapes_what_it_names() {
        let node =
            NodeMetrics { melody: "a\"b".into(), node: "n".into(), durations: durations(vec![2_000_000]) };
        let metrics =
            PitMetrics { runs: vec![], nodes: vec![node], statuses: BTreeMap::new(), prometheus: None };
        let text = text(&metrics);
        assert!(
            text.contains("podium_node_duration_seconds{melody=\"a\\\"b\",node=\"n\",quantile=\"0.5\"} 2\n"),
            "{text}"
        );
    }
}
