//! Files of a private repository, which whoever is confined can write: nothing is followed, waited for or read without a
//! bound, and no git looks at it.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::ImportLimits;
use crate::error::{GitError, Result};
use crate::oid::{ObjectFormat, Oid};

/// Bytes of HEAD or of a loose reference.
const LONGEST_REF: u64 = 4_096;
/// Bytes of `packed-refs`.
const LONGEST_PACKED: u64 = 256 * 1024 * 1024;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Without `NONBLOCK`, opening a pipe would wait for somebody to write to it.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A folder, held open.
pub(super) struct Inside {
    folder: OwnedFd,
    path: PathBuf,
}

impl Inside {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let folder = rustix::fs::open(path, FOLDER, Mode::empty());
        let folder = folder.map_err(|error| GitError::io(path, error.into()))?;
        Ok(Self { folder, path: path.to_owned() })
    }

    /// A folder below, step by step; `None` if there is none.
    pub(super) fn folder(&self, below: &Path) -> Result<Option<Self>> {
        let path = self.path.join(below);
        let mut at = self.folder.try_clone().map_err(|error| GitError::io(&path, error))?;
        for part in below {
            match rustix::fs::openat(&at, part, FOLDER, Mode::empty()) {
                Ok(next) => at = next,
                Err(rustix::io::Errno::NOENT) => return Ok(None),
                Err(error) => return Err(tampered(&path, error)),
            }
        }
        Ok(Some(Self { folder: at, path }))
    }

    /// Whether anything has this name directly in the folder.
    pub(super) fn has(&self, name: &Path) -> bool {
        rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// A regular file below; `None` if there is none.
    pub(super) fn read(&self, below: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some((file, size)) = self.open_file(below)? else { return Ok(None) };
        if size > limit {
            return Err(GitError::TooMuch { what: "bytes in a file of references", limit });
        }
        let mut bytes = Vec::new();
        let path = self.path.join(below);
        file.take(limit).read_to_end(&mut bytes).map_err(|error| GitError::io(&path, error))?;
        Ok(Some(bytes))
    }

    /// A regular file below and its size; `None` if there is none.
    pub(super) fn open_file(&self, below: &Path) -> Result<Option<(File, u64)>> {
        let (Some(parent), Some(name)) = (below.parent(), below.file_name()) else { return Ok(None) };
        let Some(folder) = self.folder(parent)? else { return Ok(None) };
        let name = CString::new(name.as_bytes()).map_err(|_| GitError::InvalidArgument("NUL".into()))?;
        folder.file(&name)
    }

    /// Names directly in the folder that are so many hexadecimal digits.
    pub(super) fn hex_names(&self, digits: usize) -> Result<Vec<String>> {
        let names = self.names()?.into_iter().filter_map(|name| name.into_string().ok());
        Ok(names.filter(|name| name.len() == digits && is_hex(name)).collect())
    }

    /// Puts a file in place of whatever has its name, in a folder that exists or is made.
    pub(super) fn write(&self, below: &Path, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(below);
        let wrong = |error: rustix::io::Errno| tampered(&path, error);
        let (Some(parent), Some(name)) = (below.parent(), below.file_name()) else {
            return Err(GitError::InvalidArgument(below.display().to_string()));
        };
        let mut at = self.folder.try_clone().map_err(|error| GitError::io(&path, error))?;
        for part in parent {
            match rustix::fs::mkdirat(&at, part, Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(wrong(error)),
            }
            at = rustix::fs::openat(&at, part, FOLDER, Mode::empty()).map_err(wrong)?;
        }
        let new = ".podium-new";
        let _ = rustix::fs::unlinkat(&at, new, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&at, new, flags, Mode::from_raw_mode(0o644)).map_err(wrong)?;
        File::from(file).write_all(bytes).map_err(|error| GitError::io(&path, error))?;
        rustix::fs::renameat(&at, new, &at, name).map_err(wrong)
    }

    fn file(&self, name: &CStr) -> Result<Option<(File, u64)>> {
        let path = self.path.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let file = match rustix::fs::openat(&self.folder, name, FILE, Mode::empty()) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(tampered(&path, error)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| tampered(&path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(GitError::Tampered { path, detail: "not a regular file".into() });
        }
        Ok(Some((File::from(file), u64::try_from(stat.st_size).unwrap_or(0))))
    }

    fn names(&self) -> Result<Vec<CString>> {
        let wrong = |error: rustix::io::Errno| tampered(&self.path, error);
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        Ok(names)
    }
}

fn tampered(path: &Path, error: rustix::io::Errno) -> GitError {
    GitError::Tampered { path: path.to_owned(), detail: io::Error::from(error).to_string() }
}

/// The branch that HEAD in this folder names; `None` for anything else.
pub(super) fn head_branch(admin: &Inside) -> Result<Option<String>> {
    let Some(head) = admin.read(Path::new("HEAD"), LONGEST_REF)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&head);
    Ok(text.trim_end().strip_prefix("ref: refs/heads/").map(str::to_owned))
}

