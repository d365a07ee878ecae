//! Trial merges with the command line, for repositories that libgit2 does not read and merges that it does not know: a
//! copy of the index, and object folders that borrow from the repository and go away with their owner.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::conflicts::{Entry, Group, described};
use super::{Changed, Changes, Conflict, ConflictKind, Kept, Leaf, Work, tree};
use crate::bytes::{path_bytes, path_from_bytes};
use crate::command::GitCommand;
use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;
use crate::oid::{ObjectFormat, Oid};
use crate::repo::Repo;
use crate::snapshot::copy_index_file;

/// Longest blob that lines are looked for in, in bytes.
const LONGEST: usize = 8 * 1024 * 1024;

/// A folder for objects that sees those of the repository and of other such folders.
fn scratch(repo: &Repo, borrowed: &[&Work]) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("podium-trial-").tempdir();
    let folder = folder.map_err(|error| GitError::io(&std::env::temp_dir(), error))?;
    let info = folder.path().join("objects/info");
    let wrong = |error| GitError::io(&info, error);
    std::fs::create_dir_all(&info).map_err(wrong)?;
    let mut list = std::fs::File::create(info.join("alternates")).map_err(wrong)?;
    let mut lend = |objects: &Path| list.write_all(&[path_bytes(objects), b"\n"].concat()).map_err(wrong);
    lend(&repo.common_dir().join("objects"))?;
    for work in borrowed {
        match &work.kept {
            Kept::Folder(folder) => lend(&folder.path().join("objects"))?,
            Kept::Memory(objects) => tree::spill(objects, folder.path())?,
            Kept::Nowhere => {}
        }
    }
    Ok(folder)
}

fn aim<'a>(command: &'a mut GitCommand, scratch: &TempDir) -> &'a mut GitCommand {
    command.env("GIT_OBJECT_DIRECTORY", scratch.path().join("objects"))
}

fn oid(command: &GitCommand, output: &[u8]) -> Result<Oid> {
    crate::parse::oid(output.trim_ascii()).map_err(|error| command.unexpected(error.0))
}

pub(super) fn work(repo: &Repo, at: &WorktreeLocation) -> Result<Work> {
    let head = repo.head(at)?.id().cloned();
    let folder = scratch(repo, &[])?;
    let (index, copy) = (at.git_dir.join("index"), folder.path().join("index"));
    match copy_index_file(&index, &copy) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(GitError::io(&index, error)),
    }
    let command = || {
        let mut command = repo.read_command(at);
        aim(&mut command, &folder).env("GIT_INDEX_FILE", copy.clone());
        // A shared index would be written beside the real one.
        command.config("core.splitIndex=false").config("advice.addEmbeddedRepo=false");
        command
    };
    command().args(["add", "--all", "--sparse", "--ignore-errors", "--", "."]).attempt()?;
    let mut write = command();
    let output = write.arg("write-tree").output()?;
    let tree = oid(&write, &output)?;
    Ok(Work { head, tree, kept: Kept::Folder(Arc::new(folder)) })
}

pub(super) fn changes(repo: &Repo, base: Option<&Oid>, work: &Work) -> Result<Changes> {
    let folder = scratch(repo, &[work])?;
    let mut command = repo.place().read();
    aim(&mut command, &folder).args(["diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index"]);
    let base = base.map_or(empty_tree(repo), Oid::as_str);
    command.args([base, work.tree.as_str(), "--"]);
    let output = command.output()?;
    raw_diff(&output).ok_or_else(|| command.unexpected("not a list of changes"))
}

fn empty_tree(repo: &Repo) -> &'static str {
    match repo.object_format() {
        ObjectFormat::Sha1 => "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        ObjectFormat::Sha256 => "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
    }
}

/// `:<mode> <mode> <id> <id> <letter> NUL <path> NUL`, repeated.
fn raw_diff(output: &[u8]) -> Option<Changes> {
    let mut changes = Changes::default();
    let mut fields = output.split(|byte| *byte == 0);
    while let Some(head) = fields.next().filter(|head| !head.is_empty()) {
        let path = fields.next()?;
        let words: Vec<&str> = std::str::from_utf8(head).ok()?.strip_prefix(':')?.split(' ').collect();
        let [old_mode, new_mode, old_id, new_id, _] = words[..] else { return None };
        let changed = Changed { old: leaf(old_mode, old_id)?, new: leaf(new_mode, new_id)? };
        changes.0.insert(path.to_vec(), changed);
    }
    Some(changes)
}

#[expect(clippy::option_option, reason = "malformed, absent, or there")]
fn leaf(mode: &str, id: &str) -> Option<Option<Leaf>> {
    let (mode, id) = (u32::from_str_radix(mode, 8).ok()?, id.parse().ok()?);
    Some((mode != 0).then_some(Leaf { mode, id }))
}

type Side<'a> = (&'a Work, &'a Changes);

