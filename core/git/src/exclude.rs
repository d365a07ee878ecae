//! Entries in the common `info/exclude`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::bytes::path_bytes;
use crate::error::{GitError, Result};
use crate::write::RepoWriter;

/// The pattern that matches this one path, relative to the top of a worktree. `None` for a path with a newline.
pub fn exact_pattern(path: &Path) -> Option<Vec<u8>> {
    let bytes = path_bytes(path);
    if bytes.contains(&b'\n') {
        return None;
    }
    let mut pattern = vec![b'/'];
    for byte in bytes {
        if b"*?[]\\!# \r\t".contains(byte) {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    Some(pattern)
}

impl RepoWriter {
    /// Adds lines that are not there yet; `true` if the file changed.
    pub fn add_excludes(&self, patterns: &[Vec<u8>]) -> Result<bool> {
        self.edit_excludes(|lines| {
            for pattern in patterns.iter().filter(|pattern| !pattern.is_empty() && !pattern.contains(&b'\n'))
            {
                if !lines.contains(pattern) {
                    lines.push(pattern.clone());
                }
            }
        })
    }

    /// Removes every occurrence of these lines; `true` if the file changed.
    pub fn remove_excludes(&self, patterns: &[Vec<u8>]) -> Result<bool> {
        self.edit_excludes(|lines| lines.retain(|line| !patterns.contains(line)))
    }

    fn edit_excludes(&self, edit: impl FnOnce(&mut Vec<Vec<u8>>)) -> Result<bool> {
        let path = self.exclude_file()?;
        let before = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(GitError::io(&path, error)),
        };
        let body = before.strip_suffix(b"\n").unwrap_or(&before);
        let mut lines: Vec<Vec<u8>> = Vec::new();
        if !before.is_empty() {
            lines.extend(body.split(|b| *b == b'\n').map(<[u8]>::to_vec));
        }
        let old = lines.clone();
        edit(&mut lines);
        if lines == old {
            return Ok(false);
        }
        let mut content = lines.join(&b'\n');
        if !content.is_empty() {
            content.push(b'\n');
        }
        replace(&path, &content).map_err(|error| GitError::io(&path, error))?;
        Ok(true)
    }

    /// The file behind a link, so that the link is kept.
    fn exclude_file(&self) -> Result<PathBuf> {
        let folder = self.repo().common_dir().join("info");
        std::fs::create_dir_all(&folder).map_err(|error| GitError::io(&folder, error))?;
        let path = folder.join("exclude");
        Ok(path.canonicalize().unwrap_or(path))
    }
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".exclude-").tempfile_in(folder)?;
    file.write_all(content)?;
    // A temporary file is for its owner alone; the one it replaces may be shared.
    match path.metadata() {
        Ok(metadata) => file.as_file().set_permissions(metadata.permissions())?,
        #[cfg(unix)]
        Err(_) => file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?,
        #[cfg(not(unix))]
        Err(_) => {}
    }
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
