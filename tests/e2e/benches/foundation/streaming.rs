//! From a piece of an answer in the daemon to the editor's notification of it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use podium_harness::TestEnvironment;
use podium_store::rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::Effort;
use crate::editor::Editor;
use crate::report::{Figure, Row};
use crate::stats::{Samples, median};

const SESSIONS: usize = 5;
const TOKENS: u32 = 128;
const COMMITS: usize = 500;

/// Sessions of the local model, followed through the language server.
pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let environment = TestEnvironment::with_model();
    let repo = environment.repo();
    environment.start_daemon();
    let mut editor = Editor::start(&environment, repo.path())?;
    editor.initialize(repo.path())?;
    editor.initialized()?;
    let (mut way, mut first, mut speeds) = (Samples::default(), Samples::default(), Vec::new());
    let sessions = effort.times(SESSIONS);
    for seed in 0..=sessions {
        let session = follow(&mut editor, seed)?;
        // The first one loads the model.
        if seed > 0 {
            way.append(&session.way);
            first.push(session.first);
            speeds.push(session.tokens_per_second);
        }
    }
    editor.leave()?;
    let commit = commits(environment.root())?;
    Ok(vec![
        Row::new("stored item -> editor's notification", Figure::ms(&way))
            .peer("SQLite commit, NORMAL", Figure::ms(&commit))
            .beyond_peer_at_most(2.0)
            .note(
                "from the time in the item, set before its commit and cut to whole ms (so up to 1 ms too much), to \
                 the notification read on stdio, while the model computes; the step from the model's thread to the \
                 item is not seen from outside",
            ),
        Row::new("session/start -> first text, model loaded", Figure::ms(&first)),
        Row::new("answer through the daemon", Figure::of(median(&speeds), "tokens/s", speeds.len()))
            .note("every piece stored before it is shown"),
    ])
}

struct Followed {
    way: Samples,
    first: Duration,
    tokens_per_second: f64,
}

fn follow(editor: &mut Editor, seed: usize) -> Result<Followed> {
    let start = Instant::now();
    let prompt = "Tell a long story about the sea and the wind.";
    let params = json!({ "provider": "local", "prompt": prompt, "seed": seed, "maxTokens": TOKENS });
    let id = editor.request("podium/session/start", params)?["id"].as_str().context("no id")?.to_owned();
    editor.request("podium/session/attach", json!({ "id": id, "fromSeq": 0 }))?;
    let attached = Timestamp::now();
    let mut followed = Followed { way: Samples::default(), first: Duration::ZERO, tokens_per_second: 0.0 };
    let mut times = Vec::new();
    loop {
        let message = editor.read()?;
        let arrived = Timestamp::now();
        let update = &message["params"];
        if message["method"] != "podium/session/update" || update["id"] != id.as_str() {
            continue;
        }
        for made in text_times(update)? {
            if times.is_empty() {
                followed.first = start.elapsed();
            }
            times.push(made);
            // What was there before came from the store, when it was asked for.
            if made > attached {
                let took = arrived.duration_since(made);
                followed.way.push(Duration::try_from(took).unwrap_or_default());
            }
        }
        if !update["end"].is_null() {
            ensure!(update["end"]["status"] == "completed", "the session ended otherwise: {update}");
            followed.tokens_per_second = speed(&update["end"], &times);
            return Ok(followed);
        }
    }
}

/// When the texts of an update were made.
fn text_times(update: &Value) -> Result<Vec<Timestamp>> {
    let items = update["items"].as_array().into_iter().flatten();
    let texts = items.filter(|item| item["kind"] == "text" && item["text"] != "");
    texts.map(|item| Ok(item["time"].as_str().context("an item has a time")?.parse()?)).collect()
}

fn speed(end: &Value, times: &[Timestamp]) -> f64 {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return f64::NAN };
    end["usage"]["outputTokens"].as_f64().unwrap_or(f64::NAN) / last.duration_since(*first).as_secs_f64()
}

/// Commits of one such row by itself, as the store makes them for pieces of text.
pub(crate) fn commits(folder: &Path) -> Result<Samples> {
    let conn = Connection::open(folder.join("items.sqlite"))?;
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.execute_batch(
        "CREATE TABLE items (session TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
            tokens BLOB, time INTEGER NOT NULL, PRIMARY KEY (session, seq)) WITHOUT ROWID",
    )?;
    let mut samples = Samples::default();
    for seq in 0..COMMITS {
        let sql =
            "INSERT INTO items VALUES ('0193b5a0-0000-7000-8000-000000000000', ?1, 'text', ' wind', ?2, ?3)";
        samples.time(|| {
            let mut statement = conn.prepare_cached(sql)?;
            statement.execute(params![seq, [0u8; 4], 1_763_683_200_000_i64])
        })?;
    }
    Ok(samples)
}
