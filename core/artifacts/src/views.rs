//! Files for editors: read-only, with a name a person can read and an ending that brings highlighting.

use std::path::{Path, PathBuf};

use podium_protocol::Artifact;

use crate::ArtifactError;
use crate::blobs::{Blobs, io};

/// The artifact's file in `folder`, made when it is not there: a hard link to the content, or a copy.
pub(crate) fn materialise(
    folder: &Path,
    blobs: &Blobs,
    artifact: &Artifact,
) -> Result<PathBuf, ArtifactError> {
    let path = folder.join(file_name(artifact));
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() == artifact.bytes) {
        return Ok(path);
    }
    let content = blobs.path(&artifact.hash);
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    let _ = std::fs::remove_file(&path);
    if std::fs::hard_link(&content, &path).is_err() {
        std::fs::copy(&content, &path).map_err(|e| io(&path, e))?;
    }
    Ok(path)
}

fn file_name(artifact: &Artifact) -> String {
    let title: String =
        artifact.title.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).take(40).collect();
    let short = artifact.id.rsplit('-').next().unwrap_or(&artifact.id);
    format!("{}-{short}.{}", title.trim_matches('-'), ending(&artifact.media_type))
}

fn ending(media_type: &str) -> &'static str {
    match media_type {
        "text/markdown" => "md",
        "application/json" => "json",
        "text/x-diff" => "diff",
        "text/x-rust" => "rs",
        "application/toml" => "toml",
        _ => "txt",
    }
}
