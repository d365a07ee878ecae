//! A snapshot as the store keeps it, and as it is told.

use std::path::{Path, PathBuf};

use podium_git::{Oid, TreeSnapshot};
use podium_protocol::SnapshotInfo;
use serde::{Deserialize, Serialize};

/// Paths that are told of those that were left out.
const TOLD: usize = 100;
/// Records that do not say whether there were more hold so many at most.
const EARLIER: usize = 100;

/// Paths and conflicts are bytes; names of objects are text.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    commit: String,
    files: String,
    staged: String,
    head: Option<String>,
    branch: Option<String>,
    clean: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    conflicts: Vec<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<Vec<u8>>,
    #[serde(default)]
    more_left_out: Option<bool>,
}

pub(crate) fn write(snapshot: &TreeSnapshot) -> String {
    let record = Record {
        commit: snapshot.commit.to_string(),
        files: snapshot.files.to_string(),
        staged: snapshot.staged.to_string(),
        head: snapshot.head.as_ref().map(Oid::to_string),
        branch: snapshot.branch.clone(),
        clean: snapshot.clean,
        conflicts: snapshot.conflicts.clone(),
        left_out: snapshot.left_out.iter().map(|path| bytes(path)).collect(),
        more_left_out: Some(snapshot.more_left_out),
    };
    serde_json::to_string(&record).unwrap_or_default()
}

/// `None` for what another version wrote.
pub(crate) fn read(text: &str) -> Option<TreeSnapshot> {
    let record: Record = serde_json::from_str(text).ok()?;
    Some(TreeSnapshot {
        commit: record.commit.parse().ok()?,
        files: record.files.parse().ok()?,
        staged: record.staged.parse().ok()?,
        head: record.head.map(|head| head.parse()).transpose().ok()?,
        branch: record.branch,
        conflicts: record.conflicts,
        clean: record.clean,
        left_out: record.left_out.iter().map(|path| path_of(path)).collect(),
        more_left_out: record.more_left_out.unwrap_or(record.left_out.len() >= EARLIER),
    })
}

pub(crate) fn told(snapshot: &TreeSnapshot) -> SnapshotInfo {
    SnapshotInfo {
        commit: snapshot.commit.to_string(),
        head: snapshot.head.as_ref().map(Oid::to_string),
        branch: snapshot.branch.clone(),
        left_out: shown(&snapshot.left_out[..snapshot.left_out.len().min(TOLD)]),
    }
}

/// Paths as people read them.
pub(crate) fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_vec()
}

pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_another_form_is_none() {
        let id: Oid = "0123456789012345678901234567890123456789".parse().unwrap();
        let snapshot = TreeSnapshot {
            commit: id.clone(),
            files: id.clone(),
            staged: id.clone(),
            head: Some(id),
            branch: Some("feat".into()),
            conflicts: b"100644 \xff\0".to_vec(),
            clean: false,
            left_out: vec![path_of(b"caf\xe9"); 101],
            more_left_out: false,
        };
        assert_eq!(read(&write(&snapshot)), Some(snapshot.clone()));
        assert_eq!(told(&snapshot).left_out.len(), TOLD);
        // One that was cut, by a version that did not say so.
        let cut = TreeSnapshot { left_out: vec![path_of(b"a"); EARLIER], ..snapshot };
        let text = write(&cut).replace(",\"moreLeftOut\":false", "");
        assert!(read(&text).unwrap().more_left_out);
        assert_eq!(read("{}"), None);
    }
}
