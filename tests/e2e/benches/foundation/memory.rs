//! What the processes hold while nobody asks anything.

use std::time::Duration;

use anyhow::Result;
use podium_harness::{TestEnvironment, process};
use podium_protocol::{RepoRegister, RepoRegisterParams, RepoSelector};

use crate::Effort;
use crate::editor::Editor;
use crate::raw::RawServer;
use crate::report::{Figure, Row};
use crate::setting::{client, runtime, told};

/// Nothing is asked for so long before the look.
const IDLE: Duration = Duration::from_secs(2);

/// Resident memory of an idle daemon that knows a repository and of an idle language server attached to it.
pub(crate) fn measure(_: Effort) -> Result<Vec<Row>> {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let daemon = environment.start_daemon();
    let server = RawServer::start(environment.root())?;
    runtime()?.block_on(async {
        let at = RepoSelector { repo: Some(repo.path().display().to_string()), ..RepoSelector::default() };
        let params = RepoRegisterParams { at };
        client(&environment, "bench").call::<RepoRegister>(params).await.map_err(told)
    })?;
    let mut editor = Editor::start(&environment, repo.path())?;
    editor.initialize(repo.path())?;
    editor.initialized()?;
    editor.request("podium/worktree/list", serde_json::json!({}))?;
    // tidy-allow(sleep): what is measured is the state after a time without requests
    std::thread::sleep(IDLE);
    let bare = megabytes(server.pid());
    let rows = vec![
        Row::new("daemon, idle", megabytes(daemon))
            .peer("bare tokio server", bare.clone())
            .at_most(40.0)
            .note("one repository, one editor, no model loaded; MB of 10^6 bytes, VmRSS"),
        Row::new("language server, idle", megabytes(editor.pid()))
            .peer("bare tokio server", bare)
            .at_most(15.0)
            .note(format!(
                "{:.1} MB of it are its own; the rest are pages of the program, shared with the daemon",
                own(editor.pid())
            )),
    ];
    editor.leave()?;
    Ok(rows)
}

/// Memory that no file backs, in MB.
fn own(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib * 1024.0 / 1e6)
}

#[expect(clippy::cast_precision_loss, reason = "some megabytes")]
fn megabytes(pid: u32) -> Figure {
    Figure::of(process::resident_bytes(pid) as f64 / 1e6, "MB", 1)
}
