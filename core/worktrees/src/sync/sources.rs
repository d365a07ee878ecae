//! The folder of shared files, and what is in it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use podium_protocol::SyncState;

use crate::layout;
use crate::rows::RepoRow;

/// More shared files than this are not looked at.
const FILES: usize = 2_000;
/// Entries of folders that are looked at.
const ENTRIES: usize = 20_000;
const DEPTH: usize = 32;
const LAYERS: [&str; 3] = ["global", "repo", "worktrees"];

/// Size and time of each shared file, by repository: tells that a content changed.
pub(crate) type Stamps = HashMap<String, BTreeMap<PathBuf, Stamp>>;
pub(crate) type Stamp = (u64, Option<SystemTime>);

/// Where a repository's shared files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Need not exist.
    pub(crate) folder: PathBuf,
    /// Shared files may be links within this folder.
    pub(crate) project: PathBuf,
    /// In the main worktree of a plain clone, where git would see it.
    pub(crate) in_clone: bool,
}

impl Place {
    /// `sync/` beside the worktrees of a project folder; `.podium/sync/` in a plain clone.
    pub(crate) fn of(repo: &RepoRow) -> Self {
        let worktrees = layout::folder_of(repo);
        if repo.is_bare() || repo.root.parent() == Some(worktrees.as_path()) {
            return Self { folder: worktrees.join("sync"), project: worktrees, in_clone: false };
        }
        Self { folder: repo.root.join(".podium/sync"), project: repo.root.clone(), in_clone: true }
    }

    /// Whether a link in `folder` with this text leads to a shared file, by its text alone.
    pub(crate) fn holds(&self, folder: &Path, text: &Path) -> bool {
        lexically(&folder.join(text)).starts_with(&self.folder)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Global,
    Repo,
    Worktree,
}

impl Layer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Repo => "repo",
            Self::Worktree => "worktree",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) layer: Layer,
    pub(crate) stamp: Stamp,
    /// Why it cannot be shared.
    pub(crate) fault: Option<(SyncState, String)>,
}

/// All shared files by their path below the top of a worktree; the more specific one has won.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) shared: BTreeMap<PathBuf, Source>,
    /// By name of the worktree.
    pub(crate) own: BTreeMap<String, BTreeMap<PathBuf, Source>>,
    pub(crate) notes: Vec<String>,
    files: usize,
    entries: usize,
}

impl Sources {
    /// Looks through the folder. One that does not exist has nothing in it.
    pub(crate) fn read(place: &Place) -> io::Result<Self> {
        let mut found = Self::default();
        let real = match place.folder.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error),
        };
        let project = place.project.canonicalize()?;
        if !real.starts_with(&project) {
            // A repository could bring such a link along, and share what is none of its business.
            found
                .notes
                .push(format!("{} leads out of the project: nothing is shared", place.folder.display()));
            return Ok(found);
        }
        let mut shared = BTreeMap::new();
        found.walk(&project, &place.folder.join("global"), Layer::Global, &[], &mut shared)?;
        if place.in_clone {
            found.walk(&project, &place.folder, Layer::Repo, &LAYERS, &mut shared)?;
        }
        found.walk(&project, &place.folder.join("repo"), Layer::Repo, &[], &mut shared)?;
        found.shared = shared;
        for (name, folder) in named_folders(&place.folder.join("worktrees"))? {
            let mut own = BTreeMap::new();
            found.walk(&project, &folder, Layer::Worktree, &[], &mut own)?;
            found.own.insert(name, own);
        }
        if found.files > FILES || found.entries > ENTRIES {
            found.notes.push(format!("more than {FILES} shared files: the rest is left out"));
        }
        Ok(found)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.own.values().all(BTreeMap::is_empty)
    }

    pub(crate) fn len(&self) -> usize {
        self.shared.len() + self.own.values().map(BTreeMap::len).sum::<usize>()
    }

    /// What one worktree shall see.
    pub(crate) fn of_worktree(&self, name: &str) -> BTreeMap<PathBuf, Source> {
        let mut all = self.shared.clone();
        if let Some(own) = self.own.get(name) {
            all.extend(own.iter().map(|(path, source)| (path.clone(), source.clone())));
        }
        all
    }

    /// Every path at which a link may be.
    pub(crate) fn paths(&self) -> std::collections::BTreeSet<PathBuf> {
        let own = self.own.values().flatten();
        let usable = self.shared.iter().chain(own).filter(|(_, source)| source.fault.is_none());
        usable.map(|(path, _)| path.clone()).collect()
    }

    pub(crate) fn stamps(&self) -> BTreeMap<PathBuf, Stamp> {
        let own = self.own.values().flat_map(BTreeMap::values);
        self.shared.values().chain(own).map(|source| (source.path.clone(), source.stamp)).collect()
    }

    fn walk(
        &mut self,
        project: &Path,
        top: &Path,
        layer: Layer,
        skip: &[&str],
        into: &mut BTreeMap<PathBuf, Source>,
    ) -> io::Result<()> {
        let mut folders = vec![(top.to_owned(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let entries = match folder.read_dir() {
                Ok(entries) => entries,
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    continue;
                }
                Err(error) => {
                    self.notes.push(format!("{} cannot be read: {error}", folder.display()));
                    continue;
                }
            };
            for entry in entries.flatten() {
                self.entries += 1;
                if self.entries > ENTRIES || self.files > FILES {
                    return Ok(());
                }
                let (path, name) = (entry.path(), entry.file_name());
                let name = name.to_string_lossy();
                let Ok(kind) = entry.file_type() else { continue };
                if (depth == 0 && skip.contains(&&*name)) || is_passing(&name) {
                    continue;
                }
                if is_forbidden(&name) {
                    self.notes.push(format!("{} is never shared", path.display()));
                } else if kind.is_dir() && depth < DEPTH {
                    folders.push((path, depth + 1));
                } else if let Ok(below) = path.strip_prefix(top) {
                    self.files += 1;
                    into.insert(below.to_owned(), examine(project, &path, layer));
                }
            }
        }
        Ok(())
    }
}

