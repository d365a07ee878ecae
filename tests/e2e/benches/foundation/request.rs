//! A request that the language server passes on to the daemon, and its answer back.

use std::time::Instant;

use anyhow::Result;
use podium_harness::TestEnvironment;
use podium_protocol::{ConfigGet, ConfigGetParams};
use serde_json::json;

use crate::Effort;
use crate::editor::Editor;
use crate::raw::RawServer;
use crate::report::{Figure, Row};
use crate::setting::{client, runtime, told};
use crate::stats::Samples;

const KEY: &str = "log.level";
const BLOCKS: usize = 10;
const REQUESTS: usize = 200;

/// The same request through the language server, by IPC, and as a bare round trip, in turn.
pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.start_daemon();
    let server = RawServer::start(environment.root())?;
    let mut editor = Editor::start(&environment, repo.path())?;
    editor.initialize(repo.path())?;
    editor.initialized()?;
    let runtime = runtime()?;
    let ipc = client(&environment, "bench");
    let mut raw = runtime.block_on(server.connect())?;

    let (mut forwarded, mut direct, mut bare) = (Samples::default(), Samples::default(), Samples::default());
    for block in 0..=effort.times(BLOCKS) {
        let (mut of_lsp, mut of_ipc, mut of_raw) =
            (Samples::default(), Samples::default(), Samples::default());
        for _ in 0..REQUESTS {
            of_lsp.time(|| editor.request("podium/config/get", json!({ "key": KEY })))?;
        }
        runtime.block_on(async {
            for _ in 0..REQUESTS {
                let start = Instant::now();
                ipc.call::<ConfigGet>(ConfigGetParams { key: Some(KEY.to_owned()) }).await.map_err(told)?;
                of_ipc.push(start.elapsed());
                let start = Instant::now();
                raw.ping(KEY).await?;
                of_raw.push(start.elapsed());
            }
            anyhow::Ok(())
        })?;
        // The first block warms up.
        if block > 0 {
            forwarded.append(&of_lsp);
            direct.append(&of_ipc);
            bare.append(&of_raw);
        }
    }
    editor.leave()?;
    Ok(vec![
        Row::new("editor -> lsp -> daemon and back", Figure::ms(&forwarded))
            .peer("the same by IPC", Figure::ms(&direct))
            .at_most(1.0)
            .note("podium/config/get of one key"),
        Row::new("client -> daemon and back", Figure::ms(&direct))
            .peer("raw tokio ping-pong", Figure::ms(&bare)),
    ])
}
