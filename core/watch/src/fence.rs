//! Files that are made to learn when the system has told of everything before.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::backend::Backend;
use crate::inbox::OsEvent;

/// Those who wait for the system to tell of a file. Native watches only: what is polled is late by its nature.
pub(crate) struct Fences {
    folder: Option<PathBuf>,
    watched: Option<Arc<Path>>,
    next: u64,
    waiting: Vec<(PathBuf, oneshot::Sender<()>)>,
}

impl Fences {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, watched: None, next: 0, waiting: Vec::new() }
    }

    /// Makes a file for who waits. Without one, `reply` is dropped, which tells that nothing is known.
    pub(crate) fn put(&mut self, reply: oneshot::Sender<()>, backend: &mut Backend) {
        self.waiting.retain(|(_, reply)| !reply.is_closed());
        let Some(folder) = self.watch(backend) else { return };
        self.next += 1;
        let path = folder.join(format!("{}-{}", std::process::id(), self.next));
        if fs::File::create(&path).is_err() {
            // The folder went; the next one makes it again.
            self.watched = None;
            return;
        }
        let _ = fs::remove_file(&path);
        self.waiting.push((path, reply));
    }

    /// The folder, watched. Nobody releases it: it ends with the service.
    fn watch(&mut self, backend: &mut Backend) -> Option<Arc<Path>> {
        if self.watched.is_none() {
            let folder = self.folder.as_ref()?;
            fs::create_dir_all(folder).ok()?;
            self.watched = backend.acquire(&folder.canonicalize().ok()?, false).ok();
        }
        self.watched.clone()
    }

    /// Answers those whose file is among the events, and those who came before them.
    pub(crate) fn pass(&mut self, events: &[OsEvent]) {
        if self.waiting.is_empty() {
            return;
        }
        let told = |path: &PathBuf| events.iter().any(|event| event.path == *path);
        if let Some(last) = self.waiting.iter().rposition(|(path, _)| told(path)) {
            self.waiting.drain(..=last).for_each(answer);
        }
    }

    /// Events were lost, and everything is told as changed: nobody has missed anything.
    pub(crate) fn pass_all(&mut self) {
        self.waiting.drain(..).for_each(answer);
    }
}

/// Who waited may have given up.
fn answer((_, reply): (PathBuf, oneshot::Sender<()>)) {
    let _ = reply.send(());
}
