//! What differs between two snapshots, by files and by lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{SnapshotStore, TreeEntry};
use crate::bytes::path_from_bytes;
use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;
use crate::oid::Oid;
use crate::parse;

/// One path, or one that was renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeChange {
    /// Where it is now; where it was, if it was deleted.
    pub path: PathBuf,
    pub renamed_from: Option<PathBuf>,
    pub old: Option<TreeEntry>,
    pub new: Option<TreeEntry>,
}

/// A run of changed lines with what is around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// Counted from 1; the line before where the side has none.
    pub old_start: usize,
    pub old_lines: usize,
    pub new_start: usize,
    pub new_lines: usize,
    pub lines: Vec<HunkLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HunkLine {
    /// ` `, `-` or `+`.
    pub kind: char,
    /// With its newline, if it has one.
    pub text: Vec<u8>,
}

impl SnapshotStore {
    /// Paths that differ between two trees, in their order; renames are told as such if asked for.
    ///
    /// # Errors
    /// `Failed`.
    pub fn changes(
        &self,
        at: &WorktreeLocation,
        from: &Oid,
        to: &Oid,
        renames: bool,
    ) -> Result<Vec<TreeChange>> {
        let mut command = self.command(at, &self.objects());
        command.args(["diff-tree", "-r", "-z", "--raw", "--no-abbrev"]);
        command.arg(if renames { "--find-renames" } else { "--no-renames" });
        let output = command.args([from.as_str(), to.as_str(), "--"]).output()?;
        read(&output).ok_or_else(|| command.unexpected("a change of another form"))
    }

