//! Files of melodies, read within bounds.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use podium_cli::output::{Failure, usage};
use podium_cli::style::printable;
use podium_melody::{Bounds, Catalogue, Document, Format, read, refused};
use podium_protocol::WireError;

/// A file as it is.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path as it was given; `<stdin>` for standard input.
    pub(crate) name: String,
    pub(crate) format: Format,
    pub(crate) text: String,
    /// Why it was not read at all.
    refusal: Option<Document>,
}

impl Source {
    /// Reads a file, or standard input for `-`. One that is too long is not read, and its document says so.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let stdin = path == Path::new("-");
        let name = if stdin { "<stdin>".to_owned() } else { printable(&path.to_string_lossy()) };
        let format = if stdin { None } else { Some(format_of(path)?) };
        let cannot = |error: io::Error| cannot_read(&name, &error);
        let most = Bounds::default().bytes as u64;
        let (length, bytes) = if stdin {
            let bytes = read_at_most(io::stdin().lock(), most).map_err(cannot)?;
            (bytes.len() as u64, bytes)
        } else {
            let file = File::open(path).map_err(cannot)?;
            let found = file.metadata().map_err(cannot)?;
            if found.is_dir() {
                return Err(WireError::user(format!("{name} is a folder")).into());
            }
            let bytes =
                if found.len() > most { Vec::new() } else { read_at_most(file, most).map_err(cannot)? };
            (found.len().max(bytes.len() as u64), bytes)
        };
        let refusal = refused(length, &Bounds::default());
        let bytes = if refusal.is_some() { Vec::new() } else { bytes };
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            WireError::user(format!("{name} is not UTF-8"))
                .hint(format!("byte {at} is no part of a character"))
        })?;
        let format =
            format.unwrap_or(if text.trim_start().starts_with('{') { Format::Json } else { Format::Toml });
        Ok(Self { name, format, text, refusal })
    }

    pub(crate) fn document(&self) -> Document {
        self.refusal.clone().unwrap_or_else(|| read(&self.text, self.format, &Catalogue::builtin()))
    }
}

fn format_of(path: &Path) -> Result<Format, Failure> {
    Format::of_name(&path.to_string_lossy()).ok_or_else(|| {
        let name = printable(&path.to_string_lossy());
        usage(
            format!("{name} is neither .toml nor .json"),
            "melodies are called NAME.melody.toml or NAME.melody.json",
        )
    })
}

fn read_at_most(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn cannot_read(name: &str, error: &io::Error) -> Failure {
    let message = format!("cannot read {name}: {error}");
    match error.kind() {
        io::ErrorKind::NotFound => {
            WireError::not_found(message).hint("`podium melody list` shows what there is")
        }
        _ => WireError::user(message),
    }
    .into()
}
