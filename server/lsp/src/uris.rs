//! `file:` URIs and paths.

use std::path::{Path, PathBuf};

/// The path of a `file:` URI of this machine.
pub(crate) fn to_path(uri: &str) -> Option<PathBuf> {
    let parsed = url::Url::parse(uri).ok()?;
    if parsed.scheme() == "file" { parsed.to_file_path().ok() } else { None }
}

/// The URI of an absolute path, as editors write it.
pub(crate) fn from_path(path: &Path) -> Option<String> {
    url::Url::from_file_path(path).ok().map(String::from)
}

/// Whether a document can lie in a worktree: a file, and none that Podium made for the editor.
pub(crate) fn is_source(uri: &str, home: &Path) -> bool {
    uri.starts_with("file:") && to_path(uri).is_some_and(|path| !path.starts_with(home))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_spaces_and_unicode_survive() {
        for path in ["/a b/ü/[x].rs", "/100%/#?.md"] {
            assert_eq!(to_path(&from_path(Path::new(path)).unwrap()).unwrap(), Path::new(path));
        }
    }

    #[test]
    fn what_is_no_file_of_a_repository_is_no_source() {
        let home = Path::new("/home/me/.podium");
        assert!(is_source("file:///w/a.rs", home));
        assert!(!is_source("file:///home/me/.podium/scratch/x.md", home));
        assert!(!is_source("untitled:Untitled-1", home));
        assert!(!is_source("git:/w/a.rs", home));
    }
}
