//! One watched tree, shared by all who watch the same root in the same way.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{AcquireError, Backend, PER_FOLDER};
use crate::changes::Batch;
use crate::filter::Filter;
use crate::inbox::{Kind, OsEvent};
use crate::options::{DEFAULT_DEBOUNCE, Mode};
use crate::snapshot::Snapshot;

pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Polling takes at most a twentieth of one core, however big the tree.
const POLL_SHARE: u32 = 20;

/// What makes two watches the same tree.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TreeKey {
    /// Canonical.
    pub(crate) root: PathBuf,
    pub(crate) respect_gitignore: bool,
    pub(crate) skip_git: bool,
    pub(crate) ignored: Vec<String>,
}

enum State {
    Native,
    Polling {
        reason: String,
        seen: Snapshot,
        next: Instant,
    },
    /// The root was deleted or moved away; it is watched again once it is back.
    Absent {
        next: Instant,
    },
}

pub(crate) struct Tree {
    key: Arc<TreeKey>,
    filter: Filter,
    folders: HashSet<Arc<Path>>,
    state: State,
    /// When to walk again because what is ignored changed.
    walk_due: Option<Instant>,
    /// How many watches use it.
    pub(crate) users: usize,
}

impl Tree {
    pub(crate) fn new(key: Arc<TreeKey>, backend: &mut Backend) -> Self {
        let filter = Filter::new(&key);
        let folders = HashSet::new();
        let mut tree = Self { key, filter, folders, state: State::Native, walk_due: None, users: 0 };
        tree.walk(backend);
        tree
    }

    pub(crate) fn root(&self) -> &Path {
        &self.key.root
    }

    pub(crate) fn mode(&self) -> Mode {
        match &self.state {
            State::Native => Mode::Native,
            State::Polling { reason, .. } => Mode::Polling { reason: reason.clone() },
            State::Absent { .. } => Mode::Polling { reason: "the folder does not exist any more".to_owned() },
        }
    }

