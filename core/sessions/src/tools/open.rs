//! Opening and reading files: regular ones only, and never more than fits.

use std::fs::{File, Metadata};
use std::io::{BufRead, Read as _};

use rustix::fs::OFlags;

use super::tree::Place;
use super::{ToolContext, ToolError};

/// Largest file that is held in memory as a whole.
pub(super) const MAX_WHOLE: u64 = 10 * 1024 * 1024;
/// Bytes at the beginning that tell a text from anything else.
const SNIFFED: usize = 8 * 1024;

/// A regular file, open for reading.
pub(super) fn file(place: &Place) -> Result<(File, Metadata), ToolError> {
    let file = place.open(OFlags::RDONLY)?;
    let metadata = file.metadata().map_err(|e| ToolError::io(&place.real, e))?;
    if metadata.is_dir() {
        return Err(ToolError::Unfit { path: place.shown(), what: "a folder; use `list_files`" });
    }
    if !metadata.is_file() {
        return Err(ToolError::Unfit { path: place.shown(), what: "neither a file nor a folder" });
    }
    Ok((file, metadata))
}

/// All of a file that is small enough.
pub(super) fn whole(place: &Place) -> Result<(Vec<u8>, Metadata), ToolError> {
    let (file, metadata) = file(place)?;
    let too_large = || ToolError::Unfit { path: place.shown(), what: "larger than 10 MiB" };
    if metadata.len() > MAX_WHOLE {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    file.take(MAX_WHOLE + 1).read_to_end(&mut bytes).map_err(|e| ToolError::io(&place.real, e))?;
    if bytes.len() as u64 > MAX_WHOLE {
        return Err(too_large());
    }
    Ok((bytes, metadata))
}

pub(super) fn is_binary(beginning: &[u8]) -> bool {
    beginning[..beginning.len().min(SNIFFED)].contains(&0)
}

/// A file's text, to be edited.
pub(super) fn text(place: &Place, bytes: Vec<u8>) -> Result<String, ToolError> {
    if is_binary(&bytes) {
        return Err(ToolError::Unfit { path: place.shown(), what: "a binary file" });
    }
    String::from_utf8(bytes).map_err(|_| ToolError::Unfit {
        path: place.shown(),
        what: "not UTF-8 text; it cannot be edited by text",
    })
}

/// Reads a line and keeps its beginning. Its whole length, without the line's end; `None` at the end of the file.
pub(super) fn next_line(
    reader: &mut impl BufRead,
    keep: usize,
    line: &mut Vec<u8>,
) -> Result<Option<usize>, ToolError> {
    line.clear();
    let mut length = 0;
    loop {
        let bytes =
            reader.fill_buf().map_err(|e| ToolError::Failed(format!("the file cannot be read: {e}")))?;
        if bytes.is_empty() {
            return Ok((length > 0).then_some(length));
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        line.extend_from_slice(&part[..part.len().min(keep.saturating_sub(line.len()))]);
        length += part.len();
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(length));
        }
    }
}

/// The place that a tool's `path` names.
pub(super) fn place(ctx: &ToolContext, path: &str) -> Result<Place, ToolError> {
    ctx.check_stopped()?;
    ctx.tree()?.locate(path)
}
