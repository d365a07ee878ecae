//! What a session has seen of which file, so that nothing is written over what it has not seen.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use blake3::Hash;
use serde_json::Value;

/// The content of each file as the session last read or wrote it.
#[derive(Debug, Default)]
pub struct ReadMarks {
    seen: Mutex<HashMap<PathBuf, Hash>>,
}

impl ReadMarks {
    /// Remembers what an earlier result told, so that a session that goes on after a restart knows what it has seen.
    pub fn learn(&self, data: &Value) {
        let hash = data["blake3"].as_str().or_else(|| data["after"].as_str());
        if let (Some(path), Some(hash)) =
            (data["path"].as_str(), hash.and_then(|hex| Hash::from_hex(hex).ok()))
        {
            self.set(Path::new(path), hash);
        }
    }

    pub(super) fn set(&self, path: &Path, hash: Hash) {
        self.lock().insert(path.to_owned(), hash);
    }

    pub(super) fn get(&self, path: &Path) -> Option<Hash> {
        self.lock().get(path).copied()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Hash>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
