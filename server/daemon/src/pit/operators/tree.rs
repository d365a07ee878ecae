//! The folder of a run as its nodes see it. The kernel resolves each path below the open folder, so that no link and no
//! `..` leads out of it, however fast they are exchanged.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use podium_pit::dag::{FailureKind, NodeError};
use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, open, openat2, renameat};
use rustix::io::Errno;

/// Largest file that is read or written, in bytes.
pub(super) const LARGEST: u64 = 8 * 1024 * 1024;
const LONGEST_PATH: usize = 4_096;
const BELOW: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open folder.
pub(super) struct Tree {
    root: OwnedFd,
    path: PathBuf,
}

impl Tree {
    pub(super) fn open(path: &Path) -> Result<Self, NodeError> {
        let root = open(path, FOLDER, Mode::empty()).map_err(|errno| {
            NodeError::new(FailureKind::Unavailable, format!("{}: {errno}", path.display()))
        })?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// A path below the folder, by its text: relative, without `..`, and not in git's own folder.
    pub(super) fn relative(&self, asked: &str) -> Result<PathBuf, NodeError> {
        let bad = |why: &str| Err(NodeError::new(FailureKind::BadInput, format!("`{asked}` {why}")));
        if asked.trim().is_empty() || asked.len() > LONGEST_PATH || asked.contains('\0') {
            return bad("is no path");
        }
        let path = Path::new(asked);
        let path = path.strip_prefix(&self.path).unwrap_or(path);
        let mut relative = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::Normal(name) if name == ".git" => return bad("lies in git's own folder"),
                Component::Normal(name) => relative.push(name),
                _ => return bad("lies outside of the folder of the run"),
            }
        }
        if relative.as_os_str().is_empty() { bad("names no file") } else { Ok(relative) }
    }

    /// The content of a regular file.
    pub(super) fn read(&self, relative: &Path) -> Result<Vec<u8>, NodeError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat2(&self.root, relative, flags, Mode::empty(), BELOW)
            .map_err(|errno| refused(relative, errno))?;
        let file = File::from(file);
        let metadata = file.metadata().map_err(|error| failed(relative, &error))?;
        if !metadata.is_file() {
            return Err(NodeError::new(FailureKind::BadInput, format!("{} is no file", relative.display())));
        }
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| failed(relative, &error))?;
        if bytes.len() as u64 > LARGEST {
            let message = format!("{} has more than {} MiB", relative.display(), LARGEST >> 20);
            return Err(NodeError::new(FailureKind::LimitExceeded, message));
        }
        Ok(bytes)
    }

    /// Puts a file in place whole: beside it first, then by one rename. `key` names the file beside it, so that a next
    /// attempt finds what an earlier one left.
    pub(super) fn write(&self, relative: &Path, content: &[u8], key: &str) -> Result<(), NodeError> {
        let (folder, name) = self.folder_of(relative)?;
        let beside = format!(".podium-{}", key.get(..16).unwrap_or(key));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = self.mode_of(relative);
        let file = openat2(&folder, &beside, flags, mode, BELOW).map_err(|errno| refused(relative, errno))?;
        let mut file = File::from(file);
        file.write_all(content).and_then(|()| file.sync_all()).map_err(|error| failed(relative, &error))?;
        renameat(&folder, &beside, &folder, &name).map_err(|errno| refused(relative, errno))?;
        rustix::fs::fsync(&folder).map_err(|errno| refused(relative, errno))
    }

    /// As the file has it that is replaced.
    fn mode_of(&self, relative: &Path) -> Mode {
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let there = openat2(&self.root, relative, flags, Mode::empty(), BELOW);
        let mode = there.and_then(|fd| rustix::fs::fstat(&fd)).map(|stat| stat.st_mode & 0o777);
        Mode::from_raw_mode(mode.unwrap_or(0o644))
    }

    /// The folder that a file lies in, made where it is missing, and its name there.
    fn folder_of(&self, relative: &Path) -> Result<(OwnedFd, PathBuf), NodeError> {
        let name = relative.file_name().map(PathBuf::from).unwrap_or_default();
        let parent = relative.parent().filter(|parent| !parent.as_os_str().is_empty());
        let Some(parent) = parent else {
            let same = openat2(&self.root, ".", FOLDER, Mode::empty(), BELOW);
            return same.map(|folder| (folder, name)).map_err(|errno| refused(relative, errno));
        };
        let mut so_far = PathBuf::new();
        let mut folder = None;
        for part in parent.components() {
            let above = folder.as_ref().unwrap_or(&self.root);
            match mkdirat(above, Path::new(part.as_os_str()), Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(refused(relative, errno)),
            }
            so_far.push(part);
            // From the root again: a link may lead elsewhere below it.
            let opened = openat2(&self.root, &so_far, FOLDER, Mode::empty(), BELOW);
            folder = Some(opened.map_err(|errno| refused(relative, errno))?);
        }
        folder.map(|folder| (folder, name)).ok_or_else(|| refused(relative, Errno::NOENT))
    }
}

fn refused(path: &Path, errno: Errno) -> NodeError {
    let (kind, why) = match errno {
        Errno::NOENT => (FailureKind::Failed, "does not exist".to_owned()),
        Errno::XDEV | Errno::LOOP => (FailureKind::Denied, "leads out of the folder of the run".to_owned()),
        Errno::NOSPC | Errno::DQUOT => (FailureKind::Unavailable, "the disk is full".to_owned()),
        errno => (FailureKind::Failed, errno.to_string()),
    };
    NodeError::new(kind, format!("{}: {why}", path.display()))
}

fn failed(path: &Path, error: &std::io::Error) -> NodeError {
    NodeError::new(FailureKind::Failed, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::open(folder.path()).unwrap();
        (folder, tree)
    }

    #[test]
    fn a_file_is_written_whole_in_folders_that_are_made_and_read_back() {
        let (folder, tree) = tree();
        let path = tree.relative("a/b/c.txt").unwrap();
        tree.write(&path, b"one", "0123456789abcdef0").unwrap();
        tree.write(&path, b"two", "0123456789abcdef0").unwrap();
        assert_eq!(tree.read(&path).unwrap(), b"two");
        let left: Vec<_> = std::fs::read_dir(folder.path().join("a/b")).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing lies beside it: {left:?}");
    }

    #[test]
    fn nothing_outside_of_the_folder_is_reached() {
        let (folder, tree) = tree();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("x"), "secret").unwrap();
        symlink(outside.path(), folder.path().join("out")).unwrap();
        symlink(outside.path().join("x"), folder.path().join("file")).unwrap();
        for bad in ["../x", "/etc/passwd", "a/../../x", ".git/config", "sub/.git/hooks/x", "", "a\0b"] {
            assert!(tree.relative(bad).is_err(), "{bad:?}");
        }
        for through in ["out/x", "file"] {
            let path = tree.relative(through).unwrap();
            assert_eq!(tree.read(&path).unwrap_err().kind, FailureKind::Denied, "{through}");
        }
        let path = tree.relative("out/new").unwrap();
        assert!(tree.write(&path, b"x", "0123456789abcdef").is_err());
        assert!(!outside.path().join("new").exists());
    }

    #[test]
    fn a_link_in_place_of_the_file_is_replaced_and_not_followed() {
        let (folder, tree) = tree();
        let outside = tempfile::NamedTempFile::new().unwrap();
        symlink(outside.path(), folder.path().join("file")).unwrap();
        let path = tree.relative("file").unwrap();
        tree.write(&path, b"mine", "0123456789abcdef").unwrap();
        assert_eq!(std::fs::read(outside.path()).unwrap(), b"");
        assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"mine");
    }
}