    /// When [`Tree::tick`] has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        let poll = match &self.state {
            State::Native => None,
            State::Polling { next, .. } | State::Absent { next } => Some(*next),
        };
        [poll, self.walk_due].into_iter().flatten().min()
    }

    /// Takes in one event of the system and adds to `batch` what it means for this tree.
    pub(crate) fn event(&mut self, event: &OsEvent, backend: &mut Backend, batch: &mut Batch) {
        let key = Arc::clone(&self.key);
        let Ok(relative) = event.path.strip_prefix(&key.root) else { return };
        if !matches!(self.state, State::Native) || !self.covers(&event.path) {
            return;
        }
        if relative.as_os_str().is_empty() {
            // Its entries tell for themselves; all that matters of the root is whether it is still there.
            if event.kind != Kind::Changed && !key.root.is_dir() {
                self.lose_root(backend, batch);
            }
            return;
        }
        let was_dir = self.folders.contains(event.path.as_path());
        let found = match event.kind {
            Kind::Changed => event.is_dir.or(was_dir.then_some(true)).or_else(|| is_dir(&event.path)),
            Kind::Appeared => event.is_dir.or_else(|| is_dir(&event.path)),
            // It may be back already, so what is there now decides.
            Kind::Gone | Kind::Unknown => is_dir(&event.path),
        };
        let is_dir = found.or(event.is_dir).unwrap_or(was_dir);
        if self.filter.ignores(&key.root, relative, is_dir) {
            return;
        }
        if self.filter.is_source(&event.path) {
            self.walk_due.get_or_insert_with(|| Instant::now() + DEFAULT_DEBOUNCE);
        }
        batch.add(event.path.clone());
        if was_dir && (found != Some(true) || event.kind == Kind::Gone) {
            self.release_below(&event.path, backend);
            if event.is_dir.is_none() {
                // Renamed: its ignore files went with it, without an event of their own.
                self.filter.forget();
            }
        }
        if found == Some(true) && event.kind != Kind::Changed {
            // Files made before the new folder was watched are told by the walk.
            if let Err(reason) = self.expand(&event.path, backend, Some(batch)) {
                self.poll(reason, backend);
                batch.rescan();
            }
        }
    }

    /// Polls, or walks again, if it is time to.
    pub(crate) fn tick(&mut self, now: Instant, backend: &mut Backend, batch: &mut Batch) {
        if self.walk_due.is_some_and(|due| due <= now) {
            self.resync(backend, batch);
        }
        match &mut self.state {
            State::Polling { seen, next, .. } if *next <= now => {
                let newer = Snapshot::take(&self.key.root, &mut self.filter);
                seen.compare(&newer, batch);
                *seen = newer;
                *next = next_poll(now);
                if batch.is_rescan() || batch.paths().any(|path| self.filter.is_source(path)) {
                    self.filter.forget();
                }
            }
            State::Absent { next } if *next <= now => {
                if self.key.root.is_dir() {
                    self.state = State::Native;
                    self.resync(backend, batch);
                } else {
                    *next = now + POLL_INTERVAL;
                }
            }
            State::Native | State::Polling { .. } | State::Absent { .. } => {}
        }
    }

    /// Events were lost, or what is ignored changed: watch what is to be watched now, and have all looked at again.
    pub(crate) fn resync(&mut self, backend: &mut Backend, batch: &mut Batch) {
        batch.rescan();
        self.walk_due = None;
        self.filter.forget();
        if matches!(self.state, State::Native) {
            self.walk(backend);
        }
    }

    pub(crate) fn release(&mut self, backend: &mut Backend) {
        for folder in self.folders.drain() {
            backend.release(&folder);
        }
    }

    fn covers(&self, path: &Path) -> bool {
        !PER_FOLDER
            || self.folders.contains(path)
            || path.parent().is_some_and(|parent| self.folders.contains(parent))
    }

    /// Watches the tree as it is now, and no longer what it was.
    fn walk(&mut self, backend: &mut Backend) {
        let before = std::mem::take(&mut self.folders);
        let root = self.key.root.clone();
        let walked = self.expand(&root, backend, None);
        for folder in before {
            backend.release(&folder);
        }
        match walked {
            Err(reason) => self.poll(reason, backend),
            Ok(()) if !self.folders.contains(root.as_path()) => {
                self.state = State::Absent { next: Instant::now() + POLL_INTERVAL };
            }
            Ok(()) => {}
        }
        // The walk has read the ignore files of every folder: too much to keep for the few that change.
        self.filter.forget();
    }

    /// Watches `start` and all folders below it that are not ignored, and adds what lies in them to `batch`. An error
    /// is why no more can be watched.
    fn expand(
        &mut self,
        start: &Path,
        backend: &mut Backend,
        mut batch: Option<&mut Batch>,
    ) -> Result<(), String> {
        let key = Arc::clone(&self.key);
        let mut open = vec![start.to_owned()];
        while let Some(folder) = open.pop() {
            // Watched first and listed then: what appears in between is told twice rather than never.
            if (PER_FOLDER || folder == key.root) && !self.acquire(&folder, backend)? {
                continue;
            }
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let (Ok(kind), Ok(relative)) = (entry.file_type(), path.strip_prefix(&key.root)) else {
                    continue;
                };
                if self.filter.ignores(&key.root, relative, kind.is_dir()) {
                    continue;
                }
                if let Some(batch) = &mut batch {
                    batch.add(path.clone());
                }
                if kind.is_dir() {
                    open.push(path);
                }
            }
        }
        Ok(())
    }

    /// `false` when there is nothing to watch at `folder`.
    fn acquire(&mut self, folder: &Path, backend: &mut Backend) -> Result<bool, String> {
        match backend.acquire(folder, !PER_FOLDER) {
            Ok(watched) => {
                if !self.folders.insert(watched) {
                    backend.release(folder);
                }
                Ok(true)
            }
            Err(AcquireError::Unreachable) => {
                tracing::debug!(folder = %folder.display(), "the folder cannot be watched");
                Ok(false)
            }
            Err(AcquireError::Exhausted(reason)) => Err(reason),
        }
    }

    fn release_below(&mut self, path: &Path, backend: &mut Backend) {
        for folder in self.folders.extract_if(|folder| folder.starts_with(path)) {
            backend.release(&folder);
        }
    }

    fn lose_root(&mut self, backend: &mut Backend, batch: &mut Batch) {
        batch.rescan();
        self.release(backend);
        self.state = State::Absent { next: Instant::now() + POLL_INTERVAL };
    }

    fn poll(&mut self, reason: String, backend: &mut Backend) {
        tracing::warn!(root = %self.key.root.display(), %reason, "the tree is polled");
        self.release(backend);
        self.filter.forget();
        let started = Instant::now();
        let seen = Snapshot::take(&self.key.root, &mut self.filter);
        self.state = State::Polling { reason, seen, next: next_poll(started) };
    }
}

fn next_poll(started: Instant) -> Instant {
    let now = Instant::now();
    now + POLL_INTERVAL.max((now - started) * POLL_SHARE)
}

fn is_dir(path: &Path) -> Option<bool> {
    path.symlink_metadata().ok().map(|metadata| metadata.is_dir())
}
