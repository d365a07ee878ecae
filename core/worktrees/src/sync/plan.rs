//! What lies at each place of a link in one worktree, and what is to be done about it. Nothing is changed here.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use podium_git::{Repo, WorktreeLocation};
use podium_protocol::SyncState;

use super::rows::LinkRow;
use super::sources::{Place, Source, relative};
use crate::error::Result;

/// Files up to this size are compared with the shared one, in bytes.
const COMPARED: u64 = 4 * 1024 * 1024;

/// How far the repair goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Files that replaced a link are put aside.
    pub(crate) replaced: bool,
    /// And files of the worktree's own.
    pub(crate) own: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// As it should be, or to be left as it is.
    Leave,
    Link,
    /// A link of ours with another text.
    Relink,
    /// Something of somebody's, which is kept.
    Replace,
    /// A link of ours that is not wanted any more.
    Drop,
    /// Only the row goes.
    Forget,
}

/// One path in one worktree.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) source: Option<Source>,
    /// Text of the right link.
    pub(crate) target: Option<PathBuf>,
    pub(crate) known: Option<LinkRow>,
    pub(crate) state: SyncState,
    pub(crate) detail: Option<String>,
    pub(crate) step: Step,
    pub(crate) backup: Option<PathBuf>,
    pub(crate) folders: u32,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Disk {
    Nothing,
    Link(PathBuf),
    File,
    Folder,
    Special,
    /// No file can be there.
    Blocked(String),
}

pub(crate) fn plan(
    repo: &Repo,
    at: &WorktreeLocation,
    place: &Place,
    wanted: BTreeMap<PathBuf, Source>,
    rows: Vec<LinkRow>,
    reach: Reach,
) -> Result<Vec<Entry>> {
    let mut known: BTreeMap<PathBuf, LinkRow> = rows.into_iter().map(|row| (row.path.clone(), row)).collect();
    let mut entries = Vec::new();
    for (path, source) in wanted {
        let row = known.remove(&path);
        entries.push(wanted_entry(at, place, path, source, row, reach));
    }
    entries.extend(known.into_values().map(|row| unwanted_entry(at, place, row)));
    refuse_tracked(repo, at, &mut entries)?;
    Ok(entries)
}

fn wanted_entry(
    at: &WorktreeLocation,
    place: &Place,
    path: PathBuf,
    source: Source,
    known: Option<LinkRow>,
    reach: Reach,
) -> Entry {
    let folder = at.path.join(&path);
    let folder = folder.parent().unwrap_or(&at.path).to_owned();
    let target = relative(&folder, &source.path);
    let disk = look(&at.path, &path);
    let ours = |text: &Path| place.holds(&folder, text) || known.as_ref().is_some_and(|row| row.made(text));
    let (state, detail, step) = match (&source.fault, &disk) {
        (Some((state, why)), Disk::Link(text)) if ours(text) => (*state, Some(why.clone()), Step::Drop),
        (Some((state, why)), _) => (*state, Some(why.clone()), Step::Leave),
        (None, disk) => judge(disk, &target, &ours, known.as_ref(), reach, || {
            same_content(&at.path.join(&path), &source.path)
        }),
    };
    let folders = known.as_ref().map_or(0, |row| row.folders);
    Entry {
        path,
        target: source.fault.is_none().then_some(target),
        source: Some(source),
        known,
        state,
        detail,
        step,
        backup: None,
        folders,
    }
}

