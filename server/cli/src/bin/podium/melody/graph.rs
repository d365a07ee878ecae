//! `podium melody graph`.

use std::path::Path;

use podium_cli::context::Context;
use podium_cli::output::Ending;
use podium_melody::graph::{dot, svg};
use podium_protocol::WireError;
use serde_json::json;

use super::args::Drawing;
use super::files::Source;
use super::validate::fault;

pub(crate) fn run(context: &Context, file: &Path, format: Drawing, output: Option<&Path>) -> Ending {
    let source = Source::read(file)?;
    let document = source.document();
    // A melody with faults can be drawn all the same: a drawing may be what shows them.
    let Some(melody) = &document.melody else { return Err(fault(&source, &document).into()) };
    let drawn = match format {
        Drawing::Dot => dot(melody),
        Drawing::Svg => svg(melody)
            .map_err(|error| WireError::user(error.to_string()).hint("--format dot has no such bound"))?,
    };
    let name = format!("{format:?}").to_lowercase();
    if let Some(path) = output {
        std::fs::write(path, &drawn)
            .map_err(|error| WireError::user(format!("cannot write {}: {error}", path.display())))?;
        let answer = json!({ "format": name, "path": path, "nodes": melody.nodes.len() });
        context.output.reply(&answer, |_| format!("wrote {}", path.display()))?;
    } else {
        context.output.reply(&json!({ "format": name, "text": drawn }), |_| drawn.clone())?;
    }
    Ok(0)
}
