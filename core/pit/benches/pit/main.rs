//! Measures the Pit against the numbers it answers to, each beside a floor or a peer in the same run: the same graph walked
//! with bare counters and deques, the same records written and synced without anything around them, the same model shared
//! by a map behind a lock. `cargo xtask bench pit` builds and runs it. A number that is missed is told, not failed.
#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot be made ends the run")]

mod arbitration;
mod dag;
mod floor;
mod foresight;
mod graph;
mod group_file;
mod hot;
mod report;
mod table;
mod ticks;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::report::Row;
use crate::table::Table;

type Part = (&'static str, fn(Effort) -> Vec<Row>);

/// Parts beside the executor's.
const PARTS: [Part; 3] =
    [("pool", hot::measure), ("foresight", foresight::measure), ("arbitration", arbitration::measure)];

/// How often things are repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    Full,
    /// Enough to see that everything can be measured; the numbers mean little.
    Quick,
}

impl Effort {
    pub(crate) fn times(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Quick => (full / 10).max(2),
        }
    }
}

fn main() {
    let mut json = PathBuf::from("target/bench/pit.json");
    let (mut effort, mut names) = (Effort::Full, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(word) = args.next() {
        match word.as_str() {
            // What `cargo bench` adds.
            "--bench" => {}
            "--quick" => effort = Effort::Quick,
            "--json" => json = args.next().expect("--json needs a file").into(),
            dag::MEMORY => return dag::run_for_memory(),
            part if part == "dag" || PARTS.iter().any(|(name, _)| *name == part) => names.push(word),
            other => panic!("there is no `{other}`"),
        }
    }
    let wanted = |part: &str| names.is_empty() || names.iter().any(|name| name == part);
    let mut rows: Vec<Value> = Vec::new();
    if wanted("dag") {
        let mut table = Table::default();
        dag::measure(if effort == Effort::Quick { 3 } else { 15 }, &mut table);
        println!("{}", table.text());
        rows.extend(table.json());
    }
    for (part, measure) in PARTS.into_iter().filter(|(part, _)| wanted(part)) {
        let measured: Vec<_> = measure(effort).into_iter().map(|row| (part, row)).collect();
        println!("{}\n", report::table(&measured));
        rows.extend(report::json(&measured));
    }
    write(&json, &rows);
    println!("as JSON: {}", json.display());
}

fn write(file: &PathBuf, rows: &[Value]) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, serde_json::to_string_pretty(&json!({ "rows": rows })).unwrap()).unwrap();
}
