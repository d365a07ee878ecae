//! Changes as clients see them: by files and hunks, bounded and redacted.

use std::collections::BTreeMap;
use std::path::Path;

use podium_git::{GitError, Hunk, Oid, SnapshotStore, Standing, TreeChange, TreeEntry, hunks};
use podium_protocol::{DiffHunk, FileDiff, FileStatus, HunkState};
use podium_secrets::{Redactor, is_secret_path};

use super::{Compared, contents, is_repository};
use crate::checkpoint::record;

/// Bytes of one file whose lines are shown, and of all.
const EACH: usize = 1024 * 1024;
const ALL: usize = 24 * 1024 * 1024;
/// Bytes of lines in one answer.
const ANSWER: usize = 6 * 1024 * 1024;
/// Files that are compared with what is in the worktree now, line by line.
const LOOKED_AT: usize = 200;

type Blobs = BTreeMap<Oid, Vec<u8>>;

/// All changes; whether some have no lines because there are too many.
pub(super) fn files(
    store: &SnapshotStore,
    compared: &Compared,
    known: &Redactor,
) -> Result<(Vec<FileDiff>, bool), GitError> {
    let changes = store.changes(&compared.tree.at, &compared.from.files, &compared.to.files, true)?;
    of(store, compared, changes, known)
}

pub(super) fn of(
    store: &SnapshotStore,
    compared: &Compared,
    changes: Vec<TreeChange>,
    known: &Redactor,
) -> Result<(Vec<FileDiff>, bool), GitError> {
    let at = &compared.tree.at;
    let blobs = store.contents(at, &contents(&changes), EACH, ALL)?;
    let mut touched = store.touched_since(at, &changes)?;
    touched.truncate(LOOKED_AT);
    let (mut files, mut size, mut truncated) = (Vec::new(), 0, false);
    for change in changes {
        let (mut file, found) = file(&change, &blobs)?;
        if size > ANSWER && !file.hunks.is_empty() {
            (file.hunks, file.omitted, truncated) = (Vec::new(), Some("too_large".to_owned()), true);
        }
        if touched.contains(&change.path) && !file.hunks.is_empty() {
            stand(store, compared, &change, &found, &mut file)?;
        }
        for hunk in &mut file.hunks {
            redact(hunk, known);
            size += hunk.lines.iter().map(String::len).sum::<usize>();
        }
        files.push(file);
    }
    Ok((files, truncated))
}

fn file(change: &TreeChange, blobs: &Blobs) -> Result<(FileDiff, Vec<Hunk>), GitError> {
    let (found, omitted) = lines(change, blobs)?;
    let path = change.path.to_string_lossy().into_owned();
    let mode = |entry: &Option<TreeEntry>| entry.as_ref().map(|entry| entry.mode.clone());
    let file = FileDiff {
        path_bytes: change.path.to_str().is_none().then(|| record::bytes(&change.path)),
        path,
        old_path: change.renamed_from.as_ref().map(|path| path.to_string_lossy().into_owned()),
        status: status(change),
        old_mode: mode(&change.old),
        new_mode: mode(&change.new),
        binary: omitted == Some("binary"),
        omitted: omitted.map(str::to_owned),
        hunks: found.iter().map(shown).collect(),
    };
    Ok((file, found))
}

/// The hunks of a change, or why they are not shown.
fn lines(change: &TreeChange, blobs: &Blobs) -> Result<(Vec<Hunk>, Option<&'static str>), GitError> {
    let secret = |path: &Path| is_secret_path(path);
    if is_repository(change) {
        return Ok((Vec::new(), Some("repository")));
    }
    if secret(&change.path) || change.renamed_from.as_deref().is_some_and(secret) {
        return Ok((Vec::new(), Some("secret")));
    }
    let content = |entry: &Option<TreeEntry>| match entry {
        None => Some(&[][..]),
        Some(entry) => blobs.get(&entry.id).map(Vec::as_slice),
    };
    let (Some(old), Some(new)) = (content(&change.old), content(&change.new)) else {
        return Ok((Vec::new(), Some("too_large")));
    };
    Ok(match hunks(old, new)? {
        Some(found) => (found, None),
        None => (Vec::new(), Some("binary")),
    })
}

