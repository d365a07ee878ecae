//! Sessions of a server that streams the Messages API's wire format at a known pace, through daemon and language server.

mod following;
mod idle;
mod resume;
mod turn;

use anyhow::{Context as _, Result};
use podium_harness::TestEnvironment;
use podium_harness::streaming::{Streaming, Telling};
use serde_json::{Value, json};

use crate::Effort;
use crate::editor::Editor;
use crate::report::Row;

pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let mut rows = following::measure(effort)?;
    rows.extend(turn::measure(effort)?);
    rows.extend(resume::measure(effort)?);
    rows.extend(idle::measure(effort)?);
    Ok(rows)
}

/// A server, a daemon whose sessions are answered by it, and an editor.
struct Place {
    environment: TestEnvironment,
    server: Streaming,
    editor: Editor,
    daemon: u32,
}

impl Place {
    fn of(telling: Telling) -> Result<Self> {
        let server = Streaming::start(telling);
        let environment = TestEnvironment::builder()
            .var("ANTHROPIC_API_KEY", "sk-ant-bench-0123456789")
            .var("ANTHROPIC_BASE_URL", server.url())
            .build();
        let daemon = environment.start_daemon();
        let editor = editor_of(&environment)?;
        Ok(Self { environment, server, editor, daemon })
    }

    /// Gives the session's id.
    fn start(&mut self, prompt: &str) -> Result<String> {
        let params = json!({ "provider": "anthropic", "prompt": prompt });
        let started = self.editor.request("podium/session/start", params)?;
        Ok(started["id"].as_str().context("a session has an id")?.to_owned())
    }

    fn attach(&mut self, id: &str, seen: u64) -> Result<()> {
        self.editor.request("podium/session/attach", json!({ "id": id, "fromSeq": seen })).map(drop)
    }
}

fn editor_of(environment: &TestEnvironment) -> Result<Editor> {
    let mut editor = Editor::start(environment, environment.root())?;
    editor.initialize(environment.root())?;
    editor.initialized()?;
    Ok(editor)
}

/// Pieces as models give them: a word with the space before it.
fn pieces(count: usize) -> Vec<String> {
    (0..count).map(|number| format!(" word{number}")).collect()
}

/// Bytes of text in an update.
fn text_bytes(params: &Value) -> usize {
    let items = params["items"].as_array().into_iter().flatten();
    items.filter(|item| item["kind"] == "text").filter_map(|item| item["text"].as_str()).map(str::len).sum()
}

/// The update in a message, if it is one.
fn update(message: &Value) -> Option<&Value> {
    (message["method"] == "podium/session/update").then(|| &message["params"])
}
