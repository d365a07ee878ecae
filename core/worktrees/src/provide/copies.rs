//! Copies of folders: by sharing blocks where the file system can (reflink), else byte by byte. Links stay links, times
//! stay as they are (build tools go by them), devices and sockets are left out.

use std::fs::{self, File, FileTimes, Metadata};
use std::io;
use std::path::Path;

/// What was copied so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Files whose blocks are shared.
    pub(crate) shared: u64,
}

/// Copies a file, link or folder to a place where nothing is. `progress` is told after each file.
///
/// # Errors
/// The first thing that cannot be read or written; what was copied until then stays.
pub(crate) fn copy(from: &Path, to: &Path, progress: &mut dyn FnMut(&Copied)) -> io::Result<Copied> {
    let mut copied = Copied::default();
    // Once refused, it would be for every file.
    let mut reflink = true;
    let mut left = vec![(from.to_owned(), to.to_owned())];
    let mut folders = Vec::new();
    while let Some((from, to)) = left.pop() {
        let data = from.symlink_metadata()?;
        if data.is_dir() {
            // Not `create_dir_all`: a worktree that was removed meanwhile must not come back to life.
            fs::create_dir(&to)?;
            for entry in from.read_dir()? {
                let entry = entry?;
                left.push((entry.path(), to.join(entry.file_name())));
            }
            folders.push((to, data));
        } else if data.is_symlink() {
            link(&from, &to)?;
            copied.files += 1;
        } else if data.is_file() {
            copied.shared += u64::from(file(&from, &to, &data, &mut reflink)?);
            (copied.files, copied.bytes) = (copied.files + 1, copied.bytes + data.len());
            progress(&copied);
        }
    }
    // At the end: a folder may be read-only, and what is put into it changes its time.
    for (to, data) in folders.into_iter().rev() {
        fs::set_permissions(&to, data.permissions())?;
        keep_times(&File::open(&to)?, &data);
    }
    Ok(copied)
}

/// Whether blocks are shared.
fn file(from: &Path, to: &Path, data: &Metadata, reflink: &mut bool) -> io::Result<bool> {
    let source = File::open(from)?;
    let target = fs::OpenOptions::new().write(true).create_new(true).open(to)?;
    let shared = *reflink && clone(&target, &source);
    *reflink &= shared;
    if !shared {
        let (mut source, mut target) = (&source, &target);
        io::copy(&mut source, &mut target)?;
    }
    target.set_permissions(data.permissions())?;
    keep_times(&target, data);
    Ok(shared)
}

fn keep_times(file: &File, data: &Metadata) {
    if let Ok(modified) = data.modified() {
        // A file system without times is no reason to have no copy.
        let _ = file.set_times(FileTimes::new().set_modified(modified));
    }
}

/// Whether copies of this folder's file system can share blocks. Tried with two files that have no name.
#[cfg(target_os = "linux")]
pub(crate) fn can_share(folder: &Path) -> bool {
    use rustix::fs::{Mode, OFlags};
    use std::io::Write as _;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let unnamed = || rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR).map(File::from);
    let (Ok(mut source), Ok(target)) = (unnamed(), unnamed()) else { return false };
    source.write_all(&[1; 4096]).is_ok() && clone(&target, &source)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn can_share(_folder: &Path) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn clone(target: &File, source: &File) -> bool {
    rustix::fs::ioctl_ficlone(target, source).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn clone(_target: &File, _source: &File) -> bool {
    false
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::read_link(from)?, to)
}

#[cfg(not(unix))]
fn link(_from: &Path, _to: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn links_modes_and_times_stay() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("bin")).unwrap();
        fs::write(from.join("bin/tool"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(from.join("bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("nowhere", from.join("dangling")).unwrap();
        fs::set_permissions(from.join("bin"), fs::Permissions::from_mode(0o555)).unwrap();
        let copied = copy(&from, &to, &mut |_| {}).unwrap();
        assert_eq!((copied.files, copied.bytes), (2, 10));
        let (a, b) = (from.join("bin/tool").metadata().unwrap(), to.join("bin/tool").metadata().unwrap());
        assert_eq!((a.permissions(), a.modified().unwrap()), (b.permissions(), b.modified().unwrap()));
        assert_eq!(fs::read_link(to.join("dangling")).unwrap(), Path::new("nowhere"));
        assert!(to.join("bin").metadata().unwrap().permissions().readonly());
        for folder in [from.join("bin"), to.join("bin")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}
