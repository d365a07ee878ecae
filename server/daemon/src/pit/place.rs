//! Where a run works: the worktree that the caller stands in, or the folder itself outside of any repository.

use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use podium_protocol::{MAX_MELODY, RepoSelector, WireError};
use podium_sessions::WorktreeRef;
use reqwest::Url;

use crate::call::Call;

/// A folder, and the worktree that it is, if it is one.
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) worktree: Option<WorktreeRef>,
}

pub(super) async fn of(call: &Call, at: &RepoSelector) -> Result<Place, WireError> {
    let asked = selected(at)?;
    let folder = if asked.is_dir() { asked } else { asked.parent().map(Path::to_owned).unwrap_or_default() };
    let folder = folder.canonicalize().map_err(|error| {
        WireError::not_found(format!("{} cannot be worked in: {error}", folder.display()))
    })?;
    let place = match call.daemon.worktrees.resolve(at, None, &call.worktree_caller()).await {
        Ok(found) => {
            let worktree =
                WorktreeRef { id: found.id, repo: found.repo_id, name: found.name, path: found.path.clone() };
            Place { folder: found.path.canonicalize().unwrap_or(found.path), worktree: Some(worktree) }
        }
        // A melody needs no repository.
        Err(_) => Place { folder, worktree: None },
    };
    own(call, &place.folder).await?;
    Ok(place)
}

/// An agent runs melodies in its own worktree only.
async fn own(call: &Call, folder: &Path) -> Result<(), WireError> {
    let Some((session, agent)) = call.agent() else { return Ok(()) };
    let info = call.daemon.sessions.info(session).await?;
    let own = info.worktree_path.and_then(|path| Path::new(&path).canonicalize().ok());
    if own.is_some_and(|own| folder.starts_with(own)) {
        return Ok(());
    }
    Err(WireError::user(format!("{agent} runs melodies in its own worktree only")))
}

fn selected(at: &RepoSelector) -> Result<PathBuf, WireError> {
    if let Some(bytes) = &at.repo_bytes {
        return absolute(PathBuf::from(std::ffi::OsString::from_vec(bytes.clone())));
    }
    match (&at.repo, &at.uri) {
        (Some(path), _) => absolute(PathBuf::from(path)),
        (None, Some(uri)) => of_uri(uri),
        (None, None) => Err(WireError::usage("the request names no folder").hint("give `repo` or `uri`")),
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf, WireError> {
    if path.is_absolute() { Ok(path) } else { Err(WireError::usage("a path has to be absolute")) }
}

pub(super) fn of_uri(uri: &str) -> Result<PathBuf, WireError> {
    let path =
        Url::parse(uri).ok().filter(|url| url.scheme() == "file").and_then(|url| url.to_file_path().ok());
    path.ok_or_else(|| WireError::usage("the URI names no file"))
}

/// A melody as it is given, or as its file holds it.
pub(super) async fn melody(
    file: Option<&str>,
    uri: Option<&str>,
    text: Option<String>,
) -> Result<(String, podium_melody::Format), WireError> {
    let path = match (file, uri) {
        (Some(file), _) => Some(absolute(PathBuf::from(file))?),
        (None, Some(uri)) => Some(of_uri(uri)?),
        (None, None) => None,
    };
    let is_json = path.as_ref().is_some_and(|path| path.extension().is_some_and(|end| end == "json"));
    let format = if is_json { podium_melody::Format::Json } else { podium_melody::Format::Toml };
    let text = match (text, path) {
        (Some(text), _) => text,
        (None, Some(path)) => {
            let read = tokio::task::spawn_blocking(move || read(&path)).await;
            read.unwrap_or_else(|_| Err(WireError::internal("reading the melody ended unexpectedly")))?
        }
        (None, None) => {
            return Err(WireError::usage("the request names no melody").hint("give `text`, `file` or `uri`"));
        }
    };
    if text.len() > MAX_MELODY {
        return Err(too_large());
    }
    Ok((text, format))
}

fn read(path: &Path) -> Result<String, WireError> {
    let told =
        |error: std::io::Error| WireError::not_found(format!("{} cannot be read: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(told)?;
    if !file.metadata().map_err(told)?.is_file() {
        return Err(WireError::user(format!("{} is no file", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(MAX_MELODY as u64 + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() > MAX_MELODY {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|_| WireError::user(format!("{} is not UTF-8 text", path.display())))
}

fn too_large() -> WireError {
    WireError::usage(format!("a melody that runs has at most {} MiB", MAX_MELODY >> 20))
}
