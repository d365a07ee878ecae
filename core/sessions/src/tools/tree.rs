//! The worktree as tools see it: a path is walked folder by folder from an open root, so that what is opened lies in the
//! tree however fast links are exchanged meanwhile, and its real place is known before it is opened.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use podium_secrets::is_secret_path;
use rustix::fs::{Mode, OFlags, mkdirat, open, openat, readlinkat};
use rustix::io::Errno;

use super::{PathPolicy, ToolError};

/// Links followed on the way to one file.
const MAX_LINKS: u32 = 40;
const MAX_PATH: usize = 4_096;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open worktree.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    /// The paths under which the root is known: as given, and without links.
    names: Vec<PathBuf>,
    policy: Arc<PathPolicy>,
}

/// A place in the tree. What lies there may be exchanged, but its folder is held open.
#[derive(Debug)]
pub struct Place {
    /// Relative to the root and without links; empty for the root itself.
    pub(super) real: PathBuf,
    folder: OwnedFd,
    /// Name within `folder`; `None` for the root itself.
    name: Option<OsString>,
    /// Folders that have to be made first, and then the name in them.
    missing: Vec<OsString>,
}

impl Tree {
    /// Opens the worktree at `root`.
    ///
    /// # Errors
    /// When it is no folder.
    pub fn open(root: &Path, policy: Arc<PathPolicy>) -> Result<Self, ToolError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = open(root, flags, Mode::empty()).map_err(|errno| ToolError::io(root, errno))?;
        let mut names = vec![root.to_owned()];
        names.extend(root.canonicalize().ok().filter(|real| real != root));
        Ok(Self { root: fd, names, policy })
    }

    /// Finds the place of a path, through links that stay within the tree.
    ///
    /// # Errors
    /// `Outside`, `Git` or `Secret` for what agents may not reach.
    pub fn locate(&self, path: &str) -> Result<Place, ToolError> {
        let relative = self.relative(path)?;
        self.check(&relative, path)?;
        let place = Walk::new(self, path).run(&relative)?;
        self.check(&place.real, path)?;
        Ok(place)
    }

    /// The real path of a place, also of one that agents may not open.
    pub(super) fn locate_any(&self, path: &str) -> Result<PathBuf, ToolError> {
        Ok(Walk::new(self, path).run(&self.relative(path)?)?.real)
    }

    /// Whether the tool may open what lies at this real path.
    pub(super) fn may_open(&self, real: &Path) -> bool {
        self.check(real, "").is_ok()
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    fn check(&self, real: &Path, asked: &str) -> Result<(), ToolError> {
        let path = asked.to_owned();
        if self.policy.denied.is_match(real) {
            return Err(ToolError::Denied { path });
        }
        let is_kept = is_secret_path(real) && !self.policy.secrets_allowed.is_match(real);
        if is_kept { Err(ToolError::Secret { path }) } else { Ok(()) }
    }

    /// The path below the root by its text alone.
    fn relative(&self, path: &str) -> Result<PathBuf, ToolError> {
        if path.contains('\0') || path.len() > MAX_PATH {
            return Err(ToolError::Input("the path is no path".to_owned()));
        }
        let outside = || ToolError::Outside { path: path.to_owned() };
        let asked = Path::new(path);
        if path == "~" || path.starts_with("~/") {
            return Err(outside());
        }
        let below = if asked.is_absolute() {
            self.names.iter().find_map(|name| asked.strip_prefix(name).ok()).ok_or_else(outside)?
        } else {
            asked
        };
        let mut relative = PathBuf::new();
        for part in below.components() {
            match part {
                Component::CurDir => {}
                Component::Normal(name) => {
                    check_git(name, path)?;
                    relative.push(name);
                }
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        Ok(relative)
    }
}

impl Place {
    pub(super) fn exists(&self) -> bool {
        self.missing.is_empty()
    }

    /// Opens what lies here, which must not have become a link meanwhile. Never waits for the other end of a pipe.
    pub(super) fn open(&self, flags: OFlags) -> Result<File, ToolError> {
        if !self.exists() {
            return Err(ToolError::Missing { path: self.shown() });
        }
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let name = self.name.as_deref().unwrap_or(OsStr::new("."));
        let fd = openat(&self.folder, name, flags, Mode::empty()).map_err(|errno| self.failed(errno))?;
        Ok(File::from(fd))
    }

    /// The folder here, open.
    pub(super) fn open_folder(&self) -> Result<OwnedFd, ToolError> {
        Ok(self.open(OFlags::RDONLY | OFlags::DIRECTORY)?.into())
    }

    /// The open folder and the name in it, for what is made here; missing folders are made.
    pub(super) fn parent(&self) -> Result<(OwnedFd, &OsStr), ToolError> {
        let io = |errno: Errno| self.failed(errno);
        let mut folder = self.folder.try_clone().map_err(|e| ToolError::io(&self.real, e))?;
        let Some((name, folders)) = self.missing.split_last() else {
            let name = self.name.as_deref();
            return Ok((folder, name.ok_or(ToolError::Unfit { path: ".".to_owned(), what: "a folder" })?));
        };
        for new in folders {
            match mkdirat(&folder, new, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(io(errno)),
            }
            folder = openat(&folder, new, FOLDER, Mode::empty()).map_err(io)?;
        }
        Ok((folder, name))
    }

    pub(super) fn shown(&self) -> String {
        if self.real.as_os_str().is_empty() { ".".to_owned() } else { self.real.display().to_string() }
    }

    pub(super) fn failed(&self, errno: Errno) -> ToolError {
        let path = self.shown();
        match errno {
            // It was no link a moment ago.
            Errno::LOOP => ToolError::Outside { path },
            Errno::NOTDIR => ToolError::Unfit { path, what: "not a folder" },
            Errno::NXIO => ToolError::Unfit { path, what: "neither a file nor a folder" },
            errno => ToolError::io(&self.real, errno),
        }
    }
}

/// One walk from the root to a place.
struct Walk<'a> {
    tree: &'a Tree,
    asked: &'a str,
    /// Folders below the root, each with its name.
    below: Vec<(OwnedFd, OsString)>,
    queue: VecDeque<OsString>,
    links: u32,
}

impl<'a> Walk<'a> {
    fn new(tree: &'a Tree, asked: &'a str) -> Self {
        Self { tree, asked, below: Vec::new(), queue: VecDeque::new(), links: 0 }
    }

    fn run(mut self, relative: &Path) -> Result<Place, ToolError> {
        self.queue.extend(relative.iter().map(OsStr::to_owned));
        while let Some(part) = self.queue.pop_front() {
            if part == ".." {
                self.below.pop().ok_or_else(|| self.outside())?;
                continue;
            }
            check_git(&part, self.asked)?;
            match readlinkat(self.here(), &part, Vec::new()) {
                Ok(target) => self.follow(Path::new(OsStr::from_bytes(target.as_bytes())))?,
                Err(Errno::INVAL) if self.queue.is_empty() => return self.place(Some(part), Vec::new()),
                Err(Errno::INVAL) => self.enter(part)?,
                Err(Errno::NOENT) => return self.missing(part),
                Err(errno) => return Err(self.failed(errno)),
            }
        }
        self.end_in_folder()
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.below.last().map_or(self.tree.root.as_fd(), |(folder, _)| folder.as_fd())
    }

    /// Goes on where a link points, if that is in the tree.
    fn follow(&mut self, target: &Path) -> Result<(), ToolError> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(self.outside());
        }
        let target = if target.is_absolute() {
            self.below.clear();
            let found = self.tree.names.iter().find_map(|name| target.strip_prefix(name).ok());
            found.ok_or_else(|| self.outside())?
        } else {
            target
        };
        for part in target.components().rev() {
            match part {
                Component::Normal(name) => self.queue.push_front(name.to_owned()),
                Component::ParentDir => self.queue.push_front("..".into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn enter(&mut self, part: OsString) -> Result<(), ToolError> {
        let folder = openat(self.here(), &part, FOLDER, Mode::empty()).map_err(|errno| self.failed(errno))?;
        self.below.push((folder, part));
        Ok(())
    }

    fn missing(mut self, part: OsString) -> Result<Place, ToolError> {
        let mut missing = vec![part];
        missing.extend(std::mem::take(&mut self.queue));
        if missing.iter().any(|name| name == "..") {
            return Err(ToolError::Missing { path: self.asked.to_owned() });
        }
        for name in &missing {
            check_git(name, self.asked)?;
        }
        self.place(None, missing)
    }

    /// The path led to a folder through a link, or is the root.
    fn end_in_folder(mut self) -> Result<Place, ToolError> {
        match self.below.pop() {
            Some((_, name)) => self.place(Some(name), Vec::new()),
            None => self.place(None, Vec::new()),
        }
    }

    fn place(self, name: Option<OsString>, missing: Vec<OsString>) -> Result<Place, ToolError> {
        let mut real: PathBuf = self.below.iter().map(|(_, name)| name).collect();
        real.extend(name.iter().chain(&missing));
        let folder = self.here().try_clone_to_owned().map_err(|e| ToolError::io(&real, e))?;
        Ok(Place { real, folder, name, missing })
    }

    fn outside(&self) -> ToolError {
        ToolError::Outside { path: self.asked.to_owned() }
    }

    fn failed(&self, errno: Errno) -> ToolError {
        match errno {
            Errno::LOOP => self.outside(),
            Errno::NOTDIR => ToolError::Missing { path: self.asked.to_owned() },
            errno => ToolError::io(Path::new(self.asked), errno),
        }
    }
}

/// Git's own files, under any name that a file system may take for `.git`.
fn check_git(name: &OsStr, asked: &str) -> Result<(), ToolError> {
    if is_git(name) { Err(ToolError::Git { path: asked.to_owned() }) } else { Ok(()) }
}

pub(super) fn is_git(name: &OsStr) -> bool {
    let plain: String = name.to_string_lossy().chars().filter(|c| !is_ignorable(*c)).collect();
    // Dots and spaces at the end mean nothing to some systems, which also know it by a short name.
    let plain = plain.trim_end_matches([' ', '.']);
    plain.eq_ignore_ascii_case(".git") || plain.eq_ignore_ascii_case("git~1")
}

/// Characters that some file systems leave out of names.
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}
