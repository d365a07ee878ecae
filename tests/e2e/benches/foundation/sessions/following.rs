//! Twenty sessions at a hundred pieces a second each: how long a piece is on its way, and what the daemon holds meanwhile.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use podium_harness::process;
use podium_harness::streaming::Telling;
use serde_json::Value;

use super::{Place, pieces, text_bytes, update};
use crate::Effort;
use crate::report::{Figure, Row};
use crate::stats::Samples;
use crate::streaming::commits;

const SESSIONS: usize = 20;
const EVERY: Duration = Duration::from_millis(10);

/// What an editor saw of one session: bytes of text, and since when it had them.
#[derive(Default)]
struct Arrived {
    bytes: usize,
    at: Vec<(usize, Instant)>,
    over: bool,
}

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let count = effort.times(1_000);
    let telling = Telling { pieces: pieces(count), every: EVERY, silent_behind: None };
    let ends: Vec<usize> = telling.pieces.iter().scan(0, |end, piece| Some(add(end, piece))).collect();
    let mut place = Place::of(telling)?;
    let mut sessions = HashMap::new();
    for number in 0..SESSIONS {
        let prompt = format!("session {number}");
        let id = place.start(&prompt)?;
        place.attach(&id, 0)?;
        sessions.insert(id, (prompt, Arrived::default()));
    }
    let all_run = Instant::now();
    for (at, message) in place.editor.take_passed() {
        take(&mut sessions, &message, at)?;
    }
    let mut resident = 0;
    while sessions.values().any(|(_, arrived)| !arrived.over) {
        let message = place.editor.read()?;
        take(&mut sessions, &message, Instant::now())?;
        if sessions.values().all(|(_, arrived)| !arrived.over) {
            resident = process::resident_bytes(place.daemon);
        }
    }
    let way = ways(&place, &sessions, &ends, all_run)?;
    let commit = commits(place.environment.root())?;
    place.editor.leave()?;
    let p99 = |samples: &Samples| Figure::of(samples.quantile(0.99) * 1e3, "ms", samples.len());
    #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
    let held = Figure::of(resident as f64 / 1e6, "MB", 1);
    Ok(vec![
        Row::new("piece of 20 streams at 100/s -> editor", Figure::ms(&way))
            .peer("SQLite commit, NORMAL", Figure::ms(&commit))
            .beyond_peer_at_most(2.0)
            .note(
                "from the moment before the server writes the piece to its notification read on stdio; the server, the \
                 editor, the daemon and the language server share the machine's processors",
            ),
        Row::new("the same, p99", p99(&way))
            .peer("the commit's p99", p99(&commit))
            .beyond_peer_at_most(10.0),
        Row::new("daemon with 20 live sessions", held).at_most(80.0).note("MB of 10^6 bytes, VmRSS"),
    ])
}

fn add(end: &mut usize, piece: &str) -> usize {
    *end += piece.len();
    *end
}

fn take(sessions: &mut HashMap<String, (String, Arrived)>, message: &Value, at: Instant) -> Result<()> {
    let Some(params) = update(message) else { return Ok(()) };
    let id = params["id"].as_str().unwrap_or_default();
    let Some((_, arrived)) = sessions.get_mut(id) else { return Ok(()) };
    let bytes = text_bytes(params);
    if bytes > 0 {
        arrived.bytes += bytes;
        arrived.at.push((arrived.bytes, at));
    }
    if !params["end"].is_null() {
        ensure!(params["end"]["status"] == "completed", "a session ended otherwise: {params}");
        arrived.over = true;
    }
    Ok(())
}

/// Of the pieces that were sent while all sessions ran.
fn ways(
    place: &Place,
    sessions: &HashMap<String, (String, Arrived)>,
    ends: &[usize],
    from: Instant,
) -> Result<Samples> {
    let by_prompt: HashMap<&str, &Arrived> =
        sessions.values().map(|(prompt, arrived)| (prompt.as_str(), arrived)).collect();
    let mut samples = Samples::default();
    for sent in place.server.take_sent().into_iter().filter(|sent| sent.at >= from) {
        let arrived = by_prompt.get(sent.prompt.as_str()).context("a session that nobody started")?;
        let end = ends[sent.piece];
        let found = arrived.at.partition_point(|(bytes, _)| *bytes < end);
        let (_, at) = arrived.at.get(found).context("a piece never arrived")?;
        samples.push(at.saturating_duration_since(sent.at));
    }
    Ok(samples)
}
