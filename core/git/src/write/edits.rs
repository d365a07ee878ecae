//! Small edits by others, made into commits.

use std::path::{Path, PathBuf};

use super::RepoWriter;
use crate::error::{GitError, Result};
use crate::model::{Untracked, WorktreeLocation};
use crate::oid::Oid;

/// Bytes of a file that an edit is taken into.
const LARGEST: usize = 8 * 1024 * 1024;

/// A change of one file against one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Below the top of the worktree.
    pub path: String,
    /// The version that was edited.
    pub base: Oid,
    /// Lines that are replaced, both included, counted from 1.
    pub lines: (u32, u32),
    /// What takes their place; empty where they only go.
    pub text: String,
}

/// What became of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edited {
    Committed(Oid),
    /// The file has it already.
    There,
    /// The lines have changed since, or are gone.
    Outdated,
}

impl RepoWriter {
    /// Takes an edit into a clean worktree, as a commit of its own by whoever asks. Whatever else changed in the file
    /// since stays. Runs the user's hooks.
    ///
    /// # Errors
    /// `WorktreeDirty`; `Failed` with what a hook said: the worktree is then as it was.
    pub fn commit_edit(&self, at: &WorktreeLocation, edit: &Edit, message: &str) -> Result<Edited> {
        if !self.repo.status(at, Untracked::Folded)?.is_clean() {
            return Err(GitError::WorktreeDirty { path: at.path.clone() });
        }
        let Some(head) = self.repo.head(at)?.id().cloned() else {
            return Err(GitError::UnbornHead { branch: String::new() });
        };
        let (Some((mode, now)), Some((_, base))) =
            (self.file(at, &head, &edit.path)?, self.file(at, &edit.base, &edit.path)?)
        else {
            return Ok(Edited::Outdated);
        };
        let Some(wanted) = replaced(&base, edit) else { return Ok(Edited::Outdated) };
        let Some(merged) = merged(&base, &now, &wanted)? else { return Ok(Edited::Outdated) };
        if merged == now {
            return Ok(Edited::There);
        }
        self.commit_file(at, &edit.path, &mode, merged, message).inspect_err(|_| {
            // The error says more than a failure of this would.
            let mut restore = self.repo.place().change_in(at);
            restore.without_hooks().args(["reset", "--quiet", "--hard", head.as_str()]);
            let _ = self.run(&restore);
        })
    }

    fn commit_file(
        &self,
        at: &WorktreeLocation,
        path: &str,
        mode: &str,
        content: Vec<u8>,
        message: &str,
    ) -> Result<Edited> {
        let mut store = self.repo.place().change_in(at);
        store.args(["hash-object", "-w", "--no-filters", "--stdin"]).stdin(content);
        let blob = String::from_utf8_lossy(&self.run_ok(&store)?).trim().to_owned();
        let mut index = self.repo.place().change_in(at);
        index.args(["update-index", "--cacheinfo"]).arg(format!("{mode},{blob},{path}"));
        self.run_ok(&index)?;
        let mut file = self.repo.place().change_in(at);
        file.args(["checkout-index", "--force", "--quiet", "--"]).arg(path);
        self.run_ok(&file)?;
        let mut commit = self.repo.place().change_in(at);
        commit.args(["commit", "--quiet", "--file=-"]).stdin(message.as_bytes());
        self.run_ok(&commit)?;
        let made = self.repo.head(at)?.id().cloned();
        made.map(Edited::Committed).ok_or_else(|| commit.unexpected("no commit"))
    }

