//! `search`.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::path::Path;

use async_trait::async_trait;
use podium_protocol::count;
use regex::bytes::{Regex, RegexBuilder};
use rustix::fs::FileType;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::walk::{Ended, PathGlob, Walk};
use super::{Output, Tool, ToolContext, ToolError, input, open};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
const MAX_CONTEXT: usize = 10;
/// Characters of a line that are shown.
const LONGEST_LINE: usize = 300;
/// Bytes of a line in which matches are looked for.
const LONGEST_MATCHED: usize = 256 * 1024;
/// Memory of a compiled pattern, in bytes.
const PATTERN_SIZE: usize = 4 * 1024 * 1024;

/// Searches the contents of files.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Regular expression (Rust syntax), matched line by line.
    pattern: String,
    /// Take the pattern as plain text.
    #[serde(default)]
    literal: bool,
    #[serde(default)]
    ignore_case: bool,
    /// File or folder, relative to the worktree's root. Default: the root.
    #[serde(default)]
    path: Option<String>,
    /// Only files that fit, such as `*.rs` or `src/**/*.ts`.
    #[serde(default)]
    glob: Option<String>,
    /// Lines to show around each match, at most 10. Default: 0.
    #[serde(default)]
    context: Option<usize>,
    /// Most matching lines, at most 1000. Default: 100.
    #[serde(default)]
    limit: Option<usize>,
    /// Also in what git ignores.
    #[serde(default)]
    ignored: bool,
}

pub(super) struct Search;

#[async_trait]
impl Tool for Search {
    fn name(&self) -> &'static str {
        "search"
    }

    fn description(&self) -> &'static str {
        "Searches the contents of the worktree's files by a regular expression, line by line. \
                          Answers `path:line:text`; lines of context have `-` for `:`. Leaves out binary files and \
                          what git ignores."
    }

    fn input_schema(&self) -> Value {
        input::schema::<Input>()
    }

    fn reads_only(&self) -> bool {
        true
    }

    async fn run(&self, input: Value, ctx: &ToolContext) -> Result<Output, ToolError> {
        let input: Input = input::read(input)?;
        ctx.blocking(move |ctx| search(ctx, &input)).await
    }
}

fn search(ctx: &ToolContext, input: &Input) -> Result<Output, ToolError> {
    let tree = ctx.tree()?;
    let start = tree.locate(input.path.as_deref().unwrap_or("."))?;
    let glob = input.glob.as_deref().map(PathGlob::new).transpose()?;
    let mut grep = Grep::new(input)?;
    if start.exists()
        && let Ok((file, _)) = open::file(&start)
    {
        grep.look(ctx, file, &start.real)?;
        return Ok(Output::from(grep.told(Ended::Whole)));
    }
    let mut stopped = Ok(());
    let ended = Walk::new(ctx, &tree, input.ignored).run(&start, |entry| {
        let fits = glob.as_ref().is_none_or(|glob| glob.fits(entry.real, &start.real));
        if entry.kind == FileType::RegularFile
            && fits
            && tree.may_open(entry.real)
            && let Some(file) = entry.open()
        {
            stopped = grep.look(ctx, file, entry.real);
        }
        if grep.is_full() || stopped.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    stopped?;
    Ok(Output::from(grep.told(ended)))
}

struct Grep {
    regex: Regex,
    context: usize,
    limit: usize,
    text: String,
    matches: usize,
    files: usize,
}

impl Grep {
    fn new(input: &Input) -> Result<Self, ToolError> {
        if input.pattern.is_empty() {
            return Err(ToolError::Input("`pattern` is empty".to_owned()));
        }
        let escaped = regex::escape(&input.pattern);
        let pattern = if input.literal { &escaped } else { &input.pattern };
        let mut builder = RegexBuilder::new(pattern);
        builder.case_insensitive(input.ignore_case).size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE);
        let regex = builder.build().map_err(|error| {
            ToolError::Input(format!("`pattern`: {error}; set `literal` to search for it as it stands"))
        })?;
        let context = input.context.unwrap_or(0).min(MAX_CONTEXT);
        let limit = input.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        Ok(Self { regex, context, limit, text: String::new(), matches: 0, files: 0 })
    }

    /// One more than is shown, so that it can be said whether there are more.
    fn is_full(&self) -> bool {
        self.matches > self.limit
    }

    /// Looks through a file; one that cannot be read, or is no text, has no matches.
    fn look(&mut self, ctx: &ToolContext, file: File, real: &Path) -> Result<(), ToolError> {
        let mut reader = BufReader::with_capacity(64 * 1024, file);
        if reader.fill_buf().map_or(true, open::is_binary) {
            return Ok(());
        }
        let before = self.matches;
        let mut around =
            Around { path: real, size: self.context, before: VecDeque::new(), after: 0, shown: 0 };
        let mut line = Vec::new();
        let mut number: usize = 0;
        while let Ok(Some(_)) = open::next_line(&mut reader, LONGEST_MATCHED, &mut line) {
            number += 1;
            if number.is_multiple_of(4_096) {
                ctx.check_stopped()?;
            }
            let text = line.strip_suffix(b"\r").unwrap_or(&line);
            if !self.regex.is_match(text) {
                around.pass(number, text, &mut self.text);
                continue;
            }
            self.matches += 1;
            if self.is_full() {
                break;
            }
            around.hit(number, text, &mut self.text);
        }
        self.files += usize::from(self.matches > before);
        Ok(())
    }

    fn told(self, ended: Ended) -> String {
        let mut text = self.text;
        if self.matches == 0 {
            text.push_str("No matches.\n");
        }
        if self.matches > self.limit {
            let _ = writeln!(text, "[only the first {}; narrow it by `path` or `glob`]", self.limit);
        } else if self.files > 1 {
            let _ = writeln!(text, "[{} in {} files]", count(self.matches as u64, "line"), self.files);
        }
        if ended == Ended::Bounded {
            text.push_str("[not all was looked at: it took too long; narrow it by `path` or `glob`]\n");
        }
        text
    }
}

/// The lines around the matches of one file.
struct Around<'a> {
    path: &'a Path,
    size: usize,
    before: VecDeque<(usize, Vec<u8>)>,
    /// Lines behind the last match that are still to be shown.
    after: usize,
    /// Number of the last line that was shown.
    shown: usize,
}

impl Around<'_> {
    fn hit(&mut self, number: usize, line: &[u8], text: &mut String) {
        let first = self.before.front().map_or(number, |(first, _)| *first);
        if self.size > 0 && self.shown > 0 && first > self.shown + 1 {
            text.push_str("--\n");
        }
        for (number, line) in std::mem::take(&mut self.before) {
            self.push(number, '-', &line, text);
        }
        self.push(number, ':', line, text);
        self.after = self.size;
    }

    fn pass(&mut self, number: usize, line: &[u8], text: &mut String) {
        if self.after > 0 {
            self.after -= 1;
            self.push(number, '-', line, text);
        } else if self.size > 0 {
            if self.before.len() == self.size {
                self.before.pop_front();
            }
            self.before.push_back((number, line.to_vec()));
        }
    }

    fn push(&mut self, number: usize, mark: char, line: &[u8], text: &mut String) {
        let line = String::from_utf8_lossy(line);
        let shown: String = line.chars().take(LONGEST_LINE).collect();
        let cut = if shown.len() < line.len() { " [...]" } else { "" };
        let _ = writeln!(text, "{}{mark}{number}{mark}{shown}{cut}", self.path.display());
        self.shown = number;
    }
}
