//! Large files (Git LFS), which lie beside the objects under the SHA-256 of their content: a commit that comes over has only
//! their names.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::hostile::Inside;
use super::{ImportLimits, PrivateCommon};
use crate::error::{GitError, Result};

/// Below the common folder.
pub(super) const FOLDER: &str = "lfs";
const CHUNK: usize = 64 * 1024;

impl PrivateCommon {
    /// Takes over the large files that the repository does not have. One that is not what its name says is left behind: no
    /// commit can mean it.
    pub(super) fn bring_large(&self, limits: &ImportLimits) -> Result<()> {
        let common = Inside::open(&self.common_dir())?;
        let Some(from) = common.folder(&Path::new(FOLDER).join("objects"))? else { return Ok(()) };
        let to = self.repo().common_dir().join(FOLDER).join("objects");
        let mut left = *limits;
        for (file, name) in files(&from)? {
            let target = to.join(&name[..2]).join(&name[2..4]).join(&name);
            if target.exists() {
                continue;
            }
            let Some((source, size)) = from.open_file(&file)? else { continue };
            left.files = left
                .files
                .checked_sub(1)
                .ok_or(GitError::TooMuch { what: "large files", limit: limits.files })?;
            left.bytes = left
                .bytes
                .checked_sub(size)
                .ok_or(GitError::TooMuch { what: "bytes of large files", limit: limits.bytes })?;
            take(source.take(size), &name, &target).map_err(|error| GitError::io(&target, error))?;
        }
        Ok(())
    }
}

/// `ab/cd/abcd...`
fn files(objects: &Inside) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for first in objects.hex_names(2)? {
        let Some(folder) = objects.folder(Path::new(&first))? else { continue };
        for second in folder.hex_names(2)? {
            let Some(folder) = folder.folder(Path::new(&second))? else { continue };
            let start = format!("{first}{second}");
            let names = folder.hex_names(64)?.into_iter().filter(|name| name.starts_with(&start));
            found.extend(names.map(|name| (Path::new(&first).join(&second).join(&name), name)));
        }
    }
    Ok(found)
}

fn take(mut source: impl io::Read, name: &str, target: &Path) -> io::Result<()> {
    let Some(folder) = target.parent() else { return Ok(()) };
    fs::create_dir_all(folder)?;
    let mut copy = tempfile::Builder::new().prefix(".incoming-").tempfile_in(folder)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = source.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        hash.update(&chunk[..read]);
        copy.write_all(&chunk[..read])?;
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found != name {
        return Ok(());
    }
    copy.as_file().sync_all()?;
    copy.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    copy.persist(target).map(|_: File| ()).map_err(|error| error.error)
}
