//! Sessions that run and say nothing.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use podium_harness::streaming::Telling;

use super::{Place, pieces};
use crate::Effort;
use crate::report::{Figure, Row};

const SESSIONS: usize = 20;
const WATCHED: Duration = Duration::from_secs(10);

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let telling = Telling { pieces: pieces(20), every: Duration::ZERO, silent_behind: Some(10) };
    let mut place = Place::of(telling)?;
    let watched = if effort == Effort::Full { WATCHED } else { WATCHED / 10 };
    let without = used(place.daemon, watched)?;
    for number in 0..SESSIONS {
        let id = place.start(&format!("session {number}"))?;
        place.attach(&id, 0)?;
    }
    let with = used(place.daemon, watched)?;
    let figure = |used: Duration| Figure::of(used.as_secs_f64() * 1e3 / watched.as_secs_f64(), "ms/s", 1);
    place.editor.leave()?;
    Ok(vec![
        Row::new("daemon's processor time, 20 sessions silent", figure(with))
            .peer("the same daemon without sessions", figure(without))
            .beyond_peer_at_most(0.5)
            .note("asked is none: half a thousandth of a processor is what can be told apart"),
    ])
}

/// Processor time over a while without requests, once what was asked before has settled.
fn used(pid: u32, watched: Duration) -> Result<Duration> {
    let settle = Instant::now() + Duration::from_secs(1);
    // tidy-allow(sleep): what is measured is the state after a time without requests
    std::thread::sleep(settle.saturating_duration_since(Instant::now()));
    let before = processor_time(pid)?;
    // tidy-allow(sleep): what is measured is what is used meanwhile
    std::thread::sleep(watched);
    Ok(processor_time(pid)?.saturating_sub(before))
}

/// Of all threads, to the nanosecond; threads that ended meanwhile are left out.
fn processor_time(pid: u32) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let spent = text.split_whitespace().next().and_then(|number| number.parse().ok());
        all += Duration::from_nanos(spent.context("the kernel tells no processor time")?);
    }
    Ok(all)
}
