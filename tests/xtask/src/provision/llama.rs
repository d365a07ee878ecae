//! llama.cpp's server, as the Python package that carries it compiled: the tests' real server with OpenAI's interface.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::cache::Cache;
use super::{Context, program};
use crate::command;

const VERSION: &str = "2026.10.11549";
const LIMIT: Duration = Duration::from_secs(300);

fn key() -> String {
    format!("llama-server-{VERSION}")
}

/// The folder to be put on Python's path.
pub(super) fn server(cache: &Cache) -> Option<PathBuf> {
    Some(cache.entry(&key())).filter(|folder| folder.join("xllamacpp/__init__.py").is_file())
}

pub(super) fn provision(context: &Context<'_>) -> Result<()> {
    let what = format!("llama.cpp server {VERSION}");
    if server(context.cache).is_some() {
        context.report.present(&what);
        return Ok(());
    }
    if context.check {
        bail!("{what} is missing; run `cargo xtask provision llama`");
    }
    let python =
        program("python3").context("python3 is missing; install it with pip (Debian: python3-pip)")?;
    context.report.action(&format!("{what} (Python package xllamacpp)"), || {
        context.cache.ensure(&key(), |folder| {
            let mut pip = Command::new(&python);
            // Compiling it would take long: where there is no build for this platform, that is said.
            pip.args(["-m", "pip", "install", "--no-input", "--no-deps", "--no-compile", "--quiet"]);
            pip.args(["--only-binary", ":all:", "--target"]).arg(folder);
            pip.arg(format!("xllamacpp=={VERSION}"));
            command::logged(pip, &context.log("llama"), LIMIT)
                .context("pip could not install it; with pip (Debian: python3-pip) and a network, run `cargo xtask provision llama` again")
        })
    })?;
    server(context.cache).map(|_| ()).context("the package installed, but carries no module `xllamacpp`")
}
