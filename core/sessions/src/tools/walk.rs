//! Walks the tree, nearest folders first: by open folders, never through links, without what `.gitignore` leaves out, and
//! bounded in entries and time.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use globset::{GlobBuilder, GlobMatcher};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};

use super::tree::{Place, is_git};
use super::{ToolContext, ToolError, Tree};

const MAX_ENTRIES: usize = 500_000;
const MAX_TIME: Duration = Duration::from_secs(20);
const MAX_DEPTH: usize = 128;
const MAX_IGNORE_FILE: u64 = 1024 * 1024;
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Something in a folder that is held open.
pub(super) struct Entry<'a> {
    /// Relative to the worktree's root.
    pub(super) real: &'a Path,
    pub(super) kind: FileType,
    folder: BorrowedFd<'a>,
    name: &'a OsString,
}

impl Entry<'_> {
    /// The file, if it still is a regular one.
    pub(super) fn open(&self) -> Option<File> {
        let file = File::from(openat(self.folder, self.name, FLAGS, Mode::empty()).ok()?);
        file.metadata().is_ok_and(|metadata| metadata.is_file()).then_some(file)
    }
}

/// Why a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Whole,
    /// The visitor had enough.
    Broken,
    /// It took too long, or there was too much.
    Bounded,
}

/// How a walk goes.
pub(super) struct Walk<'a> {
    pub(super) ctx: &'a ToolContext,
    pub(super) tree: &'a Tree,
    /// What git ignores too.
    pub(super) ignored: bool,
    pub(super) depth: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(ctx: &'a ToolContext, tree: &'a Tree, ignored: bool) -> Self {
        Self { ctx, tree, ignored, depth: MAX_DEPTH }
    }

    /// Visits what lies below a folder.
    pub(super) fn run(
        &self,
        start: &Place,
        mut visit: impl FnMut(&Entry<'_>) -> ControlFlow<()>,
    ) -> Result<Ended, ToolError> {
        let until = Instant::now() + MAX_TIME;
        let mut left = MAX_ENTRIES;
        let rules = if self.ignored { None } else { rules_above(self.tree.root(), &start.real) };
        let first = Folder { fd: start.open_folder()?, real: start.real.clone(), depth: 1, rules };
        let mut folders = VecDeque::from([first]);
        while let Some(folder) = folders.pop_front() {
            self.ctx.check_stopped()?;
            let folder = folder.with_own_rules(self.ignored);
            for (name, kind) in sorted_entries(&folder.fd) {
                left -= 1;
                if left == 0 || Instant::now() > until {
                    return Ok(Ended::Bounded);
                }
                let real = folder.real.join(&name);
                let is_folder = kind == FileType::Directory;
                if is_git(&name) || (!self.ignored && is_ignored(folder.rules.as_ref(), &real, is_folder)) {
                    continue;
                }
                let entry = Entry { real: &real, kind, folder: folder.fd.as_fd(), name: &name };
                if visit(&entry).is_break() {
                    return Ok(Ended::Broken);
                }
                if is_folder && folder.depth < self.depth {
                    folders.extend(folder.child(&name, real));
                }
            }
        }
        Ok(Ended::Whole)
    }
}

struct Folder {
    fd: OwnedFd,
    real: PathBuf,
    depth: usize,
    rules: Option<Arc<Rules>>,
}

impl Folder {
    /// The folder in it; gone or made a link meanwhile, it is left out.
    fn child(&self, name: &OsString, real: PathBuf) -> Option<Self> {
        let fd = openat(&self.fd, name, FLAGS | OFlags::DIRECTORY, Mode::empty()).ok()?;
        Some(Self { fd, real, depth: self.depth + 1, rules: self.rules.clone() })
    }

    fn with_own_rules(mut self, ignored: bool) -> Self {
        if !ignored {
            self.rules = Rules::of(self.fd.as_fd(), &self.real, self.rules.take());
        }
        self
    }
}

/// The `.gitignore` of a folder, and those above.
struct Rules {
    folder: PathBuf,
    own: Gitignore,
    above: Option<Arc<Rules>>,
}

impl Rules {
    fn of(folder: BorrowedFd<'_>, real: &Path, above: Option<Arc<Self>>) -> Option<Arc<Self>> {
        match ignore_file(folder) {
            Some(own) => Some(Arc::new(Self { folder: real.to_owned(), own, above })),
            None => above,
        }
    }
}

/// Rules of the folders above a place; its own are read when the walk comes there.
fn rules_above(root: BorrowedFd<'_>, real: &Path) -> Option<Arc<Rules>> {
    let mut fd = root.try_clone_to_owned().ok()?;
    let (mut at, mut rules) = (PathBuf::new(), None);
    for part in real {
        rules = Rules::of(fd.as_fd(), &at, rules);
        fd = openat(&fd, part, FLAGS | OFlags::DIRECTORY, Mode::empty()).ok()?;
        at.push(part);
    }
    rules
}

fn ignore_file(folder: BorrowedFd<'_>) -> Option<Gitignore> {
    let file = File::from(openat(folder, ".gitignore", FLAGS, Mode::empty()).ok()?);
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_IGNORE_FILE).read_to_end(&mut bytes).ok()?;
    let mut builder = GitignoreBuilder::new("");
    for line in String::from_utf8_lossy(&bytes).lines() {
        // A line that makes no sense is left out, as git does.
        let _ = builder.add_line(None, line);
    }
    builder.build().ok()
}

fn is_ignored(rules: Option<&Arc<Rules>>, real: &Path, is_folder: bool) -> bool {
    let mut next = rules;
    while let Some(rules) = next {
        let below = real.strip_prefix(&rules.folder).unwrap_or(real);
        match rules.own.matched(below, is_folder) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => next = rules.above.as_ref(),
        }
    }
    false
}

/// A folder that cannot be read shows nothing.
fn sorted_entries(folder: &OwnedFd) -> Vec<(OsString, FileType)> {
    let Ok(dir) = Dir::read_from(folder) else { return Vec::new() };
    let mut entries: Vec<(OsString, FileType)> = dir
        .filter_map(Result::ok)
        .filter(|entry| !matches!(entry.file_name().to_bytes(), b"." | b".."))
        .take(MAX_ENTRIES)
        .map(|entry| {
            let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
            let kind = match entry.file_type() {
                FileType::Unknown => kind_of(folder, &name),
                kind => kind,
            };
            (name, kind)
        })
        .collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries
}

fn kind_of(folder: &OwnedFd, name: &OsString) -> FileType {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
}

/// A glob over paths; without a slash it stands for a name in any folder.
pub(super) struct PathGlob {
    glob: GlobMatcher,
}

impl PathGlob {
    pub(super) fn new(pattern: &str) -> Result<Self, ToolError> {
        let pattern = pattern.trim_start_matches("./");
        let full = if pattern.contains('/') { pattern.to_owned() } else { format!("**/{pattern}") };
        let glob = GlobBuilder::new(full.trim_start_matches('/')).literal_separator(true).build();
        let glob = glob.map_err(|error| ToolError::Input(format!("`glob`: {error}")))?;
        Ok(Self { glob: glob.compile_matcher() })
    }

    /// Whether it fits the path from the worktree's root, or from the folder the search begins in.
    pub(super) fn fits(&self, real: &Path, start: &Path) -> bool {
        self.glob.is_match(real) || real.strip_prefix(start).is_ok_and(|below| self.glob.is_match(below))
    }
}
