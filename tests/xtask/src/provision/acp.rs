//! The Agent Client Protocol's Python SDK, which the tests' agent is built on. Installed with `pip --target`, which needs
//! no virtual environment and leaves a folder that may be moved.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::cache::Cache;
use super::{Context, program};
use crate::command;

const VERSION: &str = "0.12.1";
const LIMIT: Duration = Duration::from_secs(300);

fn key() -> String {
    format!("acp-sdk-{VERSION}")
}

/// The folder to be put on Python's path.
pub(super) fn sdk(cache: &Cache) -> Option<PathBuf> {
    Some(cache.entry(&key())).filter(|folder| folder.join("acp/__init__.py").is_file())
}

pub(super) fn provision(context: &Context<'_>) -> Result<()> {
    let what = format!("Agent Client Protocol SDK {VERSION}");
    if sdk(context.cache).is_some() {
        context.report.present(&what);
        return Ok(());
    }
    if context.check {
        bail!("{what} is missing; run `cargo xtask provision acp`");
    }
    let python =
        program("python3").context("python3 is missing; install it with pip (Debian: python3-pip)")?;
    context.report.action(&format!("{what} (Python package agent-client-protocol)"), || {
        context.cache.ensure(&key(), |folder| {
            let mut pip = Command::new(&python);
            pip.args(["-m", "pip", "install", "--no-input", "--no-compile", "--quiet", "--target"]);
            pip.arg(folder).arg(format!("agent-client-protocol=={VERSION}"));
            command::logged(pip, &context.log("acp"), LIMIT)
                .context("pip could not install it; with pip (Debian: python3-pip) and a network, run `cargo xtask provision acp` again")
        })
    })?;
    sdk(context.cache).map(|_| ()).context("the package installed, but carries no module `acp`")
}
