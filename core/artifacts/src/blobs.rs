//! Files named by the BLAKE3 hash of their content.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ArtifactError;

#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    root: Arc<Path>,
}

impl Blobs {
    pub(crate) fn open(root: &Path) -> Result<Self, ArtifactError> {
        std::fs::create_dir_all(root).map_err(|e| io(root, e))?;
        Ok(Self { root: root.into() })
    }

    /// Writes the content and makes it survive the loss of power. Tells its hash and whether it was there.
    pub(crate) fn put(&self, content: &[u8]) -> Result<(String, bool), ArtifactError> {
        let hash = blake3::hash(content).to_hex().to_string();
        let path = self.path(&hash);
        if std::fs::metadata(&path).is_ok_and(|meta| meta.len() == content.len() as u64) {
            return Ok((hash, true));
        }
        let folder = path.parent().unwrap_or(&self.root);
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(content)?;
            read_only(file.as_file())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|e| e.error)?;
            std::fs::File::open(folder)?.sync_all()?;
            // The folder itself may be new.
            std::fs::File::open(&*self.root)?.sync_all()
        };
        write().map_err(|e| io(&path, e))?;
        Ok((hash, false))
    }

    /// Reads the content and compares its hash.
    pub(crate) fn get(&self, hash: &str) -> Result<Vec<u8>, ArtifactError> {
        let bytes =
            std::fs::read(self.path(hash)).map_err(|_| ArtifactError::Damaged { hash: hash.to_owned() })?;
        if blake3::hash(&bytes).to_hex().as_str() == hash {
            Ok(bytes)
        } else {
            Err(ArtifactError::Damaged { hash: hash.to_owned() })
        }
    }

    pub(crate) fn path(&self, hash: &str) -> PathBuf {
        let (folder, rest) = hash.split_at_checked(2).unwrap_or((hash, ""));
        self.root.join(folder).join(rest)
    }
}

pub(crate) fn io(path: &Path, source: std::io::Error) -> ArtifactError {
    ArtifactError::Io { path: path.to_owned(), source }
}

fn read_only(file: &std::fs::File) -> std::io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(true);
    file.set_permissions(permissions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_kept_once_and_damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let (hash, duplicate) = blobs.put(b"hello").unwrap();
        assert!(!duplicate && blobs.put(b"hello").unwrap().1);
        assert_eq!(blobs.get(&hash).unwrap(), b"hello");
        std::fs::remove_file(blobs.path(&hash)).unwrap();
        std::fs::write(blobs.path(&hash), b"hellO").unwrap();
        assert!(matches!(blobs.get(&hash), Err(ArtifactError::Damaged { .. })));
    }

    #[test]
    fn a_torn_file_of_another_length_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let (hash, _) = blobs.put(b"hello").unwrap();
        std::fs::remove_file(blobs.path(&hash)).unwrap();
        std::fs::write(blobs.path(&hash), b"he").unwrap();
        assert!(!blobs.put(b"hello").unwrap().1);
        assert_eq!(blobs.get(&hash).unwrap(), b"hello");
    }
}
