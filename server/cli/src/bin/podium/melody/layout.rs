//! `podium melody fmt`.

use std::io::Write;
use std::path::{Path, PathBuf};

use podium_cli::context::Context;
use podium_cli::output::{Ending, Failure, usage};
use podium_melody::format;
use podium_protocol::WireError;
use serde::Serialize;

use super::files::Source;

#[derive(Debug, Serialize)]
struct Laid {
    files: Vec<LaidFile>,
}

#[derive(Debug, Serialize)]
struct LaidFile {
    file: String,
    /// Whether it is, or would be, another text.
    changed: bool,
    /// The text; only where no file was written or checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

pub(crate) fn run(context: &Context, files: &[PathBuf], check: bool, write: bool) -> Ending {
    if write && files.iter().any(|file| file == Path::new("-")) {
        return Err(usage("standard input cannot be written", "leave out --write to print the result"));
    }
    if files.len() > 1 && !check && !write {
        return Err(usage("several files are not printed in a row", "add --write or --check"));
    }
    let mut laid = Laid { files: Vec::new() };
    for file in files {
        let source = Source::read(file)?;
        if let Some(refusal) = source.document().diagnostics.first().filter(|_| source.text.is_empty()) {
            return Err(WireError::user(format!("{}: {}", source.name, refusal.message)).into());
        }
        let text = format(&source.text, source.format)
            .map_err(|error| WireError::user(format!("{}: {error}", source.name)))?;
        let changed = text != source.text;
        if write && changed {
            replace(file, &text)
                .map_err(|error| WireError::user(format!("cannot write {}: {error}", source.name)))?;
        }
        laid.files.push(LaidFile { file: source.name, changed, text: (!check && !write).then_some(text) });
    }
    let changed: Vec<_> =
        laid.files.iter().filter(|file| file.changed).map(|file| file.file.as_str()).collect();
    context.output.reply(&laid, |_| match laid.files.as_slice() {
        [LaidFile { text: Some(text), .. }] => text.clone(),
        _ => changed.join("\n"),
    })?;
    if check && !changed.is_empty() { Err(Failure::Said(1)) } else { Ok(0) }
}

/// The old file or the new one, with the rights of the old one.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let file = file.canonicalize()?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(text.as_bytes())?;
    beside.as_file().set_permissions(file.metadata()?.permissions())?;
    beside.as_file().sync_all()?;
    beside.persist(&file).map_err(|error| error.error)?;
    Ok(())
}
