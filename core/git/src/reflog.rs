//! HEAD's reflog: what made HEAD move, in the order it happened, also where it moved several times between two looks.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;
use crate::oid::Oid;
use crate::repo::Repo;

/// Bytes of a reflog that are read at one time.
const MAX_READ: u64 = 1024 * 1024;

/// One line of the reflog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadMove {
    /// `None` when there was no commit before.
    pub from: Option<Oid>,
    pub to: Oid,
    /// `commit: ...`, `rebase (pick): ...`, as whoever moved HEAD wrote it.
    pub message: String,
}

/// A part of the reflog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeadLog {
    pub moves: Vec<HeadMove>,
    /// Byte behind the last line that was read.
    pub end: u64,
    /// Whether the file goes on behind it.
    pub more: bool,
    /// Whether the file became shorter, and was read from its beginning.
    pub rewritten: bool,
}

impl Repo {
    /// Length of HEAD's reflog in bytes; 0 where there is none (turned off, or kept in a reftable).
    pub fn head_log_len(&self, at: &WorktreeLocation) -> u64 {
        path(at).metadata().map_or(0, |metadata| metadata.len())
    }

    /// Moves of a worktree's HEAD behind the byte `from`, which must be the end of an earlier read. A file that is
    /// shorter than that was rewritten, and is read from its beginning. Lines that are not of a reflog are passed
    /// over; one that is still being written is left for the next read. At most 1 MiB is read.
    ///
    /// # Errors
    /// `Io` when the file exists and cannot be read.
    pub fn head_log(&self, at: &WorktreeLocation, from: u64) -> Result<HeadLog> {
        let path = path(at);
        let failed = |error| GitError::io(&path, error);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HeadLog::default()),
            Err(error) => return Err(failed(error)),
        };
        let len = file.metadata().map_err(failed)?.len();
        let rewritten = from > len;
        let from = if rewritten { 0 } else { from };
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(MAX_READ).read_to_end(&mut bytes).map_err(failed)?;
        let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            // No message is that long: a line without end is passed over as a whole.
            None if bytes.len() as u64 == MAX_READ => bytes.len(),
            None => 0,
        };
        let end = from + whole as u64;
        let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let more = bytes.len() as u64 == MAX_READ;
        Ok(HeadLog { moves: lines.filter_map(parse).collect(), end, more, rewritten })
    }
}

fn path(at: &WorktreeLocation) -> PathBuf {
    at.git_dir.join("logs/HEAD")
}

/// `<old> <new> <name> <<mail>> <time> <zone>\t<message>`
fn parse(line: &[u8]) -> Option<HeadMove> {
    let line = String::from_utf8_lossy(line);
    let (head, message) = line.split_once('\t').unwrap_or((&line, ""));
    let mut ids = head.splitn(3, ' ');
    let (from, to) = (ids.next()?, ids.next()?);
    ids.next()?;
    let from = if from.bytes().all(|byte| byte == b'0') { None } else { Some(from.parse().ok()?) };
    Some(HeadMove { from, to: to.parse().ok()?, message: message.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_two_commits_and_what_was_done() {
        let (a, b) = ("1".repeat(40), "2".repeat(40));
        let line = format!("{a} {b} Ada B <ada@example.org> 1700000000 +0100\tcommit (amend): One\ttwo");
        let found = parse(line.as_bytes()).unwrap();
        assert_eq!(found.from.map(|id| id.to_string()), Some(a));
        assert_eq!(found.to.to_string(), b);
        assert_eq!(found.message, "commit (amend): One\ttwo");
        let first = format!("{} {b} A <a> 1 +0000\tcommit (initial): x", "0".repeat(40));
        assert_eq!(parse(first.as_bytes()).unwrap().from, None);
        for bad in ["", "x", "x y z", &format!("{b} {b}")] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
