use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::backend::Backend;
use crate::changes::{Changes, Mailbox};
use crate::error::WatchError;
use crate::fence::Fences;
use crate::files::FileSet;
use crate::filter;
use crate::inbox::{Command, Inbox, Source, Subscribe};
use crate::options::{DEFAULT_DEBOUNCE, TreeOptions};
use crate::service::Service;
use crate::tree::TreeKey;

/// Begins watches. Clones share everything; one is enough for a process.
#[derive(Debug, Clone)]
pub struct Watcher {
    shared: Arc<Shared>,
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Watcher {
    /// Starts nothing yet.
    pub fn new() -> Self {
        Self::with_max_folders(usize::MAX)
    }

    /// One that watches at most so many folders, and polls the trees that do not fit, so that others of the same user
    /// keep their share of the system's watches.
    pub fn with_max_folders(max_folders: usize) -> Self {
        Self::build(max_folders, None)
    }

    /// One that can tell when it has caught up ([`Watcher::caught_up`]), by files that it makes and deletes in a
    /// folder of its own. The folder is made when it is needed.
    pub fn with_fences(max_folders: usize, folder: PathBuf) -> Self {
        Self::build(max_folders, Some(folder))
    }

    fn build(max_folders: usize, fences: Option<PathBuf>) -> Self {
        let folders = Arc::new(AtomicUsize::new(0));
        let (running, next_id) = (Mutex::new(None), AtomicU64::new(0));
        let shared = Shared { running, next_id, folders, max_folders, fences };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until everything that happened on disk before this call is noticed by every native watch: the system
    /// tells of all folders in one order, so once it tells of a file made now, it has told of all before. `false`
    /// when that cannot be known: no folder for such files, nobody watches anything, or it took longer than `limit`.
    pub async fn caught_up(&self, limit: Duration) -> bool {
        let Some(inbox) = self.shared.running().clone().filter(|_| self.shared.fences.is_some()) else {
            return false;
        };
        let (reply, answer) = oneshot::channel();
        if inbox.command(Command::Fence(reply)).is_err() {
            return false;
        }
        matches!(tokio::time::timeout(limit, answer).await, Ok(Ok(())))
    }

    /// Watches single files, which need not exist, nor the folders they lie in. Files that are symbolic links are
    /// followed. Changes within 50 ms are told as one.
    ///
    /// # Errors
    /// When a path is empty, or when the watcher's thread cannot be started.
    pub fn watch_files(&self, files: &[PathBuf]) -> Result<Changes, WatchError> {
        let absolute = |file: &PathBuf| match std::path::absolute(file) {
            Ok(absolute) => Ok((file.clone(), absolute)),
            Err(source) => Err(WatchError::Root { path: file.clone(), source }),
        };
        let files = files.iter().map(absolute).collect::<Result<_, _>>()?;
        self.subscribe(Source::Files(FileSet::new(files)), DEFAULT_DEBOUNCE)
    }

    /// Watches all that lies below `root` except for what `options` leave out. Returns when every folder is watched:
    /// with tens of thousands of folders this takes a second or more, so call it where blocking is allowed.
    ///
    /// # Errors
    /// When `root` is not a folder that exists, when a pattern of `options` is none, or when the watcher's thread
    /// cannot be started. A reached watch limit is no error: see [`Changes::mode`].
    pub fn watch_tree(&self, root: &Path, options: TreeOptions) -> Result<Changes, WatchError> {
        let unreachable = |source: io::Error| WatchError::Root { path: root.to_owned(), source };
        let canonical = root.canonicalize().map_err(unreachable)?;
        if !canonical.is_dir() {
            return Err(WatchError::NotAFolder { path: root.to_owned() });
        }
        filter::compile(&canonical, &options.ignored)?;
        let key = Arc::new(TreeKey {
            root: canonical,
            respect_gitignore: options.respect_gitignore,
            skip_git: options.skip_git,
            ignored: options.ignored,
        });
        self.subscribe(Source::Tree { key, prefix: root.to_owned() }, options.debounce)
    }

    /// How many folders the system watches for us now.
    pub fn watched_folders(&self) -> usize {
        self.shared.folders.load(Ordering::Relaxed)
    }

    fn subscribe(&self, source: Source, debounce: Duration) -> Result<Changes, WatchError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox::new());
        let (reply, answer) = mpsc::sync_channel(1);
        let request = Subscribe { id, source, debounce, mailbox: Arc::clone(&mailbox), reply };
        let inbox = self.shared.send(Command::Subscribe(Box::new(request)))?;
        answer.recv().map_err(|_| WatchError::Stopped)??;
        Ok(Changes::new(id, mailbox, inbox))
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    /// The service's inbox, while one runs.
    running: Mutex<Option<Arc<Inbox>>>,
    next_id: AtomicU64,
    folders: Arc<AtomicUsize>,
    max_folders: usize,
    fences: Option<PathBuf>,
}

impl Shared {
    /// Hands a command to the service, which is started if none runs.
    fn send(self: &Arc<Self>, command: Command) -> Result<Arc<Inbox>, WatchError> {
        let mut running = self.running();
        let unread = match running.take() {
            None => command,
            Some(inbox) => match inbox.command(command) {
                Ok(()) => return Ok(Arc::clone(running.insert(inbox))),
                // Its service died without a word: the next one takes over.
                Err(command) => command,
            },
        };
        let inbox = self.start()?;
        inbox.command(unread).map_err(|_| WatchError::Stopped)?;
        Ok(Arc::clone(running.insert(inbox)))
    }

