//! Making and taking away links. Whatever is at the place of a link is first renamed aside, and only then judged: a
//! file that an editor put there a moment ago is found in the hand, not overwritten.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use podium_protocol::SyncState;

use super::backups::Keeper;
use super::plan::{Disk, Entry, Step, look};
use super::rows::LinkRow;
use super::sources::Place;

/// End of the name under which something is held beside its place while the place is changed.
pub(super) const HELD: &str = ".podium-held";

/// Does what was planned in one worktree; what fails is told in the entry.
pub(super) fn apply(tree: &Path, place: &Place, keeper: &Keeper, entries: &mut [Entry]) {
    for entry in entries {
        if let Err(error) = settle(tree, place, keeper, entry).and_then(|()| step(tree, place, keeper, entry))
        {
            entry.state = SyncState::Failed;
            entry.detail = Some(error.to_string());
            entry.step = Step::Leave;
        }
    }
}

/// Ends what a killed daemon had begun at this place.
fn settle(tree: &Path, place: &Place, keeper: &Keeper, entry: &mut Entry) -> io::Result<()> {
    if matches!(look(tree, &entry.path), Disk::Blocked(_)) {
        return Ok(());
    }
    let held = held(&tree.join(&entry.path));
    if held.symlink_metadata().is_ok() {
        entry.backup = dispose(place, keeper, &held, &entry.path, entry.known.as_ref())?;
    }
    Ok(())
}

fn step(tree: &Path, place: &Place, keeper: &Keeper, entry: &mut Entry) -> io::Result<()> {
    let full = tree.join(&entry.path);
    match (&entry.step, entry.target.clone()) {
        (Step::Link, Some(target)) => {
            entry.folders = entry.folders.max(make_folders(tree, &entry.path)?);
            match symlink(&target, &full) {
                Ok(()) => entry.state = SyncState::Linked,
                // Somebody was faster: the next look judges it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => entry.step = Step::Leave,
                Err(error) => return Err(error),
            }
        }
        (Step::Relink | Step::Replace, Some(target)) => {
            let kept = replace(place, keeper, &full, entry, &target)?;
            entry.backup = kept.or(entry.backup.take());
            entry.state = SyncState::Repaired;
        }
        (Step::Drop, _) => {
            drop_link(place, &full, entry.known.as_ref())?;
            remove_folders(tree, &entry.path, entry.folders);
        }
        _ => {}
    }
    Ok(())
}

fn replace(
    place: &Place,
    keeper: &Keeper,
    full: &Path,
    entry: &Entry,
    target: &Path,
) -> io::Result<Option<PathBuf>> {
    let held = held(full);
    std::fs::rename(full, &held)?;
    if let Err(error) = symlink(target, full) {
        give_back(&held, full);
        return Err(error);
    }
    dispose(place, keeper, &held, &entry.path, entry.known.as_ref())
}

/// Takes a link of ours away; anything else stays.
pub(super) fn drop_link(place: &Place, full: &Path, known: Option<&LinkRow>) -> io::Result<()> {
    let held = held(full);
    std::fs::rename(full, &held)?;
    if is_ours(place, &held, known) {
        return std::fs::remove_file(&held);
    }
    give_back(&held, full);
    Ok(())
}

fn give_back(held: &Path, full: &Path) {
    // What appeared there meanwhile is younger; the next look keeps what is held.
    if full.symlink_metadata().is_err() {
        let _ = std::fs::rename(held, full);
    }
}

/// A link of ours has no content of its own; everything else is kept.
fn dispose(
    place: &Place,
    keeper: &Keeper,
    held: &Path,
    path: &Path,
    known: Option<&LinkRow>,
) -> io::Result<Option<PathBuf>> {
    if is_ours(place, held, known) {
        std::fs::remove_file(held)?;
        return Ok(None);
    }
    keeper.keep(held, path).map(Some)
}

pub(super) fn is_ours(place: &Place, held: &Path, known: Option<&LinkRow>) -> bool {
    let ours = |text: &Path| {
        held.parent().is_some_and(|folder| place.holds(folder, text))
            || known.is_some_and(|row| row.made(text))
    };
    held.read_link().is_ok_and(|text| ours(&text))
}

fn held(full: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(full.file_name().unwrap_or_default());
    name.push(HELD);
    full.with_file_name(name)
}

/// Makes the folders above a path that are missing, and tells how many.
fn make_folders(tree: &Path, path: &Path) -> io::Result<u32> {
    let mut folder = tree.to_owned();
    let mut made = 0;
    for part in path.parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        match std::fs::create_dir(&folder) {
            Ok(()) => made += 1,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(made)
}

/// Takes away as many folders above a path as were made for it, as far as they are empty.
pub(super) fn remove_folders(tree: &Path, path: &Path, count: u32) {
    let above = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    for folder in above.take(count as usize) {
        if std::fs::remove_dir(tree.join(folder)).is_err() {
            return;
        }
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}
