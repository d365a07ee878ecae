//! `cargo xtask provision`: the real programs that tests drive. Every step is a look first: what is there in the
//! pinned version costs nothing.
//!
//! System packages go to the system; everything else goes to a cache outside the checkout, keyed by version, so that
//! a fresh clone does not pay again. Where each thing lies is written to `target/tools/tools.json`, which the test
//! harness reads.

mod cache;
mod llama;
mod manifest;
mod neovim;
mod node;
mod prove;
mod python;
mod report;
mod rust;
mod system;
mod vscode;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::ValueEnum;

use self::cache::Cache;
use self::manifest::Manifest;
use self::report::Report;
use crate::workspace::Workspace;

pub(crate) use self::rust::nextest_folder;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// What to provision; everything when none is named
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// Install nothing; fail when something is missing
    #[arg(long)]
    check: bool,
    /// Afterwards run Neovim and take a picture of VS Code in the browser (target/tools/proof.png)
    #[arg(long, conflicts_with = "check")]
    prove: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Group {
    /// Debian packages: sandbox, terminal multiplexer, browser, a C++ compiler
    System,
    /// cargo-nextest, rustfmt, clippy
    Rust,
    /// The SDK that the tests' Agent Client Protocol agent is built on
    Acp,
    /// llama.cpp's server, for the test with a real server of OpenAI's interface
    Llama,
    /// The SDK that the tests' Model Context Protocol client is built on
    Mcp,
    /// Neovim
    Neovim,
    /// VS Code in a browser (code-server) and the driver of the browser (playwright-core)
    Vscode,
}

/// What a group's work needs to know.
struct Context<'a> {
    cache: &'a Cache,
    logs: PathBuf,
    check: bool,
    report: &'a Report,
    /// Set when the system packages are through; compiling waits for it. False when they failed.
    system_done: &'a OnceLock<bool>,
}

impl Context<'_> {
    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let start = Instant::now();
    let cache = Cache::from_environment()?;
    let report = Report;
    let system_done = OnceLock::new();
    let context = Context {
        cache: &cache,
        logs: workspace.tools(),
        check: args.check,
        report: &report,
        system_done: &system_done,
    };
    let groups = chosen(&args.groups);
    let failures = run_groups(&context, &groups);
    if !args.check {
        Manifest::discover(&cache).write(&workspace.tools().join("tools.json"))?;
    }
    if !failures.is_empty() {
        for (group, error) in &failures {
            eprintln!("\nprovision {}: {error:#}", group_name(*group));
        }
        bail!("not everything the tests need is here: {} of the groups above failed", failures.len());
    }
    if args.prove {
        prove::run(workspace, &groups, &Manifest::discover(&cache), &report)?;
    }
    println!(
        "provisioned in {:.1} s; tools are in {}",
        start.elapsed().as_secs_f64(),
        cache.folder().display()
    );
    Ok(())
}

/// Side by side: downloads overlap with the package manager and with each other.
fn run_groups(context: &Context<'_>, groups: &[Group]) -> Vec<(Group, anyhow::Error)> {
    let failures = Mutex::new(Vec::new());
    if !groups.contains(&Group::System) {
        let _ = context.system_done.set(true);
    }
    thread::scope(|scope| {
        for group in groups {
            let failures = &failures;
            scope.spawn(move || {
                let result = match group {
                    Group::System => {
                        let result = system::provision(context);
                        let _ = context.system_done.set(result.is_ok());
                        result
                    }
                    Group::Rust => rust::provision(context),
                    Group::Acp => python::ACP.provision(context),
                    Group::Llama => llama::provision(context),
                    Group::Mcp => python::MCP.provision(context),
                    Group::Neovim => neovim::provision(context),
                    Group::Vscode => vscode::provision(context),
                };
                if let Err(error) = result {
                    failures.lock().unwrap_or_else(PoisonError::into_inner).push((*group, error));
                }
            });
        }
    });
    failures.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The groups named, in a fixed order; VS Code brings the system packages that it is compiled with and shown in.
fn chosen(named: &[Group]) -> Vec<Group> {
    let all = Group::value_variants();
    let wanted = |group: &Group| {
        named.is_empty()
            || named.contains(group)
            || (*group == Group::System && named.contains(&Group::Vscode))
    };
    all.iter().copied().filter(wanted).collect()
}

fn group_name(group: Group) -> &'static str {
    match group {
        Group::System => "system",
        Group::Rust => "rust",
        Group::Acp => "acp",
        Group::Llama => "llama",
        Group::Mcp => "mcp",
        Group::Neovim => "neovim",
        Group::Vscode => "vscode",
    }
}

/// The first program of that name on `PATH`.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    #[cfg(unix)]
    let executable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let executable = true;
    metadata.is_file() && executable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naming_no_group_means_all_and_vscode_brings_the_system_packages() {
        assert_eq!(chosen(&[]), Group::value_variants());
        assert_eq!(chosen(&[Group::Neovim]), [Group::Neovim]);
        assert_eq!(chosen(&[Group::Vscode]), [Group::System, Group::Vscode]);
    }
}
