//! `read_file`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::open::{MAX_WHOLE, is_binary, next_line};
use super::tree::Place;
use super::{Output, Tool, ToolContext, ToolError, input, open};

const DEFAULT_LINES: usize = 2_000;
/// Bytes of a line that are shown.
const LONGEST_LINE: usize = 2_000;
/// Room for what is said beside the lines.
const REST: usize = 512;

/// Reads a text file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// File, relative to the worktree's root.
    path: String,
    /// First line to show, from 1. Default: 1.
    #[serde(default)]
    offset: Option<usize>,
    /// Most lines to show. Default: 2000.
    #[serde(default)]
    limit: Option<usize>,
}

pub(super) struct ReadFile;

#[async_trait]
impl Tool for ReadFile {
    fn name(&self) -> &'static str {
        "read_file"
    }

    fn description(&self) -> &'static str {
        "Reads a text file of the worktree. Each line is shown behind its number and a tab, which \
                          are not part of the file. Long files are shown in parts: go on with `offset`. Values that \
                          look secret are shown as [redacted:NAME]."
    }

    fn input_schema(&self) -> Value {
        input::schema::<Input>()
    }

    fn reads_only(&self) -> bool {
        true
    }

    async fn run(&self, input: Value, ctx: &ToolContext) -> Result<Output, ToolError> {
        let input: Input = input::read(input)?;
        ctx.blocking(move |ctx| read(ctx, &input)).await
    }
}

fn read(ctx: &ToolContext, input: &Input) -> Result<Output, ToolError> {
    let place = open::place(ctx, &input.path)?;
    let (file, metadata) = open::file(&place)?;
    if metadata.len() > MAX_WHOLE {
        return read_part(ctx, input, &place, file, metadata.len());
    }
    let (bytes, _) = open::whole(&place)?;
    if is_binary(&bytes) {
        return Err(binary(&place, bytes.len() as u64));
    }
    let hash = blake3::hash(&bytes);
    ctx.marks.set(&place.real, hash);
    let page = page(ctx, input, &mut bytes.as_slice())?;
    let total = bytes.split_inclusive(|byte| *byte == b'\n').count();
    let text = told(page, Some(total), &bytes)?;
    let data = json!({ "path": place.shown(), "blake3": hash.to_hex().as_str(), "lines": total });
    Ok(Output { text, data: Some(data), failed: false })
}

/// Of a file that is too large to be held, only the lines asked for.
fn read_part(
    ctx: &ToolContext,
    input: &Input,
    place: &Place,
    file: File,
    size: u64,
) -> Result<Output, ToolError> {
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let beginning = reader.fill_buf().map_err(|e| ToolError::io(&place.real, e))?;
    if is_binary(beginning) {
        return Err(binary(place, size));
    }
    // Read to the size it had: a file that grows as it is read ends too.
    let page = page(ctx, input, &mut reader.take(size))?;
    let text = told(page, None, &[])?;
    Ok(Output::from(format!(
        "{text}[the file has {size} bytes: too large to be edited; `search` finds lines in it]\n"
    )))
}

fn binary(place: &Place, size: u64) -> ToolError {
    ToolError::Failed(format!("`{}` is a binary file of {size} bytes; only text can be read", place.shown()))
}

/// The lines that are shown.
struct Page {
    text: String,
    first: usize,
    /// Number of the line behind the last that is shown.
    next: usize,
    /// Whether the file ended.
    ended: bool,
}

fn page(ctx: &ToolContext, input: &Input, reader: &mut impl BufRead) -> Result<Page, ToolError> {
    let first = input.offset.unwrap_or(1).max(1);
    let last = first.saturating_add(input.limit.unwrap_or(DEFAULT_LINES).max(1));
    let room = ctx.shown_bytes.saturating_sub(REST);
    let mut page = Page { text: String::new(), first, next: 1, ended: false };
    let mut line = Vec::new();
    while page.next < last {
        if page.next.is_multiple_of(4_096) {
            ctx.check_stopped()?;
        }
        let keep = if page.next < first { 0 } else { LONGEST_LINE };
        let Some(length) = next_line(reader, keep, &mut line)? else {
            page.ended = true;
            break;
        };
        if page.next >= first {
            let shown = show_line(page.next, &line, length);
            if page.text.len() + shown.len() > room && !page.text.is_empty() {
                return Ok(page);
            }
            page.text.push_str(&shown);
        }
        page.next += 1;
    }
    Ok(page)
}

fn show_line(number: usize, line: &[u8], length: usize) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches('\r');
    let mut shown = format!("{number:>6}\t{text}");
    if length > line.len() {
        let _ = write!(shown, " [... {} bytes more in this line]", length - line.len());
    }
    shown.push('\n');
    shown
}

fn told(page: Page, total: Option<usize>, bytes: &[u8]) -> Result<String, ToolError> {
    let mut text = page.text;
    if text.is_empty() {
        return match total {
            Some(0) => Ok("[the file is empty]\n".to_owned()),
            _ => Err(ToolError::Input(format!(
                "`offset` is {}, but the file has {} lines",
                page.first,
                total.unwrap_or(page.next - 1)
            ))),
        };
    }
    let of = total.map_or_else(String::new, |total| format!(" of {total}"));
    let _ = match page.ended || total.is_some_and(|total| page.next > total) {
        true => Ok(()),
        false => writeln!(
            text,
            "[lines {} to {}{of}; go on with `offset` {}]",
            page.first,
            page.next - 1,
            page.next
        ),
    };
    if bytes.windows(2).any(|pair| pair == b"\r\n") {
        text.push_str("[lines end with CR LF, which edits keep]\n");
    }
    if std::str::from_utf8(bytes).is_err() {
        text.push_str("[not valid UTF-8: other bytes are shown as \u{fffd}]\n");
    }
    Ok(text)
}
