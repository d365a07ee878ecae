//! How long an editor waits for its language server.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Result;
use podium_harness::TestEnvironment;
use serde_json::json;

use crate::Effort;
use crate::editor::Editor;
use crate::report::{Figure, Row};
use crate::setting::end_daemons;
use crate::stats::Samples;

const RUNS: usize = 15;

/// Start of a process to `initialize` answered, with a daemon and without one.
pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let runs = effort.times(RUNS);
    let (mut floor, mut git) = (Samples::default(), Samples::default());

    let mut warm = Samples::default();
    environment.start_daemon();
    for _ in 0..=runs {
        floor.time(|| finish("true", &[]))?;
        git.time(|| finish("git", &["--version"]))?;
        start_once(&environment, repo.path(), &mut warm)?.leave()?;
    }

    let (mut cold, mut ready) = (Samples::default(), Samples::default());
    for _ in 0..=runs {
        end_daemons(&environment)?;
        floor.time(|| finish("true", &[]))?;
        let start = Instant::now();
        let mut editor = start_once(&environment, repo.path(), &mut cold)?;
        editor.initialized()?;
        editor.request("podium/config/get", json!({ "key": "log.level" }))?;
        ready.push(start.elapsed());
        editor.leave()?;
    }
    end_daemons(&environment)?;
    let process = Figure::ms(&floor);
    Ok(vec![
        Row::new("initialize, a daemon runs", Figure::ms(&warm))
            .peer("start of `true`", process.clone())
            .at_most(30.0),
        Row::new("initialize, no daemon", Figure::ms(&cold)).peer("start of `true`", process).at_most(250.0),
        Row::new("first forwarded answer, no daemon", Figure::ms(&ready))
            .peer("`git --version`", Figure::ms(&git))
            .note("from the language server's start, through the daemon that it starts"),
    ])
}

fn start_once(environment: &TestEnvironment, folder: &Path, samples: &mut Samples) -> Result<Editor> {
    samples.time(|| {
        let mut editor = Editor::start(environment, folder)?;
        editor.initialize(folder)?;
        Ok(editor)
    })
}

fn finish(program: &str, args: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status()?;
    Ok(())
}
