//! `provision --prove`: runs what was provisioned. A folder full of files is no proof that a native module loads.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Group;
use super::manifest::Manifest;
use super::report::Report;
use crate::command;
use crate::workspace::Workspace;

const SCRIPT: &str = include_str!("prove.mjs");
const START_LIMIT: Duration = Duration::from_secs(60);
const PICTURE_LIMIT: Duration = Duration::from_secs(240);
const PAUSE: Duration = Duration::from_millis(50);

pub(super) fn run(workspace: &Workspace, groups: &[Group], tools: &Manifest, report: &Report) -> Result<()> {
    if groups.contains(&Group::Neovim) {
        let mut nvim = Command::new(tools.get("nvim")?);
        nvim.args(["--headless", "--clean", "--version"]);
        let version = command::output(nvim, START_LIMIT)?;
        report.present(version.lines().next().unwrap_or("Neovim"));
    }
    if groups.contains(&Group::Vscode) {
        let picture = report.action("VS Code in the browser", || photograph(workspace, tools))?;
        report.present(&format!("picture: {}", picture.display()));
    }
    Ok(())
}

fn photograph(workspace: &Workspace, tools: &Manifest) -> Result<PathBuf> {
    let logs = workspace.tools();
    let scratch = logs.join("proof");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    let folder = scratch.join("folder");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("proof.txt"), "Shown by VS Code in a browser.\n")?;
    let settings = scratch.join("user/User");
    fs::create_dir_all(&settings)?;
    let quiet = r#"{"security.workspace.trust.enabled": false, "workbench.startupEditor": "none"}"#;
    fs::write(settings.join("settings.json"), quiet)?;

    let address = free_address()?;
    let server = start(tools, &scratch, &folder, address, &logs.join("proof-server.log"))?;
    let picture = logs.join("proof.png");
    let result = wait_for(address).and_then(|()| {
        let script = scratch.join("prove.mjs");
        fs::write(&script, SCRIPT)?;
        let mut node = Command::new(tools.get("node")?);
        node.arg(script).arg(tools.get("playwright_core")?).arg(tools.get("chromium")?);
        node.arg(format!("http://{address}/?folder={}", folder.display())).arg(&picture);
        node.arg(scratch.join("browser"));
        command::logged(node, &logs.join("proof.log"), PICTURE_LIMIT)
    });
    command::end(server);
    result.map(|()| picture)
}

fn start(tools: &Manifest, scratch: &Path, folder: &Path, address: SocketAddr, log: &Path) -> Result<Child> {
    let mut server = Command::new(tools.get("node")?);
    server.arg(tools.get("code_server_entry")?).args(["--auth", "none", "--disable-telemetry"]);
    server.args(["--disable-update-check", "--bind-addr", &address.to_string()]);
    server.arg("--user-data-dir").arg(scratch.join("user"));
    server.arg("--extensions-dir").arg(scratch.join("extensions")).arg(folder);
    // Its configuration file would otherwise be written to the home folder.
    server.env("CODE_SERVER_CONFIG", scratch.join("config.yaml")).env_remove("VSCODE_IPC_HOOK_CLI");
    let file = fs::File::create(log)?;
    server.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    command::spawn(server, true)
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn wait_for(address: SocketAddr) -> Result<()> {
    let start = Instant::now();
    while TcpStream::connect_timeout(&address, PAUSE).is_err() {
        if start.elapsed() > START_LIMIT {
            bail!("code-server does not listen after {} s; see proof-server.log", START_LIMIT.as_secs());
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
