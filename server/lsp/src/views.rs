//! Read-only files that are made for the editor to show. They can be made again at any time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use podium_protocol::WireError;

use crate::state::State;

/// Scratch documents and views older than this are taken away at the start.
const KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// Writes `<home>/views/<folder>/<name>.md` in one step and gives its path.
///
/// # Errors
/// `unavailable` when it cannot be written.
pub(crate) async fn write(
    state: &Arc<State>,
    folder: &str,
    name: &str,
    text: String,
) -> Result<PathBuf, WireError> {
    let folder = state.daemon.options().home.views().join(folder);
    let path = folder.join(format!("{}.md", file_name(name)));
    let temporary = folder.join(format!(".{}-{}.tmp", std::process::id(), state.next_number()));
    let target = path.clone();
    let written = tokio::task::spawn_blocking(move || {
        make_private_folder(&folder)?;
        std::fs::write(&temporary, text)?;
        set_mode(&temporary, 0o400)?;
        std::fs::rename(&temporary, &target).inspect_err(|_| {
            let _ = std::fs::remove_file(&temporary);
        })
    });
    flatten(written.await).map_err(|e| {
        WireError::unavailable(format!("{} cannot be written: {e}", path.display())).hint("is the disk full?")
    })?;
    Ok(path)
}

/// A name that is one plain file name, whatever the id is.
fn file_name(id: &str) -> String {
    id.chars().take(100).map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

pub(crate) fn flatten<T>(result: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    result.map_err(io::Error::other)?
}

/// A folder that only the user may look into.
pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    set_mode(folder, 0o700)
}

#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(crate) fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

/// Takes away old files of `folder` and of the folders in it.
pub(crate) fn remove_old(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            remove_old(&entry.path());
            continue;
        }
        let age = metadata.modified().ok().and_then(|then| SystemTime::now().duration_since(then).ok());
        if age.is_some_and(|age| age > KEPT) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_leads_out_of_the_folder() {
        for id in ["../../etc/passwd", "a/b", "..", "", "ü\0", &"x".repeat(500)] {
            let name = file_name(id);
            assert!(
                name.len() <= 100 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)),
                "{name}"
            );
        }
    }

    #[test]
    fn only_old_files_are_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("sessions");
        std::fs::create_dir(&inner).unwrap();
        for (name, age) in [("old.md", KEPT * 2), ("new.md", Duration::ZERO)] {
            let file = std::fs::File::create(inner.join(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        remove_old(folder.path());
        assert!(inner.join("new.md").exists() && !inner.join("old.md").exists());
    }
}