fn examine(project: &Path, path: &Path, layer: Layer) -> Source {
    let source = |stamp, fault| Source { path: path.to_owned(), layer, stamp, fault };
    let refuse = |state, text: String| source((0, None), Some((state, text)));
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return refuse(SyncState::Dangling, "the shared file is a link to nothing".to_owned());
        }
        // ELOOP has no kind of its own that is stable.
        Err(_) if path.is_symlink() => {
            return refuse(SyncState::Loop, "the shared file is a link that leads back to itself".to_owned());
        }
        Err(error) => return refuse(SyncState::Failed, error.to_string()),
    };
    if !real.starts_with(project) {
        return refuse(SyncState::Outside, format!("it leads to {}, out of the project", real.display()));
    }
    match real.metadata() {
        Ok(data) if data.is_file() => source((data.len(), data.modified().ok()), None),
        Ok(data) if data.is_dir() => refuse(SyncState::Conflict, "the shared one is a folder".to_owned()),
        Ok(_) => refuse(SyncState::Conflict, "the shared one is no regular file".to_owned()),
        Err(error) => refuse(SyncState::Failed, error.to_string()),
    }
}

fn named_folders(above: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match above.read_dir() {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let named = |entry: std::fs::DirEntry| {
        let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        folder.then(|| Some((entry.file_name().into_string().ok()?, entry.path())))?
    };
    Ok(entries.flatten().filter_map(named).take(FILES).collect())
}

/// Files that editors and systems leave for a moment, and markers of empty folders.
fn is_passing(name: &str) -> bool {
    const WHOLE: [&str; 3] = ["4913", ".DS_Store", ".gitkeep"];
    const ENDS: [&str; 6] = ["~", ".swp", ".swo", ".swx", ".kate-swp", ".podium-new"];
    const BEGINS: [&str; 3] = [".#", ".goutputstream-", ".nfs"];
    WHOLE.contains(&name)
        || ENDS.iter().any(|end| name.ends_with(end))
        || BEGINS.iter().any(|begin| name.starts_with(begin))
        || (name.starts_with('#') && name.ends_with('#'))
        || name.ends_with(super::apply::HELD)
}

/// Git's folder and ours: a link there would be more than configuration.
fn is_forbidden(name: &str) -> bool {
    [".git", ".podium", "git~1"].iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
        || name.bytes().any(|byte| byte == b'\n')
}

/// The text of a link in `folder` that leads to `file`; both absolute and without dots.
pub(crate) fn relative(folder: &Path, file: &Path) -> PathBuf {
    let shared = folder.components().zip(file.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(file.components().skip(shared)).collect()
}

/// Without `.` and `..`, by the text alone.
pub(crate) fn lexically(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_climb_as_far_as_they_must() {
        let text = |folder: &str, file: &str| relative(Path::new(folder), Path::new(file));
        assert_eq!(text("/p/feat-x", "/p/sync/repo/.env"), PathBuf::from("../sync/repo/.env"));
        assert_eq!(text("/p/feat-x/a/b", "/p/sync/repo/a/b/c"), PathBuf::from("../../../sync/repo/a/b/c"));
        assert_eq!(text("/p/c", "/p/c/.podium/sync/.env"), PathBuf::from(".podium/sync/.env"));
        assert_eq!(text("/q/w", "/p/c/.podium/sync/.env"), PathBuf::from("../../p/c/.podium/sync/.env"));
    }

    #[test]
    fn a_link_is_ours_by_where_its_text_leads() {
        let place = Place { folder: "/p/sync".into(), project: "/p".into(), in_clone: false };
        assert!(place.holds(Path::new("/p/feat-x"), Path::new("../sync/repo/.env")));
        assert!(place.holds(Path::new("/p/feat-x"), Path::new("/p/sync/global/x")));
        assert!(!place.holds(Path::new("/p/feat-x"), Path::new("../sync/../other")));
        assert!(!place.holds(Path::new("/p/feat-x"), Path::new("../synchronous/x")));
    }

    #[test]
    fn what_editors_leave_for_a_moment_is_not_shared() {
        for name in ["a~", ".env.swp", "4913", ".#x", "#x#", ".DS_Store", ".gitkeep"] {
            assert!(is_passing(name), "{name}");
        }
        for name in [".env", "config.toml", "#x", "swp"] {
            assert!(!is_passing(name), "{name}");
        }
        assert!(is_forbidden(".GIT"));
    }
}