    fn start(self: &Arc<Self>) -> Result<Arc<Inbox>, WatchError> {
        let inbox = Arc::new(Inbox::default());
        let end = End(Arc::clone(&inbox));
        let backend = Backend::new(Arc::clone(&inbox), self.max_folders, Arc::clone(&self.folders));
        let service = Service::new(Arc::clone(&inbox), backend, Fences::new(self.fences.clone()));
        let shared = Arc::clone(self);
        let body = move || {
            let _end = end;
            service.run(&shared);
        };
        std::thread::Builder::new()
            .name("podium-watch".to_owned())
            .spawn(body)
            .map_err(WatchError::Thread)?;
        Ok(inbox)
    }

    /// Whether the service may end. Under the lock that commands are sent under: none is left unread.
    pub(crate) fn retire(&self, inbox: &Arc<Inbox>) -> bool {
        let mut running = self.running();
        if inbox.has_commands() {
            return false;
        }
        if running.as_ref().is_some_and(|current| Arc::ptr_eq(current, inbox)) {
            *running = None;
        }
        true
    }

    fn running(&self) -> MutexGuard<'_, Option<Arc<Inbox>>> {
        // Nothing in a critical section panics half-way.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs when the service's thread ends, also by a panic: callers that wait get an error, the next one a new service.
/// It leaves the watcher's lock alone, which is held while a thread that cannot be started drops this.
struct End(Arc<Inbox>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use notify::event::Flag;
    use notify::{Event, EventKind};

    use super::*;
    use crate::changes::Change;

    fn inbox(watcher: &Watcher) -> Arc<Inbox> {
        Arc::clone(watcher.shared.running().as_ref().unwrap())
    }

    #[tokio::test]
    async fn events_the_system_lost_are_told_as_a_rescan() {
        let dir = tempfile::tempdir().unwrap();
        let watcher = Watcher::new();
        let mut tree = watcher.watch_tree(dir.path(), TreeOptions::default()).unwrap();
        let mut files = watcher.watch_files(&[dir.path().join("file")]).unwrap();

        inbox(&watcher).os_event(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));

        assert_eq!(tree.next().await, Some(Change::Rescan));
        assert_eq!(files.next().await, Some(Change::Rescan));
    }

    #[test]
    fn a_service_that_died_is_replaced_instead_of_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let watcher = Watcher::new();
        let _first = watcher.watch_tree(dir.path(), TreeOptions::default()).unwrap();
        let dead = inbox(&watcher);
        dead.close();

        let second = watcher.watch_tree(dir.path(), TreeOptions::default());

        assert!(second.is_ok(), "{second:?}");
        assert!(!Arc::ptr_eq(&dead, &inbox(&watcher)));
    }
}