    /// The same as text, as `git diff` shows it; `None` if it has more than `limit` bytes.
    ///
    /// # Errors
    /// `Failed`.
    pub fn patch(
        &self,
        at: &WorktreeLocation,
        from: &Oid,
        to: &Oid,
        limit: usize,
    ) -> Result<Option<Vec<u8>>> {
        let mut command = self.command(at, &self.objects());
        command.args(["diff-tree", "-r", "-p", "--find-renames", "--no-color", "--no-ext-diff"]);
        command.args(["--no-textconv", from.as_str(), to.as_str(), "--"]).stdout_limit(limit);
        match command.output() {
            Ok(output) => Ok(Some(output)),
            Err(GitError::OutputTooLarge { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Contents of these blobs; those of more than `each` bytes, and whatever is beyond `all` bytes, are left out.
    ///
    /// # Errors
    /// `Failed`.
    pub fn contents(
        &self,
        at: &WorktreeLocation,
        ids: &[Oid],
        each: usize,
        all: usize,
    ) -> Result<BTreeMap<Oid, Vec<u8>>> {
        let mut sizes = self.command(at, &self.objects());
        sizes.args(["cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)"]);
        let asked: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let listed = String::from_utf8_lossy(&sizes.stdin(asked).output()?).into_owned();
        let (mut wanted, mut total) = (String::new(), 0);
        for line in listed.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [id, "blob", size] = words[..] else { continue };
            let size: usize = size.parse().unwrap_or(usize::MAX);
            if size <= each && total + size <= all {
                total += size;
                wanted += &format!("{id}\n");
            }
        }
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut read = self.command(at, &self.objects());
        read.args(["cat-file", "--batch"]).stdin(wanted).stdout_limit(all.saturating_mul(2) + (1 << 20));
        batch(&read.output()?).ok_or_else(|| read.unexpected("an object of another form"))
    }
}

fn read(output: &[u8]) -> Option<Vec<TreeChange>> {
    let mut fields = output.split(|byte| *byte == 0);
    let mut changes = Vec::new();
    while let Some(facts) = fields.next().filter(|facts| !facts.is_empty()) {
        let facts = std::str::from_utf8(facts).ok()?.strip_prefix(':')?;
        let words: Vec<&str> = facts.split(' ').collect();
        let [old_mode, new_mode, old, new, kind] = words[..] else { return None };
        let path = path_from_bytes(fields.next()?);
        let (path, renamed_from) = match kind.starts_with(['R', 'C']) {
            true => (path_from_bytes(fields.next()?), Some(path)),
            false => (path, None),
        };
        changes.push(TreeChange {
            path,
            renamed_from,
            old: entry(old_mode, old)?,
            new: entry(new_mode, new)?,
        });
    }
    Some(changes)
}

/// Of a mode of zeros there is nothing.
#[expect(clippy::option_option, reason = "what cannot be read is not the same as nothing")]
fn entry(mode: &str, id: &str) -> Option<Option<TreeEntry>> {
    if mode == "000000" {
        return Some(None);
    }
    Some(Some(TreeEntry { mode: mode.to_owned(), id: id.parse().ok()? }))
}

/// Reads `cat-file --batch`.
fn batch(mut output: &[u8]) -> Option<BTreeMap<Oid, Vec<u8>>> {
    let mut found = BTreeMap::new();
    while !output.is_empty() {
        let end = output.iter().position(|byte| *byte == b'\n')?;
        let facts = std::str::from_utf8(&output[..end]).ok()?;
        let words: Vec<&str> = facts.split(' ').collect();
        let [id, _, size] = words[..] else { return None };
        let size: usize = size.parse().ok()?;
        let content = output.get(end + 1..end + 1 + size)?;
        found.insert(parse::oid(id.as_bytes()).ok()?, content.to_vec());
        output = output.get(end + size + 2..)?;
    }
    Some(found)
}

/// The hunks that lead from one content to the other; `None` where one of them is no text.
///
/// # Errors
/// `Libgit2`.
pub fn hunks(old: &[u8], new: &[u8]) -> Result<Option<Vec<Hunk>>> {
    let wrong = |source| GitError::Libgit2 { path: PathBuf::new(), source };
    // Whoever compares buffers without a repository has to start libgit2 first.
    git2::Config::new().map_err(wrong)?;
    let (none, mut options) = (None::<&Path>, git2::DiffOptions::new());
    options.context_lines(3);
    let patch = git2::Patch::from_buffers(old, none, new, none, Some(&mut options)).map_err(wrong)?;
    if patch.delta().flags().is_binary() {
        return Ok(None);
    }
    let mut found = Vec::new();
    for index in 0..patch.num_hunks() {
        let (hunk, count) = patch.hunk(index).map_err(wrong)?;
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let mut lines = Vec::new();
        for line in 0..count {
            let line = patch.line_in_hunk(index, line).map_err(wrong)?;
            // What tells of a missing newline is no line of the file.
            if let kind @ (' ' | '-' | '+') = line.origin() {
                lines.push(HunkLine { kind, text: line.content().to_vec() });
            }
        }
        found.push(Hunk {
            old_start: size(hunk.old_start()),
            old_lines: size(hunk.old_lines()),
            new_start: size(hunk.new_start()),
            new_lines: size(hunk.new_lines()),
            lines,
        });
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_hold_their_lines_with_and_without_a_newline() {
        let found = hunks(b"a\nb\nc", b"a\nB\nc\n").unwrap().unwrap();
        let [hunk] = &found[..] else { panic!("{found:?}") };
        let line = |kind, text: &str| HunkLine { kind, text: text.as_bytes().to_vec() };
        let expected =
            [line(' ', "a\n"), line('-', "b\n"), line('-', "c"), line('+', "B\n"), line('+', "c\n")];
        assert_eq!(hunk.lines, expected);
        assert_eq!((hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines), (1, 3, 1, 3));
        assert_eq!(hunks(b"a", b"b\0c").unwrap(), None);
        assert_eq!(hunks(b"", b"").unwrap(), Some(vec![]));
    }

    #[test]
    fn raw_changes_and_batches_of_any_form_are_read_or_refused() {
        let id = "0123456789012345678901234567890123456789";
        let zero = "0".repeat(40);
        let text = format!(":100644 000000 {id} {zero} D\0gone\0:100644 100755 {id} {id} R100\0a\0b\0");
        let changes = read(text.as_bytes()).unwrap();
        assert_eq!((changes[0].path.as_path(), changes[0].new.as_ref()), (Path::new("gone"), None));
        assert_eq!(changes[1].renamed_from.as_deref(), Some(Path::new("a")));
        for bad in [&b"x"[..], b":1 2 3\0p\0", b":100644 100644 zz zz M\0p\0"] {
            assert!(read(bad).is_none());
        }
        let content = batch(format!("{id} blob 3\nx\ny\n").as_bytes()).unwrap();
        assert_eq!(content.values().next().unwrap(), b"x\ny");
        assert!(batch(b"short").is_none() && batch(format!("{id} blob 99\nx").as_bytes()).is_none());
    }
}
