//! Where things are: the checkout and its packages.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;

const METADATA_LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// `cargo metadata --no-deps`.
    pub(crate) metadata: Value,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let mut cargo = cargo();
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        let answer = command::output(cargo, METADATA_LIMIT).context("cargo metadata failed")?;
        let metadata: Value = serde_json::from_str(&answer).context("cargo metadata answered no JSON")?;
        let root = metadata["workspace_root"].as_str().context("cargo metadata has no workspace_root")?;
        Ok(Self { root: PathBuf::from(root), metadata })
    }

    /// Manifest and logs of provisioned tools. Always in the checkout, wherever binaries are built: they belong to
    /// this checkout's pinned versions.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join("target").join("tools")
    }

    pub(crate) fn packages(&self) -> impl Iterator<Item = &Value> {
        self.metadata["packages"].as_array().into_iter().flatten()
    }

    /// `path` as a person names it: relative to the checkout where it is inside.
    pub(crate) fn relative<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// The cargo that runs us, without the variables it set for us: a build that saw them would not match the caches of
/// the same build started by hand.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}