fn judge(
    disk: &Disk,
    target: &Path,
    ours: &dyn Fn(&Path) -> bool,
    known: Option<&LinkRow>,
    reach: Reach,
    same: impl Fn() -> bool,
) -> (SyncState, Option<String>, Step) {
    let was_linked = known.is_some_and(|row| row.linked);
    let if_reached = |reached: bool| if reached { Step::Replace } else { Step::Leave };
    match disk {
        Disk::Nothing => (SyncState::Missing, None, Step::Link),
        Disk::Link(text) if text == target => (SyncState::Ok, None, Step::Leave),
        Disk::Link(text) if ours(text) => (SyncState::WrongTarget, Some(leads_to(text)), Step::Relink),
        Disk::Link(text) if was_linked => {
            (SyncState::WrongTarget, Some(leads_to(text)), if_reached(reach.replaced))
        }
        Disk::Link(text) => (SyncState::Own, Some(leads_to(text)), if_reached(reach.own)),
        // With the same content nothing is lost, and nothing is to be asked.
        Disk::File if was_linked => (SyncState::Replaced, None, if_reached(reach.replaced || same())),
        Disk::File => (SyncState::Own, None, if_reached(reach.own || same())),
        Disk::Folder => (SyncState::Conflict, Some("a folder is in the way".to_owned()), Step::Leave),
        Disk::Special => {
            (SyncState::Conflict, Some("something that is no file is in the way".to_owned()), Step::Leave)
        }
        Disk::Blocked(why) => (SyncState::Conflict, Some(why.clone()), Step::Leave),
    }
}

/// A row whose file is not shared any more.
fn unwanted_entry(at: &WorktreeLocation, place: &Place, row: LinkRow) -> Entry {
    let folder = at.path.join(&row.path);
    let folder = folder.parent().unwrap_or(&at.path).to_owned();
    let step = match look(&at.path, &row.path) {
        Disk::Link(text) if place.holds(&folder, &text) || row.made(&text) => Step::Drop,
        _ => Step::Forget,
    };
    Entry {
        path: row.path.clone(),
        source: None,
        target: None,
        folders: row.folders,
        known: Some(row),
        state: SyncState::Removed,
        detail: None,
        step,
        backup: None,
    }
}

fn leads_to(text: &Path) -> String {
    format!("it leads to {}", text.display())
}

/// What lies at a path. A link above it is not followed: it could lead anywhere.
pub(crate) fn look(tree: &Path, path: &Path) -> Disk {
    let mut folder = tree.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        match folder.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Disk::Nothing,
            Err(error) => return Disk::Blocked(format!("{}: {error}", folder.display())),
            Ok(data) if data.is_symlink() => {
                return Disk::Blocked(format!("{} is a link", folder.display()));
            }
            Ok(data) if !data.is_dir() => {
                return Disk::Blocked(format!("{} is no folder", folder.display()));
            }
            Ok(_) if folder.join(".git").symlink_metadata().is_ok() => {
                return Disk::Blocked(format!("{} is another repository", folder.display()));
            }
            Ok(_) => {}
        }
    }
    let full = tree.join(path);
    match full.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Disk::Nothing,
        Err(error) => Disk::Blocked(error.to_string()),
        Ok(data) if data.is_symlink() => match full.read_link() {
            Ok(text) => Disk::Link(text),
            Err(error) => Disk::Blocked(error.to_string()),
        },
        Ok(data) if data.is_dir() => Disk::Folder,
        Ok(data) if data.is_file() => Disk::File,
        Ok(_) => Disk::Special,
    }
}

fn same_content(a: &Path, b: &Path) -> bool {
    let size = |path: &Path| path.metadata().map(|data| data.len());
    let (Ok(a_size), Ok(b_size)) = (size(a), size(b)) else { return false };
    a_size == b_size
        && a_size <= COMPARED
        && matches!((std::fs::read(a), std::fs::read(b)), (Ok(a), Ok(b)) if a == b)
}

/// Asks git about those paths that are not simply right already.
fn refuse_tracked(repo: &Repo, at: &WorktreeLocation, entries: &mut [Entry]) -> Result<()> {
    let doubtful = |entry: &&mut Entry| {
        entry.source.is_some() && !(entry.state == SyncState::Ok && entry.step == Step::Leave)
    };
    let paths: Vec<PathBuf> = entries.iter_mut().filter(doubtful).map(|entry| entry.path.clone()).collect();
    if paths.is_empty() {
        return Ok(());
    }
    let tracked: HashSet<PathBuf> = repo.tracked(at, &paths)?.into_iter().collect();
    for entry in entries.iter_mut().filter(|entry| tracked.contains(&entry.path)) {
        entry.state = SyncState::Tracked;
        entry.detail = Some("git tracks a file at this path".to_owned());
        entry.step = Step::Leave;
    }
    Ok(())
}