    /// Mode and content of a regular file in a commit; `None` for anything else, which no edit can mean.
    fn file(&self, at: &WorktreeLocation, commit: &Oid, path: &str) -> Result<Option<(String, Vec<u8>)>> {
        if path.is_empty() || Path::new(path).is_absolute() || path.contains('\0') {
            return Ok(None);
        }
        let mut list = self.repo.read_command(at);
        list.args(["--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit.as_str(), "--"]).arg(path);
        let outcome = list.attempt()?;
        if outcome.code != Some(0) {
            // The version that was edited is not here.
            return Ok(None);
        }
        let listed = String::from_utf8_lossy(&outcome.stdout).into_owned();
        let Some((facts, name)) = listed.trim_end_matches('\0').split_once('\t') else { return Ok(None) };
        let words: Vec<&str> = facts.split(' ').collect();
        match words[..] {
            [mode @ ("100644" | "100755"), "blob", id] if name == path => {
                let id: Oid = id.parse().map_err(|_| list.unexpected("no id"))?;
                Ok(Some((mode.to_owned(), self.repo.blob(&id, LARGEST)?)))
            }
            _ => Ok(None),
        }
    }
}

/// The file with the lines replaced; `None` where it has no such lines.
fn replaced(base: &[u8], edit: &Edit) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = base.split_inclusive(|byte| *byte == b'\n').collect();
    let (from, to) = (usize::try_from(edit.lines.0).ok()?, usize::try_from(edit.lines.1).ok()?);
    if from == 0 || from > to || to > lines.len() {
        return None;
    }
    let ends = lines[from - 1..to].iter().any(|line| line.ends_with(b"\r\n"));
    let mut text = edit.text.replace("\r\n", "\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if ends {
        text = text.replace('\n', "\r\n");
    }
    Some([lines[..from - 1].concat(), text.into_bytes(), lines[to..].concat()].concat())
}

/// Both changes together; `None` where they contradict each other.
pub(crate) fn merged(base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Option<Vec<u8>>> {
    if ours == base || ours == theirs {
        return Ok(Some(theirs.to_vec()));
    }
    // Whoever merges files without a repository has to start libgit2 first.
    git2::Config::new().map_err(|source| GitError::Libgit2 { path: PathBuf::new(), source })?;
    let mut inputs = [base, ours, theirs].map(|content| (git2::MergeFileInput::new(), content));
    for (input, content) in &mut inputs {
        input.content(content);
    }
    let [(base, _), (ours, _), (theirs, _)] = &inputs;
    let merged = git2::merge_file(base, ours, theirs, None)
        .map_err(|source| GitError::Libgit2 { path: PathBuf::new(), source })?;
    Ok(merged.is_automergeable().then(|| merged.content().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(lines: (u32, u32), text: &str) -> Edit {
        let base = "0123456789012345678901234567890123456789".parse().unwrap();
        Edit { path: "a".into(), base, lines, text: text.into() }
    }

    #[test]
    fn lines_are_replaced_with_the_endings_of_the_file() {
        let case = |base: &str, lines, text| {
            replaced(base.as_bytes(), &edit(lines, text)).map(|bytes| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(case("a\nb\nc\n", (2, 2), "x\ny").as_deref(), Some("a\nx\ny\nc\n"));
        assert_eq!(case("a\r\nb\r\n", (1, 1), "x").as_deref(), Some("x\r\nb\r\n"));
        assert_eq!(case("a\nb\n", (1, 2), "").as_deref(), Some(""));
        for bad in [(0, 1), (2, 1), (1, 4)] {
            assert_eq!(case("a\nb\nc\n", bad, "x"), None, "{bad:?}");
        }
    }

    #[test]
    fn what_changed_elsewhere_in_the_file_stays() {
        let base = b"1\n2\n3\n4\n5\n6\n7\n8\n";
        let ours = b"1\ntwo\n3\n4\n5\n6\n7\n8\n";
        let theirs = b"1\n2\n3\n4\n5\n6\nseven\n8\n";
        assert_eq!(merged(base, ours, theirs).unwrap().unwrap(), b"1\ntwo\n3\n4\n5\n6\nseven\n8\n");
        assert_eq!(merged(base, ours, b"1\nzwei\n3\n4\n5\n6\n7\n8\n").unwrap(), None);
    }
}