/// Where a branch is: its own file, else the line in `packed-refs`.
pub(super) fn branch(common: &Inside, name: &str, format: ObjectFormat) -> Result<Option<Oid>> {
    let path = common.path.join("refs/heads").join(name);
    let parsed = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok().map(str::trim_end);
        let id = text.and_then(|text| text.parse::<Oid>().ok());
        id.filter(|id| id.as_str().len() == format.zero().len())
            .ok_or_else(|| GitError::Tampered { path: path.clone(), detail: "not an object name".into() })
    };
    if let Some(bytes) = common.read(&Path::new("refs/heads").join(name), LONGEST_REF)? {
        return parsed(&bytes).map(Some);
    }
    let Some(packed) = common.read(Path::new("packed-refs"), LONGEST_PACKED)? else { return Ok(None) };
    let ending = format!(" refs/heads/{name}");
    let mut lines = packed.split(|byte| *byte == b'\n');
    lines.find_map(|line| line.strip_suffix(ending.as_bytes())).map(parsed).transpose()
}

/// Copies the objects that `known` does not have as a file of their own: loose ones, and packs without their indexes, which
/// are made anew. Gives the packs.
pub(super) fn copy_objects(
    common: &Inside,
    to: &Path,
    known: &Path,
    format: ObjectFormat,
    limits: &ImportLimits,
) -> Result<Vec<PathBuf>> {
    let mut copy = Copy { left: *limits, limits, known };
    let mut packs = Vec::new();
    let Some(objects) = common.folder(Path::new("objects"))? else { return Ok(packs) };
    for name in objects.hex_names(2)? {
        let Some(folder) = objects.folder(Path::new(&name))? else { continue };
        let loose = |file: &str| file.len() + 2 == format.zero().len() && is_hex(file);
        copy.folder(&folder, &name, to, loose)?;
    }
    if let Some(folder) = objects.folder(Path::new("pack"))? {
        let pack = |file: &str| {
            let id = file.strip_prefix("pack-").and_then(|rest| rest.strip_suffix(".pack"));
            id.is_some_and(is_hex)
        };
        packs = copy.folder(&folder, "pack", to, pack)?;
    }
    Ok(packs)
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

struct Copy<'a> {
    left: ImportLimits,
    limits: &'a ImportLimits,
    known: &'a Path,
}

impl Copy<'_> {
    fn folder(
        &mut self,
        from: &Inside,
        name: &str,
        to: &Path,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<PathBuf>> {
        let mut copied = Vec::new();
        let target = to.join(name);
        std::fs::create_dir_all(&target).map_err(|error| GitError::io(&target, error))?;
        for file in from.names()? {
            let Ok(text) = file.to_str() else { continue };
            if !wanted(text) || self.known.join(name).join(text).exists() {
                continue;
            }
            let Some((source, size)) = from.file(&file)? else { continue };
            self.left.files = self.left.files.checked_sub(1).ok_or(self.too_many())?;
            self.left.bytes = self.left.bytes.checked_sub(size).ok_or(self.too_large())?;
            let path = target.join(text);
            // It may grow while it is read.
            let mut source = source.take(size);
            let mut write = || io::copy(&mut source, &mut File::create(&path)?);
            write().map_err(|error| GitError::io(&path, error))?;
            copied.push(path);
        }
        Ok(copied)
    }

    fn too_many(&self) -> GitError {
        GitError::TooMuch { what: "object files", limit: self.limits.files }
    }

    fn too_large(&self) -> GitError {
        GitError::TooMuch { what: "bytes of objects", limit: self.limits.bytes }
    }
}
