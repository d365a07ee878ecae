//! `cargo xtask bench`: builds what is released and measures it, each number beside a peer in the same run.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command;
use crate::workspace::{Workspace, cargo};

/// The foundation's benchmark, in `tests/e2e`. In one go, so that binaries and benchmark share their dependencies'
/// features and nothing is compiled twice.
const FOUNDATION: Bench = Bench {
    target: "foundation",
    build: &["--package", "podium-cli", "--package", "podium-e2e", "--bins", "--bench", "foundation"],
};

/// The Pit's, in `core/pit`: it needs no program.
const PIT: Bench = Bench { target: "pit", build: &["--package", "podium-pit", "--bench", "pit"] };

struct Bench {
    target: &'static str,
    build: &'static [&'static str],
}

/// Thin LTO of several binaries on two cores takes its time.
const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);
const ANSWER_LIMIT: Duration = Duration::from_secs(10 * 60);
/// Repositories of 50,000 files are made, copied and removed many times.
const RUN_LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure only these parts: initialize, request, memory, ipc, claims, model, streaming, sessions, worktrees,
    /// creation, listing, radar, guard; or `pit`, and of that: dag, pool, foresight, arbitration
    names: Vec<String>,
    /// Where the numbers go [default: target/bench/foundation.json or pit.json]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Few repetitions: shows that everything can be measured
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let (measured, names) = match args.names.as_slice() {
        [one, parts @ ..] if one == PIT.target => (PIT, parts),
        names => (FOUNDATION, names),
    };
    println!("$ cargo build --release {}", measured.build.join(" "));
    let status = command::shown(build(workspace, &measured, &[]), BUILD_LIMIT)?;
    if !status.success() {
        bail!("the release build failed ({status})");
    }
    // All is built: this one only tells where.
    let messages = command::output(build(workspace, &measured, &["--message-format", "json"]), ANSWER_LIMIT)?;
    let program =
        executable(&messages, measured.target).context("cargo does not tell where the benchmark lies")?;
    let mut bench = Command::new(program);
    bench.args(names).current_dir(&workspace.root);
    if let Some(file) = &args.json {
        bench.arg("--json").arg(std::path::absolute(file)?);
    }
    if args.quick {
        bench.arg("--quick");
    }
    let status = command::shown(bench, RUN_LIMIT)?;
    if status.success() { Ok(()) } else { bail!("not everything could be measured ({status})") }
}

fn build(workspace: &Workspace, bench: &Bench, more: &[&str]) -> Command {
    let mut cargo = cargo();
    cargo.args(["build", "--release"]).args(bench.build).args(more).current_dir(&workspace.root);
    cargo
}

/// The benchmark's program in cargo's messages, one JSON object a line.
fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours =
        |message: &Value| message["target"]["name"] == target && message["target"]["kind"][0] == "bench";
    let mut programs =
        messages.filter(ours).filter_map(|message| Some(message["executable"].as_str()?.into()));
    programs.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_other_messages() {
        let messages = r#"
            {"reason":"compiler-artifact","target":{"name":"podium","kind":["bin"]},"executable":"/t/podium"}
            {"reason":"compiler-artifact","target":{"name":"foundation","kind":["bench"]},"executable":"/t/f-1"}
            {"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "foundation"), Some(PathBuf::from("/t/f-1")));
        assert_eq!(executable("warning: no JSON", "foundation"), None);
    }
}
