//! What the test run needs of the Rust toolchain beyond cargo itself.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::cache::Cache;
use super::{Context, is_program, program};
use crate::command;
use crate::workspace::cargo;

/// Installed where there is none; any version already on `PATH` is used as it is.
const NEXTEST: &str = "0.9.143";
const COMPILE_LIMIT: Duration = Duration::from_secs(30 * 60);

fn key() -> String {
    format!("cargo-nextest-{NEXTEST}")
}

pub(super) fn nextest(cache: &Cache) -> Option<PathBuf> {
    let cached = || Some(cache.entry(&key()).join("bin/cargo-nextest")).filter(|file| is_program(file));
    program("cargo-nextest").or_else(cached)
}

/// The folder to add to `PATH` so that `cargo nextest` works.
pub(crate) fn nextest_folder() -> Option<PathBuf> {
    nextest(&Cache::from_environment().ok()?)?.parent().map(PathBuf::from)
}

pub(super) fn provision(context: &Context<'_>) -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let mut asked = cargo();
        asked.args([subcommand, "--version"]);
        if !command::succeeds(asked) {
            bail!("`cargo {subcommand}` is missing; run `rustup component add {component}`");
        }
    }
    if nextest(context.cache).is_some() {
        context.report.present("rustfmt, clippy, cargo-nextest");
        return Ok(());
    }
    if context.check {
        bail!("cargo-nextest is missing; run `cargo xtask provision rust`");
    }
    context.report.action(&format!("cargo-nextest {NEXTEST} (compiled from its crate)"), || {
        context.cache.ensure(&key(), |folder| {
            let mut install = cargo();
            install
                .args(["install", "cargo-nextest", "--locked", "--version", NEXTEST, "--root"])
                .arg(folder);
            // Outside the checkout, whose build flags are not meant for it.
            install.current_dir(folder);
            command::logged(install, &context.log("cargo-nextest"), COMPILE_LIMIT)
        })
    })?;
    nextest(context.cache).map(|_| ()).context("cargo install ended well but left no cargo-nextest")
}
