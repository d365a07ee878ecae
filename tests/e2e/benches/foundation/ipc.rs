//! The way between a client and the daemon, beside a bare socket.

use std::time::Instant;

use anyhow::Result;
use futures_util::StreamExt as _;
use podium_client::Client;
use podium_harness::TestEnvironment;
use podium_protocol::{Ping, PingParams};
use serde_json::Value;

use crate::Effort;
use crate::pin::Pinned;
use crate::raw::{RawClient, RawServer};
use crate::report::{Figure, Row};
use crate::setting::{client, runtime, told};
use crate::stats::{Samples, median};

const PAYLOAD: usize = 256;
const ROUNDS: usize = 25;
const PINGS: usize = 400;
const WINDOW: usize = 256;
const PIPELINE_ROUNDS: usize = 7;
const PIPELINED: usize = 60_000;

/// Round trip and throughput of `ping`, alternating with the peer's.
pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let environment = TestEnvironment::new();
    environment.start_daemon();
    let server = RawServer::start(environment.root())?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let ours = client(&environment, "bench");
        let mut raw = server.connect().await?;
        let mut processes = environment.daemons();
        processes.extend([server.pid(), std::process::id()]);
        let pinned = Pinned::to_one(&processes)?;
        let round_trip = round_trip(&ours, &mut raw, effort).await?;
        drop(pinned);
        Ok(vec![round_trip, throughput(&ours, &mut raw, effort).await?])
    })
}

async fn round_trip(ours: &Client, raw: &mut RawClient, effort: Effort) -> Result<Row> {
    let payload = "x".repeat(PAYLOAD);
    let (mut of_ours, mut of_raw, mut ratios) = (Samples::default(), Samples::default(), Vec::new());
    for round in 0..=effort.times(ROUNDS) {
        let (mut mine, mut theirs) = (Samples::default(), Samples::default());
        for _ in 0..PINGS {
            let start = Instant::now();
            ping(ours, &payload).await?;
            mine.push(start.elapsed());
        }
        for _ in 0..PINGS {
            let start = Instant::now();
            raw.ping(&payload).await?;
            theirs.push(start.elapsed());
        }
        // The first round warms up.
        if round > 0 {
            ratios.push(mine.median() / theirs.median());
            of_ours.append(&mine);
            of_raw.append(&theirs);
        }
    }
    Ok(Row::new("round trip, 256 B", Figure::us(&of_ours))
        .peer("raw tokio", Figure::us(&of_raw))
        .ratio(median(&ratios))
        .ratio_at_most(1.3)
        .note("all sides on one processor; the ratio is the median of the rounds'"))
}

async fn throughput(ours: &Client, raw: &mut RawClient, effort: Effort) -> Result<Row> {
    let payload = "x".repeat(PAYLOAD);
    let (mut of_ours, mut of_raw) = (Vec::new(), Vec::new());
    let rounds = effort.times(PIPELINE_ROUNDS);
    for _ in 0..rounds {
        let start = Instant::now();
        pipeline(ours, &payload).await?;
        of_ours.push(per_second(PIPELINED, start));
        let start = Instant::now();
        raw.pipeline(&payload, PIPELINED, WINDOW).await?;
        of_raw.push(per_second(PIPELINED, start));
    }
    let rate = |rates: &[f64]| Figure::of(median(rates), "msg/s", rates.len());
    Ok(Row::new("pipelined, window 256", rate(&of_ours))
        .peer("raw tokio", rate(&of_raw))
        .at_least(200_000.0)
        .note("requests answered in a second; each is a message there and one back"))
}

async fn ping(client: &Client, payload: &str) -> Result<()> {
    let params = PingParams { payload: Value::String(payload.to_owned()) };
    client.call::<Ping>(params).await.map(drop).map_err(told)
}

async fn pipeline(client: &Client, payload: &str) -> Result<()> {
    let pings = futures_util::stream::iter((0..PIPELINED).map(|_| ping(client, payload)));
    let mut answers = pings.buffer_unordered(WINDOW);
    while let Some(answer) = answers.next().await {
        answer?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "some ten thousand messages")]
fn per_second(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}
