//! The folder of one run: backlog, status, socket, and the lock that a living runner holds.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use super::{RunnerError, backlog, spec::Status};

const LOCK: &str = "lock";
const STATUS: &str = "status.json";
const SOCKET: &str = "socket";
const STDERR: &str = "err";
const APPLIED: &str = "applied";

/// Whether a runner serves this folder.
pub fn is_alive(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(file) => matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)),
        Err(_) => false,
    }
}

/// Folders of runs below `parent`, living or left over.
///
/// # Errors
/// If the folder can not be read; one that is not there has none.
pub fn runs(parent: &Path) -> Result<Vec<PathBuf>, RunnerError> {
    let failed = |source| error("could not list the agents", parent, source);
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

/// Removes what a run left. Its runner must be dead.
///
/// # Errors
/// [`RunnerError::Runs`], or if files can not be removed.
pub fn remove(folder: &Path) -> Result<(), RunnerError> {
    if is_alive(folder) {
        return Err(RunnerError::Runs { folder: folder.to_owned() });
    }
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(error("could not remove an agent's files", folder, source))
        }
        _ => Ok(()),
    }
}

pub(super) fn error(what: &'static str, folder: &Path, source: io::Error) -> RunnerError {
    RunnerError::Folder { what, folder: folder.to_owned(), source }
}

/// The runner's side.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    /// Held until the process ends.
    _lock: File,
    applied: File,
}

impl RunFolder {
    /// Takes the folder for one run and clears what an earlier one left.
    pub(super) fn take(path: &Path) -> Result<Self, RunnerError> {
        let failed = |source| error("could not prepare an agent's folder", path, source);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let lock = private().open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(RunnerError::Runs { folder: path.to_owned() }),
            Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        backlog::clear(path).map_err(failed)?;
        for name in [STATUS, SOCKET, STDERR, APPLIED] {
            match fs::remove_file(path.join(name)) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(failed(source)),
                _ => {}
            }
        }
        let applied = private().open(path.join(APPLIED)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), _lock: lock, applied })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn stderr_file(&self) -> io::Result<File> {
        private().open(self.path.join(STDERR))
    }

    /// Seen whole or not at all.
    pub(super) fn write_status(&self, status: &Status) -> io::Result<()> {
        let partial = self.path.join(".status");
        let mut file = private().truncate(true).open(&partial)?;
        file.write_all(&serde_json::to_vec(status)?)?;
        fs::rename(partial, self.path.join(STATUS))
    }

    pub(super) fn write_applied(&self, number: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.applied, &number.to_le_bytes(), 0)
    }

    pub(super) fn listen(&self) -> io::Result<tokio::net::UnixListener> {
        let (_open, address) = socket_address(&self.path)?;
        let listener = tokio::net::UnixListener::bind(address)?;
        fs::set_permissions(self.path.join(SOCKET), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(listener)
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options
}

pub(super) async fn connect(folder: &Path) -> io::Result<tokio::net::UnixStream> {
    let (_open, address) = socket_address(folder)?;
    tokio::net::UnixStream::connect(address).await
}

/// A path for the socket that fits into a socket's address however long the folder's is.
fn socket_address(folder: &Path) -> io::Result<(File, PathBuf)> {
    let open = File::open(folder)?;
    let address = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())).join(SOCKET);
    Ok((open, address))
}

/// What the run's runner wrote last. `None` if none got so far.
pub(super) fn read_status(folder: &Path) -> Result<Option<Status>, RunnerError> {
    let failed = |source| error("could not read an agent's status", folder, source);
    let bytes = match fs::read(folder.join(STATUS)) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| failed(error.into()))
}

pub(super) fn read_applied(folder: &Path) -> u64 {
    let bytes = fs::read(folder.join(APPLIED)).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}

/// The last of what the agent wrote to its standard error.
pub(super) fn read_stderr(folder: &Path, most: usize) -> String {
    let bytes = fs::read(folder.join(STDERR)).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(most)..]).into_owned()
}
