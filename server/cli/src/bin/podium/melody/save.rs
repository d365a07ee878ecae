//! `podium melody save`.

use std::path::Path;

use podium_cli::context::Context;
use podium_cli::output::Ending;
use podium_cli::style::one_line;
use podium_melody::Format;
use podium_protocol::{ArtifactPut, ArtifactPutParams, WireError};

use super::files::Source;
use super::validate::fault;

/// The largest text that is stored.
const MOST: usize = 8 << 20;

/// Only what can run is stored: a copy is there to be run again.
pub(crate) async fn run(context: &Context, file: &Path) -> Ending {
    let source = Source::read(file)?;
    let document = source.document();
    let Some(melody) = document.melody.as_ref().filter(|_| document.is_valid()) else {
        return Err(fault(&source, &document).into());
    };
    if source.text.len() > MOST {
        return Err(WireError::user(format!("{} is longer than 8 MiB", source.name)).into());
    }
    let media_type = if source.format == Format::Json { "application/json" } else { "application/toml" };
    let params = ArtifactPutParams {
        title: format!("melody {} {}", melody.id, melody.version).trim_end().to_owned(),
        kind: "config".into(),
        text: source.text,
        media_type: Some(media_type.into()),
        ..ArtifactPutParams::default()
    };
    let answer = context.client()?.call::<ArtifactPut>(params).await?;
    context.output.reply(&answer, |_| {
        let again = if answer.duplicate { " (it was there already)" } else { "" };
        format!("stored {} as {}{again}", one_line(&answer.artifact.title), answer.artifact.id)
    })?;
    Ok(0)
}
