//! The two ways to write a melody, and how each is laid out.

mod json;
mod toml;

use crate::tree::SyntaxFault;
use crate::{LineIndex, Position};

/// How a melody is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `*.melody.toml`
    Toml,
    /// `*.melody.json`
    Json,
}

impl Format {
    /// The format of a file by its name, whether or not it says that it is a melody.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase())?;
        match extension.as_str() {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The format of a melody file (`*.melody.toml`, `*.melody.json`); nothing for every other file.
    #[must_use]
    pub fn of_melody(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        [(".melody.toml", Self::Toml), (".melody.json", Self::Json)]
            .into_iter()
            .find_map(|(ending, format)| lower.ends_with(ending).then_some(format))
    }
}

/// Why a text was not formatted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {message}", position.line, position.column)]
pub struct FormatError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub position: Position,
}

/// The text as it is usually laid out: comments, order and values stay. Formatting twice changes nothing more.
///
/// # Errors
/// The first place that is no TOML or JSON.
pub fn format(text: &str, format: Format) -> Result<String, FormatError> {
    let fault = |fault: SyntaxFault| FormatError {
        position: LineIndex::new(text).position(fault.span.start),
        message: fault.message,
    };
    match format {
        Format::Toml => toml::format(text).map_err(fault),
        Format::Json => json::format(text).map_err(fault),
    }
}
