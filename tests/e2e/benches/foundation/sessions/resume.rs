//! A session of ten thousand items whose daemon was killed is gone on with.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use podium_harness::streaming::Telling;
use podium_store::rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::{Place, editor_of, pieces, text_bytes, update};
use crate::Effort;
use crate::report::{Figure, Row};
use crate::stats::Samples;

const ITEMS: usize = 10_000;
/// More of the answer that is still to come.
const REST: usize = 50;
const ROUNDS: usize = 5;

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let telling = Telling { pieces: pieces(ITEMS + REST), every: Duration::ZERO, silent_behind: Some(ITEMS) };
    let stored: usize = telling.pieces[..ITEMS].iter().map(String::len).sum();
    let mut place = Place::of(telling)?;
    let (mut whole, mut known, mut rows) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..effort.times(ROUNDS) {
        whole.push(round(&mut place, stored, false)?);
        known.push(round(&mut place, stored, true)?);
        rows.push(select(&place)?);
    }
    place.editor.leave()?;
    Ok(vec![
        Row::new("resume, 10,000 items, all shown again -> new text", Figure::ms(&whole))
            .peer("SQLite reads the rows", Figure::ms(&rows))
            .at_most(100.0)
            .note("session/resume and session/attach from the first item on, to the first new text at the editor"),
        Row::new("resume, 10,000 items, known to the editor -> new text", Figure::ms(&known)).at_most(100.0),
    ])
}

/// A new session, cut off by the daemon's death, and how long it takes until it goes on.
fn round(place: &mut Place, stored: usize, known: bool) -> Result<Duration> {
    let id = place.start("a long story")?;
    place.attach(&id, 0)?;
    let (_, last) = read_until(place, &id, stored)?;
    place.environment.kill_daemon();
    place.daemon = place.environment.start_daemon();
    place.editor = editor_of(&place.environment)?;
    let seen = if known { last } else { 0 };
    let start = Instant::now();
    place.editor.request("podium/session/resume", json!({ "id": id }))?;
    place.attach(&id, seen)?;
    let (first_new, _) = read_until(place, &id, if known { 1 } else { stored + 1 })?;
    Ok(first_new.duration_since(start))
}

/// Reads until so many bytes of text came; when, and the last item's number.
fn read_until(place: &mut Place, id: &str, bytes: usize) -> Result<(Instant, u64)> {
    let (mut came, mut last) = (0, 0);
    loop {
        let message = place.editor.read()?;
        let Some(params) = update(&message).filter(|params| params["id"] == id) else { continue };
        came += text_bytes(params);
        let seqs = params["items"].as_array().into_iter().flatten().filter_map(|item| item["seq"].as_u64());
        last = seqs.max().unwrap_or(last);
        if came >= bytes {
            return Ok((Instant::now(), last));
        }
        ensure!(params["end"].is_null(), "the session ended behind {came} of {bytes} bytes: {params}");
    }
}

/// One session's rows as they lie in the store.
fn select(place: &Place) -> Result<Duration> {
    let file = place.environment.home().database();
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let start = Instant::now();
    let mut statement = conn.prepare(
        "SELECT seq, kind, text FROM items WHERE session = (SELECT session FROM items LIMIT 1) ORDER BY seq",
    )?;
    let mut rows = statement.query([])?;
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        count += 1;
        bytes += row.get::<_, String>(2)?.len();
    }
    ensure!(count >= ITEMS && bytes > 0, "{count} rows");
    Ok(start.elapsed())
}
