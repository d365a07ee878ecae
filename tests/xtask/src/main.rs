//! `cargo xtask`: what surrounds the code. Provisions the real programs that tests drive, checks the rules of the
//! repository that no compiler checks, and runs the whole test suite in order.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line for developers and CI")]

mod bench;
mod codegen;
mod command;
mod provision;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Project automation", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests drive: system packages, Neovim, VS Code in a browser
    Provision(provision::Args),
    /// Write the committed files that are generated from code: schemas, TypeScript types, protocol reference
    Codegen(codegen::Args),
    /// Check the rules of the repository: dependency arrows, file sizes, leftovers, names, licences
    Tidy,
    /// Run everything: provision, format, lints, tidy, builds, all tests
    Test(test::Args),
    /// Measure the release build against its numbers, each beside a peer in the same run
    Bench(bench::Args),
}

fn main() -> ExitCode {
    command::end_children_on_signals();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let workspace = Workspace::load()?;
    match cli.task {
        Task::Provision(args) => provision::run(&workspace, &args),
        Task::Codegen(args) => codegen::run(&workspace, &args),
        Task::Tidy => tidy::run(&workspace),
        Task::Test(args) => test::run(&workspace, &args),
        Task::Bench(args) => bench::run(&workspace, &args),
    }
}
