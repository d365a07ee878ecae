//! The home on the disk: folders, the lock that makes a daemon the only one, the token.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use podium_config::Home;

#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error("the folder {} cannot be made or used", .path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("the folder {} belongs to somebody else", .path.display())]
    NotMine { path: PathBuf },
    #[error("the file {} cannot be made or used", .path.display())]
    File { path: PathBuf, source: std::io::Error },
}

/// Makes the folders of a home, for this user alone.
pub(crate) fn prepare(home: &Home) -> Result<(), HomeError> {
    for path in [home.root().to_owned(), home.store(), home.run(), home.capability_sockets(), home.logs()] {
        private_folder(&path)?;
    }
    Ok(())
}

/// Removes the capability sockets of a daemon that was killed: nobody listens there any more. Their folders stay, since an
/// agent that lives on sees its own. Only the holder of the lock may call it.
pub(crate) fn sweep(home: &Home, _lock: &HomeLock) {
    sweep_folder(&home.capability_sockets(), true);
}

fn sweep_folder(folder: &Path, deeper: bool) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && deeper {
            sweep_folder(&entry.path(), false);
        }
        if kind.is_socket()
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "a stale socket stays");
        }
    }
}

fn private_folder(path: &Path) -> Result<(), HomeError> {
    let fail = |source| HomeError::Folder { path: path.to_owned(), source };
    match std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fail(error)),
    }
    // The last part must be a folder of ours and no link that somebody planted in a shared place.
    let meta = std::fs::symlink_metadata(path).map_err(fail)?;
    if !meta.is_dir() && !std::fs::metadata(path).is_ok_and(|m| m.is_dir() && m.uid() == uid()) {
        return Err(HomeError::NotMine { path: path.to_owned() });
    }
    let meta = std::fs::metadata(path).map_err(fail)?;
    if meta.uid() != uid() {
        return Err(HomeError::NotMine { path: path.to_owned() });
    }
    if meta.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(fail)?;
    }
    Ok(())
}

pub(crate) fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// Held as long as the daemon lives; the kernel gives it free when the process ends, however it does.
#[derive(Debug)]
pub(crate) struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// `None` when another process holds it.
    pub(crate) fn try_take(home: &Home) -> Result<Option<Self>, HomeError> {
        let path = home.lock_file();
        let fail = |source| HomeError::File { path: path.clone(), source };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(fail(error.into())),
        }
        file.set_len(0).map_err(fail)?;
        writeln!(&file, "{}", std::process::id()).map_err(fail)?;
        Ok(Some(Self { _file: file }))
    }
}

/// The token that proves a person's process. Made once; one that others could read is replaced.
pub(crate) fn token(home: &Home) -> Result<String, HomeError> {
    let path = home.token_file();
    let fail = |source| HomeError::File { path: path.clone(), source };
    if let Ok(meta) = std::fs::symlink_metadata(&path)
        && meta.is_file()
        && meta.uid() == uid()
        && meta.mode() & 0o077 == 0
    {
        let text = std::fs::read_to_string(&path).map_err(fail)?;
        if text.trim().len() == 64 {
            return Ok(text.trim().to_owned());
        }
    }
    let token = random_hex().map_err(fail)?;
    let fresh = path.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh).map_err(fail)?;
    file.write_all(token.as_bytes()).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    std::fs::rename(&fresh, &path).map_err(fail)?;
    Ok(token)
}

fn random_hex() -> std::io::Result<String> {
    let mut bytes = [0u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Compares without telling by time where the first difference is.
pub(crate) fn same_token(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(dir: &tempfile::TempDir) -> Home {
        let home = Home::new(dir.path().join("p"), dir.path().join("m"));
        prepare(&home).unwrap();
        home
    }

    #[test]
    fn only_one_holds_a_home() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(&dir);
        let first = HomeLock::try_take(&home).unwrap();
        assert!(first.is_some() && HomeLock::try_take(&home).unwrap().is_none());
        drop(first);
        assert!(HomeLock::try_take(&home).unwrap().is_some());
    }

    #[test]
    fn the_token_stays_and_one_that_others_could_read_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(&dir);
        let first = token(&home).unwrap();
        assert_eq!((first.len(), token(&home).unwrap() == first), (64, true));
        std::fs::set_permissions(home.token_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let second = token(&home).unwrap();
        assert_ne!(first, second);
        assert_eq!(std::fs::metadata(home.token_file()).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_open_home_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        home(&dir);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }
}
