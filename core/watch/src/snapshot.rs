//! What polling remembers of a tree, and what changed since.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::changes::Batch;
use crate::filter::Filter;

/// Two stamps of a file differ when it was changed in between.
pub(crate) fn stamp(metadata: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    metadata.is_dir().hash(&mut hasher);
    // A folder's own size and time change with its entries, which are compared themselves.
    if !metadata.is_dir() {
        metadata.len().hash(&mut hasher);
        metadata.modified().ok().hash(&mut hasher);
        metadata.permissions().readonly().hash(&mut hasher);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (metadata.ino(), metadata.mode()).hash(&mut hasher);
        if !metadata.is_dir() {
            (metadata.ctime(), metadata.ctime_nsec()).hash(&mut hasher);
        }
    }
    hasher.finish()
}

type Entries = HashMap<OsString, u64>;

/// The stamps of all files that are not ignored, by folder.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    folders: HashMap<PathBuf, Entries>,
}

impl Snapshot {
    /// Folders that cannot be read count as empty.
    pub(crate) fn take(root: &Path, filter: &mut Filter) -> Self {
        let mut folders = HashMap::new();
        let mut open = vec![root.to_owned()];
        while let Some(folder) = open.pop() {
            let mut entries = Entries::new();
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let (Ok(metadata), Ok(relative)) = (entry.metadata(), path.strip_prefix(root)) else {
                    continue;
                };
                if filter.ignores(root, relative, metadata.is_dir()) {
                    continue;
                }
                entries.insert(entry.file_name(), stamp(&metadata));
                if metadata.is_dir() {
                    open.push(path);
                }
            }
            entries.shrink_to_fit();
            folders.insert(folder, entries);
        }
        Self { folders }
    }

    /// Adds to `batch` what differs between this one and a `newer` one.
    pub(crate) fn compare(&self, newer: &Self, batch: &mut Batch) {
        let empty = Entries::new();
        for (folder, now) in &newer.folders {
            let before = self.folders.get(folder).unwrap_or(&empty);
            for (name, stamp) in now {
                if before.get(name) != Some(stamp) {
                    batch.add(folder.join(name));
                }
            }
        }
        for (folder, before) in &self.folders {
            let now = newer.folders.get(folder).unwrap_or(&empty);
            for name in before.keys().filter(|name| !now.contains_key(*name)) {
                batch.add(folder.join(name));
            }
        }
    }
}
