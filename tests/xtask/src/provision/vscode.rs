//! VS Code as its users run it, in a browser: code-server from its npm package, its native modules compiled for the
//! Node at hand, and playwright-core to drive the browser.
//!
//! The packages' own install scripts are not run, because they fetch prebuilt binaries from elsewhere; what they would
//! do beside that is done here.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::cache::Cache;
use super::node::{self, Node};
use super::{Context, program};
use crate::command;

const CODE_SERVER: &str = "4.100.3";
const PLAYWRIGHT: &str = "1.64.1";
const NODE_GYP: &str = "11.4.2";
/// Raised when the steps below change, so that caches made by older ones are not taken for ours.
const RECIPE: u32 = 1;

const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);
const COMPILE_LIMIT: Duration = Duration::from_secs(300);

/// Native modules of VS Code's server that come without a binary.
const NATIVE: [&str; 4] = ["@vscode/spdlog", "native-watchdog", "node-pty", "kerberos"];

fn code_server_key(node: &Node) -> String {
    format!("code-server-{CODE_SERVER}-node{}-{RECIPE}", node.version)
}

fn playwright_key() -> String {
    format!("playwright-core-{PLAYWRIGHT}")
}

pub(super) fn entry(cache: &Cache) -> Option<PathBuf> {
    let folder = cache.entry(&code_server_key(&node::usable(cache)?));
    Some(folder.join("node_modules/code-server/out/node/entry.js")).filter(|file| file.is_file())
}

pub(super) fn playwright(cache: &Cache) -> Option<PathBuf> {
    let folder = cache.entry(&playwright_key()).join("node_modules/playwright-core");
    Some(folder).filter(|folder| folder.join("package.json").is_file())
}

pub(super) fn provision(context: &Context<'_>) -> Result<()> {
    let browser_driver = format!("playwright-core {PLAYWRIGHT}");
    if playwright(context.cache).is_some() {
        context.report.present(&browser_driver);
    } else if context.check {
        bail!("{browser_driver} is missing; run `cargo xtask provision vscode`");
    } else {
        context.report.action(&format!("{browser_driver} (npm package)"), || {
            context.cache.ensure(&playwright_key(), |folder| {
                let mut npm = npm(folder)?;
                npm.arg(format!("playwright-core@{PLAYWRIGHT}"));
                install(npm, &context.log("playwright"))
            })
        })?;
    }
    code_server(context)
}

fn code_server(context: &Context<'_>) -> Result<()> {
    let what = format!("VS Code in a browser (code-server {CODE_SERVER})");
    if entry(context.cache).is_some() {
        context.report.present(&what);
        return Ok(());
    }
    if context.check {
        bail!("{what} is missing; run `cargo xtask provision vscode`");
    }
    let node = node::provision(context)?;
    context.report.action(&what, || {
        context.cache.ensure(&code_server_key(&node), |folder| {
            context.report.action("  its packages (npm)", || download(context, folder))?;
            if !context.system_done.wait() {
                bail!("it is compiled with system packages that could not be installed");
            }
            context.report.action("  its native modules (compiled)", || compile(context, &node, folder))
        })
    })?;
    entry(context.cache).map(|_| ()).context("code-server installed, but its entry point is not there")
}

fn download(context: &Context<'_>, folder: &Path) -> Result<()> {
    let log = context.log("code-server");
    let mut first = npm(folder)?;
    first.arg(format!("code-server@{CODE_SERVER}")).arg(format!("node-gyp@{NODE_GYP}"));
    install(first, &log)?;
    let server = folder.join("node_modules/code-server/lib/vscode");
    for inside in [server.clone(), server.join("extensions")] {
        install(npm_in(&inside)?, &log)?;
    }
    // The server asks for modules by the name of the archive that its desktop sibling keeps them in.
    link("node_modules", &server.join("node_modules.asar"))
}

fn compile(context: &Context<'_>, node: &Node, folder: &Path) -> Result<()> {
    let modules = folder.join("node_modules/code-server/lib/vscode/node_modules");
    let mut jobs: VecDeque<(String, Command)> = VecDeque::new();
    let argon = folder.join("node_modules/argon2");
    jobs.push_back(("argon2".into(), node_pre_gyp(node, folder, &argon)?));
    for name in NATIVE {
        jobs.push_back((name.replace(['@', '/'], "-"), node_gyp(node, folder, &modules.join(name))?));
    }
    let jobs = Mutex::new(jobs);
    let failures = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from).min(4);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((name, job)) = take(&jobs) {
                    let log = context.log(&format!("code-server-{}", name.trim_matches('-')));
                    if let Err(error) = command::logged(job, &log, COMPILE_LIMIT) {
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                    }
                }
            });
        }
    });
    match failures.into_inner().unwrap_or_else(PoisonError::into_inner).pop() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn take<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn node_gyp(node: &Node, folder: &Path, module: &Path) -> Result<Command> {
    let mut command = node_script(node, &gyp_script(folder), module)?;
    command.arg("rebuild").arg(nodedir(node));
    Ok(command)
}

/// argon2 names its binary by the rules of this tool, which passes them on to `node-gyp`.
fn node_pre_gyp(node: &Node, folder: &Path, module: &Path) -> Result<Command> {
    let script = folder.join("node_modules/@mapbox/node-pre-gyp/bin/node-pre-gyp");
    let mut command = node_script(node, &script, module)?;
    command.args(["rebuild", "--build-from-source"]).arg(nodedir(node));
    command.env("npm_config_node_gyp", gyp_script(folder));
    Ok(command)
}

fn gyp_script(folder: &Path) -> PathBuf {
    folder.join("node_modules/node-gyp/bin/node-gyp.js")
}

fn nodedir(node: &Node) -> String {
    format!("--nodedir={}", node.headers.display())
}

fn node_script(node: &Node, script: &Path, module: &Path) -> Result<Command> {
    let mut command = Command::new(&node.program);
    command.arg(script).current_dir(module).env("npm_config_loglevel", "warn").env("JOBS", "1");
    // The build files call `node` by its bare name and must get the one that is compiled for.
    let folder = node.program.parent().context("node has no folder")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(folders)?);
    Ok(command)
}

/// `npm install` for an empty folder; package names follow as arguments.
pub(super) fn npm(folder: &Path) -> Result<Command> {
    fs::write(folder.join("package.json"), "{\"private\": true}\n")?;
    npm_in(folder)
}

pub(super) fn install(npm: Command, log: &Path) -> Result<()> {
    command::logged(npm, log, DOWNLOAD_LIMIT)
        .context("npm could not install it; with a network, run `cargo xtask provision vscode` again")
}

/// `npm install` as the folder's own manifest says.
fn npm_in(folder: &Path) -> Result<Command> {
    let npm = program("npm").context("npm is missing; install Node with npm (Debian: nodejs npm)")?;
    let mut command = Command::new(npm);
    command.args([
        "install",
        "--ignore-scripts",
        "--omit=dev",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    // Lock files name packages and hashes, never where a machine happened to download them from.
    command.arg("--omit-lockfile-registry-resolved").env("npm_config_update_notifier", "false");
    command.current_dir(folder);
    Ok(command)
}

#[cfg(unix)]
fn link(target: &str, at: &Path) -> Result<()> {
    Ok(std::os::unix::fs::symlink(target, at)?)
}

#[cfg(not(unix))]
fn link(_: &str, _: &Path) -> Result<()> {
    bail!("VS Code in a browser is provisioned on Unix only")
}
