//! The files of the checkout: those git tracks, and those it would if they were added.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command;

const LIST_LIMIT: Duration = Duration::from_secs(60);
/// Larger files are not read; the rule on sizes speaks about them.
const READ_LIMIT: u64 = 4 << 20;

pub(super) struct SourceFile {
    /// Relative to the checkout, with `/`.
    pub(super) path: String,
    pub(super) bytes: u64,
    /// None for what is not text.
    pub(super) text: Option<String>,
}

impl SourceFile {
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(super) fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or("")
    }
}

pub(super) struct Tree {
    files: Vec<SourceFile>,
}

impl Tree {
    pub(super) fn load(root: &Path) -> Result<Self> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
        let listed = command::output(git, LIST_LIMIT).context("tidy looks at the files that git knows")?;
        let mut paths: Vec<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();
        paths.sort_unstable();
        paths.dedup();
        let files = paths.into_iter().filter_map(|path| read(root, path)).collect();
        Ok(Self { files })
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| SourceFile {
            path: (*path).to_owned(),
            bytes: text.len() as u64,
            text: Some((*text).to_owned()),
        };
        Self { files: files.iter().map(file).collect() }
    }

    pub(super) fn files(&self) -> &[SourceFile] {
        &self.files
    }

    pub(super) fn with_extension<'a>(&'a self, wanted: &[&str]) -> impl Iterator<Item = &'a SourceFile> {
        self.files.iter().filter(move |file| wanted.contains(&file.extension()))
    }

    pub(super) fn get(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// None for what is deleted but still in the index, and for links.
fn read(root: &Path, path: &str) -> Option<SourceFile> {
    let full = root.join(path);
    let metadata = fs::symlink_metadata(&full).ok().filter(fs::Metadata::is_file)?;
    let bytes = metadata.len();
    let text = (bytes <= READ_LIMIT).then(|| fs::read(&full).ok()).flatten();
    let text = text.filter(|bytes| !bytes.contains(&0)).and_then(|bytes| String::from_utf8(bytes).ok());
    Some(SourceFile { path: path.to_owned(), bytes, text })
}

/// The line, from 1, of a byte offset.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Whether a rule is overruled, with a reason, on a line or the one above.
pub(super) fn allowed(text: &str, line: usize, rule: &str) -> bool {
    let mark = format!("tidy-allow({rule}):");
    let reasoned = |line: &str| line.split_once(&mark).is_some_and(|(_, reason)| !reason.trim().is_empty());
    text.lines().skip(line.saturating_sub(2)).take(if line > 1 { 2 } else { 1 }).any(reasoned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_overruled_only_beside_a_reason() {
        let text = "// tidy-allow(sleep): polls\nsleep();\nsleep();\n// tidy-allow(sleep):\nsleep();\n";
        assert!(allowed(text, 2, "sleep"));
        assert!(!allowed(text, 2, "path"));
        assert!(!allowed(text, 3, "sleep"));
        assert!(!allowed(text, 5, "sleep"), "an empty reason is none");
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!((line_at("a\nb", 0), line_at("a\nb", 2)), (1, 2));
    }

    #[test]
    fn tracked_and_new_files_are_seen_ignored_and_deleted_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            git.args(arguments).current_dir(root).env("GIT_CONFIG_GLOBAL", "").env("GIT_CONFIG_SYSTEM", "");
            command::output(git, LIST_LIMIT).unwrap();
        };
        git(&["init", "--quiet"]);
        fs::write(root.join(".gitignore"), "ignored\n").unwrap();
        for name in ["tracked", "deleted", "ignored", "new"] {
            fs::write(root.join(name), name).unwrap();
        }
        git(&["add", ".gitignore", "tracked", "deleted"]);
        fs::remove_file(root.join("deleted")).unwrap();
        let tree = Tree::load(root).unwrap();
        let paths: Vec<&str> = tree.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, [".gitignore", "new", "tracked"]);
    }
}
