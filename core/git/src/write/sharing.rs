//! Files of a new worktree that share their blocks with those of the main one (reflink), on file systems that can.
//!
//! A file is shared only if git would write the same bytes: same blob, same mode, same attributes everywhere, no
//! filter drivers, and unchanged in the main worktree by the rules of git's index. Its time stays too, so that what a
//! build made of it, and was copied along, still holds.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, FileTimes, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use git2::{Index, IndexEntry, IndexTime, ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};

use crate::backend::open_repository as open;
use crate::bytes::path_from_bytes;
use crate::model::WorktreeLocation;

/// Magic numbers of file systems with reflinks (statfs(2), linux/magic.h): btrfs, XFS, bcachefs.
const WITH_REFLINKS: [i64; 3] = [0x9123_683e, 0x5846_5342, 0xca45_1a4e];
/// Flags of an index entry: assume-valid; intent-to-add and skip-worktree in the extended ones.
const ASSUME_VALID: u16 = 0x8000;
const LEFT_OUT: u16 = (1 << 13) | (1 << 14);

/// A file that both have alike.
struct Shared {
    path: Vec<u8>,
    mode: u32,
    id: Oid,
}

/// Puts the files that HEAD of the new worktree and the main one have alike into the new one, and gives an index of
/// them, for git to go on from. `None` where nothing can be shared; what was written until then is git's to replace.
pub(super) fn share(common_dir: &Path, new: &WorktreeLocation, main: &WorktreeLocation) -> Option<PathBuf> {
    if !can_share(&new.path) {
        return None;
    }
    let common = open(common_dir).ok()?;
    if has_filters(&common) {
        return None;
    }
    let files = alike(&common, new, main).ok()?;
    let side = new.git_dir.join("index.shared");
    let entries = clone_all(&files, new, main);
    (!entries.is_empty() && write_index(&side, &entries).is_ok()).then_some(side)
}

fn can_share(path: &Path) -> bool {
    #[expect(clippy::useless_conversion, reason = "the field's type differs between platforms")]
    let magic = rustix::fs::statfs(path).ok().and_then(|stat| i64::try_from(stat.f_type).ok());
    magic.is_some_and(|magic| WITH_REFLINKS.contains(&magic))
}

fn has_filters(common: &Repository) -> bool {
    let Ok(config) = common.config().and_then(|mut config| config.snapshot()) else { return true };
    let found = config.entries(Some("^filter\\..*\\.(smudge|process)$"));
    !found.is_ok_and(|mut entries| entries.next().is_none())
}

/// Regular files of the same blob and mode that nobody changed in the main worktree.
fn alike(
    common: &Repository,
    new: &WorktreeLocation,
    main: &WorktreeLocation,
) -> Result<Vec<Shared>, git2::Error> {
    let wanted = tree_of(common, new)?;
    let path = main.git_dir.join("index");
    let written = std::fs::metadata(&path).map_err(|error| git2::Error::from_str(&error.to_string()))?;
    let index = Index::open(&path)?;
    let is_attributes = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next() == Some(b".gitattributes");
    let theirs: BTreeMap<Vec<u8>, Oid> =
        index.iter().filter(|e| is_attributes(&e.path)).map(|e| (e.path, e.id)).collect();
    let ours: BTreeMap<Vec<u8>, Oid> = wanted
        .iter()
        .filter(|(path, _)| is_attributes(path))
        .map(|(path, (_, id))| (path.clone(), *id))
        .collect();
    if theirs != ours {
        return Ok(Vec::new());
    }
    let fits = |entry: &IndexEntry| {
        let plain = entry.mode & 0o170_000 == 0o100_000;
        let stage = (entry.flags >> 12) & 3;
        let hidden = entry.flags & ASSUME_VALID != 0 || entry.flags_extended & LEFT_OUT != 0;
        plain
            && stage == 0
            && !hidden
            && wanted.get(&entry.path) == Some(&(entry.mode, entry.id))
            && is_older(entry.mtime, &written)
            && std::fs::symlink_metadata(main.path.join(path_from_bytes(&entry.path)))
                .is_ok_and(|found| is_unchanged(entry, &found))
    };
    Ok(index
        .iter()
        .filter(fits)
        .map(|entry| Shared { path: entry.path, mode: entry.mode, id: entry.id })
        .collect())
}

/// Mode and blob of every file of the new worktree's HEAD.
fn tree_of(
    common: &Repository,
    new: &WorktreeLocation,
) -> Result<BTreeMap<Vec<u8>, (u32, Oid)>, git2::Error> {
    let here = open(&new.git_dir)?;
    let head = here.head()?.target().ok_or_else(|| git2::Error::from_str("HEAD has no commit"))?;
    let mut files = BTreeMap::new();
    common.find_commit(head)?.tree()?.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() == Some(ObjectType::Blob) {
            let path = [folder.as_bytes(), entry.name_bytes()].concat();
            files.insert(path, (u32::try_from(entry.filemode()).unwrap_or_default(), entry.id()));
        }
        TreeWalkResult::Ok
    })?;
    Ok(files)
}

