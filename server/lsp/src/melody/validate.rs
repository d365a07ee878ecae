//! The command `podium.melody.validate`.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use podium_melody::{Bounds, Document, Format, read, refused};
use podium_protocol::{WireError, count};
use serde_json::{Map, Value, json};
use tower_lsp::ls_types::MessageType;

use super::{CATALOGUE, reading};
use crate::state::State;
use crate::uris;

/// Judges a melody: the open document, else the file. The answer is that of `podium melody validate --json`.
pub(crate) async fn validate(
    state: &Arc<State>,
    params: &Map<String, Value>,
    current: Option<String>,
    interactive: bool,
) -> Result<Value, WireError> {
    let uri = params.get("uri").and_then(Value::as_str).map(str::to_owned).or(current);
    let uri = uri.ok_or_else(|| WireError::user("which melody?").hint("open it, or give its `uri`"))?;
    let answer = match reading(state, &uri).await {
        Some(reading) => judgement(&reading.read),
        None => judgement(&of_file(&uri).await?),
    };
    if interactive {
        let errors = answer["diagnostics"]
            .as_array()
            .map(|found| found.iter().filter(|found| found["severity"] == "error").count() as u64);
        let text = match (answer["valid"] == true, errors.unwrap_or_default()) {
            (true, _) => format!("The melody is ready; complexity {} of 10", answer["complexity"]),
            (false, errors) => format!("The melody has {}", count(errors, "fault")),
        };
        let kind = if answer["valid"] == true { MessageType::INFO } else { MessageType::WARNING };
        state.editor.show(kind, text).await;
    }
    Ok(answer)
}

fn judgement(document: &Document) -> Value {
    json!({
        "valid": document.is_valid(),
        "diagnostics": document.diagnostics,
        "complexity": document.complexity,
    })
}

async fn of_file(uri: &str) -> Result<Document, WireError> {
    let path =
        uris::to_path(uri).ok_or_else(|| WireError::user("only files and open documents are melodies"))?;
    let format = Format::of_name(&path.to_string_lossy())
        .ok_or_else(|| WireError::user(format!("{} is neither .toml nor .json", path.display())))?;
    tokio::task::spawn_blocking(move || read_file(&path, format))
        .await
        .map_err(|error| WireError::internal(error.to_string()))?
}

fn read_file(path: &PathBuf, format: Format) -> Result<Document, WireError> {
    let cannot =
        |error: std::io::Error| WireError::not_found(format!("cannot read {}: {error}", path.display()));
    let bounds = Bounds::default();
    let file = std::fs::File::open(path).map_err(cannot)?;
    let found = file.metadata().map_err(cannot)?;
    if !found.is_file() {
        return Err(WireError::user(format!("{} is no file", path.display())));
    }
    if let Some(refusal) = refused(found.len(), &bounds) {
        return Ok(refusal);
    }
    let mut text = String::new();
    file.take(bounds.bytes as u64 + 1).read_to_string(&mut text).map_err(cannot)?;
    Ok(read(&text, format, &CATALOGUE))
}
