//! A turn of two thousand pieces, beside curl that reads the same stream and does nothing with it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use podium_harness::streaming::Telling;
use serde_json::json;

use super::{Place, pieces, text_bytes, update};
use crate::Effort;
use crate::report::{Figure, Row};
use crate::stats::Samples;

const PIECES: usize = 2_000;
const ROUNDS: usize = 5;

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let paces =
        [(Duration::from_millis(1), "at 1,000 a second"), (Duration::ZERO, "as fast as they are read")];
    paces.into_iter().map(|(every, what)| at_pace(effort, every, what)).collect()
}

fn at_pace(effort: Effort, every: Duration, what: &str) -> Result<Row> {
    let telling = Telling { pieces: pieces(PIECES), every, silent_behind: None };
    let bytes: usize = telling.pieces.iter().map(String::len).sum();
    let mut place = Place::of(telling)?;
    let (mut ours, mut raw) = (Samples::default(), Samples::default());
    for round in 0..=effort.times(ROUNDS) {
        let start = Instant::now();
        turn(&mut place, bytes)?;
        let took = start.elapsed();
        let read = curl(place.server.url())?;
        // The first one warms up.
        if round > 0 {
            ours.push(took);
            raw.push(read);
        }
    }
    place.editor.leave()?;
    Ok(Row::new(format!("turn of 2,000 pieces {what}"), Figure::ms(&ours))
        .peer("curl reads the stream raw", Figure::ms(&raw))
        .beyond_peer_at_most(150.0)
        .note("session/start to the end of the session at the editor, every piece stored and notified by itself"))
}

fn turn(place: &mut Place, bytes: usize) -> Result<()> {
    let id = place.start("a long story")?;
    place.attach(&id, 0)?;
    let mut came = 0;
    loop {
        let message = place.editor.read()?;
        let Some(params) = update(&message).filter(|params| params["id"] == id.as_str()) else { continue };
        came += text_bytes(params);
        if !params["end"].is_null() {
            ensure!(came == bytes, "{came} of {bytes} bytes came: {}", params["end"]);
            return Ok(());
        }
    }
}

fn curl(url: &str) -> Result<Duration> {
    let body = json!({ "messages": [{ "role": "user", "content": "a long story" }] }).to_string();
    let start = Instant::now();
    let status = Command::new("curl")
        .args(["-sN", "--fail", "-H", "content-type: application/json", "-d", &body])
        .arg(format!("{url}/v1/messages"))
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "curl fails: {status}");
    Ok(start.elapsed())
}
