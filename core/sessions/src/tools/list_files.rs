//! `list_files`.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use async_trait::async_trait;
use rustix::fs::FileType;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::walk::{Ended, PathGlob, Walk};
use super::{Output, Tool, ToolContext, ToolError, input, open};

const DEFAULT_LIMIT: usize = 500;
const MAX_LIMIT: usize = 5_000;

/// Lists the files of a folder.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Folder, relative to the worktree's root. Default: the root.
    #[serde(default)]
    path: Option<String>,
    /// Only files that fit, such as `*.rs` or `src/**/*.ts`.
    #[serde(default)]
    glob: Option<String>,
    /// Folders to go down. Default: all.
    #[serde(default)]
    depth: Option<usize>,
    /// Most files to list, at most 5000. Default: 500.
    #[serde(default)]
    limit: Option<usize>,
    /// Also what git ignores.
    #[serde(default)]
    ignored: bool,
}

pub(super) struct ListFiles;

#[async_trait]
impl Tool for ListFiles {
    fn name(&self) -> &'static str {
        "list_files"
    }

    fn description(&self) -> &'static str {
        "Lists files of the worktree, one path a line, those of near folders first when there are \
                          too many. Leaves out what git ignores. Folders that were not entered end with a slash."
    }

    fn input_schema(&self) -> Value {
        input::schema::<Input>()
    }

    fn reads_only(&self) -> bool {
        true
    }

    async fn run(&self, input: Value, ctx: &ToolContext) -> Result<Output, ToolError> {
        let input: Input = input::read(input)?;
        ctx.blocking(move |ctx| list(ctx, &input)).await
    }
}

fn list(ctx: &ToolContext, input: &Input) -> Result<Output, ToolError> {
    let tree = ctx.tree()?;
    let start = tree.locate(input.path.as_deref().unwrap_or("."))?;
    let glob = input.glob.as_deref().map(PathGlob::new).transpose()?;
    let limit = input.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    if start.exists() && open::file(&start).is_ok() {
        return Ok(Output::from(format!("{}\n", start.shown())));
    }
    let mut walk = Walk::new(ctx, &tree, input.ignored);
    walk.depth = input.depth.unwrap_or(walk.depth).clamp(1, walk.depth);
    let base = start.real.components().count();
    let mut found = Vec::new();
    let ended = walk.run(&start, |entry| {
        let is_folder = entry.kind == FileType::Directory;
        let entered = is_folder && entry.real.components().count() < base + walk.depth;
        if !entered && glob.as_ref().is_none_or(|glob| glob.fits(entry.real, &start.real)) {
            found.push(format!("{}{}", entry.real.display(), if is_folder { "/" } else { "" }));
        }
        if found.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(Output::from(told(found, limit, ended)))
}

fn told(mut found: Vec<String>, limit: usize, ended: Ended) -> String {
    found.truncate(limit);
    found.sort();
    let mut text: String = found.iter().map(|path| format!("{path}\n")).collect();
    let _ = match ended {
        Ended::Whole if found.is_empty() => writeln!(text, "No files."),
        Ended::Whole => Ok(()),
        Ended::Broken => {
            writeln!(text, "[only the first {limit}; narrow it by `path` or `glob`, or raise `limit`]")
        }
        Ended::Bounded => writeln!(text, "[not all was looked at: too many files; narrow it by `path`]"),
    };
    text
}