/// Written before the tick in which the index was: a change within it would not show in the file's time.
fn is_older(modified: IndexTime, index: &Metadata) -> bool {
    i64::from(modified.seconds()) < index.mtime()
}

/// By git's own rule: the entry's numbers are those of the file.
fn is_unchanged(entry: &IndexEntry, found: &Metadata) -> bool {
    let low = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default();
    let same = |time: IndexTime, seconds: i64, nanoseconds: i64| {
        i64::from(time.seconds()) == seconds
            && (time.nanoseconds() == 0 || i64::from(time.nanoseconds()) == nanoseconds)
    };
    found.is_file()
        && entry.file_size == low(found.len())
        && entry.ino == low(found.ino())
        && same(entry.mtime, found.mtime(), found.mtime_nsec())
        && same(entry.ctime, found.ctime(), found.ctime_nsec())
}

/// Clones on every processor; the first refusal of the file system ends it, since the next would be refused too.
fn clone_all(files: &[Shared], new: &WorktreeLocation, main: &WorktreeLocation) -> Vec<IndexEntry> {
    if make_folders(files, &new.path).is_err() {
        return Vec::new();
    }
    let refused = AtomicBool::new(false);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let part = files.len().div_ceil(threads).max(1);
    let clone_part = |files: &[Shared]| -> Vec<IndexEntry> {
        let each = files.iter().take_while(|_| !refused.load(Ordering::Relaxed));
        each.filter_map(|file| {
            let cloned = clone(file, &new.path, &main.path);
            refused.fetch_or(matches!(cloned, Cloned::Refused), Ordering::Relaxed);
            if let Cloned::Done(entry) = cloned { Some(*entry) } else { None }
        })
        .collect()
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = files.chunks(part).map(|files| scope.spawn(|| clone_part(files))).collect();
        parts.into_iter().filter_map(|part| part.join().ok()).flatten().collect()
    })
}

fn make_folders(files: &[Shared], root: &Path) -> std::io::Result<()> {
    let mut made = HashSet::new();
    for file in files {
        let path = path_from_bytes(&file.path);
        if let Some(folder) = path.parent().filter(|folder| !made.contains(*folder)) {
            std::fs::create_dir_all(root.join(folder))?;
            made.insert(folder.to_owned());
        }
    }
    Ok(())
}

enum Cloned {
    Done(Box<IndexEntry>),
    /// This file is git's to write.
    Left,
    /// The file system shares nothing.
    Refused,
}

fn clone(file: &Shared, new: &Path, main: &Path) -> Cloned {
    let path = path_from_bytes(&file.path);
    let (from, to) = (main.join(&path), new.join(&path));
    let Ok(source) = File::open(&from) else { return Cloned::Left };
    let Ok(before) = source.metadata() else { return Cloned::Left };
    let mode = if file.mode & 0o111 == 0 { 0o666 } else { 0o777 };
    let Ok(target) = OpenOptions::new().write(true).create_new(true).mode(mode).open(&to) else {
        return Cloned::Left;
    };
    if rustix::fs::ioctl_ficlone(&target, &source).is_err() {
        drop(std::fs::remove_file(&to));
        return Cloned::Refused;
    }
    let times = FileTimes::new().set_modified(before.modified().unwrap_or(std::time::SystemTime::UNIX_EPOCH));
    let kept = target.set_times(times).is_ok();
    // Somebody wrote into the source in between: what was cloned may be half of it.
    let same = source
        .metadata()
        .is_ok_and(|after| (after.ctime(), after.ctime_nsec()) == (before.ctime(), before.ctime_nsec()));
    match target.metadata() {
        Ok(found) if kept && same => Cloned::Done(Box::new(entry(file, &found))),
        _ => {
            drop(std::fs::remove_file(&to));
            Cloned::Left
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the index has 32 bits of each")]
fn entry(file: &Shared, found: &Metadata) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(found.ctime() as i32, found.ctime_nsec() as u32),
        mtime: IndexTime::new(found.mtime() as i32, found.mtime_nsec() as u32),
        dev: found.dev() as u32,
        ino: found.ino() as u32,
        mode: file.mode,
        uid: found.uid(),
        gid: found.gid(),
        file_size: found.len() as u32,
        id: file.id,
        flags: 0,
        flags_extended: 0,
        path: file.path.clone(),
    }
}

fn write_index(side: &Path, entries: &[IndexEntry]) -> Result<(), git2::Error> {
    drop(std::fs::remove_file(side));
    let mut index = Index::open(side)?;
    for entry in entries {
        index.add(entry)?;
    }
    index.write()
}
