//! Nodes that do nothing: what the executor itself costs.

use std::fs::File;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use podium_pit::dag::{
    Executor, History, Job, NodeCall, NodeError, NodeRunner, Plan, Report, RunId, RunState, Settings,
};
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

use crate::floor::Rows;
use crate::graph;
use crate::group_file::{GroupFile, RECORD};
use crate::table::{Row, Table};

/// Runs one large graph and says how much memory that took.
pub(crate) const MEMORY: &str = "run-for-memory";

/// There is nothing that it would be asked to run.
struct Nothing;

impl NodeRunner for Nothing {
    fn run(&self, _: NodeCall) -> BoxFuture<'static, Result<Map<String, Value>, NodeError>> {
        async { Ok(Map::new()) }.boxed()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kept {
    Nowhere,
    Lax,
    Strict,
}

pub(crate) fn measure(rounds: usize, table: &mut Table) {
    let runtime = runtime();
    for (nodes, kept, most, what) in [
        (10_000, Kept::Nowhere, 10.0, "10,000 nodes"),
        (100_000, Kept::Nowhere, 60.0, "100,000 nodes"),
        (10_000, Kept::Lax, 10.0, "10,000 nodes, synced in groups"),
        (100_000, Kept::Lax, 60.0, "100,000 nodes, synced in groups"),
        (10_000, Kept::Strict, 60.0, "10,000 nodes, each synced before the next"),
    ] {
        let (plan, rows) = (graph::plan(nodes), Rows::new(nodes));
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        // In turns, so that both meet the same machine.
        for _ in 0..rounds {
            floors.push(floor(&rows, kept));
            ours.push(run(&runtime, &plan, kept));
        }
        let row = Row {
            what: what.to_owned(),
            unit: "ms",
            ours: median(ours),
            floor: Some(median(floors)),
            most,
            most_ratio: Some(2.0),
        };
        table.add(row);
    }
    table.add(memory());
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Milliseconds from the start of a run to its report.
fn run(runtime: &Runtime, plan: &Arc<Plan>, kept: Kept) -> f64 {
    let settings = Settings { threads: 2, strict: kept == Kept::Strict, ..Settings::default() };
    let mut executor = Executor::new(Arc::new(Nothing), settings);
    if kept != Kept::Nowhere {
        executor = executor.with_journal(Arc::new(GroupFile::new(tempfile::tempfile().unwrap())));
    }
    runtime.block_on(async {
        let job = Job {
            run: RunId::new("bench"),
            plan: Arc::clone(plan),
            inputs: Map::new(),
            history: History::default(),
        };
        let start = Instant::now();
        let report: Arc<Report> = executor.start(job).unwrap().wait().await.unwrap();
        let took = start.elapsed();
        assert_eq!(report.status, RunState::Completed);
        assert_eq!(report.nodes.completed, plan.len() as u64);
        took.as_secs_f64() * 1e3
    })
}

fn floor(rows: &Rows, kept: Kept) -> f64 {
    let record = [7; RECORD];
    let mut file: File = tempfile::tempfile().unwrap();
    let took = match kept {
        Kept::Nowhere => rows.walk(),
        Kept::Lax => rows.lax(&mut file, &record),
        Kept::Strict => rows.strict(&mut file, &record),
    };
    took.as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn memory() -> Row {
    let output = Command::new(std::env::current_exe().unwrap()).arg(MEMORY).output().unwrap();
    let megabytes: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    Row {
        what: "100,000 nodes with a journal, most memory".to_owned(),
        unit: "MB",
        ours: megabytes,
        floor: None,
        most: 150.0,
        most_ratio: None,
    }
}

pub(crate) fn run_for_memory() {
    run(&runtime(), &graph::plan(100_000), Kept::Lax);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{}", kilobytes * 1024.0 / 1e6);
}
