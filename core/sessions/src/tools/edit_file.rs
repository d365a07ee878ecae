//! `edit_file`.

use std::os::unix::fs::PermissionsExt as _;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::change::{self, Before};
use super::tree::Place;
use super::{Output, Tool, ToolContext, ToolError, input, open, redacted};

const MAX_EDITS: usize = 200;

/// Edits a file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// File, relative to the worktree's root.
    path: String,
    /// Done in order, each on what the one before left; all of them or none.
    edits: Vec<Edit>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// Text as it stands in the file, without line numbers. It must be there exactly once.
    old: String,
    /// Text to put there.
    new: String,
    /// Replace every occurrence.
    #[serde(default)]
    all: bool,
}

pub(super) struct EditFile;

#[async_trait]
impl Tool for EditFile {
    fn name(&self) -> &'static str {
        "edit_file"
    }

    fn description(&self) -> &'static str {
        "Replaces exact pieces of text in a file. Give enough of the surrounding lines to make each \
                          piece unique. Nothing is changed unless all edits can be done."
    }

    fn input_schema(&self) -> Value {
        input::schema::<Input>()
    }

    fn reads_only(&self) -> bool {
        false
    }

    async fn run(&self, input: Value, ctx: &ToolContext) -> Result<Output, ToolError> {
        let input: Input = input::read(input)?;
        ctx.blocking(move |ctx| edit(ctx, &input)).await
    }

    async fn preview(&self, input: Value, ctx: &ToolContext) -> Option<String> {
        let input: Input = input::read(input).ok()?;
        let prepared = ctx.blocking(move |ctx| {
            let (place, before, new) = prepare(ctx, &input)?;
            Ok(change::unified(&place.real, &String::from_utf8_lossy(&before.bytes), &new, true))
        });
        prepared.await.ok()
    }
}

fn edit(ctx: &ToolContext, input: &Input) -> Result<Output, ToolError> {
    let (place, before, new) = prepare(ctx, input)?;
    let data = change::put(ctx, &place, Some(&before), new.as_bytes())?;
    let text = format!("Changed `{}`:\n{}", place.shown(), data["diff"].as_str().unwrap_or_default());
    Ok(Output { text, data: Some(data), failed: false })
}

/// The file, what it holds, and what it is to hold.
fn prepare(ctx: &ToolContext, input: &Input) -> Result<(Place, Before, String), ToolError> {
    if input.edits.is_empty() || input.edits.len() > MAX_EDITS {
        return Err(ToolError::Input(format!("`edits` has 1 to {MAX_EDITS} edits")));
    }
    let place = open::place(ctx, &input.path)?;
    let (bytes, metadata) = open::whole(&place)?;
    if ctx.marks.get(&place.real).is_some_and(|seen| seen != blake3::hash(&bytes)) {
        return Err(change::conflict(&place));
    }
    let before = Before { bytes, mode: metadata.permissions().mode() };
    let old = open::text(&place, before.bytes.clone())?;
    let new = replace_all(&old, &input.edits)
        .map_err(|problem| ToolError::Conflict(format!("`{}` was not changed: {problem}", place.shown())))?;
    redacted::refuse_placeholders(&ctx.redactor, &old, &new)?;
    if new == old {
        return Err(ToolError::Input("the edits change nothing".to_owned()));
    }
    Ok((place, before, new))
}

fn replace_all(text: &str, edits: &[Edit]) -> Result<String, String> {
    let mut text = text.to_owned();
    for (number, edit) in (1..).zip(edits) {
        text = replace(&text, edit).map_err(|problem| match edits.len() {
            1 => problem,
            count => format!("edit {number} of {count}: {problem}"),
        })?;
    }
    Ok(text)
}

