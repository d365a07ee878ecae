//! Paths as bytes in the store, as text on the wire, and as `file:` URIs in editors.

use std::path::{Component, Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use podium_protocol::{RepoSelector, WireError};

/// Everything that may not stand in the path of a URI as it is (RFC 3986, section 3.3).
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

pub(crate) fn to_bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}

#[cfg(unix)]
pub(crate) fn from_bytes(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(not(unix))]
pub(crate) fn from_bytes(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
}

/// The bytes of a path that is not UTF-8.
pub(crate) fn odd_bytes(path: &Path) -> Option<Vec<u8>> {
    path.to_str().is_none().then(|| to_bytes(path))
}

/// The path a selector names; `None` when it names nothing.
pub(crate) fn selected(at: &RepoSelector) -> Result<Option<PathBuf>, WireError> {
    if let Some(bytes) = &at.repo_bytes {
        return checked(from_bytes(bytes.clone())).map(Some);
    }
    match (&at.repo, &at.uri) {
        (Some(repo), _) => checked(PathBuf::from(repo)).map(Some),
        (None, Some(uri)) => from_uri(uri).map(Some),
        (None, None) => Ok(None),
    }
}

pub(crate) fn from_uri(uri: &str) -> Result<PathBuf, WireError> {
    let refuse = || WireError::usage(format!("`{}` is not a file: URI", shown(uri)));
    let rest = uri.strip_prefix("file://").ok_or_else(refuse)?;
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(refuse().hint("files of other machines cannot be reached"));
    }
    let path = path.split(['?', '#']).next().unwrap_or(path);
    checked(from_bytes(percent_decode_str(path).collect()))
}

pub(crate) fn to_uri(path: &Path) -> String {
    format!("file://{}", percent_encode(&to_bytes(path), ESCAPED))
}

fn checked(path: PathBuf) -> Result<PathBuf, WireError> {
    let refuse = |why| WireError::usage(format!("`{}` {why}", shown(&path.to_string_lossy())));
    if !path.is_absolute() {
        return Err(refuse("is not an absolute path"));
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(refuse("contains a zero byte"));
    }
    Ok(path)
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

/// The path without links; of one that does not exist (a file about to be made), its nearest existing folder.
pub(crate) fn real(path: &Path) -> PathBuf {
    path.ancestors().find_map(|part| part.canonicalize().ok()).unwrap_or_else(|| path.to_owned())
}

/// The folder one above, and the name with something put behind it: `/x/clone` -> `/x/clone.worktrees`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().map_or_else(|| "root".into(), std::ffi::OsStr::to_owned);
    name.push(suffix);
    path.parent().unwrap_or(path).join(name)
}

/// Whether a path lies in a submodule's git folder (`.git/modules/...`).
pub(crate) fn in_submodule(common_dir: &Path) -> bool {
    let mut above = None;
    for part in common_dir.components() {
        if above == Some(Component::Normal(".git".as_ref())) && part == Component::Normal("modules".as_ref())
        {
            return true;
        }
        above = Some(part);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_keep_every_byte_of_a_path() {
        let path = from_bytes(b"/srv/a b/%/\xff#?/\xc3\xa4".to_vec());
        assert_eq!(to_uri(&path), "file:///srv/a%20b/%25/%FF%23%3F/%C3%A4");
        assert_eq!(from_uri(&to_uri(&path)), Ok(path));
        assert_eq!(from_uri("file://localhost/x"), Ok(PathBuf::from("/x")));
        for bad in ["http://x/y", "file://host/x", "file:x", "untitled:Untitled-1", "file:///a%00b"] {
            assert!(from_uri(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn git_folders_of_submodules_are_told() {
        assert!(in_submodule(Path::new("/a/.git/modules/lib")));
        assert!(!in_submodule(Path::new("/a/modules/lib/.git")));
    }
}
