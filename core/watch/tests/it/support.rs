use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use podium_watch::{Change, Changes};
use tempfile::TempDir;

/// Only a failing test waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that is the root of a repository, so that no ignore file above it counts.
pub(crate) struct Repository {
    dir: TempDir,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".git")).unwrap();
        Self { dir }
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    pub(crate) fn folder(&self, relative: &str) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Writes a file whose folder exists.
    pub(crate) fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path(relative);
        fs::write(&path, text).unwrap();
        path
    }
}

pub(crate) async fn next(changes: &mut Changes) -> Change {
    let change = tokio::time::timeout(PATIENCE, changes.next()).await;
    change.expect("a change is told in time").expect("the watcher runs")
}

/// Waits until all `wanted` are told, and gives all that were told. A rescan fails.
pub(crate) async fn told(changes: &mut Changes, wanted: &[impl AsRef<Path> + Debug]) -> BTreeSet<PathBuf> {
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    while !wanted.iter().all(|path| seen.contains(path.as_ref())) {
        match next(changes).await {
            Change::Paths(paths) => seen.extend(paths),
            Change::Rescan => panic!("a rescan instead of {wanted:?}, after {seen:?}"),
        }
    }
    seen
}

pub(crate) async fn rescan(changes: &mut Changes) {
    while next(changes).await != Change::Rescan {}
}

pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::task::yield_now().await;
    }
}