fn replace(text: &str, edit: &Edit) -> Result<String, String> {
    if edit.old.is_empty() {
        return Err("`old` is empty; use `write_file` for a new file".to_owned());
    }
    let (old, new) = in_line_ends_of(text, edit);
    match text.matches(&old).count() {
        0 => Err(not_found(text, &edit.old)),
        1 => Ok(text.replacen(&old, &new, 1)),
        _ if edit.all => Ok(text.replace(&old, &new)),
        count => Err(format!(
            "`old` is there {count} times (lines {}); add lines around it until it is unique, or set `all`",
            lines_of(text, &old)
        )),
    }
}

/// Models write `\n`. In a file whose lines end otherwise both texts take its line ends, unless it has the text as written.
fn in_line_ends_of(text: &str, edit: &Edit) -> (String, String) {
    let as_is = || (edit.old.clone(), edit.new.clone());
    let ends = text.matches('\n').count();
    let crlf = text.matches("\r\n").count();
    if crlf == 0 || (crlf * 2 < ends && text.contains(&edit.old)) {
        return as_is();
    }
    let convert = |part: &str| part.replace("\r\n", "\n").replace('\n', "\r\n");
    let (old, new) = (convert(&edit.old), convert(&edit.new));
    if text.contains(&old) { (old, new) } else { as_is() }
}

/// Says where something similar stands.
fn not_found(text: &str, old: &str) -> String {
    let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let first = old.lines().map(plain).find(|line| !line.is_empty());
    let near = first.and_then(|first| text.lines().position(|line| plain(line) == first));
    match near {
        _ if old.contains("[redacted:") => {
            "`old` holds a placeholder for a secret, which is not what stands in the file; choose a piece without it"
                .to_owned()
        }
        Some(line) => format!(
            "`old` is not in the file as written; line {} is like its beginning, but white space or following lines \
             differ: read it again",
            line + 1
        ),
        None => "`old` is not in the file; read it again".to_owned(),
    }
}

fn lines_of(text: &str, old: &str) -> String {
    let lines = text.match_indices(old).take(10).map(|(at, _)| text[..at].matches('\n').count() + 1);
    lines.map(|line| line.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Edit, replace, replace_all};

    fn edit(old: &str, new: &str) -> Edit {
        Edit { old: old.to_owned(), new: new.to_owned(), all: false }
    }

    #[test]
    fn a_text_that_is_missing_or_ambiguous_is_told_with_where() {
        let text = "fn a() {\n    one();\n}\nfn b() {\n    one();\n}\n";
        let told = |old: &str| replace(text, &edit(old, "x")).unwrap_err();
        assert!(told("one();").contains("2 times (lines 2, 5)"));
        assert!(told("fn c()").contains("not in the file"));
        assert!(told("fn a() {\n  one();").contains("line 1 is like its beginning"));
        assert!(told("[redacted:KEY]").contains("placeholder"));
        assert!(told("").contains("write_file"));
        let all = Edit { all: true, ..edit("one();", "two();") };
        assert_eq!(replace(text, &all).unwrap().matches("two();").count(), 2);
    }

    #[test]
    fn line_ends_stay_what_they_are() {
        let text = "a\r\nb\r\nc\r\n";
        assert_eq!(replace(text, &edit("a\nb", "x\ny\nz")).unwrap(), "x\r\ny\r\nz\r\nc\r\n");
        assert_eq!(replace(text, &edit("a\r\nb", "x")).unwrap(), "x\r\nc\r\n");
        let mixed = "a\nb\nc\r\n";
        assert_eq!(replace(mixed, &edit("a\nb", "x\ny")).unwrap(), "x\ny\nc\r\n");
        assert!(!replace(mixed, &edit("b\nc\n", "z\n")).unwrap_err().is_empty());
    }

    #[test]
    fn later_edits_see_what_earlier_ones_left_and_one_that_fails_names_itself() {
        let edits = [edit("a", "b c"), edit("b c", "d")];
        assert_eq!(replace_all("a", &edits).unwrap(), "d");
        let edits = [edit("a", "b"), edit("a", "c")];
        assert!(replace_all("a", &edits).unwrap_err().starts_with("edit 2 of 2"));
    }
}