fn status(change: &TreeChange) -> FileStatus {
    match (&change.old, &change.new) {
        (None, _) => FileStatus::Added,
        (_, None) => FileStatus::Deleted,
        (Some(old), Some(new)) if old.is_link() != new.is_link() => FileStatus::TypeChanged,
        _ if change.renamed_from.is_some() => FileStatus::Renamed,
        _ => FileStatus::Modified,
    }
}

fn shown(hunk: &Hunk) -> DiffHunk {
    let mut lines = Vec::new();
    for line in &hunk.lines {
        let text = line.text.strip_suffix(b"\n").unwrap_or(&line.text);
        lines.push(format!("{}{}", line.kind, String::from_utf8_lossy(text)));
        if text.len() == line.text.len() {
            lines.push("\\ No newline at end of file".to_owned());
        }
    }
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    DiffHunk {
        old_start: number(hunk.old_start),
        old_lines: number(hunk.old_lines),
        new_start: number(hunk.new_start),
        new_lines: number(hunk.new_lines),
        lines,
        state: HunkState::There,
    }
}

/// How the hunks of a file stand that somebody changed since.
fn stand(
    store: &SnapshotStore,
    compared: &Compared,
    change: &TreeChange,
    found: &[Hunk],
    file: &mut FileDiff,
) -> Result<(), GitError> {
    let contents = store.file_contents(&compared.tree.at, change)?;
    for (hunk, shown) in found.iter().zip(&mut file.hunks) {
        let standing = match &contents {
            // What is not there any more was taken back, if it was not there before.
            Some(contents) if contents.now.is_none() && change.old.is_none() => Standing::Gone,
            Some(contents) if change.new.is_none() && contents.now.as_ref() == Some(&contents.old) => {
                Standing::Gone
            }
            Some(contents) => contents.standing(hunk)?,
            None => Standing::Changed,
        };
        shown.state = match standing {
            Standing::There => HunkState::There,
            Standing::Gone => HunkState::Gone,
            Standing::Changed => HunkState::Changed,
        };
    }
    Ok(())
}

/// Each line stays a line.
fn redact(hunk: &mut DiffHunk, known: &Redactor) {
    let whole = hunk.lines.join("\n");
    let redacted = known.redact(&whole);
    if redacted == whole {
        return;
    }
    let lines: Vec<String> = redacted.split('\n').map(str::to_owned).collect();
    hunk.lines = if lines.len() == hunk.lines.len() {
        lines
    } else {
        // A secret of several lines: none of them can be told apart.
        hunk.lines.iter().map(|line| format!("{}[redacted]", line.chars().next().unwrap_or(' '))).collect()
    };
}

/// A patch as it may be kept: known secrets are redacted, and files that hold nothing else are left out.
pub(crate) fn redacted_patch(known: &Redactor, patch: &str) -> String {
    let mut kept = String::new();
    let mut secret = false;
    let mut in_lines = false;
    for line in patch.split_inclusive('\n') {
        if line.starts_with("diff --git ") {
            let mut names = line.trim_end().rsplit(" b/");
            secret = names.next().is_some_and(|name| is_secret_path(Path::new(name.trim_matches('"'))));
            in_lines = false;
        } else if line.starts_with("@@ ") && secret && !in_lines {
            kept.push_str("[the lines of a secret file are not kept]\n");
            in_lines = true;
        }
        if !(secret && in_lines) {
            kept.push_str(line);
        }
    }
    known.redact(&kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_patch_has_no_lines_of_secret_files() {
        let patch = "diff --git a/.env b/.env\nindex 1..2 100644\n--- a/.env\n+++ b/.env\n@@ -1 +1 @@\n-A=x\n+A=topsecret\n\
            diff --git a/b.txt b/b.txt\n@@ -1 +1 @@\n-old\n+new\n";
        let kept = redacted_patch(&Redactor::default(), patch);
        assert!(!kept.contains("topsecret") && kept.contains("+new\n"), "{kept}");
        assert!(kept.contains("diff --git a/.env b/.env"), "{kept}");
    }
}
