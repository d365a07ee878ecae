//! The operating system's watcher, shared: a folder is watched once however many ask for it.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::inbox::Inbox;

/// Whether every folder is watched on its own. Elsewhere the system watches a tree as one.
pub(crate) const PER_FOLDER: bool = cfg!(any(target_os = "linux", target_os = "android"));

#[derive(Debug)]
pub(crate) enum AcquireError {
    /// It vanished, is no folder, or may not be read: nothing to watch there.
    Unreachable,
    /// No more can be watched. The text is for a person.
    Exhausted(String),
}

struct Watched {
    users: usize,
    recursive: bool,
}

pub(crate) struct Backend {
    /// Made with the first folder, so that nothing runs for those who watch nothing.
    os: Option<RecommendedWatcher>,
    folders: HashMap<Arc<Path>, Watched>,
    inbox: Arc<Inbox>,
    max_folders: usize,
    count: Arc<AtomicUsize>,
}

impl Backend {
    pub(crate) fn new(inbox: Arc<Inbox>, max_folders: usize, count: Arc<AtomicUsize>) -> Self {
        Self { os: None, folders: HashMap::new(), inbox, max_folders, count }
    }

    /// Watches a folder (a canonical path) for one more user. Asking again renews the watch: the folder may have been
    /// deleted and made again under the same name.
    pub(crate) fn acquire(&mut self, folder: &Path, recursive: bool) -> Result<Arc<Path>, AcquireError> {
        let known =
            self.folders.get_key_value(folder).map(|(key, watched)| (Arc::clone(key), watched.recursive));
        if known.is_none() && self.folders.len() >= self.max_folders {
            let reason = format!("the limit of {} watched folders is reached", self.max_folders);
            return Err(AcquireError::Exhausted(reason));
        }
        let recursive = recursive || known.as_ref().is_some_and(|(_, recursive)| *recursive);
        let mode = if recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        self.os()?.watch(folder, mode).map_err(|error| refused(&error))?;
        let key = known.map_or_else(|| Arc::from(folder), |(key, _)| key);
        let watched = self.folders.entry(Arc::clone(&key)).or_insert(Watched { users: 0, recursive });
        watched.users += 1;
        watched.recursive = recursive;
        self.count.store(self.folders.len(), Ordering::Relaxed);
        Ok(key)
    }

    pub(crate) fn release(&mut self, folder: &Path) {
        let Some(watched) = self.folders.get_mut(folder) else { return };
        watched.users -= 1;
        if watched.users > 0 {
            return;
        }
        self.folders.remove(folder);
        self.count.store(self.folders.len(), Ordering::Relaxed);
        if let Some(os) = &mut self.os
            && let Err(error) = os.unwatch(folder)
        {
            // The system forgets a deleted folder by itself.
            tracing::trace!(folder = %folder.display(), %error, "the folder was not watched any more");
        }
    }

    fn os(&mut self) -> Result<&mut RecommendedWatcher, AcquireError> {
        if self.os.is_none() {
            let inbox = Arc::clone(&self.inbox);
            let handler = move |event| inbox.os_event(event);
            let made = RecommendedWatcher::new(handler, Config::default().with_follow_symlinks(false));
            self.os = Some(made.map_err(|error| {
                AcquireError::Exhausted(format!("the system gives no file watcher: {error}"))
            })?);
        }
        self.os.as_mut().ok_or(AcquireError::Unreachable)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.count.store(0, Ordering::Relaxed);
    }
}

fn refused(error: &notify::Error) -> AcquireError {
    match &error.kind {
        ErrorKind::MaxFilesWatch => AcquireError::Exhausted(
            "the system's limit of watched folders is reached (fs.inotify.max_user_watches)".to_owned(),
        ),
        ErrorKind::PathNotFound | ErrorKind::WatchNotFound => AcquireError::Unreachable,
        ErrorKind::Io(source)
            if matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
            ) =>
        {
            AcquireError::Unreachable
        }
        _ => AcquireError::Exhausted(format!("the system refuses to watch: {error}")),
    }
}