pub(super) fn merge(
    repo: &Repo,
    base: Option<&Oid>,
    ours: Side<'_>,
    theirs: Side<'_>,
) -> Result<Vec<Conflict>> {
    let folder = scratch(repo, &[ours.0, theirs.0])?;
    let (left, right) = (commit(repo, &folder, base, ours.0)?, commit(repo, &folder, base, theirs.0)?);
    let mut command = repo.place().read();
    aim(&mut command, &folder).args(["merge-tree", "--write-tree", "-z", "--messages"]);
    command.args(["--allow-unrelated-histories", left.as_str(), right.as_str()]);
    let outcome = command.attempt()?;
    match outcome.code {
        Some(0) => return Ok(Vec::new()),
        Some(1) => {}
        _ => return Err(command.failure(&outcome)),
    }
    let told = Told::read(&outcome.stdout).ok_or_else(|| command.unexpected("not a list of conflicts"))?;
    let blob = |id: &Oid| {
        let mut command = repo.place().read();
        aim(&mut command, &folder).stdout_limit(LONGEST).args(["cat-file", "blob", id.as_str()]);
        match command.output() {
            // Shown without lines, as a binary file.
            Err(GitError::OutputTooLarge { .. }) => Ok(vec![0]),
            read => read,
        }
    };
    let mut found = Vec::new();
    for group in told.groups.values() {
        let Some(mut conflict) = described(group, &blob)? else { continue };
        if let Some(kind) = told.kind(group) {
            conflict.kind = kind;
        }
        if let Some(path) = own_path(&group.ours, ours.1) {
            conflict.ours = path;
        }
        if let Some(path) = own_path(&group.theirs, theirs.1) {
            conflict.theirs = path;
        }
        found.push(conflict);
    }
    Ok(found)
}

/// A commit on the base, so that git finds the same base again.
fn commit(repo: &Repo, folder: &TempDir, base: Option<&Oid>, work: &Work) -> Result<Oid> {
    let mut command = repo.place().read();
    for (key, value) in [
        ("GIT_AUTHOR_NAME", "Podium"),
        ("GIT_AUTHOR_EMAIL", "podium@localhost"),
        ("GIT_AUTHOR_DATE", "@0 +0000"),
        ("GIT_COMMITTER_NAME", "Podium"),
        ("GIT_COMMITTER_EMAIL", "podium@localhost"),
        ("GIT_COMMITTER_DATE", "@0 +0000"),
    ] {
        command.env(key, value);
    }
    aim(&mut command, folder).config("commit.gpgSign=false");
    command.args(["commit-tree", "--no-gpg-sign", "-m", "trial", work.tree.as_str()]);
    if let Some(base) = base {
        command.args(["-p", base.as_str()]);
    }
    oid(&command, &command.output()?)
}

/// What `git merge-tree -z --messages` printed.
#[derive(Default)]
struct Told {
    groups: BTreeMap<Vec<u8>, Group>,
    /// Short descriptions with the paths they are about.
    messages: Vec<(String, Vec<Vec<u8>>)>,
}

impl Told {
    fn read(output: &[u8]) -> Option<Self> {
        let mut told = Self::default();
        let mut fields = output.split(|byte| *byte == 0);
        let _tree = fields.next()?;
        for line in fields.by_ref().take_while(|line| !line.is_empty()) {
            told.stage(line)?;
        }
        while let Some(count) = fields.next().filter(|count| !count.is_empty()) {
            let count: usize = std::str::from_utf8(count).ok()?.parse().ok()?;
            let paths = fields.by_ref().take(count).map(<[u8]>::to_vec).collect();
            let kind = String::from_utf8_lossy(fields.next()?).into_owned();
            let _sentence = fields.next()?;
            told.messages.push((kind, paths));
        }
        Some(told)
    }

    /// `<mode> <id> <stage> TAB <path>`
    fn stage(&mut self, line: &[u8]) -> Option<()> {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let words: Vec<&str> = std::str::from_utf8(&line[..tab]).ok()?.split(' ').collect();
        let [mode, id, stage] = words[..] else { return None };
        let path = line[tab + 1..].to_vec();
        let leaf = Leaf { mode: u32::from_str_radix(mode, 8).ok()?, id: id.parse().ok()? };
        let entry = Some(Entry { path: path.clone(), leaf });
        let group = self.groups.entry(path).or_default();
        match stage {
            "1" => group.base = entry,
            "2" => group.ours = entry,
            "3" => group.theirs = entry,
            _ => return None,
        }
        Some(())
    }

    /// What git says about a path that it has for one side only.
    fn kind(&self, group: &Group) -> Option<ConflictKind> {
        if group.ours.is_some() && group.theirs.is_some() {
            return None;
        }
        let mut entries = [&group.base, &group.ours, &group.theirs].into_iter().flatten();
        let path = &entries.next()?.path;
        self.messages.iter().filter(|(_, paths)| paths.contains(path)).find_map(|(kind, _)| {
            match kind.strip_prefix("CONFLICT (")? {
                rest if rest.starts_with("rename/") => Some(ConflictKind::Rename),
                // Added to a folder that the other side renamed.
                rest if rest.starts_with("file location") => Some(ConflictKind::Rename),
                rest if rest.starts_with("distinct ") => Some(ConflictKind::Mode),
                _ => None,
            }
        })
    }
}

/// The path that a side has the file at, where the merge has it at a path that the other side renamed it to.
fn own_path(entry: &Option<Entry>, changes: &Changes) -> Option<std::path::PathBuf> {
    let entry = entry.as_ref()?;
    let at = |path: &[u8]| changes.0.get(path).and_then(|changed| changed.new.as_ref()) == Some(&entry.leaf);
    if at(&entry.path) {
        return None;
    }
    let elsewhere = changes.0.iter().find(|(_, changed)| changed.new.as_ref() == Some(&entry.leaf));
    elsewhere.map(|(path, _)| path_from_bytes(path))
}
