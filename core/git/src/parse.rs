//! Parsers of git's machine formats. They take any bytes and never panic.

use std::path::PathBuf;

use crate::bytes::path_from_bytes;
use crate::model::{Change, ChangedFile, CommitInfo, StatusEntry};
use crate::oid::Oid;

/// The output did not have the documented form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub &'static str);

type Parsed<T> = Result<T, ParseError>;

/// One record of `git worktree list --porcelain -z`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedWorktree {
    pub path: PathBuf,
    pub head: Option<Oid>,
    /// Full reference name.
    pub branch: Option<String>,
    pub detached: bool,
    pub bare: bool,
    pub locked: Option<String>,
    pub prunable: Option<String>,
}

/// Reads `git worktree list --porcelain -z`.
pub fn worktree_list(output: &[u8]) -> Parsed<Vec<ListedWorktree>> {
    let mut list: Vec<ListedWorktree> = Vec::new();
    for line in output.split(|b| *b == 0) {
        if let Some(path) = line.strip_prefix(b"worktree ") {
            list.push(ListedWorktree { path: path_from_bytes(path), ..Default::default() });
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let current = list.last_mut().ok_or(ParseError("attribute before the first worktree"))?;
        let (key, value) = split_once(line, b' ').unwrap_or((line, b""));
        let text = || String::from_utf8_lossy(value).into_owned();
        match key {
            b"HEAD" => current.head = Some(oid(value)?).filter(|id| !id.is_zero()),
            b"branch" => current.branch = Some(text()),
            b"detached" => current.detached = true,
            b"bare" => current.bare = true,
            b"locked" => current.locked = Some(text()),
            b"prunable" => current.prunable = Some(text()),
            // Later versions may say more.
            _ => {}
        }
    }
    Ok(list)
}

/// Reads `git status --porcelain=v2 -z`.
pub fn status(output: &[u8]) -> Parsed<Vec<StatusEntry>> {
    let mut records = output.split(|b| *b == 0);
    let mut entries = Vec::new();
    while let Some(record) = records.next() {
        match record.first() {
            None | Some(b'#' | b'!') => {}
            // 1 XY sub mH mI mW hH hI path
            Some(b'1') => entries.push(tracked(record, 8, None)?),
            // 2 XY sub mH mI mW hH hI Xscore path NUL original path
            Some(b'2') => {
                let from = records.next().ok_or(ParseError("rename without its origin"))?;
                entries.push(tracked(record, 9, Some(from))?);
            }
            // u XY sub m1 m2 m3 mW h1 h2 h3 path
            Some(b'u') => entries.push(StatusEntry {
                path: path_from_bytes(field_from(record, 10)?),
                conflicted: true,
                ..Default::default()
            }),
            Some(b'?') => entries.push(StatusEntry {
                path: path_from_bytes(field_from(record, 1)?),
                untracked: true,
                ..Default::default()
            }),
            Some(_) => return Err(ParseError("unknown kind of status record")),
        }
    }
    Ok(entries)
}

fn tracked(record: &[u8], path_field: usize, from: Option<&[u8]>) -> Parsed<StatusEntry> {
    let &[b'1' | b'2', b' ', x, y, b' ', ..] = record else {
        return Err(ParseError("status record without its two letters"));
    };
    // A copy leaves its origin in place: only `R` is a rename.
    let renamed = from.filter(|_| x == b'R' || y == b'R');
    Ok(StatusEntry {
        path: path_from_bytes(field_from(record, path_field)?),
        renamed_from: renamed.map(path_from_bytes),
        staged: x != b'.',
        modified: y != b'.',
        ..Default::default()
    })
}

/// Everything after the `n`th space: paths may contain spaces themselves.
fn field_from(record: &[u8], n: usize) -> Parsed<&[u8]> {
    let mut rest = record;
    for _ in 0..n {
        (_, rest) = split_once(rest, b' ').ok_or(ParseError("status record is too short"))?;
    }
    if rest.is_empty() { Err(ParseError("status record without a path")) } else { Ok(rest) }
}

/// Reads `git diff --name-status -z --no-renames`.
pub fn name_status(output: &[u8]) -> Parsed<Vec<ChangedFile>> {
    let mut fields = output.split(|b| *b == 0);
    let mut files = Vec::new();
    while let Some(letter) = fields.next().filter(|letter| !letter.is_empty()) {
        let path =
            fields.next().filter(|path| !path.is_empty()).ok_or(ParseError("status without a path"))?;
        let change = match letter {
            b"A" => Change::Added,
            b"D" => Change::Deleted,
            b"M" | b"T" => Change::Modified,
            _ => return Err(ParseError("unknown kind of change")),
        };
        files.push(ChangedFile { path: path_from_bytes(path), change });
    }
    Ok(files)
}

/// Reads `--format=%H%x00%ct%x00%an%x00%s` of one commit.
pub fn commit(output: &[u8]) -> Parsed<CommitInfo> {
    let mut fields = output.splitn(4, |b| *b == 0);
    let mut next = || fields.next().ok_or(ParseError("commit with too few fields"));
    let id = oid(next()?)?;
    let time = std::str::from_utf8(next()?).ok().and_then(|text| text.parse().ok());
    let time = time.ok_or(ParseError("commit without a time"))?;
    let author = String::from_utf8_lossy(next()?).into_owned();
    let summary = String::from_utf8_lossy(next()?).trim_end_matches(['\n', '\0']).to_owned();
    Ok(CommitInfo { id, summary, author, time })
}

/// Reads lines of `<object name> <reference>`.
pub fn refs(output: &[u8]) -> Parsed<Vec<(String, Oid)>> {
    let lines = output.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let parse = |line| {
        let (id, name) = split_once(line, b' ').ok_or(ParseError("reference without a name"))?;
        Ok((String::from_utf8_lossy(name).into_owned(), oid(id)?))
    };
    lines.map(parse).collect()
}

/// Reads `rev-list --left-right --count a...b`.
pub fn left_right(output: &str) -> Parsed<(usize, usize)> {
    let mut numbers = output.split_whitespace().map(str::parse::<usize>);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(left)), Some(Ok(right)), None) => Ok((left, right)),
        _ => Err(ParseError("not two numbers")),
    }
}

/// The lock file that stopped git, from its message.
pub fn lock_file(stderr: &str) -> Option<PathBuf> {
    for line in stderr.lines() {
        if !line.contains("File exists") {
            continue;
        }
        if let Some((_, rest)) = line.split_once("Unable to create '")
            && let Some((path, _)) = rest.split_once(".lock'")
        {
            return Some(PathBuf::from(format!("{path}.lock")));
        }
        if let Some((_, rest)) = line.split_once("could not lock config file ")
            && let Some((path, _)) = rest.rsplit_once(": File exists")
        {
            return Some(PathBuf::from(format!("{path}.lock")));
        }
    }
    None
}

pub(crate) fn oid(bytes: &[u8]) -> Parsed<Oid> {
    let text = std::str::from_utf8(bytes).map_err(|_| ParseError("object name is not ASCII"))?;
    text.parse().map_err(|_| ParseError("not an object name"))
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|b| *b == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}
