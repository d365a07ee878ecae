//! Changing one file: written beside it and exchanged in one step, and taken back if what was there is not what was seen.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use blake3::Hash;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, openat, renameat, renameat_with, unlinkat};
use rustix::io::Errno;
use serde_json::{Value, json};

use super::tree::Place;
use super::{ToolContext, ToolError};

/// Longest time that is spent on a small diff; then a larger one is taken.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// What lies at a place before it is changed.
pub(super) struct Before {
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
}

/// Puts `after` in place of what was seen there, and says what changed.
pub(super) fn put(
    ctx: &ToolContext,
    place: &Place,
    before: Option<&Before>,
    after: &[u8],
) -> Result<Value, ToolError> {
    ctx.check_stopped()?;
    let (folder, name) = place.parent()?;
    let own = own_name(ctx, place);
    write_beside(&folder, &own, before, after).map_err(|e| ToolError::io(&place.real, e))?;
    let exchanged = exchange(&folder, &own, name, before);
    let _ = unlinkat(&folder, &own, AtFlags::empty());
    match exchanged {
        Ok(true) => {}
        Ok(false) => return Err(conflict(place)),
        Err(errno) => return Err(place.failed(errno)),
    }
    // The name is as safe as the content only when the folder is.
    let _ = rustix::fs::fsync(&folder);
    let hash = blake3::hash(after);
    ctx.marks.set(&place.real, hash);
    Ok(data(&place.real, before, after, hash))
}

pub(super) fn conflict(place: &Place) -> ToolError {
    ToolError::Conflict(format!(
        "`{}` changed since it was read: somebody else edits it too; read it again and base the change on what is \
         there now",
        place.shown()
    ))
}

/// A name that a call which is run again after a crash finds, and so nothing is left behind.
fn own_name(ctx: &ToolContext, place: &Place) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(ctx.session.as_bytes()).update(b"\0").update(place.shown().as_bytes());
    format!(".podium-write-{}", &hasher.finalize().to_hex()[..16])
}

fn write_beside(
    folder: &OwnedFd,
    own: &str,
    before: Option<&Before>,
    after: &[u8],
) -> Result<(), std::io::Error> {
    let _ = unlinkat(folder, own, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder, own, flags, Mode::from_raw_mode(0o666))?);
    if let Some(before) = before {
        file.set_permissions(Permissions::from_mode(before.mode & 0o777))?;
    }
    file.write_all(after)?;
    file.sync_all()
}

/// Gives the new file the name. `false` when what was there is not what was seen; then it is there still.
fn exchange(folder: &OwnedFd, own: &str, name: &OsStr, before: Option<&Before>) -> Result<bool, Errno> {
    let Some(before) = before else {
        return match renameat_with(folder, own, folder, name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(Errno::INVAL | Errno::NOSYS) => link_new(folder, own, name),
            Err(errno) => Err(errno),
        };
    };
    match renameat_with(folder, own, folder, name, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(false),
        // A file system that cannot exchange: looked at, then replaced.
        Err(Errno::INVAL | Errno::NOSYS) => {
            return if holds(folder, name, before) {
                renameat(folder, own, folder, name).map(|()| true)
            } else {
                Ok(false)
            };
        }
        Err(errno) => return Err(errno),
    }
    if holds(folder, OsStr::new(own), before) {
        return Ok(true);
    }
    renameat_with(folder, own, folder, name, RenameFlags::EXCHANGE).map(|()| false)
}

fn link_new(folder: &OwnedFd, own: &str, name: &OsStr) -> Result<bool, Errno> {
    match rustix::fs::linkat(folder, own, folder, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether the file there is the one that was seen.
fn holds(folder: &OwnedFd, name: &OsStr, before: &Before) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(file) = openat(folder, name, flags, Mode::empty()).map(File::from) else { return false };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    let mut bytes = Vec::new();
    let read = file.take(before.bytes.len() as u64 + 1).read_to_end(&mut bytes);
    read.is_ok() && bytes == before.bytes
}

fn data(path: &Path, before: Option<&Before>, after: &[u8], hash: Hash) -> Value {
    let old = before.map(|before| String::from_utf8_lossy(&before.bytes)).unwrap_or_default();
    json!({
        "path": path.display().to_string(),
        "diff": unified(path, &old, &String::from_utf8_lossy(after), before.is_some()),
        "before": before.map(|before| blake3::hash(&before.bytes).to_hex().to_string()),
        "after": hash.to_hex().as_str(),
    })
}

/// A unified diff as git writes it.
pub(super) fn unified(path: &Path, before: &str, after: &str, existed: bool) -> String {
    let path = path.display();
    let old = if existed { format!("a/{path}") } else { "/dev/null".to_owned() };
    let diff = similar::TextDiff::configure().timeout(DIFF_TIME).diff_lines(before, after);
    diff.unified_diff().context_radius(3).header(&old, &format!("b/{path}")).to_string()
}
