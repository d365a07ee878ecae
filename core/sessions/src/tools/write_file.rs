//! `write_file`.

use std::os::unix::fs::PermissionsExt as _;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::change::{self, Before};
use super::tree::Place;
use super::{Output, Tool, ToolContext, ToolError, input, open, redacted};

/// Writes a whole file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// File, relative to the worktree's root. Folders that are missing are made.
    path: String,
    /// All of the file's new content.
    content: String,
    /// Replace a file that was not read before, or that changed since.
    #[serde(default)]
    overwrite: bool,
}

pub(super) struct WriteFile;

#[async_trait]
impl Tool for WriteFile {
    fn name(&self) -> &'static str {
        "write_file"
    }

    fn description(&self) -> &'static str {
        "Writes a whole text file. One that exists has to be read before. Prefer `edit_file` for \
                          changes to a part."
    }

    fn input_schema(&self) -> Value {
        input::schema::<Input>()
    }

    fn reads_only(&self) -> bool {
        false
    }

    async fn run(&self, input: Value, ctx: &ToolContext) -> Result<Output, ToolError> {
        let input: Input = input::read(input)?;
        ctx.blocking(move |ctx| write(ctx, &input)).await
    }

    async fn preview(&self, input: Value, ctx: &ToolContext) -> Option<String> {
        let input: Input = input::read(input).ok()?;
        let prepared = ctx.blocking(move |ctx| {
            let place = open::place(ctx, &input.path)?;
            let before = before(&place)?;
            let old = before.as_ref().map(|b| String::from_utf8_lossy(&b.bytes)).unwrap_or_default();
            Ok(change::unified(&place.real, &old, &input.content, before.is_some()))
        });
        prepared.await.ok()
    }
}

fn write(ctx: &ToolContext, input: &Input) -> Result<Output, ToolError> {
    if input.content.len() as u64 > open::MAX_WHOLE {
        return Err(ToolError::Input("`content` is larger than 10 MiB".to_owned()));
    }
    if input.path.ends_with('/') {
        return Err(ToolError::Input("`path` names a folder; folders are made with their files".to_owned()));
    }
    let place = open::place(ctx, &input.path)?;
    let before = before(&place)?;
    if let Some(before) = &before {
        if !input.overwrite {
            check_seen(ctx, &place, before)?;
        }
        if let Ok(old) = std::str::from_utf8(&before.bytes) {
            redacted::refuse_placeholders(&ctx.redactor, old, &input.content)?;
        }
        if before.bytes == input.content.as_bytes() {
            return Ok(Output::from(format!("`{}` has this content already.", place.shown())));
        }
    }
    let data = change::put(ctx, &place, before.as_ref(), input.content.as_bytes())?;
    let lines = input.content.lines().count();
    let text = match before {
        None => format!("Wrote `{}` ({lines} lines), a new file.", place.shown()),
        Some(_) => {
            format!(
                "Wrote `{}` ({lines} lines):\n{}",
                place.shown(),
                data["diff"].as_str().unwrap_or_default()
            )
        }
    };
    Ok(Output { text, data: Some(data), failed: false })
}

fn before(place: &Place) -> Result<Option<Before>, ToolError> {
    if !place.exists() {
        return Ok(None);
    }
    let (bytes, metadata) = open::whole(place)?;
    Ok(Some(Before { bytes, mode: metadata.permissions().mode() }))
}

fn check_seen(ctx: &ToolContext, place: &Place, before: &Before) -> Result<(), ToolError> {
    match ctx.marks.get(&place.real) {
        Some(seen) if seen == blake3::hash(&before.bytes) => Ok(()),
        Some(_) => Err(change::conflict(place)),
        None => Err(ToolError::Conflict(format!(
            "`{}` exists and was not read in this session: read it first, or set `overwrite` if its content does not \
             matter",
            place.shown()
        ))),
    }
}
