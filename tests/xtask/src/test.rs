//! `cargo xtask test`: every check of the project, in order, with the time each took. CI runs this very command.

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::workspace::{Workspace, cargo};
use crate::{codegen, command, provision, tidy};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Take the tools as they are
    #[arg(long)]
    no_provision: bool,
    /// Run only these steps, in the usual order
    #[arg(long, value_enum, value_name = "STEP", num_args = 1..)]
    only: Vec<Step>,
    /// Go on after a step that failed
    #[arg(long)]
    keep_going: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Step {
    /// The real programs that tests drive
    Provision,
    /// `cargo fmt --check`
    Fmt,
    /// The rules of the repository
    Tidy,
    /// Generated files are what the code says
    Codegen,
    /// Clippy, warnings are errors
    Clippy,
    /// The tests, and the binaries that they start
    Build,
    /// Unit, integration, end-to-end and editor tests
    Nextest,
    /// Examples in documentation
    Doc,
}

enum Outcome {
    Passed,
    Failed(String),
    NotRun,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let steps = chosen(args);
    let mut rows = Vec::new();
    let mut stopped = false;
    for step in steps {
        if stopped {
            rows.push((step, Duration::ZERO, Outcome::NotRun));
            continue;
        }
        println!("\n== {} ==", name(step));
        let start = Instant::now();
        let outcome = match run_step(workspace, step) {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                eprintln!("{} failed: {error:#}", name(step));
                Outcome::Failed(format!("{error:#}").lines().next().unwrap_or_default().to_owned())
            }
        };
        stopped = matches!(outcome, Outcome::Failed(_)) && !args.keep_going;
        rows.push((step, start.elapsed(), outcome));
    }
    println!("\n{}", table(&rows));
    let failed: Vec<&str> =
        rows.iter().filter(|row| matches!(row.2, Outcome::Failed(_))).map(|row| name(row.0)).collect();
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn chosen(args: &Args) -> Vec<Step> {
    let wanted = |step: &Step| {
        (args.only.is_empty() || args.only.contains(step)) && !(args.no_provision && *step == Step::Provision)
    };
    Step::value_variants().iter().copied().filter(wanted).collect()
}

fn run_step(workspace: &Workspace, step: Step) -> Result<()> {
    match step {
        Step::Provision => provision::run(workspace, &provision::Args::default()),
        Step::Fmt => {
            cargo_step(workspace, &["fmt", "--all", "--", "--check"], 5).context("run `cargo fmt --all`")
        }
        Step::Tidy => tidy::run(workspace),
        Step::Codegen => codegen::run(workspace, &codegen::Args { check: true }),
        Step::Clippy => {
            cargo_step(workspace, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], 40)
        }
        // With the tests, and not the binaries or one package alone: those would get their dependencies with other
        // features than the tests do, and the large ones would be compiled twice.
        Step::Build => cargo_step(workspace, &["build", "--workspace", "--bins", "--tests"], 40),
        Step::Nextest => {
            let threads = test_threads().to_string();
            let profile = ["nextest", "run", "--workspace", "--profile", "ci", "--test-threads", &threads];
            cargo_step(workspace, &profile, 60)
        }
        Step::Doc => cargo_step(workspace, &["test", "--doc", "--workspace"], 30),
    }
}

/// Half as many again as there are cores: a third of the tests' time is waiting for programs, disks and clocks.
fn test_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get() + cores.get() / 2)
}

fn cargo_step(workspace: &Workspace, arguments: &[&str], minutes: u64) -> Result<()> {
    let mut cargo = cargo();
    cargo.args(arguments).current_dir(&workspace.root);
    add_nextest_to_path(&mut cargo)?;
    println!("$ cargo {}", arguments.join(" "));
    let status = command::shown(cargo, Duration::from_secs(minutes * 60))?;
    if status.success() { Ok(()) } else { bail!("`cargo {}` ended with {status}", arguments.join(" ")) }
}

fn add_nextest_to_path(cargo: &mut Command) -> Result<()> {
    let Some(folder) = provision::nextest_folder() else { return Ok(()) };
    let path = env::var_os("PATH").unwrap_or_default();
    // Last: a version that the developer chose comes first.
    let folders = env::split_paths(&path).chain(std::iter::once(folder));
    cargo.env("PATH", env::join_paths(folders)?);
    Ok(())
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Provision => "provision",
        Step::Fmt => "fmt",
        Step::Tidy => "tidy",
        Step::Codegen => "codegen",
        Step::Clippy => "clippy",
        Step::Build => "build",
        Step::Nextest => "nextest",
        Step::Doc => "doc",
    }
}

fn table(rows: &[(Step, Duration, Outcome)]) -> String {
    let total: Duration = rows.iter().map(|row| row.1).sum();
    let mut lines: Vec<String> = rows
        .iter()
        .map(|(step, took, outcome)| match outcome {
            Outcome::Passed => format!("{:<10} {:>8.1} s  ok", name(*step), took.as_secs_f64()),
            Outcome::Failed(why) => {
                format!("{:<10} {:>8.1} s  FAILED: {why}", name(*step), took.as_secs_f64())
            }
            Outcome::NotRun => format!("{:<10} {:>8}    not run", name(*step), "-"),
        })
        .collect();
    lines.push(format!("{:<10} {:>8.1} s", "total", total.as_secs_f64()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(no_provision: bool, only: Vec<Step>) -> Args {
        Args { no_provision, only, keep_going: false }
    }

    #[test]
    fn all_steps_run_unless_some_are_named_and_always_in_their_order() {
        assert_eq!(chosen(&args(false, vec![])), Step::value_variants());
        assert_eq!(chosen(&args(false, vec![Step::Doc, Step::Fmt])), [Step::Fmt, Step::Doc]);
        assert!(!chosen(&args(true, vec![])).contains(&Step::Provision));
    }

    #[test]
    fn the_table_tells_what_passed_what_failed_and_what_did_not_run() {
        let rows = [
            (Step::Fmt, Duration::from_millis(1500), Outcome::Passed),
            (Step::Clippy, Duration::from_secs(60), Outcome::Failed("ended with 101".into())),
            (Step::Doc, Duration::ZERO, Outcome::NotRun),
        ];
        let expected = "fmt             1.5 s  ok\nclippy         60.0 s  FAILED: ended with 101\n\
                        doc               -    not run\ntotal          61.5 s";
        assert_eq!(table(&rows), expected);
    }
}
