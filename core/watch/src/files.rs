//! Single files, watched through the folder they lie in: an editor that saves by renaming over a file replaces what a
//! watch on the file itself would hold on to.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::backend::{AcquireError, Backend};
use crate::changes::Batch;
use crate::inbox::OsEvent;
use crate::options::Mode;
use crate::snapshot::stamp;
use crate::tree::POLL_INTERVAL;

/// A file that is a symbolic link is followed this far, as are folders that appear while they are looked for.
const MAX_STEPS: usize = 64;

#[derive(Debug)]
pub(crate) struct FileSet {
    files: Vec<File>,
    polling: Option<(String, Instant)>,
}

#[derive(Debug)]
struct File {
    given: PathBuf,
    absolute: PathBuf,
    /// The file, and where it is a symbolic link, what it leads to. Events of these are told.
    names: Vec<PathBuf>,
    /// The folder whose appearance brings the file nearer, while its own folder is missing.
    awaited: Option<PathBuf>,
    folders: Vec<Arc<Path>>,
    stamp: Option<u64>,
}

impl FileSet {
    /// `files` with their absolute paths.
    pub(crate) fn new(files: Vec<(PathBuf, PathBuf)>) -> Self {
        let file = |(given, absolute)| File {
            given,
            absolute,
            names: Vec::new(),
            awaited: None,
            folders: Vec::new(),
            stamp: None,
        };
        Self { files: files.into_iter().map(file).collect(), polling: None }
    }

    pub(crate) fn begin(&mut self, backend: &mut Backend) {
        for file in &mut self.files {
            let found = file.find(backend);
            file.stamp = file.look();
            if let Err(reason) = found {
                self.polling = Some((reason, Instant::now() + POLL_INTERVAL));
            }
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        match &self.polling {
            None => Mode::Native,
            Some((reason, _)) => Mode::Polling { reason: reason.clone() },
        }
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.polling.as_ref().map(|(_, next)| *next)
    }

    pub(crate) fn event(&mut self, event: &OsEvent, backend: &mut Backend, batch: &mut Batch) {
        for file in self.files.iter_mut().filter(|file| file.concerns(&event.path)) {
            if let Err(reason) = file.find(backend)
                && self.polling.is_none()
            {
                self.polling = Some((reason, Instant::now() + POLL_INTERVAL));
                batch.rescan();
            }
            let stamp = file.look();
            if file.names.contains(&event.path) || stamp != file.stamp {
                batch.add(file.given.clone());
            }
            file.stamp = stamp;
        }
    }

    /// Polls, if the files are polled and it is time to.
    pub(crate) fn tick(&mut self, now: Instant, batch: &mut Batch) {
        let Some((_, next)) = &mut self.polling else { return };
        if *next > now {
            return;
        }
        *next = now + POLL_INTERVAL;
        for file in &mut self.files {
            let stamp = file.look();
            if stamp != file.stamp {
                batch.add(file.given.clone());
                file.stamp = stamp;
            }
        }
    }

    pub(crate) fn resync(&mut self, backend: &mut Backend, batch: &mut Batch) {
        batch.rescan();
        self.begin(backend);
    }

    pub(crate) fn release(&mut self, backend: &mut Backend) {
        for folder in self.files.iter_mut().flat_map(|file| file.folders.drain(..)) {
            backend.release(&folder);
        }
    }
}

impl File {
    fn concerns(&self, path: &Path) -> bool {
        self.names.iter().any(|name| name == path)
            || self.awaited.as_deref() == Some(path)
            || self.folders.iter().any(|folder| **folder == *path)
    }

    fn look(&self) -> Option<u64> {
        fs::metadata(&self.absolute).ok().map(|metadata| stamp(&metadata))
    }

    /// Watches the folder of the file, or the nearest one above that exists. An error is why that cannot be watched.
    fn find(&mut self, backend: &mut Backend) -> Result<(), String> {
        let before = std::mem::take(&mut self.folders);
        self.names.clear();
        self.awaited = None;
        let found = self.follow(backend);
        for folder in before {
            backend.release(&folder);
        }
        found
    }

    fn follow(&mut self, backend: &mut Backend) -> Result<(), String> {
        let mut target = self.absolute.clone();
        for _ in 0..MAX_STEPS {
            let Some((folder, rest)) = nearest(&target) else { return Ok(()) };
            match backend.acquire(&folder, false) {
                Ok(folder) => self.folders.push(folder),
                // Gone since: look again.
                Err(AcquireError::Unreachable) if !folder.is_dir() => continue,
                Err(AcquireError::Unreachable) => {
                    return Err(format!("{} may not be read", folder.display()));
                }
                Err(AcquireError::Exhausted(reason)) => return Err(reason),
            }
            let mut parts = rest.components();
            let Some(first) = parts.next() else { return Ok(()) };
            let next = folder.join(first);
            if parts.next().is_some() {
                // It may have appeared before the folder was watched.
                if next.is_dir() {
                    continue;
                }
                self.awaited = Some(next);
                return Ok(());
            }
            let link = fs::read_link(&next);
            self.names.push(next);
            match link {
                Ok(leads_to) => target = folder.join(leads_to),
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }
}

/// The nearest existing folder above `path` in canonical form, and the way from there.
fn nearest(path: &Path) -> Option<(PathBuf, &Path)> {
    path.ancestors().skip(1).find_map(|folder| {
        let canonical = folder.canonicalize().ok().filter(|canonical| canonical.is_dir())?;
        Some((canonical, path.strip_prefix(folder).ok()?))
    })
}
