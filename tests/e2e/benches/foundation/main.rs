//! Measures the foundation against the numbers it answers to, each beside a peer in the same run: a raw socket, a bare
//! SQLite transaction, git itself. `cargo xtask bench` builds and runs it.
//!
//! A number that is missed is told, not failed: a timing is no test. The run fails only over what cannot be measured.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it measured")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot be made ends its part"
)]

mod claims;
mod creation;
mod editor;
mod guard;
mod initialize;
mod ipc;
mod listing;
mod machine;
mod memory;
mod model;
mod pin;
mod radar;
mod raw;
mod report;
mod request;
mod sessions;
mod setting;
mod stats;
mod streaming;
mod worktrees;
mod worktrunk;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::report::{Report, Row};

/// One part of the run.
struct Part {
    name: &'static str,
    run: fn(Effort) -> Result<Vec<Row>>,
}

const PARTS: &[Part] = &[
    Part { name: "initialize", run: initialize::measure },
    Part { name: "request", run: request::measure },
    Part { name: "memory", run: memory::measure },
    Part { name: "ipc", run: ipc::measure },
    Part { name: "claims", run: claims::measure },
    Part { name: "model", run: model::measure },
    Part { name: "streaming", run: streaming::measure },
    Part { name: "sessions", run: sessions::measure },
    Part { name: "worktrees", run: worktrees::measure },
    Part { name: "creation", run: creation::measure },
    Part { name: "listing", run: listing::measure },
    Part { name: "radar", run: radar::measure },
    Part { name: "guard", run: guard::measure },
];

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
            Self::Quick => (full / 5).max(2),
        }
    }
}

struct Args {
    names: Vec<String>,
    json: PathBuf,
    effort: Effort,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(raw::SERVE) {
        return raw::serve(args.next().as_deref());
    }
    match read_args(std::env::args().skip(1)).and_then(|args| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn read_args(given: impl Iterator<Item = String>) -> Result<Args> {
    let mut given = given;
    let json = podium_harness::checkout().join("target/bench/foundation.json");
    let mut args = Args { names: Vec::new(), json, effort: Effort::Full };
    while let Some(word) = given.next() {
        match word.as_str() {
            // What `cargo bench` adds.
            "--bench" => {}
            "--quick" => args.effort = Effort::Quick,
            "--json" => match given.next() {
                Some(file) => args.json = file.into(),
                None => bail!("--json needs a file"),
            },
            name if PARTS.iter().any(|part| part.name == name) => args.names.push(word),
            other => {
                let known: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
                bail!("there is no `{other}`; the parts are: {}", known.join(", "))
            }
        }
    }
    Ok(args)
}

fn run(args: &Args) -> Result<()> {
    let mut report = Report::new(args.effort);
    let wanted = |part: &&Part| args.names.is_empty() || args.names.iter().any(|name| name == part.name);
    for part in PARTS.iter().filter(wanted) {
        eprintln!("measuring {} ...", part.name);
        let (run, effort) = (part.run, args.effort);
        // The harness panics over what is wrong with the surroundings; the other parts go on.
        match std::thread::spawn(move || run(effort)).join() {
            Ok(Ok(rows)) => report.add(part.name, rows),
            Ok(Err(error)) => report.fail(part.name, format!("{error:#}")),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                report.fail(part.name, text.unwrap_or_else(|| "panicked".to_owned()));
            }
        }
    }
    report.finish();
    println!("{}", report.table());
    report.write(&args.json)?;
    println!("as JSON: {}", args.json.display());
    report.failure().map_or(Ok(()), |why| bail!("not measured: {why}"))
}
